"""A clear day minute by minute, as pvlib knows it: the truth that means over intervals are of."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pvlib

from connectors.signals.plants.plant import Place, PvArray

AIR_DEGC, WIND_M_PER_S = 18.0, 3.0


@dataclass(frozen=True, slots=True)
class ClearDay:
    """One UTC day at a place; radiation [W/m2] in the middle of every minute."""

    place: Place
    sky: pd.DataFrame  # ghi, dni, dhi
    sun: pd.DataFrame

    def means(self, minutes: int) -> pd.DataFrame:
        """Return the weather as means over intervals, by their start."""
        mean = self.sky.resample(f"{minutes}min").mean()
        return pd.DataFrame(
            {
                "global_w_per_m2": mean["ghi"],
                "diffuse_w_per_m2": mean["dhi"],
                "air_degc": AIR_DEGC,
                "wind_m_per_s": WIND_M_PER_S,
            }
        )

    def power_kw(self, array: PvArray) -> pd.Series:
        """Return what an array gives in every minute [kW], by pvlib itself."""
        side = (array.tilt_deg, array.azimuth_deg)
        sun = (self.sun["apparent_zenith"], self.sun["azimuth"])
        extra = pvlib.irradiance.get_extra_radiation(self.sky.index.day_of_year)
        plane = pvlib.irradiance.get_total_irradiance(
            *side,
            *sun,
            self.sky["dni"],
            self.sky["ghi"],
            self.sky["dhi"],
            dni_extra=extra,
            albedo=0.2,
            model="haydavies",
        )
        passed = pvlib.iam.physical(pvlib.irradiance.aoi(*side, *sun))
        at_cells = (plane["poa_direct"] * passed + plane["poa_diffuse"]).fillna(0.0)
        cell = pvlib.temperature.faiman(plane["poa_global"].fillna(0.0), AIR_DEGC, WIND_M_PER_S)
        dc_kw = pvlib.pvsystem.pvwatts_dc(at_cells, cell, array.peak_kw, -0.0035)
        ac_kw = pvlib.inverter.pvwatts(
            dc_kw.clip(lower=0).to_numpy() * (1 - array.loss_share), array.inverter_kw / 0.96, 0.96
        )
        return pd.Series(np.asarray(ac_kw), index=self.sky.index)


def clear_day(place: Place, day: str) -> ClearDay:
    """Return a day with little in the air."""
    start = pd.Timestamp(day, tz="UTC")
    minutes = pd.date_range(start, start + pd.Timedelta(days=1), freq="1min", inclusive="left")
    middles = minutes + pd.Timedelta(seconds=30)
    where = pvlib.location.Location(place.latitude_deg, place.longitude_deg, altitude=0)
    with warnings.catch_warnings():  # pvlib calls what this pandas will rename
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        sky = where.get_clearsky(middles, model="ineichen", linke_turbidity=3.0)
    sun = pvlib.solarposition.get_solarposition(middles, place.latitude_deg, place.longitude_deg)
    return ClearDay(place, sky, sun)
