"""Real signals of three zones and the forecasts that were issued of them, July to December 2021.

The data are CarbonCast's (github.com/aamyli/CarbonCast, Apache-2.0): hourly carbon intensity, wind
and solar of 2020 and 2021, and its forecasts, one issue a day at 00:00 UTC for 96 hours. Prices are
the day-ahead prices of the market operators, as collected by HewlettPackard/sustain-cluster (MIT).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from scheduler.forecasting import CARBON, PRICE, PV, WIND, History, Traits
from scheduler.forecasting.drivers import Driver

ZONES = ("DE", "CISO", "NYISO")
HOURS = 96
FIRST, LAST = pd.Timestamp("2021-07-01T00:00Z"), pd.Timestamp("2021-12-31T00:00Z")
ISSUES = pd.date_range(FIRST, LAST, freq="D")
_DRIVERS = ("wind_mw_forecast", "solar_mw_forecast")

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Signal:
    """A column of the data, what it is like, its forecast as issued, and what drives it."""

    name: str
    column: str
    unit: str
    traits: Traits
    issued: str | None = None
    drivers: tuple[str, ...] = ()


SIGNALS = (
    Signal("carbon, lifecycle", "ci_lifecycle", "g/kWh", CARBON, "forecast_lifecycle", _DRIVERS),
    Signal("carbon, direct", "ci_direct", "g/kWh", CARBON, "forecast_direct", _DRIVERS),
    Signal("wind", "wind_mw", "MW", WIND, "wind_mw_forecast"),
    Signal("solar", "solar_mw", "MW", PV, "solar_mw_forecast"),
    Signal("price", "price", "currency/MWh", PRICE, None, _DRIVERS),
)


@dataclass(frozen=True, slots=True, eq=False)
class Zone:
    """The signals of a zone by hour, and the forecasts of it by issue."""

    name: str
    hourly: pd.DataFrame
    issued: pd.DataFrame

    def has(self, signal: Signal) -> bool:
        """Whether the zone reports it."""
        return bool((self.hourly[signal.column].fillna(0.0) != 0.0).any())

    def history(self, signal: Signal, until: pd.Timestamp, days: int) -> History:
        """Return what had been measured before ``until``."""
        grid = pd.date_range(until - pd.Timedelta(days=days), until, freq="h", inclusive="left")
        values = self.hourly[signal.column].reindex(grid).to_numpy(float)
        return History(grid[0], 60, values)

    def came(self, signal: Signal, issue: pd.Timestamp, hours: int = HOURS) -> Values:
        """Return what then came, hour by hour; NaN where nobody recorded it."""
        grid = pd.date_range(issue, periods=hours, freq="h")
        return self.hourly[signal.column].reindex(grid).to_numpy(float)

    def as_issued(self, signal: Signal) -> Values:
        """Return the forecasts as issued [issue, hour]; NaN where there is none."""
        found = np.full((len(ISSUES), HOURS), np.nan)
        if signal.issued is None:
            return found
        rows = self.issued.dropna(subset=[signal.issued])
        since_first = (rows["issue_utc"] - FIRST).dt.total_seconds()
        ahead = (rows["valid_utc"] - rows["issue_utc"]).dt.total_seconds()
        issue = (since_first // (24 * 3600)).to_numpy(int)
        hour = (ahead // 3600).to_numpy(int)
        inside = (issue >= 0) & (issue < len(ISSUES)) & (hour >= 0) & (hour < HOURS)
        found[issue[inside], hour[inside]] = rows[signal.issued].to_numpy(float)[inside]
        return found

    def drivers(self, signal: Signal, known_by: pd.Timestamp) -> tuple[Driver, ...]:
        """Return what had been issued of its drivers by ``known_by``."""
        known = self.issued[self.issued["issue_utc"] <= known_by]
        found = []
        for column in signal.drivers:
            rows = known[["issue_utc", "valid_utc", column]].dropna()
            if not rows.empty:
                renamed = rows.set_axis(["known_at", "start_at", "value"], axis=1)
                found.append(Driver.of_rows(renamed, 60))
        return tuple(found)


def read_zones(data: Path) -> dict[str, Zone]:
    """Read the zones from the folder of the data."""
    sites = data / "sites"
    hourly = pd.read_csv(sites / "dev_sites_2020_2021_hourly.csv.gz", parse_dates=["time_utc"])
    issued = pd.read_csv(
        sites / "dev_forecasts_asissued_2021H2.csv.gz", parse_dates=["issue_utc", "valid_utc"]
    )
    return {
        name: Zone(
            name,
            hourly[hourly["site"] == name].set_index("time_utc"),
            issued[issued["site"] == name],
        )
        for name in ZONES
    }
