"""Every constraint between scenarios is needed: without it, a named problem has another answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optimizer.events import DemandEvent
from optimizer.jobs import Pausing
from optimizer.scenarios.futures import Risk, UncertainProblem
from tests.mutants.planner import optimum_of_futures, scenario_families_in_source
from tests.optimizer.futures import some_problem, uncertain
from tests.reference.scenarios import least_cost_eur


def in_one_piece() -> UncertainProblem:
    """Jobs in one piece, a battery, and a weight on the dearest future."""
    return uncertain(some_problem(3), 3, risk=Risk(0.5, 0.5))


def in_pieces() -> UncertainProblem:
    """The same with jobs that pause."""
    whole = in_one_piece()
    jobs = tuple(replace(job, pausing=Pausing(restart_eur=0.001)) for job in whole.nominal.jobs)
    return replace(whole, nominal=replace(whole.nominal, jobs=jobs))


def with_a_call() -> UncertainProblem:
    """The same, called to import less, which is cheap in one future and dear in another."""
    whole = in_one_piece()
    call = DemandEvent("dr", ("A",), 0, (1.0,) * 8, 0.2, 0.05, decline_eur=0.0)
    return replace(whole, nominal=replace(whole.nominal, events=(call,)), risk=Risk())


CASES = {"begun": in_pieces, "same_answer": with_a_call}


def test_nothing_dropped_is_what_the_textbook_says() -> None:
    """So what differs without a family is its doing."""
    problem = in_one_piece()
    assert optimum_of_futures(problem) == pytest.approx(least_cost_eur(problem), abs=1e-6)


@pytest.mark.parametrize("family", sorted(scenario_families_in_source()))
def test_dropping_a_family_is_noticed(family: str) -> None:
    """What is decided before the future is known costs less if it need not be: too little."""
    problem = CASES.get(family, in_one_piece)()
    whole, without = optimum_of_futures(problem), optimum_of_futures(problem, family)
    assert whole is not None
    assert without is None or without < whole - 1e-6
