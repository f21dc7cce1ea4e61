"""Where sources of signals are asked, and with which secrets."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings


class SourceSettings(BaseSettings):
    """The part of the settings that is about sources; each address may be that of a proxy.

    Attributes
    ----------
    entsoe_token
        Security token of an account with the Transparency Platform.
    electricity_maps_token, watttime_user, watttime_password, pjm_key
        Of accounts there; ``pjm_key`` of Data Miner 2, for US prices of PJM.
    gridstatus_python
        A Python that has ``gridstatus``, for US prices.
    """

    energy_charts_url: str = "https://api.energy-charts.info"
    carbon_intensity_gb_url: str = "https://api.carbonintensity.org.uk"
    entsoe_url: str = "https://web-api.tp.entsoe.eu/api"
    entsoe_token: SecretStr | None = None
    electricity_maps_url: str = "https://api.electricitymaps.com"
    electricity_maps_token: SecretStr = SecretStr("")
    watttime_url: str = "https://api.watttime.org"
    watttime_user: str = ""
    watttime_password: SecretStr = SecretStr("")
    open_meteo_url: str = "https://api.open-meteo.com"
    open_meteo_archive_url: str = "https://archive-api.open-meteo.com"
    gridstatus_python: Path | None = None
    pjm_key: SecretStr = SecretStr("")
