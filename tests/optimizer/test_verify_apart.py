"""Verification reads placements by itself: a mistake in what the planners share is not the rule."""

from __future__ import annotations

from typing import Any

import pytest

from optimizer import settlement, verify
from optimizer.jobs import InputData, Pausing
from optimizer.plan import Placement
from optimizer.problem import Link
from tests.optimizer.build import job, placed, plan_of, point, problem, site

COSTLY = job(work=2.0, pausing=Pausing(restart_slots=1, restart_kwh=3.0))
MOVED = job(points=(point("B/full"),), data=InputData("A", 5.0))
CASES: dict[str, tuple[Any, Placement, str, Any]] = {
    "restarts forgotten": (
        COSTLY,
        placed("job", ("A/full", 0, 1), ("A/full", 4, 6)),
        "restarts_of",
        lambda _job, _pieces: (),
    ),
    "data that moves by itself": (
        MOVED,
        placed("job", ("B/full", 2, 4)),
        "transfer_to",
        lambda *_: None,
    ),
}


@pytest.mark.parametrize("mistake", CASES)
def test_a_mistake_the_planners_share_is_refused(
    mistake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The load of the plan is what the planners think it is, not what it is."""
    made, placement, shared, wrong = CASES[mistake]
    links = (Link("A", "B", 5.0, kwh_per_gb=1.0),)
    case = problem(made, sites=(site("A"), site("B")), links=links)
    assert verify(case, plan_of(case, placement)) == ()
    monkeypatch.setattr(settlement, shared, wrong)
    assert "it_load" in {breach.limit_name for breach in verify(case, plan_of(case, placement))}
