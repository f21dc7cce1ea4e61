"""Verification of placements: every rule has a case at its edge, and one beyond it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from optimizer.breach import Breach
from optimizer.jobs import InputData, Job, Pausing, Pin
from optimizer.plan import Placement, Run
from optimizer.problem import Link
from optimizer.verify import verify
from tests.optimizer import build
from tests.optimizer.build import plan_of

TWO_SITES = (build.site("A"), build.site("B"))
TO_B = Link("A", "B", 20.0, eur_per_gb=0.1, kwh_per_gb=0.4)


def names(breaches: tuple[Breach, ...]) -> set[str]:
    """Names of the limits broken."""
    return {breach.limit_name for breach in breaches}


FULL, SLOW = build.point("A/full"), build.point("A/slow", work_per_hour=0.5)
TWO = build.point("A/two", gpus=2)
AT_B = build.point("B/full")
PAUSABLE = Pausing(min_run_slots=2, restart_slots=1, max_pauses=1)

LAWFUL: dict[str, tuple[dict[str, Any], Placement]] = {
    "in one piece": ({}, build.placed("job", ("A/full", 3, 5))),
    "paused once, one slot more": (
        {"pausing": PAUSABLE, "work": 3.0},
        build.placed("job", ("A/full", 0, 2), ("A/full", 5, 7)),
    ),
    "shorter than the minimum run": (
        {"pausing": Pausing(min_run_slots=6)},
        build.placed("job", ("A/full", 0, 2)),
    ),
    "the last piece of a running job": (
        {"pausing": PAUSABLE, "work": 3.0, "pin": Pin("A/full", 0, 1, is_running=True)},
        build.placed("job", ("A/full", 0, 1), ("A/full", 3, 6)),
    ),
    "standing paused, begun again": (
        {"pausing": PAUSABLE, "had_started": True},
        build.placed("job", ("A/full", 1, 4)),
    ),
    "pinned for longer than it lasts": (
        {"pin": Pin("A/full", 2, 6)},
        build.placed("job", ("A/full", 2, 4)),
    ),
    "changing its cap while it runs": (
        {"points": (FULL, SLOW), "is_elastic": True},
        build.placed("job", ("A/slow", 0, 2), ("A/full", 2, 3)),
    ),
    "after its data came": (
        {"points": (AT_B,), "data": InputData("A", 30.0), "release_slot": 1},
        build.placed("job", ("B/full", 3, 5)),
    ),
    "after the rest of its data came": (
        {"points": (AT_B,), "data": InputData("A", 30.0, (("B", 15.0),)), "release_slot": 1},
        build.placed("job", ("B/full", 2, 4)),
    ),
    "with its data there": (
        {"points": (AT_B,), "data": InputData("A", 30.0, (("B", 0.0),)), "release_slot": 1},
        build.placed("job", ("B/full", 1, 3)),
    ),
    "with its data there since it ran": (
        {
            "points": (AT_B,),
            "data": InputData("A", 30.0),
            "pin": Pin("B/full", 0, 1, is_running=True),
        },
        build.placed("job", ("B/full", 0, 2)),
    ),
}


@pytest.mark.parametrize(("changes", "placement"), LAWFUL.values(), ids=LAWFUL.keys())
def test_a_lawful_placement_is_accepted(changes: dict[str, Any], placement: Placement) -> None:
    """Every rule has a case at its edge that is still allowed."""
    job = build.job(**({"work": 2.0} | changes))
    problem = build.problem(job, sites=TWO_SITES, links=(TO_B,))
    assert verify(problem, plan_of(problem, placement)) == ()


UNLAWFUL: dict[str, tuple[str, dict[str, Any], Placement]] = {
    "before its release": (
        "release",
        {"release_slot": 3},
        build.placed("job", ("A/full", 2, 4)),
    ),
    "past its deadline": (
        "deadline",
        {"deadline_slot": 4},
        build.placed("job", ("A/full", 3, 5)),
    ),
    "at two sites": (
        "one_site",
        {"points": (FULL, AT_B), "is_elastic": True, "pausing": Pausing()},
        Placement("job", "A", (Run("A/full", 0, 1), Run("B/full", 1, 2))),
    ),
    "at a site its runs are not at": (
        "one_site",
        {},
        Placement("job", "B", (Run("A/full", 0, 2),)),
    ),
    "in two pieces": (
        "contiguous",
        {},
        build.placed("job", ("A/full", 0, 1), ("A/full", 2, 3)),
    ),
    "changing GPUs without being able to pause": (
        "contiguous",
        {"points": (FULL, TWO), "is_elastic": True},
        build.placed("job", ("A/full", 0, 1), ("A/two", 1, 2)),
    ),
    "at two points": (
        "one_operating_point",
        {"points": (FULL, SLOW)},
        build.placed("job", ("A/slow", 0, 2), ("A/full", 2, 3)),
    ),
    "paused too often": (
        "max_pauses",
        {"pausing": Pausing(max_pauses=1), "work": 3.0},
        build.placed("job", ("A/full", 0, 1), ("A/full", 2, 3), ("A/full", 4, 5)),
    ),
    "stopped too early": ("work", {}, build.placed("job", ("A/full", 0, 1))),
    "without the slot a restart loses": (
        "work",
        {"pausing": PAUSABLE, "work": 4.0},
        build.placed("job", ("A/full", 0, 2), ("A/full", 3, 5)),
    ),
    "standing paused, without the slot its start loses": (
        "work",
        {"pausing": PAUSABLE, "work": 3.0, "had_started": True},
        build.placed("job", ("A/full", 0, 3)),
    ),
    "going on when it is done": ("work_beyond", {}, build.placed("job", ("A/full", 0, 3))),
    "with too short a piece": (
        "min_run",
        {"pausing": Pausing(min_run_slots=2), "work": 3.0},
        build.placed("job", ("A/full", 0, 2), ("A/full", 3, 4)),
    ),
    "with a piece that only restarts": (
        "restart_length",
        {"pausing": Pausing(restart_slots=1), "work": 2.0},
        build.placed("job", ("A/full", 0, 2), ("A/full", 3, 4)),
    ),
    "started after its pin": (
        "pin",
        {"pin": Pin("A/full", 2, 1)},
        build.placed("job", ("A/full", 3, 5)),
    ),
    "leaving its pin": (
        "pin",
        {"pin": Pin("A/full", 0, 2, is_running=True), "pausing": Pausing(), "work": 3.0},
        build.placed("job", ("A/full", 0, 1), ("A/full", 2, 4)),
    ),
    "at another point than its pin's": (
        "pin",
        {"pin": Pin("A/full", 0, 1), "points": (FULL, SLOW)},
        build.placed("job", ("A/slow", 0, 4)),
    ),
    "where no link brings its data": (
        "data_link",
        {"points": (FULL, AT_B), "data": InputData("B", 30.0)},
        build.placed("job", ("A/full", 4, 6)),
    ),
    "before its data came": (
        "data_transfer",
        {"points": (AT_B,), "data": InputData("A", 30.0), "release_slot": 1},
        build.placed("job", ("B/full", 2, 4)),
    ),
    "past the horizon": (
        "horizon",
        {"deadline_slot": 20},
        build.placed("job", ("A/full", 7, 9)),
    ),
    "with runs out of order": (
        "runs_in_order",
        {"pausing": Pausing()},
        build.placed("job", ("A/full", 3, 4), ("A/full", 1, 2)),
    ),
    "with an empty run": (
        "runs_not_empty",
        {},
        build.placed("job", ("A/full", 0, 2), ("A/full", 3, 3)),
    ),
}


@pytest.mark.parametrize(("limit", "changes", "placement"), UNLAWFUL.values(), ids=UNLAWFUL.keys())
def test_an_unlawful_placement_is_refused_by_name(
    limit: str, changes: dict[str, Any], placement: Placement
) -> None:
    """One rule is broken, all others are kept."""
    job = build.job(**({"work": 2.0} | changes))
    problem = build.problem(job, sites=TWO_SITES, links=(TO_B,))
    # Placed over sound flows: of a malformed placement none could be computed.
    sound = plan_of(problem)
    is_malformed = limit in {"horizon", "runs_in_order", "runs_not_empty"}
    plan = (
        replace(sound, placements=(placement,), unserved=())
        if is_malformed
        else plan_of(problem, placement)
    )
    breaches = verify(problem, plan)
    assert names(breaches) == {limit}
    assert all(breach.owner == "job job" for breach in breaches)


def chain() -> tuple[Job, Job]:
    """Job b comes after job a."""
    return build.job("a"), build.job("b", after=("a",))


def test_a_job_may_start_when_the_one_before_it_is_done() -> None:
    """A ends by slot 2, where b starts."""
    problem = build.problem(*chain())
    plan = plan_of(
        problem, build.placed("a", ("A/full", 0, 2)), build.placed("b", ("A/full", 2, 4))
    )
    assert verify(problem, plan) == ()


@pytest.mark.parametrize(
    "placements",
    [
        (build.placed("a", ("A/full", 0, 2)), build.placed("b", ("A/full", 1, 3))),
        (build.placed("b", ("A/full", 1, 3)),),
    ],
    ids=["too early", "while the other is unserved"],
)
def test_precedence_is_kept(placements: tuple[Placement, ...]) -> None:
    """B neither overlaps a nor runs without it."""
    problem = build.problem(*chain())
    breaches = verify(problem, plan_of(problem, *placements))
    assert [(b.owner, b.limit_name, b.amount) for b in breaches] == [("job b", "precedence", 1.0)]


def test_gpus_are_never_oversubscribed() -> None:
    """Three GPUs and three GPUs in slot 1 are two more than the pool has."""
    points = (build.point(gpus=3),)
    problem = build.problem(build.job("a", points=points), build.job("b", points=points))
    plan = plan_of(
        problem, build.placed("a", ("A/full", 0, 2)), build.placed("b", ("A/full", 1, 3))
    )
    assert verify(problem, plan) == (Breach("pool A/gpu", "gpus", 1, 2.0, "GPUs"),)
