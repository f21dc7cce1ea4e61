"""Whose word holds, by how long each was silent."""

from __future__ import annotations

import math

import pytest

from scheduler.control.watchdog import Patience, Silence, trust

PATIENCE = Patience(plan_s=120.0, meter_s=10.0, battery_s=6.0)


def test_within_its_limit_everybody_is_heard() -> None:
    """Up to the limit, and there as well."""
    found = trust(Silence(120.0, 10.0, {"a": 6.0, "b": 0.0}), PATIENCE)
    assert found.is_whole
    assert (found.has_plan, found.has_meter) == (True, True)
    assert found.batteries == {"a", "b"}


@pytest.mark.parametrize(
    ("silence", "said"),
    [
        (Silence(121.0, 1.0, {"a": 1.0}), "the scheduler is silent for 121.0 s, at most 120 s"),
        (Silence(1.0, 10.5, {"a": 1.0}), "the meter is silent for 10.5 s, at most 10 s"),
        (Silence(1.0, 1.0, {"a": math.inf}), "battery a is silent since the beginning"),
    ],
)
def test_each_has_a_limit_of_its_own(silence: Silence, said: str) -> None:
    """One that is silent is named, with how long and its limit; the others keep their word."""
    found = trust(silence, PATIENCE)
    assert len(found.reasons) == 1
    assert found.reasons[0].startswith(said)
    heard = (found.has_plan, found.has_meter, "a" in found.batteries)
    assert sorted(heard) == [False, True, True]


def test_a_battery_may_be_called_as_the_meter() -> None:
    """Names of batteries are the operator's."""
    found = trust(Silence(0.0, 0.0, {"meter": 7.0, "scheduler": 0.0}), PATIENCE)
    assert (found.has_plan, found.has_meter) == (True, True)
    assert found.batteries == {"scheduler"}
