"""Plans for several futures: the right value, a bound that holds, and a plan that verifies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optimizer.errors import InvalidProblem
from optimizer.jobs import Pausing
from optimizer.pieces import links_of
from optimizer.plan import Outlook, Plan
from optimizer.problem import Problem
from optimizer.progress import Progress, SolveLimits
from optimizer.scenarios.first_stage import begin_slot, first_placements, what_is_left
from optimizer.scenarios.futures import (
    Risk,
    Scenario,
    SiteFuture,
    UncertainProblem,
    cvar_eur,
    risk_eur,
    risk_weights,
)
from optimizer.scenarios.planning import plan_for_scenarios
from optimizer.scenarios.policies import ascend_policies
from optimizer.settlement import settle
from optimizer.solving.solve import solve
from optimizer.verify import verify
from tests.optimizer import build
from tests.optimizer.crowd import crowd
from tests.optimizer.futures import as_forecast, some_problem, uncertain
from tests.reference.scenarios import least_cost_eur

EXACT = SolveLimits(30.0, 1e-7)
SEEDS = range(3)


def outlook_of(plan: Plan) -> Outlook:
    """What the plan comes to; it was made for scenarios."""
    assert plan.outlook is not None, plan.notes
    return plan.outlook


def planned(problem: UncertainProblem, *, extensive: bool) -> Outlook:
    """Plan ``problem``, exactly or by proposals."""
    return outlook_of(plan_for_scenarios(problem, EXACT, extensive=extensive))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("risk", [Risk(), Risk(0.6, 0.7)], ids=["mean", "CVaR"])
def test_extensive_form_costs_what_the_textbook_says(seed: int, risk: Risk) -> None:
    """A second formulation, in one matrix, has the same least cost, with CVaR and without."""
    problem = uncertain(some_problem(seed), seed, risk=risk)
    found = planned(problem, extensive=True)
    assert found.minimised_eur == pytest.approx(least_cost_eur(problem), abs=1e-5)
    assert found.bound_eur is not None
    assert found.bound_eur == pytest.approx(found.minimised_eur, abs=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_scenario_is_the_plan_for_it(seed: int) -> None:
    """If all comes as forecast, the scenario mode costs what planning for the forecast does."""
    problem = some_problem(seed)
    plan = plan_for_scenarios(as_forecast(problem), EXACT)
    alone = solve(problem, EXACT)
    assert plan.objective == pytest.approx(alone.objective, abs=1e-5)
    assert outlook_of(plan).expected_eur == pytest.approx(alone.objective, abs=1e-5)
    assert outlook_of(plan).spread_eur == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_knowing_the_future_is_worth_something_and_so_is_planning_for_it(seed: int) -> None:
    """Perfect information costs no more, and the plan of the mean no less, in expectation."""
    problem = uncertain(some_problem(seed), seed)
    here = planned(problem, extensive=True).expected_eur
    each = [solve(future, EXACT).objective for future in problem.problems()]
    wait_and_see = float(problem.probability @ np.array(each))
    mean = solve(problem.weighted_mean(problem.probability), EXACT)
    mean_tried = value_of_first(problem, mean)
    assert wait_and_see <= here + 1e-6
    assert here <= mean_tried + 1e-6


def value_of_first(problem: UncertainProblem, plan: Plan) -> float:
    """What the first jobs of ``plan`` cost if each scenario then does its best, battery untied."""
    first = first_placements(problem.nominal, plan.placements, problem.first_slots)
    tied = replace(
        problem, nominal=only_begins(problem.nominal, plan, first), first_slots=problem.first_slots
    )
    return least_cost_eur(tied)


def only_begins(problem: Problem, plan: Plan, first: tuple[object, ...]) -> Problem:
    """Let the jobs of ``first`` begin as ``plan`` says, and no other in the first stage."""
    begun = {placed.job: placed for placed in plan.placements if placed in first}
    jobs = []
    for job in problem.jobs:
        if job.name in begun:
            placed = begun[job.name]
            fixed = {"release_slot": placed.start_slot, "deadline_slot": placed.end_slot}
            jobs.append(replace(job, **fixed, unserved_eur=1e4))
        else:
            jobs.append(replace(job, release_slot=max(3, job.release_slot)))
    return replace(problem, jobs=tuple(jobs))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("risk", [Risk(), Risk(0.5, 0.6)], ids=["mean", "CVaR"])
def test_proposals_lie_between_bound_and_plan_of_the_mean(seed: int, risk: Risk) -> None:
    """What is found without the extensive form is no better than that, and its bound no higher."""
    problem = uncertain(some_problem(seed, n_jobs=6), seed, risk=risk)
    exact = planned(problem, extensive=True)
    found = planned(problem, extensive=False)
    assert found.bound_eur is not None
    assert found.bound_eur <= exact.minimised_eur + 1e-5
    assert found.minimised_eur >= exact.minimised_eur - 1e-5
    assert found.minimised_eur <= exact.minimised_eur * 1.15 + 0.05


@pytest.mark.parametrize("extensive", [True, False])
def test_plan_verifies_on_the_forecast_and_begins_as_decided(extensive: bool) -> None:
    """The plan is an ordinary one, for the forecast; its outlook has every scenario."""
    problem = uncertain(some_problem(2), 2)
    plan = plan_for_scenarios(problem, EXACT, extensive=extensive)
    assert not verify(problem.nominal, plan)
    assert len(outlook_of(plan).scenario_eur) == 3
    assert plan.bound is None


def test_many_jobs_at_several_sites_are_planned_within_their_bound() -> None:
    """Sixty jobs that compete at two sites: verified, with a bound a few percent below."""
    problem = uncertain(crowd(), 0, 4, first_slots=8, battery_slots=0, step_eur_per_mwh=3.0)
    plan = plan_for_scenarios(problem, SolveLimits(30.0), extensive=False)
    assert not verify(problem.nominal, plan)
    gap = outlook_of(plan).gap
    assert gap is not None
    assert gap < 0.08


def test_same_problem_and_seed_give_the_same_plan() -> None:
    """Nothing in the search depends on time or chance, as long as no clock is lent."""
    problem = uncertain(crowd(15), 1, 2, first_slots=8, battery_slots=0)
    first, second = (plan_for_scenarios(problem, extensive=False) for _ in range(2))
    assert first == second


def test_a_job_waits_to_see_which_site_will_be_cheap() -> None:
    """Waiting is worth it where prices part later, although the mean says to begin at once."""
    early, flat = [99.0] * 2, [100.0] * 6
    cheap, dear = early + [20.0] * 6, early + [180.0] * 6
    sites = [build.site(name, price=early + flat) for name in ("A", "B")]
    job = build.job(points=(build.point("A/full"), build.point("B/full")))
    problem = build.problem(job, sites=sites)

    def scenario(name: str, at_a: list[float], at_b: list[float]) -> Scenario:
        prices = zip(sites, (at_a, at_b), strict=True)
        return Scenario(
            name,
            0.5,
            tuple(
                replace(SiteFuture.of(site), import_price_eur_per_mwh=tuple(own))
                for site, own in prices
            ),
        )

    both = (scenario("A is cheap", cheap, dear), scenario("B is cheap", dear, cheap))
    alone = solve(problem)
    assert alone.placements[0].start_slot == 0
    for extensive in (True, False):
        plan = plan_for_scenarios(UncertainProblem(problem, both, 2), EXACT, extensive=extensive)
        assert plan.placements[0].start_slot >= 2
        assert outlook_of(plan).expected_eur == pytest.approx(2 * 0.020)


def test_a_pausing_job_that_begins_early_is_the_same_everywhere_to_its_end() -> None:
    """What begins in the first stage is decided to its end, in pieces as well."""
    problem = some_problem(1, n_jobs=3)
    jobs = tuple(
        replace(job, pausing=Pausing(max_pauses=2, restart_eur=0.01)) for job in problem.jobs
    )
    problem = replace(problem, jobs=jobs)
    tied = uncertain(problem, 1)
    exact, found = (planned(tied, extensive=extensive) for extensive in (True, False))
    assert found.bound_eur is not None
    assert found.bound_eur <= exact.minimised_eur + 1e-5 <= found.minimised_eur + 2e-5
    assert (
        exact.minimised_eur
        <= planned(uncertain(some_problem(1, 3), 1), extensive=True).minimised_eur
    )


def test_batteries_begin_alike_in_every_scenario() -> None:
    """With the battery tied for longer, the plan is never cheaper, and at times dearer."""
    problem = some_problem(3, n_jobs=2)
    costs = [
        planned(uncertain(problem, 3, battery_slots=n), extensive=True).minimised_eur
        for n in (0, 4, 8)
    ]
    assert costs[0] <= costs[1] + 1e-6 <= costs[2] + 2e-6
    assert costs[0] < costs[2] - 1e-6


def test_what_is_left_costs_the_rest() -> None:
    """A plan costs what its first jobs cost by themselves, and what is left of the problem."""
    problem = some_problem(4)
    plan = solve(problem, EXACT)
    first = first_placements(problem, plan.placements, 3)
    left = what_is_left(problem, first, 3)
    rest = solve(left, EXACT)
    assert {job.name for job in left.jobs}.isdisjoint(placed.job for placed in first)
    assert rest.objective == pytest.approx(plan.objective, abs=1e-5)
    jobs, links = {job.name: job for job in problem.jobs}, links_of(problem)
    assert all(begin_slot(problem, jobs[p.job], p, links) >= 3 for p in rest.placements)


def test_weights_of_the_worst_make_the_sum_that_risk_is() -> None:
    """Mean and CVaR are a weighted sum of the costs; no other allowed weights give more."""
    costs, share = np.array([5.0, 1.0, 9.0]), np.array([0.5, 0.3, 0.2])
    assert cvar_eur(costs, share, 0.8) == pytest.approx(9.0)
    assert cvar_eur(costs, share, 0.5) == pytest.approx((0.2 * 9.0 + 0.3 * 5.0) / 0.5)
    assert cvar_eur(costs, share, 0.0) == pytest.approx(share @ costs)
    risk = Risk(0.5, 0.8)
    assert risk_eur(costs, share, risk) == pytest.approx(0.5 * (share @ costs) + 0.5 * 9.0)
    assert risk_weights(costs, share, risk).sum() == pytest.approx(1.0)
    assert risk_weights(costs[::-1], share, risk) @ costs <= risk_eur(costs, share, risk) + 1e-12


def test_bound_rises_to_what_all_jobs_waiting_costs() -> None:
    """If nothing can begin in the first stage, the bound is the mean of the scenarios' own."""
    problem = some_problem(0)
    later = tuple(replace(job, release_slot=3) for job in problem.jobs)
    tied = uncertain(replace(problem, jobs=later), 0, battery_slots=0)
    policies = ascend_policies(tied.problems(), tied.probability, 3)
    each = [solve(one, EXACT).objective for one in tied.problems()]
    assert policies.bound_eur <= float(tied.probability @ np.array(each)) + 1e-6
    assert policies.bound_eur > 0.9 * float(tied.probability @ np.array(each))


def test_a_solve_that_is_stopped_still_gives_a_plan() -> None:
    """Told to stop at once, it tries one proposal and answers with that."""
    problem = uncertain(some_problem(5), 5)
    seen: list[str] = []

    def stop(progress: Progress) -> bool:
        seen.append(progress.phase)
        return False

    plan = plan_for_scenarios(problem, EXACT, extensive=False, on_progress=stop)
    assert not verify(problem.nominal, plan)
    assert "scenarios" in seen


def test_scenarios_that_contradict_the_problem_are_refused() -> None:
    """Probabilities that do not sum to one, sites or plants that are not there: named at once."""
    problem = some_problem(0)
    only = as_forecast(problem).scenarios[0]
    with pytest.raises(InvalidProblem, match=r"sum of probabilities = 0\.5"):
        UncertainProblem(problem, (replace(only, probability=0.5),), 3)
    with pytest.raises(InvalidProblem, match="first_slots = 9"):
        UncertainProblem(problem, (only,), 9)
    with pytest.raises(InvalidProblem, match="one for each site"):
        replace(only, sites=()).put_into(problem)
    bare = replace(only.sites[0], renewable_kw=())
    with pytest.raises(InvalidProblem, match="one for each plant"):
        replace(only, sites=(bare,)).put_into(problem)
    with pytest.raises(InvalidProblem, match="at least one scenario"):
        UncertainProblem(problem, (), 3)


def test_outlook_is_settled_like_any_plan() -> None:
    """With one scenario the outlook's figure is the settlement of the plan itself."""
    problem = some_problem(1)
    plan = plan_for_scenarios(as_forecast(problem), EXACT)
    assert outlook_of(plan).scenario_eur[0] == pytest.approx(
        settle(problem, plan.placements, plan.flows).objective, abs=1e-5
    )


def test_proposals_help_out_where_the_extensive_form_runs_out_of_time() -> None:
    """Given no time for one MILP, a small problem is planned by proposals, and as well."""
    problem = uncertain(some_problem(2, n_jobs=6), 2)
    hurried = outlook_of(plan_for_scenarios(problem, SolveLimits(1e-3)))
    found = outlook_of(plan_for_scenarios(problem, SolveLimits(1e-3), extensive=False))
    assert hurried.minimised_eur <= found.minimised_eur + 1e-6
    assert hurried.bound_eur is not None
