"""Every constraint of the model is needed: without it, a named problem has another answer.

A family that only makes the relaxation tighter cannot change the optimum; it is listed in
``TIGHTENING`` with the reason, and has to raise the relaxation's bound of some problem.
"""

from __future__ import annotations

from functools import cache

import pytest

from tests.corners import CORNERS
from tests.mutants.planner import families_in_source, families_of, optimum
from tests.reference.textbook import textbook_optimum

TIGHTENING: dict[str, str] = {
    "begins_once": "a served job runs in some slot, and coming on there is a begin",
    "ends_running": "ending later than the last slot it runs in only makes it later",
    "first_is_a_begin": "the first slot it runs in is one it comes on in",
}

FAMILIES = sorted(families_in_source())


@cache
def expected(name: str) -> float:
    """The textbook's optimum of a corner [EUR]."""
    return textbook_optimum(CORNERS[name]).objective


@cache
def families(name: str) -> set[str]:
    """Families in the model of a corner."""
    return families_of(CORNERS[name])


def differs(value: float | None, other: float) -> bool:
    """Whether the mutant gives another optimum, or none."""
    return value is None or value != pytest.approx(other, rel=1e-6, abs=1e-6)


@cache
def is_right(name: str) -> bool:
    """Whether the whole model has the textbook's optimum on a corner."""
    return not differs(optimum(CORNERS[name]), expected(name))


def notices(name: str, family: str) -> bool:
    """Whether corner ``name`` has another answer without ``family``."""
    if family not in families(name):
        return False
    if not is_right(name):
        return False  # a difference would prove nothing
    if family not in TIGHTENING:
        return differs(optimum(CORNERS[name], family), expected(name))
    with_it = optimum(CORNERS[name], is_relaxed=True)
    without = optimum(CORNERS[name], family, is_relaxed=True)
    return with_it is not None and without is not None and without < with_it - 1e-6


@pytest.mark.parametrize("name", CORNERS)
def test_nothing_dropped_nothing_changed(name: str) -> None:
    """The whole model has the textbook's optimum, so what differs without a family is its doing."""
    assert is_right(name)


@pytest.mark.parametrize("family", FAMILIES)
def test_dropping_a_family_is_noticed(family: str, record_property: pytest.RecordProperty) -> None:
    """At least one named problem tells the model without ``family`` from the whole one."""
    killer = next((name for name in CORNERS if notices(name, family)), None)
    assert killer is not None, f"no named problem needs constraint family {family}"
    record_property("killed_by", killer)
    print(f"mutant killed: {family} dropped, by '{killer}'")  # noqa: T201
