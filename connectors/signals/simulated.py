"""Generated signals with the shapes of real ones, the same for the same seed at any time asked.

No value depends on the window it is asked in. Noise is a sum of waves of 3 h to 5 days with phases
drawn from the seed, so it is correlated in time as weather is.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from connectors.errors import Rejected
from connectors.signals.frames import Question, signal_frame
from connectors.source_info import SignalOffer, SourceInfo
from connectors.types import SignalKind, Window

_Values = NDArray[np.float64]
_WAVES = 24
_LONGEST_WAVE_H, _SHORTEST_WAVE_H = 120.0, 3.0
_ZONE_LOAD_MW, _ZONE_SOLAR_MW, _ZONE_WIND_MW = 60_000.0, 45_000.0, 50_000.0


@dataclass(frozen=True, slots=True)
class SimulatedSite:
    """A place: its longitude sets when the sun stands highest, its latitude how high."""

    latitude_deg: float
    longitude_deg: float
    pv_peak_kw: float = 0.0
    wind_rating_kw: float = 0.0
    base_load_kw: float = 0.0
    export_share: float = 0.9  # of the import price


class SimulatedSignals:
    """Implements ``SignalSource``.

    Parameters
    ----------
    sites
        The places there are, by name.
    seed
        The weather; another seed is another year.
    minutes
        Resolution of every series.
    """

    def __init__(self, sites: Mapping[str, SimulatedSite], seed: int, minutes: int = 60) -> None:
        if minutes < 1 or 24 * 60 % minutes:
            raise ValueError(f"simulated signals: minutes = {minutes}, must divide a day")
        self._sites = dict(sites)
        self._seed = seed
        self._minutes = minutes
        zones = tuple(self._sites)
        self.info = SourceInfo(
            name="simulated",
            title="Generated weather and prices",
            document="",
            licence="none needed",
            offers=tuple(SignalOffer(kind, (minutes,), zones) for kind in SignalKind),
            zones_are="the simulated sites",
        )

    def time_zone(self, zone: str) -> str:
        """UTC; ``Rejected`` for a site there is not."""
        self._require(zone)
        return "UTC"

    async def fetch(self, zone: str, kind: SignalKind, window: Window) -> pd.DataFrame:
        """Generate the values within ``window``; ``Rejected`` for a site there is not."""
        self._require(zone)
        step = timedelta(minutes=self._minutes)
        first = pd.Timestamp(window.start).tz_convert("UTC").ceil(step)
        end = pd.Timestamp(window.end).tz_convert("UTC")
        starts = pd.date_range(first, end, freq=step, inclusive="left", unit="us")
        weather = _Weather(self._sites[zone], f"{self._seed}/{zone}", starts + step / 2)
        asked = Question(self.info.name, zone, kind, window)
        return signal_frame(asked, starts, self._minutes, weather.values(kind), kind.unit)

    def _require(self, site: str) -> None:
        if site not in self._sites:
            raise Rejected(f"simulated signals: no site {site!r}, there are {sorted(self._sites)}")


class _Weather:
    """Sun, wind and what follows from them, at the middle of every interval."""

    def __init__(self, site: SimulatedSite, seed: str, middles: pd.DatetimeIndex) -> None:
        self._site = site
        self._seed = seed
        self._hours = np.asarray(middles.as_unit("ns").asi8 / 3600e9, dtype=np.float64)
        self._solar_hour = (self._hours + site.longitude_deg / 15) % 24
        self._day = np.asarray(middles.day_of_year, dtype=np.float64)
        self._sun = self._clear_sky() * np.clip(0.8 + 0.15 * self._noise("cloud"), 0.2, 1.0)
        self._wind = np.asarray(1 / (1 + np.exp(0.8 - 0.9 * self._noise("wind"))), np.float64)

    def values(self, kind: SignalKind) -> _Values:
        """Return the values of one kind [its unit]."""
        site = self._site
        load_share = 0.9 + 0.1 * self._bump(13, 4)
        of_kind: dict[SignalKind, _Values] = {
            SignalKind.PRICE: self._price(),
            SignalKind.EXPORT_PRICE: site.export_share * self._price(),
            SignalKind.CARBON_INTENSITY: self._carbon(),
            SignalKind.PV: site.pv_peak_kw * self._sun,
            SignalKind.WIND: site.wind_rating_kw * self._wind,
            SignalKind.BASE_LOAD: site.base_load_kw * load_share,
            SignalKind.PUE: 1.15 + 0.12 * self._bump(15, 3),
            SignalKind.MARGINAL_CARBON_INTENSITY: self._marginal_carbon(),
            SignalKind.ZONE_LOAD: _ZONE_LOAD_MW * load_share,
            SignalKind.ZONE_SOLAR: _ZONE_SOLAR_MW * self._sun,
            SignalKind.ZONE_WIND: _ZONE_WIND_MW * self._wind,
            SignalKind.ZONE_LOAD_FORECAST: _ZONE_LOAD_MW * load_share * self._error("load"),
            SignalKind.ZONE_SOLAR_FORECAST: _ZONE_SOLAR_MW * self._sun * self._error("solar"),
            SignalKind.ZONE_WIND_FORECAST: _ZONE_WIND_MW * self._wind * self._error("wind"),
            SignalKind.IRRADIANCE: 1000 * self._sun,
            SignalKind.AIR_TEMPERATURE: self._temperature(),
            SignalKind.WIND_SPEED: 14 * np.sqrt(self._wind),
        }
        return of_kind[kind]

    def _price(self) -> _Values:
        """Morning and evening peaks; sun and wind press it, below zero on bright windy noons."""
        peaks = 20 * self._bump(7.5, 1.5) + 60 * self._bump(19.5, 1.8)
        return 85 + peaks - 120 * self._sun - 40 * self._wind + 6 * self._noise("price")

    def _carbon(self) -> _Values:
        evening = 60 * self._bump(19.5, 2.0)
        noise = 10 * self._noise("carbon")
        return np.clip(480 + evening + noise - 300 * self._sun - 140 * self._wind, 20, None)

    def _marginal_carbon(self) -> _Values:
        """Of gas, and of coal in the evening; nearly nothing where the sun is turned down."""
        return np.clip(450 + 350 * self._bump(19.5, 2.5) - 500 * self._sun, 0, None)

    def _temperature(self) -> _Values:
        """Warmest in the afternoon and, north of the equator, in July."""
        north = 1 if self._site.latitude_deg >= 0 else -1
        season = north * 10 * np.cos(2 * np.pi * (self._day - 200) / 365)
        return np.asarray(8 + season + 8 * self._bump(15, 4) + 1.5 * self._noise("air"))

    def _error(self, name: str) -> _Values:
        """Ratio of what was foreseen to what comes, about one."""
        return np.asarray(np.clip(1 + 0.05 * self._noise(f"{name} forecast"), 0, None))

    def _clear_sky(self) -> _Values:
        """Sine of the sun's elevation, never below zero."""
        latitude = math.radians(self._site.latitude_deg)
        declination = np.radians(23.45) * np.sin(2 * np.pi * (284 + self._day) / 365)
        hour_angle = np.radians(15 * (self._solar_hour - 12))
        height = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(
            declination
        ) * np.cos(hour_angle)
        return np.asarray(np.clip(height, 0.0, 1.0), dtype=np.float64)

    def _bump(self, hour: float, width_h: float) -> _Values:
        """Bell of height 1 at the solar ``hour``, wrapped around midnight."""
        distance = np.abs(self._solar_hour - hour)
        distance = np.minimum(distance, 24 - distance)
        return np.asarray(np.exp(-0.5 * (distance / width_h) ** 2), dtype=np.float64)

    def _noise(self, name: str) -> _Values:
        """Noise of about unit variance."""
        rng = np.random.default_rng(zlib.crc32(f"{self._seed}/{name}".encode()))
        periods_h = np.geomspace(_SHORTEST_WAVE_H, _LONGEST_WAVE_H, _WAVES)
        heights = np.sqrt(periods_h / periods_h.sum() * 2)
        phases = rng.uniform(0, 2 * np.pi, _WAVES)
        angles = 2 * np.pi * self._hours[:, np.newaxis] / periods_h + phases  # [interval, wave]
        return np.asarray(np.sin(angles) @ heights, dtype=np.float64)
