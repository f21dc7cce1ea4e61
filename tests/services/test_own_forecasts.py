"""What is not published is forecast from what was known, and planned with at a margin."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from connectors.types import SignalKind
from scheduler.services.assemble import assemble
from scheduler.services.own_forecasts import with_own_forecasts
from scheduler.services.signal_inputs import with_origin
from scheduler.specs import FleetSpec
from tests.services.builders import START, flat_signals, fleet_spec, signal_rows, site_spec, window

DAY = timedelta(days=1)
PV, PRICE, BASE_LOAD = SignalKind.PV, SignalKind.PRICE, SignalKind.BASE_LOAD


def sunny_days(days: int, *, seed: int = 1) -> pd.DataFrame:
    """PV of the days before START, each of a height of its own, known as it came."""
    hours = np.arange(days * 24) % 24
    height = np.random.default_rng(seed).uniform(50, 70, days).repeat(24)
    values = height * np.clip(np.sin(np.pi * (hours - 6) / 12), 0, None).round(6)
    return signal_rows("DE", PV, values.tolist(), START - days * DAY)


def sunny_fleet(**planning: Any) -> FleetSpec:
    """One site with PV."""
    return fleet_spec(site_spec(has_pv=True), planning=planning)


def pv_planned(fleet: FleetSpec, *signals: pd.DataFrame, n_slots: int = 24) -> tuple[list, tuple]:
    """PV [kW] of a day's problem, and the marks on it."""
    known = pd.concat([with_origin(one) for one in (flat_signals("DE"), *signals)])
    span = window(n_slots)
    completed = with_own_forecasts(fleet, known, span, START)
    made = assemble(fleet, [], completed, [], span, now=START)
    return list(made.problem.sites[0].renewables[0].available_kw), made.marks


def test_pv_that_nobody_published_is_forecast_and_the_plan_says_so() -> None:
    """A median day, dark at night, instead of yesterday's copy."""
    history = sunny_days(60)
    available, marks = pv_planned(sunny_fleet(), history)
    assert marks == ("DE pv: 24 of 24 slots forecast by us (blend)",)
    assert available[:6] == [0.0] * 6
    assert 55 < available[12] < 65
    yesterday = history["value"].to_list()[-24:]
    assert available != pytest.approx(yesterday)


def test_a_margin_reaches_the_problem() -> None:
    """PV planned at P30 is below the median at every bright hour, and the mark names it."""
    history = sunny_days(60)
    median, _ = pv_planned(sunny_fleet(), history)
    cautious, marks = pv_planned(sunny_fleet(margins={"pv": 0.3}), history)
    assert marks == ("DE pv: 24 of 24 slots forecast by us (blend P30)",)
    assert all(low < middle for low, middle in zip(cautious[8:17], median[8:17], strict=True))


def test_base_load_above_the_median_is_a_margin_too() -> None:
    """At P90 the site is planned with more load than it mostly has."""
    rng = np.random.default_rng(2)
    load = signal_rows(
        "DE", BASE_LOAD, (50 + 5 * rng.standard_normal(60 * 24)).tolist(), START - 60 * DAY
    )
    known = pd.concat([flat_signals("DE"), load], ignore_index=True)
    planned = {}
    for level in (0.5, 0.9):
        fleet = fleet_spec(planning={"margins": {"base_load": level}})
        completed = with_own_forecasts(fleet, known, window(24), START)
        made = assemble(fleet, [], completed, [], window(24), now=START)
        planned[level] = np.mean(made.problem.sites[0].base_load_kw)
    assert 49 < planned[0.5] < 51
    assert 55 < planned[0.9] < 58


def test_what_is_published_goes_before_any_forecast_and_has_no_margin() -> None:
    """The first day's PV is published; only the second is forecast."""
    published = signal_rows("DE", PV, [7.0] * 24)
    fleet = sunny_fleet(margins={"pv": 0.1})
    available, marks = pv_planned(fleet, sunny_days(60), published, n_slots=48)
    assert available[:24] == [7.0] * 24
    assert marks == ("DE pv: 24 of 48 slots forecast by us (blend P10)",)


def test_without_a_method_earlier_days_are_copied() -> None:
    """As it always was, for who wants it so."""
    history = sunny_days(60)
    available, marks = pv_planned(sunny_fleet(forecast="none"), history)
    assert marks == ("DE pv: 24 of 24 slots filled from the day before",)
    assert available == pytest.approx(history["value"].to_list()[-24:])


def test_the_method_is_the_fleets() -> None:
    """Seasonal-naive where it is asked for."""
    _, marks = pv_planned(sunny_fleet(forecast="seasonal-naive"), sunny_days(60))
    assert marks == ("DE pv: 24 of 24 slots forecast by us (seasonal-naive)",)


@pytest.mark.parametrize("slot_minutes", [15, 60])
def test_a_gap_within_what_is_published_is_forecast_alone(slot_minutes: int) -> None:
    """Hours 3 and 4 of the price are missing; the hours around them stay as published."""
    history = signal_rows(
        "DE", PRICE, [float(10 + k % 24) for k in range(30 * 24)], START - 30 * DAY
    )
    today = signal_rows("DE", PRICE, [100.0] * 24).drop(index=[3, 4])
    carbon = flat_signals("DE")
    known = pd.concat([history, today, carbon[carbon["kind"] != PRICE]], ignore_index=True)
    span = window(24 * 60 // slot_minutes, slot_minutes)
    fleet = fleet_spec(planning={"forecast": "seasonal-naive"})
    completed = with_own_forecasts(fleet, known, span, START)
    made = assemble(fleet, [], completed, [], span, now=START)
    price = np.array(made.problem.sites[0].grid.import_price_eur_per_mwh)
    per_hour = price.reshape(24, -1)
    np.testing.assert_allclose(
        per_hour[3:5], [[13.0] * (60 // slot_minutes), [14.0] * (60 // slot_minutes)]
    )
    assert (np.delete(per_hour, [3, 4], axis=0) == 100.0).all()
    of_price = next(one for one in made.inputs if one.kind is PRICE)
    assert of_price.forecast_slots == 2 * 60 // slot_minutes


def _with_later(history: pd.DataFrame, value: float, known_at: datetime) -> pd.DataFrame:
    revised = signal_rows("DE", PV, [value] * 24, START - DAY, known_at=known_at)
    return pd.concat([history, revised], ignore_index=True)


def test_nothing_that_was_known_later_changes_a_forecast() -> None:
    """A revision of yesterday counts from when it was known on."""
    history = sunny_days(60)
    first, _ = pv_planned(sunny_fleet(), history)
    later, _ = pv_planned(sunny_fleet(), _with_later(history, 500.0, START + timedelta(hours=1)))
    known, _ = pv_planned(sunny_fleet(), _with_later(history, 500.0, START - timedelta(hours=1)))
    assert later == first
    assert known != first


def test_nothing_is_forecast_from_what_ended_more_than_a_week_ago() -> None:
    """A meter that fell silent is not guessed for ever: the site's constant stands, with a mark."""
    history = sunny_days(60)
    silent = history[history["start_at"] < START - 8 * DAY]
    _, marks = pv_planned(sunny_fleet(), silent)
    assert marks == ("DE pv: 24 of 24 slots missing, taken as 0 kW",)


def test_too_short_a_history_is_copied_where_it_can_be() -> None:
    """Ten hours are no forecast; the hours that have one take yesterday's value."""
    history = sunny_days(60)
    _, marks = pv_planned(sunny_fleet(), history.iloc[-10:])
    assert marks == (
        "DE pv: 10 of 24 slots filled from the day before",
        "DE pv: 14 of 24 slots missing, taken as 0 kW",
    )


def test_a_forecast_of_ours_is_no_history_of_the_next() -> None:
    """Rows that we forecast ourselves, of days that nobody published since, teach nothing."""
    history = sunny_days(60)
    measured = history[history["start_at"] < START - 2 * DAY]
    own = signal_rows("DE", PV, [900.0] * 48, START - 2 * DAY).assign(source="forecast/blend")
    first, _ = pv_planned(sunny_fleet(), measured)
    again, _ = pv_planned(sunny_fleet(), measured.assign(source="meter"), own)
    assert again == first
