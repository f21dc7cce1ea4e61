"""The ladder of answers, the search between two proofs, and what bounds are worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optimizer import (
    Plan,
    Problem,
    Progress,
    Rung,
    SolveLimits,
    SolverFailed,
    greedy,
    solve,
    verify,
)
from optimizer.baselines import run_now
from optimizer.master import build_master
from optimizer.solving import exact, integers
from optimizer.solving import solve as ladder
from optimizer.solving.highs import Solution, compile_model, run_highs
from tests.optimizer.build import job, problem, site
from tests.optimizer.test_solving import crowded


def cheap_later() -> Problem:
    """Two jobs that a greedy plan serves for 0.2 EUR, and running now for more."""
    return problem(
        job("a", 1.0), job("b", 1.0), sites=(site(price=[90, 80, 70, 60, 50, 40, 30, 20]),)
    )


@pytest.fixture
def _no_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Plan:
        raise SolverFailed("out of luck")

    monkeypatch.setattr(ladder, "solve_exact", fail)


@pytest.mark.usefixtures("_no_exact")
def test_without_an_exact_plan_the_greedy_one_is_taken_and_says_why() -> None:
    """The second rung."""
    plan = solve(cheap_later())
    assert plan.rung is Rung.GREEDY
    assert plan.notes == ("no exact plan: out of luck",)


@pytest.mark.usefixtures("_no_exact")
def test_a_bad_warm_start_does_not_displace_the_greedy_plan() -> None:
    """The plan in force may leave new jobs out; it is no better for being in force."""
    case = cheap_later()
    in_force = run_now(case)
    assert in_force.objective > greedy(case).objective
    assert solve(case, warm_start=in_force, last_plan=in_force).rung is Rung.GREEDY


@pytest.mark.usefixtures("_no_exact")
def test_a_warm_start_that_verify_refuses_is_never_answered() -> None:
    """However cheap it claims to be."""
    case = cheap_later()
    liar = replace(greedy(case), objective=-99.0)
    assert solve(case, warm_start=liar).objective > 0.0


@pytest.mark.usefixtures("_no_exact")
@pytest.mark.parametrize("has_last_plan", [True, False])
def test_the_last_rungs_are_the_plan_in_force_and_the_latest_safe_start(
    monkeypatch: pytest.MonkeyPatch, has_last_plan: bool
) -> None:
    """What was proven of the plan in force was proven of another problem."""
    case = cheap_later()
    last = replace(run_now(case), bound=0.1) if has_last_plan else None
    refused = replace(greedy(case), objective=-99.0)
    monkeypatch.setattr(ladder, "greedy", lambda _: refused)
    plan = solve(case, last_plan=last)
    assert plan.rung is (Rung.LAST_PLAN if has_last_plan else Rung.LATEST_SAFE_START)
    assert plan.bound is None
    assert verify(case, plan) == ()


def test_an_exact_plan_that_verify_refuses_falls_to_the_next_rung(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A defect in the model costs money, not trust."""
    case = cheap_later()
    wrong = replace(solve(case), objective=-99.0)
    monkeypatch.setattr(ladder, "solve_exact", lambda *_: wrong)
    plan = solve(case)
    assert plan.rung is Rung.GREEDY
    assert "objective" in plan.notes[0]


def test_the_search_improves_a_bad_start_even_where_nothing_is_proven_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From run-now, with proofs that get no time to speak of, the search alone must find better."""
    monkeypatch.setattr(integers, "FIRST_PROOF_SHARE", 1e-6)
    monkeypatch.setattr(integers, "SEARCH_SHARE", 1.0)
    monkeypatch.setattr(exact, "_better_start", lambda _problem, start, _prices: start)
    monkeypatch.setattr(ladder, "greedy", run_now)
    case = crowded(12)
    seen: list[Progress] = []
    plan = solve(case, SolveLimits(8.0, 0.0), on_progress=_keep(seen))
    assert verify(case, plan) == ()
    searched = [step.best for step in seen if step.phase == "search" and step.best is not None]
    assert searched[-1] < 0.98 * run_now(case).objective
    assert searched == sorted(searched, reverse=True)
    assert plan.objective <= searched[-1] + 1e-6


def _keep(seen: list[Progress]) -> Callable[[Progress], bool]:
    def keep(progress: Progress) -> bool:
        seen.append(progress)
        return True

    return keep


def test_the_bound_of_the_relaxation_is_the_bound_without_the_one_more() -> None:
    """Below the true relaxation, which needs no one more, and close to it."""
    master = build_master(crowded(6))
    form = compile_model(master.model)
    true = run_highs(form.relaxed(), {}).objective
    bound = exact._solve_relaxation(master, form, SolveLimits(), None).bound
    assert bound is not None
    assert bound <= true + 1e-6 * abs(true)
    assert bound == pytest.approx(true, rel=1e-2)


def test_a_plan_out_of_time_still_states_the_bound_of_the_relaxation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The relaxation was paid for: it stands even where no proof came to a bound."""
    prove = integers._prove

    def proves_nothing(*arguments: Any) -> Solution:
        return replace(prove(*arguments), bound=None, is_proven=False)

    monkeypatch.setattr(integers, "_prove", proves_nothing)
    plan = solve(crowded(2), SolveLimits(4.0, 0.0))
    assert plan.bound is not None
    assert np.isfinite(plan.bound)
    assert plan.bound <= plan.objective
    assert plan.rung is Rung.BEST_FOUND


def test_a_gap_that_is_reached_is_exact_whoever_reached_it() -> None:
    """Rung and gap never contradict each other."""
    plan = solve(crowded(3), SolveLimits(60.0, 0.5))
    assert plan.gap is not None
    assert plan.gap <= 0.5
    assert plan.rung is Rung.EXACT
