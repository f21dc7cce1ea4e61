"""Energies from readings: each way apart, only where they cover the slot, and counters."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.types import Window
from scheduler.ledger.metering import BothWays, both_ways, told_since
from tests.services.builders import START

HOUR = timedelta(hours=1)
GAP = timedelta(minutes=20)
SLOTS = [Window(START + k * HOUR, START + (k + 1) * HOUR) for k in range(3)]


def readings(*kw: float, every_minutes: float = 15.0) -> list[tuple]:
    """Readings from START on."""
    return [(START + k * timedelta(minutes=every_minutes), value) for k, value in enumerate(kw)]


def test_import_and_export_are_counted_apart() -> None:
    """A quarter from 4 to -4 kW is half a kWh each way, and not none."""
    steps = [4.0, -4.0, -4.0, 0.0, 0.0]
    (found, *_) = both_ways(SLOTS, readings(*steps), GAP)
    assert found == BothWays(pytest.approx(0.25), pytest.approx(0.25 + 1.0 + 0.5))


def test_a_slot_that_is_not_covered_is_not_known() -> None:
    """Nothing is put in its place; a tenth that is missing is taken to be like the rest."""
    until = [2.0] * 9  # two hours
    assert both_ways(SLOTS, readings(*until), GAP)[2] is None
    late = readings(*[2.0] * 24, every_minutes=2.5)  # 57.5 minutes
    assert both_ways(SLOTS, late, GAP) == (BothWays(pytest.approx(2.0), 0.0), None, None)
    assert both_ways(SLOTS, readings(*until, every_minutes=30), GAP) == (None, None, None)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e4, 1e4), min_size=13, max_size=13))
def test_both_ways_differ_by_the_net_energy(kw: list[float]) -> None:
    """And neither is below zero."""
    found = both_ways(SLOTS, readings(*kw), GAP)
    net = sum(one.inward_kwh - one.outward_kwh for one in found if one is not None)
    area = sum((a + b) / 2 * 0.25 for a, b in pairwise(kw))
    assert net == pytest.approx(area, abs=1e-6)
    assert all(one is not None and min(one.inward_kwh, one.outward_kwh) >= 0 for one in found)


def test_a_counter_is_spread_over_the_time_between_its_readings() -> None:
    """It begins at nothing when the job does, and again where it reads less."""
    told = [(START + HOUR / 2, 100.0), (START + 3 * HOUR / 2, 300.0), (START + 5 * HOUR / 2, 50.0)]
    found = [told_since(slot, told, START) for slot in SLOTS]
    assert found == [pytest.approx(200.0), pytest.approx(125.0), pytest.approx(25.0)]
    later = Window(START + 3 * HOUR, START + 4 * HOUR)
    assert told_since(later, told, START) is None
    # One that was read before the job was seen to run counts when it was.
    assert told_since(SLOTS[0], told[:1], START + 3 * HOUR / 4) == 100.0
