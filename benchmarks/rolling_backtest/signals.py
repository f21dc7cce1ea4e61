"""Signals of DE, CISO and NYISO, July to December 2021, as they were known and as they came.

* Carbon, wind and solar: forecasts as issued, daily at 00:00 UTC and 96 h ahead; what was measured
  is known an hour after its interval for the zone's carbon, and at its end for a site's own plant.
* Day-ahead prices of a local day are known from 12:45 local of the day before; those before the
  replay begins, and measured values, go back ``HISTORY_DAYS`` days for who forecasts from them.
* Plants are the zone's, scaled: the rating of the plant is the zone's highest output in the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

from connectors.types import SignalKind
from scheduler.backtest.known import SignalHistory, Signals, day_ahead_known_at
from scheduler.backtest.policies import HISTORY_DAYS

ZONES = {"DE": "Europe/Berlin", "CISO": "America/Los_Angeles", "NYISO": "America/New_York"}
CARBON_LAG = pd.Timedelta(hours=1)
_HOUR = pd.Timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Plant:
    """A plant behind a site's meter: ``kind`` is scaled from the zone's total to ``kw``."""

    kind: SignalKind
    kw: float

    @property
    def zone_column(self) -> str:
        """Column of the zone's total."""
        return "solar_mw" if self.kind is SignalKind.PV else "wind_mw"


def read_signals(
    data: Path, plants: dict[str, tuple[Plant, ...]], begin: datetime, end: datetime
) -> Signals:
    """Read the sites' signals for [begin, end) and the days before."""
    hourly = pd.read_csv(
        data / "sites" / "dev_sites_2020_2021_hourly.csv.gz", parse_dates=["time_utc"]
    )
    issued = pd.read_csv(
        data / "sites" / "dev_forecasts_asissued_2021H2.csv.gz",
        parse_dates=["issue_utc", "valid_utc"],
    )
    since = pd.Timestamp(begin) - timedelta(days=HISTORY_DAYS)
    measured, known = [], []
    for zone, time_zone in ZONES.items():
        of_zone = hourly[hourly["site"] == zone].set_index("time_utc").sort_index()
        past = of_zone[(of_zone.index >= since) & (of_zone.index < pd.Timestamp(end))]
        is_ahead = issued["valid_utc"] >= issued["issue_utc"]
        forecast = issued[(issued["site"] == zone) & is_ahead]
        prices = _rows(zone, SignalKind.PRICE, past["price"])
        known.append(prices.assign(known_at=day_ahead_known_at(prices["start_at"], time_zone)))
        carbon = _rows(zone, SignalKind.CARBON_INTENSITY, past["ci_lifecycle"])
        known.append(carbon.assign(known_at=carbon["start_at"] + _HOUR + CARBON_LAG))
        known.append(_issued(zone, SignalKind.CARBON_INTENSITY, forecast, "forecast_lifecycle"))
        measured += [prices, carbon]
        for plant in plants[zone]:
            scale = plant.kw / of_zone[plant.zone_column].max()
            output = _rows(zone, plant.kind, past[plant.zone_column].clip(lower=0.0) * scale)
            known.append(output.assign(known_at=output["start_at"] + _HOUR))
            column = f"{plant.zone_column}_forecast"
            known.append(_issued(zone, plant.kind, forecast, column, scale))
            measured.append(output)
    truth = pd.concat(measured, ignore_index=True)
    table = pd.concat(known, ignore_index=True)
    return Signals(SignalHistory.of(table), truth.assign(known_at=truth["start_at"].min()))


def _rows(zone: str, kind: SignalKind, values: pd.Series) -> pd.DataFrame:
    values = values.dropna()
    return pd.DataFrame(
        {
            "site": zone,
            "kind": kind,
            "start_at": values.index,
            "minutes": 60,
            "value": values.to_numpy(float),
        }
    )


def _issued(
    zone: str, kind: SignalKind, forecast: pd.DataFrame, column: str, scale: float = 1.0
) -> pd.DataFrame:
    values = (forecast[column] * scale).clip(lower=0.0)
    rows = _rows(zone, kind, values.set_axis(pd.DatetimeIndex(forecast["valid_utc"])))
    return rows.assign(known_at=forecast["issue_utc"][values.notna()].to_numpy())
