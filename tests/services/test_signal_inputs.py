"""What a plan's signals rest on: published, forecast by us, filled, missing, flagged, stale."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.types import SignalKind
from scheduler.services.assemble import assemble
from scheduler.services.assemble_signals import SignalTable, SlotSeries
from scheduler.services.plan_document import PlanDocument
from scheduler.services.signal_inputs import SignalInput
from tests.services.builders import START, flat_signals, fleet_spec, signal_rows, site_spec, window
from tests.services.test_plan_document import document

PRICE = SignalKind.PRICE
YESTERDAY = START - timedelta(days=1)


def rows(values: Any, start_h: float = 0, **columns: Any) -> pd.DataFrame:
    """Prices of DE from some hours after START on, with an origin."""
    columns = {"source": "entsoe", "known_h": -1, "is_flagged": False} | columns
    known_at = START + timedelta(hours=columns.pop("known_h"))
    start = START + timedelta(hours=start_h)
    return signal_rows("DE", PRICE, values, start, known_at=known_at).assign(**columns)


def series(*frames: pd.DataFrame, n_slots: int, slot_minutes: int = 60) -> SlotSeries:
    """Price at DE in slots from START, as known then."""
    table = SignalTable(pd.concat(frames), window(n_slots, slot_minutes), START, 36)
    return table.optional("DE", PRICE)


def slots_of(rests_on: SignalInput) -> tuple[int, ...]:
    """Published, forecast, filled, missing."""
    return (
        rests_on.published_slots,
        rests_on.forecast_slots,
        rests_on.filled_slots,
        rests_on.missing_slots,
    )


def test_every_slot_is_told_by_where_its_value_came_from() -> None:
    """Two hours published, one forecast, one copied from yesterday, one found nowhere."""
    found = series(
        rows([1, 2]),
        rows([3], start_h=2, source="forecast/seasonal-naive"),
        rows([4], start_h=3 - 24, source="entsoe-old"),
        n_slots=5,
    )
    assert slots_of(found.rests_on) == (2, 1, 1, 1)
    assert found.rests_on.sources == ("entsoe", "entsoe-old", "forecast/seasonal-naive")


def test_what_was_published_goes_before_a_later_forecast_of_ours() -> None:
    """A forecast is for what is not published, however new it is."""
    forecast = rows([9, 9], known_h=0, source="forecast/blend")
    found = series(rows([1]), forecast, n_slots=2)
    assert found.values.tolist() == [1, 9]
    assert slots_of(found.rests_on) == (1, 1, 0, 0)


def test_a_slot_is_as_good_as_the_worst_of_its_values() -> None:
    """Three quarters published and one forecast make a slot that is forecast."""
    quarters = signal_rows("DE", PRICE, [1, 2, 3], minutes=15, known_at=START)
    last = signal_rows("DE", PRICE, [6], START + timedelta(minutes=45), minutes=15)
    found = series(
        quarters.assign(source="entsoe"), last.assign(source="forecast/blend"), n_slots=1
    )
    assert slots_of(found.rests_on) == (0, 1, 0, 0)
    assert found.values.tolist() == [3]


def test_flagged_slots_are_counted_beside_their_origin_and_marked() -> None:
    """They are used until somebody rejects them."""
    found = series(rows([1, 2]), rows([3000], start_h=2, is_flagged=True), n_slots=3)
    assert slots_of(found.rests_on) == (3, 0, 0, 0)
    assert found.rests_on.flagged_slots == 1
    assert not found.rests_on.is_sound
    (mark,) = found.marks
    assert mark.startswith("DE price: 1 of 3 slots rest on values that are suspicious")


def test_a_forecast_of_ours_makes_no_old_signal_young() -> None:
    """The feed is as old as its newest value, whatever was put in its place."""
    forecast = rows([9], start_h=1, known_h=0, source="forecast/blend")
    found = series(rows([1], known_h=-40), forecast, n_slots=2)
    assert (found.rests_on.age_hours, found.rests_on.is_stale) == (40, True)
    assert found.marks == (
        "DE price: newest value is 40 h old (limit 36 h)",
        "DE price: 1 of 2 slots forecast by us (blend)",
    )


def test_values_without_an_origin_are_published_by_nobody_named() -> None:
    """Files need not say where they are from, nor since when."""
    found = series(signal_rows("DE", PRICE, [1]), n_slots=1)
    assert slots_of(found.rests_on) == (1, 0, 0, 0)
    assert (found.rests_on.sources, found.rests_on.age_hours) == ((), None)
    assert found.rests_on.is_sound


@settings(max_examples=50, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(["entsoe", "forecast/blend", None]), min_size=4, max_size=16),
    slot_minutes=st.sampled_from([15, 60]),
)
def test_slots_of_all_origins_make_up_the_window(
    kinds: list[str | None], slot_minutes: int
) -> None:
    """Whatever comes from where, no slot is counted twice or not at all."""
    parts = [
        rows([float(hour)], start_h=hour, source=source)
        for hour, source in enumerate(kinds)
        if source is not None
    ]
    n_slots = len(kinds) * 60 // slot_minutes
    found = series(rows([5], start_h=-24), *parts, n_slots=n_slots, slot_minutes=slot_minutes)
    assert sum(slots_of(found.rests_on)) == found.rests_on.n_slots == n_slots


def test_a_plan_says_what_each_signal_it_needs_rests_on() -> None:
    """Also of a plant without any values; signals nobody asked for are not listed."""
    fleet = fleet_spec(site_spec(has_pv=True))
    signals = pd.concat([flat_signals("DE"), signal_rows("DE", SignalKind.WIND, [1] * 24)])
    made = assemble(fleet, [], signals, [], window(), now=START)
    of_kind = {one.kind: one for one in made.inputs}
    assert set(of_kind) >= {PRICE, SignalKind.CARBON_INTENSITY, SignalKind.PV}
    assert SignalKind.WIND not in of_kind
    assert slots_of(of_kind[PRICE]) == (24, 0, 0, 0)
    assert slots_of(of_kind[SignalKind.PV]) == (0, 0, 0, 24)
    assert made.known_at == START


def test_plans_made_before_this_was_kept_are_read() -> None:
    """Their documents have neither of the fields."""
    record = document().to_record()
    for name in ("inputs", "inputs_known_at"):
        del record[name]
    read = PlanDocument.from_record(record)
    assert (read.inputs, read.inputs_known_at) == ((), None)
