"""Real days judged as they are, and with mistakes made in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from connectors.types import SignalKind
from scheduler.quality import HISTORY_DAYS, Rule, Series, examine

_DAY_MINUTES = 1440
_EVERY = 28
_ZONES = {"CISO": "America/Los_Angeles", "DE": "Europe/Berlin", "NYISO": "America/New_York"}
_COLUMNS = {
    "price": SignalKind.PRICE,
    "ci_direct": SignalKind.CARBON_INTENSITY,
    "ci_lifecycle": SignalKind.CARBON_INTENSITY,
    "wind_mw": SignalKind.WIND,
    "solar_mw": SignalKind.PV,
}
_MAKING = {
    "1/1000": (Rule.UNIT, lambda values: values / 1000),
    "×1000": (Rule.UNIT, lambda values: values * 1000),
    "1/10 (price)": (Rule.UNIT, lambda values: values / 10),
    "sign (price)": (Rule.SIGN, lambda values: -values),
    "9999 once": (Rule.OUTLIER, lambda values: np.where(np.arange(len(values)) == 9, 9999, values)),
    "still 12 h": (
        Rule.STUCK,
        lambda values: np.where((np.arange(len(values)) // 12) == 1, values[12], values),
    ),
}
_SHIFTS = (2, 8)


@dataclass(slots=True)
class Rates:
    """Of one signal: days judged, those flagged though right, and mistakes found by name."""

    signal: str
    n_days: int = 0
    n_flagged: int = 0
    n_mistaken: int = 0
    found: dict[str, int] = field(default_factory=dict)


def rates(data: Path) -> list[Rates]:
    """Judge every day of every series there is."""
    path = data / "sites" / "dev_sites_2020_2021_hourly.csv.gz"
    frame = pd.read_csv(path, parse_dates=["time_utc"])
    return [
        _rates_of(frame[frame["site"] == site].dropna(subset=[column]), site, column)
        for site in _ZONES
        for column in _COLUMNS
        if frame[frame["site"] == site][column].notna().any()
    ]


def _rates_of(frame: pd.DataFrame, site: str, column: str) -> Rates:
    kind = _COLUMNS[column]
    values = frame[column].clip(lower=0.0) if kind is SignalKind.PV else frame[column]
    named = {"start_at": frame["time_utc"], "minutes": 60, "value": values}
    whole = Series.of(pd.DataFrame(named))
    told = Rates(f"{site} {column}")
    first = int(whole.starts[0])
    for day in range(HISTORY_DAYS, (int(whole.starts[-1]) - first) // _DAY_MINUTES):
        begin = first + day * _DAY_MINUTES
        known = whole.between(begin - HISTORY_DAYS * _DAY_MINUTES, begin)
        fresh = whole.between(begin, begin + _DAY_MINUTES)
        if not len(fresh):
            continue
        told.n_days += 1
        told.n_flagged += bool(_rules(kind, known, fresh, site) - {Rule.GAP})
        if day % _EVERY == 0:
            told.n_mistaken += 1
            _make_mistakes(told, kind, known, fresh, site)
            _shift(told, kind, whole, begin, site)
    return told


def _make_mistakes(told: Rates, kind: SignalKind, known: Series, fresh: Series, site: str) -> None:
    for name, (rule, make) in _MAKING.items():
        if "(price)" in name and kind is not SignalKind.PRICE:
            continue
        making: Callable[[np.ndarray], np.ndarray] = make
        mistaken = Series(fresh.starts, fresh.minutes, making(fresh.values))
        told.found[name] = told.found.get(name, 0) + (rule in _rules(kind, known, mistaken, site))


def _shift(told: Rates, kind: SignalKind, whole: Series, begin: int, site: str) -> None:
    """Two days come some hours late: as the only ones known of them, and beside today's."""
    known = whole.between(begin - HISTORY_DAYS * _DAY_MINUTES, begin)
    known_today = whole.between(begin - HISTORY_DAYS * _DAY_MINUTES, begin + _DAY_MINUTES)
    for hours in _SHIFTS:
        true = whole.between(begin - 60 * hours, begin + 2 * _DAY_MINUTES - 60 * hours)
        late = Series(true.starts + 60 * hours, true.minutes, true.values)
        for name, what in (
            (f"{hours} h late", known),
            (f"{hours} h late, today known", known_today),
        ):
            is_found = Rule.SHIFT in _rules(kind, what, late, site)
            told.found[name] = told.found.get(name, 0) + is_found


def _rules(kind: SignalKind, known: Series, fresh: Series, site: str) -> set[Rule]:
    now = int(fresh.starts[0]) - 600
    said = examine(
        kind,
        known,
        fresh,
        np.full(len(fresh), now),
        now_minute=now,
        max_age_hours=36,
        time_zone=_ZONES[site],
    )
    return {one.rule for one in said}
