"""Signals of the example day: no market's data, but shaped like three real zones.

Each series is a daily shape in the site's LOCAL time plus noise that is correlated in time (an
hour-to-hour correlation of 0.94, as forecast errors of system operators are):

* Solar follows the sun's elevation at the site's latitude, through passing clouds.
* Frankfurt's price falls with sun and wind and goes below zero around noon; quarter-hourly.
* Fresno's price is a duck: flat and near zero while the sun shines, steep in the evening.
* Buffalo's price has a mild morning and evening peak; wind is what moves it.
* Carbon intensity falls where sun and wind push out gas and coal.
* Power usage effectiveness in Fresno rises with the heat of the afternoon.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Values = NDArray[np.float64]

HOURLY_CORRELATION = 0.94
PV_PEAK_KW = {"frankfurt": 80.0, "fresno": 90.0}
WIND_RATING_KW = 50.0


@dataclass(frozen=True, slots=True)
class Clock:
    """Intervals of one length from ``start`` on, seen from one place."""

    start: datetime
    hours: int
    minutes: int
    time_zone: str

    @property
    def starts(self) -> pd.DatetimeIndex:
        """Start of every interval, UTC."""
        return pd.date_range(
            self.start, periods=self.hours * 60 // self.minutes, freq=f"{self.minutes}min"
        )

    @property
    def local_hour(self) -> Values:
        """Local time at the middle of every interval [h], 0 to 24."""
        local = (self.starts + pd.Timedelta(minutes=self.minutes / 2)).tz_convert(
            ZoneInfo(self.time_zone)
        )
        return np.asarray(local.hour + local.minute / 60, dtype=np.float64)


def correlated_noise(clock: Clock, rng: np.random.Generator) -> Values:
    """Gaussian noise of unit variance whose correlation over one hour is 0.94."""
    memory = HOURLY_CORRELATION ** (clock.minutes / 60)
    fresh = rng.standard_normal(len(clock.starts))
    noise = np.empty_like(fresh)
    noise[0] = fresh[0]
    for step in range(1, len(fresh)):
        noise[step] = memory * noise[step - 1] + math.sqrt(1 - memory**2) * fresh[step]
    return noise


def bump(hour: Values, centre: float, width: float) -> Values:
    """Bell of height 1 at local hour ``centre``, wrapped around midnight; width in hours."""
    distance = np.abs(hour - centre)
    distance = np.minimum(distance, 24 - distance)
    height: Values = np.exp(-0.5 * (distance / width) ** 2)
    return height


def clear_sky(clock: Clock, latitude_deg: float, solar_noon: float) -> Values:
    """Share of a plant's peak under a clear sky: the sine of the sun's elevation, never below 0."""
    latitude = math.radians(latitude_deg)
    day = clock.start.timetuple().tm_yday
    declination = math.radians(23.45) * math.sin(2 * math.pi * (284 + day) / 365)
    hour_angle = np.radians(15 * (clock.local_hour - solar_noon))
    elevation = math.sin(latitude) * math.sin(declination) + math.cos(latitude) * math.cos(
        declination
    ) * np.cos(hour_angle)
    return np.clip(elevation, 0.0, 1.0)


def cloud_cover(clock: Clock, rng: np.random.Generator, mean: float) -> Values:
    """Share of the sun that gets through, around ``mean``."""
    return np.clip(mean + 0.12 * correlated_noise(clock, rng), 0.25, 1.0)


def wind_share(clock: Clock, rng: np.random.Generator) -> Values:
    """Output of wind plants as a share of their rating, 0 to 1, around one third."""
    return 1 / (1 + np.exp(0.8 - 0.9 * correlated_noise(clock, rng)))


def frankfurt(start: datetime, hours: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw a summer Sunday in a zone with much solar: below zero at noon, dear in the evening."""
    clock = Clock(start, hours, 15, "Europe/Berlin")
    hour = clock.local_hour
    sun = clear_sky(clock, 50.1, 13.4) * cloud_cover(clock, rng, 0.85)
    wind = wind_share(clock, rng)
    evening = bump(hour, 20.0, 1.8)
    price = 102 + 70 * evening + 22 * bump(hour, 7.0, 1.5) - 155 * sun - 35 * wind
    price += 5 * correlated_noise(clock, rng)
    carbon = np.clip(470 - 330 * sun - 130 * wind + 40 * evening, 60, None)
    pv = PV_PEAK_KW["frankfurt"] * sun
    return rows("frankfurt", clock, {"price": price, "carbon_intensity": carbon, "pv": pv})


def fresno(start: datetime, hours: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw a duck: the sun presses the price at noon, the ramp after sunset lifts it."""
    clock = Clock(start, hours, 60, "America/Los_Angeles")
    hour = clock.local_hour
    sun = clear_sky(clock, 36.7, 13.0) * cloud_cover(clock, rng, 0.95)
    evening = bump(hour, 19.8, 1.4)
    price = 46 + 85 * evening + 14 * bump(hour, 6.5, 1.2) - 52 * np.minimum(1.4 * sun, 1.0)
    price += 4 * correlated_noise(clock, rng)
    carbon = np.clip(330 - 235 * np.minimum(1.3 * sun, 1.0) + 70 * evening, 70, None)
    series = {
        "price": price,
        "carbon_intensity": carbon,
        "pv": PV_PEAK_KW["fresno"] * sun,
        "pue": 1.12 + 0.16 * bump(hour, 16.0, 3.5),
    }
    return rows("fresno", clock, series)


def buffalo(start: datetime, hours: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw two mild peaks a day; wind moves price, carbon and the plant behind the meter."""
    clock = Clock(start, hours, 60, "America/New_York")
    hour = clock.local_hour
    wind = wind_share(clock, rng)
    peaks = bump(hour, 18.0, 2.2) + 0.5 * bump(hour, 8.0, 1.8)
    price = 34 + 30 * peaks - 18 * wind + 3 * correlated_noise(clock, rng)
    carbon = np.clip(290 + 55 * peaks - 110 * wind, 90, None)
    series = {"price": price, "carbon_intensity": carbon, "wind": WIND_RATING_KW * wind}
    return rows("buffalo", clock, series)


def rows(site: str, clock: Clock, series: dict[str, Values]) -> pd.DataFrame:
    """One row per interval and kind, as the signal files have them."""
    frames = [
        pd.DataFrame(
            {
                "site": site,
                "kind": kind,
                "start_at": clock.starts.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "minutes": clock.minutes,
                "value": np.round(values, 3),
            }
        )
        for kind, values in series.items()
    ]
    return pd.concat(frames, ignore_index=True)


def signals(start: datetime, hours: int, seed: int) -> pd.DataFrame:
    """All signals of the example fleet from ``start`` (UTC) on."""
    streams = np.random.default_rng(seed).spawn(3)
    sites = (frankfurt, fresno, buffalo)
    return pd.concat(
        [site(start, hours, rng) for site, rng in zip(sites, streams, strict=True)],
        ignore_index=True,
    )
