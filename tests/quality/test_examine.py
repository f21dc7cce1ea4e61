"""What is suspicious is found, whatever the mistake was; and real days are not."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from connectors.types import SignalKind
from scheduler.quality import HISTORY_DAYS, Finding, Rule, Series, examine
from scheduler.quality.series import Floats

DAY_MINUTES = 24 * 60
FIRST = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp()) // 60
PRICE, CARBON, PV = SignalKind.PRICE, SignalKind.CARBON_INTENSITY, SignalKind.PV
DATA = os.environ.get("GRIDTIDE_DATA")


def days(n_days: int, seed: int = 1, minutes: int = 60) -> Floats:
    """Days of prices with two peaks, no two alike."""
    draw = np.random.default_rng(seed)
    hours = np.arange(0, 24 * n_days, minutes / 60)
    shape = 60 + 25 * np.sin((hours - 6) * np.pi / 12) + 20 * np.sin((hours - 3) * np.pi / 6)
    level = np.repeat(draw.uniform(0.7, 1.3, n_days), 24 * 60 // minutes)
    return np.round(shape * level + draw.normal(0, 4, len(hours)), 2)


def series(values: Floats, start: int = FIRST, minutes: int = 60) -> Series:
    """Values that follow each other."""
    starts = start + minutes * np.arange(len(values), dtype=np.int64)
    return Series(starts, np.full(len(values), minutes), np.asarray(values, float))


def found(
    fresh: Series, kind: SignalKind = PRICE, known: Series | None = None, time_zone: str = "UTC"
) -> list[Finding]:
    """What is found in values that came the day before, after four weeks of history."""
    if known is None:
        known = series(days(HISTORY_DAYS, seed=2), FIRST - HISTORY_DAYS * DAY_MINUTES)
    now = FIRST - 600
    return examine(
        kind,
        known,
        fresh,
        np.full(len(fresh), now),
        now_minute=now,
        max_age_hours=36,
        time_zone=time_zone,
    )


def rules(fresh: Series, **changes: object) -> list[Rule]:
    """The rules that found something."""
    return [one.rule for one in found(fresh, **changes)]  # type: ignore[arg-type]


@pytest.mark.parametrize("minutes", [15, 30, 60])
@pytest.mark.parametrize("n_days", [1, 4])
def test_ordinary_days_are_not_suspicious(n_days: int, minutes: int) -> None:
    """At any resolution, also finer than what was known."""
    for seed in range(3, 8):
        assert rules(series(days(n_days, seed, minutes), minutes=minutes)) == []


@pytest.mark.parametrize(
    ("kind", "factor", "unit"),
    [
        (PRICE, 1e-3, "a price per kWh"),
        (PRICE, 0.1, "cents per kWh"),
        (CARBON, 1e-3, "kg/kWh"),
        (CARBON, 1e3, "g/MWh"),
        (SignalKind.BASE_LOAD, 1e-3, "MW"),
        (SignalKind.BASE_LOAD, 1e3, "W"),
    ],
)
def test_another_unit_is_named(kind: SignalKind, factor: float, unit: str) -> None:
    """What it is times the usual, and what it was taken for."""
    (one,) = found(series(days(1) * factor), kind)
    assert (one.rule, one.n_values) == (Rule.UNIT, 24)
    assert unit in one.reason
    assert (one.start_minute, one.end_minute) == (FIRST, FIRST + DAY_MINUTES)


@pytest.mark.parametrize("shift", [-8, -2, 2, 5])
def test_local_time_taken_for_utc_is_found_by_the_usual_day(shift: int) -> None:
    """By how many hours, and which way."""
    moved = days(4)
    (one,) = found(series(np.roll(moved, shift)))
    assert one.rule is Rule.SHIFT
    assert f"{abs(shift)} h too {'late' if shift > 0 else 'early'}" in one.reason


@pytest.mark.parametrize("shift", [-1, 1, 2])
def test_local_time_is_found_by_values_that_are_known_already(shift: int) -> None:
    """One day of them is enough, and a single hour: they are equal."""
    known = series(days(HISTORY_DAYS + 2, seed=2), FIRST - HISTORY_DAYS * DAY_MINUTES)
    today = known.between(FIRST, FIRST + DAY_MINUTES)
    fresh = Series(today.starts + 60 * shift, today.minutes, today.values)
    (one,) = found(fresh, known=known)
    assert one.rule is Rule.SHIFT
    assert "known before" in one.reason
    assert rules(today, known=known) == []


def test_a_changed_clock_is_no_shift() -> None:
    """People get up an hour earlier by the sun; the week after the change is like those before."""
    change = int(datetime(2026, 3, 29, tzinfo=UTC).timestamp()) // 60
    usual = days(HISTORY_DAYS + 4, seed=2)
    known = series(usual[: HISTORY_DAYS * 24], change - HISTORY_DAYS * DAY_MINUTES)
    after = series(np.roll(days(4, seed=5), -1), change + DAY_MINUTES)
    then = np.full(len(after), change)
    for time_zone, expected in (("Europe/Berlin", [Rule.GAP]), ("UTC", [Rule.GAP, Rule.SHIFT])):
        said = examine(
            PRICE,
            known,
            after,
            then,
            now_minute=change,
            max_age_hours=36,
            time_zone=time_zone,
        )
        assert [one.rule for one in said] == expected


def test_the_other_sign_is_found() -> None:
    """A day of negative prices that dips where prices peak is none."""
    (one,) = found(series(-days(1)))
    assert one.rule is Rule.SIGN


def test_a_windy_sunday_with_negative_prices_is_ordinary() -> None:
    """They dip when they usually do."""
    sunday = days(1) - 75
    assert (sunday < 0).mean() > 0.5
    assert Rule.SIGN not in rules(series(sunday))


def test_a_value_far_from_all_others_and_alone_is_an_outlier() -> None:
    """Carbon intensity of ten times the usual for one hour."""
    values = days(1)
    values[7] *= 10
    (one,) = found(series(values), CARBON)
    assert (one.rule, one.start_minute, one.n_values) == (Rule.OUTLIER, FIRST + 7 * 60, 1)
    assert f"{values[7]:g}" in one.reason


def test_a_spike_that_rises_and_falls_is_none() -> None:
    """Prices on a hot evening."""
    values = days(1)
    values[16:21] += [200, 500, 900, 500, 200]
    assert rules(series(values)) == []


def test_what_stands_for_no_value_elsewhere_is_found() -> None:
    """9999, also three times."""
    values = days(1)
    values[7:10] = 9999
    (one,) = found(series(values))
    assert (one.rule, one.n_values) == (Rule.OUTLIER, 3)


def test_a_value_that_stands_still_is_found_where_it_never_did() -> None:
    """Nine hours of one price; but the sun is down all night, and a constant is a constant."""
    values = days(1)
    values[5:14] = values[5]
    (one,) = found(series(values))
    assert (one.rule, one.start_minute, one.n_values) == (Rule.STUCK, FIRST + 5 * 60, 9)
    sun = np.maximum(0, np.sin((np.arange(24 * HISTORY_DAYS) - 6) * np.pi / 12)) * 100
    known = series(np.round(sun, 3), FIRST - HISTORY_DAYS * DAY_MINUTES)
    assert rules(series(np.round(sun[:24], 3)), kind=PV, known=known) == []
    constant = series(np.full(24 * HISTORY_DAYS, 1.3), FIRST - HISTORY_DAYS * DAY_MINUTES)
    assert rules(series(np.full(24, 1.3)), kind=SignalKind.PUE, known=constant) == []


def test_hours_without_a_value_are_a_gap() -> None:
    """Inside of what came, and between what was known and it."""
    whole = series(days(1))
    keep = np.ones(24, bool)
    keep[[0, 1, 9]] = False
    fresh = Series(whole.starts[keep], whole.minutes[keep], whole.values[keep])
    first, second = found(fresh)
    assert (first.rule, first.start_minute, first.end_minute) == (Rule.GAP, FIRST, FIRST + 120)
    assert (second.start_minute, second.n_values) == (FIRST + 9 * 60, 0)
    assert second.reason == "no value for 1 h"


def test_a_forecast_that_was_made_long_ago_is_late() -> None:
    """Only for the time that is not over: history may come whenever it likes."""
    fresh = series(days(2))
    now = FIRST + DAY_MINUTES
    known = np.full(len(fresh), now - 40 * 60)
    history = series(days(HISTORY_DAYS, seed=2), FIRST - HISTORY_DAYS * DAY_MINUTES)
    (one,) = examine(
        PRICE, history, fresh, known, now_minute=now, max_age_hours=36, time_zone="UTC"
    )
    assert (one.rule, one.n_values, one.start_minute) == (Rule.STALE, 24, now)
    assert one.reason == "came 40 h after it was made (limit 36 h)"


def test_a_year_that_comes_at_once_is_judged_by_its_own_days() -> None:
    """Also where nothing was known: one bad day of it is found."""
    values = days(120)
    values[100 * 24 : 104 * 24] /= 1000
    nothing = series(np.empty(0))
    (one,) = found(series(values), known=nothing)
    assert one.rule is Rule.UNIT
    assert one.start_at == datetime(2026, 6, 1, tzinfo=UTC) + timedelta(days=100)


def test_the_first_values_there_are_cannot_be_judged() -> None:
    """There is nothing to compare them with."""
    assert rules(series(days(1) * 1e-3), known=series(np.empty(0))) == []


@pytest.mark.skipif(DATA is None, reason="GRIDTIDE_DATA is not set: real data is not judged")
@pytest.mark.parametrize("column", ["price", "ci_direct"])
@pytest.mark.parametrize("site", ["CISO", "DE", "NYISO"])
def test_real_days_are_not_suspicious(site: str, column: str) -> None:
    """Every seventh day of two years, negative hours and a heat wave: one in a hundred at most."""
    path = Path(str(DATA)) / "sites" / "dev_sites_2020_2021_hourly.csv.gz"
    frame = pd.read_csv(path, parse_dates=["time_utc"])
    frame = frame[(frame["site"] == site) & frame[column].notna()]
    whole = Series.of(
        pd.DataFrame({"start_at": frame["time_utc"], "minutes": 60, "value": frame[column]})
    )
    zone = {"CISO": "America/Los_Angeles", "DE": "Europe/Berlin", "NYISO": "America/New_York"}
    suspicious = n_days = 0
    for day in range(HISTORY_DAYS, 730, 7):
        begin = int(whole.starts[0]) + day * DAY_MINUTES
        fresh = whole.between(begin, begin + DAY_MINUTES)
        known = whole.between(begin - HISTORY_DAYS * DAY_MINUTES, begin)
        kind = PRICE if column == "price" else CARBON
        said = examine(
            kind,
            known,
            fresh,
            fresh.starts - 720,
            now_minute=begin - 600,
            max_age_hours=36,
            time_zone=zone[site],
        )
        suspicious += any(one.rule is not Rule.GAP for one in said)
        n_days += 1
    assert n_days == 101
    assert suspicious <= 1
