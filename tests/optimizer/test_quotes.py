"""Quotes: what a job not in the plan would cost, against planning it with all else fixed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from optimizer.jobs import Job, OperatingPoint, Pausing
from optimizer.plan import Plan, SlotPrices
from optimizer.problem import CapacityLimit, Ceilings, Problem, Weights
from optimizer.progress import SolveLimits
from optimizer.quotes import Quote, Quoter
from optimizer.settlement import gpus_used, it_load_kw
from optimizer.sites import Site
from optimizer.solving.exact import solve_exact
from optimizer.verify import verify
from tests.optimizer import build
from tests.optimizer.build import plan_of
from tests.strategies import problems

EXACT = SolveLimits(60.0, 0.0)
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def exact(problem: Problem) -> Plan:
    """The optimum."""
    return solve_exact(problem, EXACT, None, None)


def newcomer(problem: Problem) -> tuple[Problem, Job]:
    """The problem without its last job, and that job as one that comes in later.

    Missing power costs more than missing any ceiling: a quote never counts on it.
    """
    *others, last = problem.jobs
    plain = replace(last, pin=None, announced=None, after=(), had_started=False, is_elastic=False)
    penalties = replace(problem.penalties, shortfall_eur_per_kwh=1e5)
    return replace(problem, jobs=tuple(others), penalties=penalties), plain


def all_else_fixed(problem: Problem, plan: Plan, job: Job) -> Problem:
    """A problem of ``job`` alone in what the plan's jobs leave."""
    load, used = it_load_kw(problem, plan.placements), gpus_used(problem, plan.placements)
    idle = {
        (site.name, pool.name): pool.idle_kw_per_gpu
        for site in problem.sites
        for pool in site.pools
    }

    def left(site: Site, it_kw: np.ndarray) -> Site:
        base = np.asarray(site.base_load_kw) + np.asarray(site.pue) * it_kw
        pools = tuple(
            replace(
                pool,
                gpus=tuple((np.asarray(pool.gpus) - used[site.name, pool.name]).tolist()),
                idle_kw_per_gpu=0.0,
            )
            for pool in site.pools
        )
        return replace(site, base_load_kw=tuple(base.tolist()), pools=pools)

    def beyond_idle(point: OperatingPoint) -> OperatingPoint:
        power_kw = point.power_kw - point.gpus * idle[point.site, point.pool]
        return replace(point, power_kw=power_kw, shed_kw=min(point.shed_kw, power_kw))

    points = tuple(map(beyond_idle, job.points))
    alone = replace(job, points=points, unserved_eur=1e4, can_wait=False, priority=job.priority)
    sites = tuple(left(site, load[row]) for row, site in enumerate(problem.sites))
    spent_eur = plan.terms.restarts_eur + plan.terms.data_transfer_eur
    ceiling = problem.ceilings.cost_ceiling_eur
    ceilings = replace(
        problem.ceilings, cost_ceiling_eur=None if ceiling is None else ceiling - spent_eur
    )
    weights = replace(problem.weights, unserved=1.0)
    return replace(problem, sites=sites, jobs=(alone,), ceilings=ceilings, weights=weights)


def rise(problem: Problem, plan: Plan, job: Job) -> float | None:
    """What serving ``job`` adds to the optimum with all else fixed; ``None``: there is no room."""
    case = all_else_fixed(problem, plan, job)
    without = exact(replace(case, jobs=()))
    best = exact(case)
    short = [sum(sum(flow.shortfall_kw) for flow in one.flows) for one in (best, without)]
    if not best.placements or short[0] > short[1] + 1e-6:
        return None
    return best.objective - without.objective


def steady(problem: Problem) -> Problem:
    """Without what ties slots or sites to each other, starts, and a gain in turning to import.

    Calls are imposed: a quote keeps to the answer that the plan gave.
    """
    sites = tuple(
        replace(
            site,
            grid=replace(
                site.grid,
                export_price_eur_per_mwh=tuple(
                    map(
                        min,
                        site.grid.export_price_eur_per_mwh,
                        site.grid.import_price_eur_per_mwh,
                    )
                ),
            ),
            storage=(),
            peaks=(),
            generators=tuple(replace(g, min_kw=0.0, start_eur=0.0) for g in site.generators),
        )
        for site in problem.sites
    )
    priced = as_priced(problem)
    calls = tuple(replace(call, decline_eur=None) for call in priced.events)
    return replace(priced, sites=sites, ceilings=Ceilings(), events=calls)


def as_priced(problem: Problem) -> Problem:
    """Without what quotes do not price: positions, reserves, calls to several sites."""
    calls = tuple(call for call in problem.events if len(call.sites) == 1)
    return replace(problem, events=calls, reserves=(), positions=())


@FEW
@given(problems(n_jobs=(1, 4), max_slots=6, has_plant=True))
def test_a_quote_is_what_the_optimum_rises_by_with_all_else_fixed(drawn: Problem) -> None:
    """By site, start, point and pauses; where it says there is no room, there is none."""
    problem, job = newcomer(steady(drawn))
    plan = exact(problem)
    (quote,) = Quoter.of(problem, plan).quote(job, [job.deadline_slot])
    best = rise(problem, plan, job)
    assert quote.fits == (best is not None)
    if best is not None:
        assert quote.cost_eur == pytest.approx(best, abs=1e-4)


@FEW
@given(problems(n_jobs=(1, 4), max_slots=6, has_plant=True))
def test_a_quote_never_promises_what_the_optimum_cannot_keep(drawn: Problem) -> None:
    """Batteries, peaks, ceilings and starts can only make it cheaper when planned anew."""
    problem, job = newcomer(as_priced(drawn))
    plan = exact(problem)
    for quote in Quoter.of(problem, plan).quote(job, range(1, problem.horizon.n_slots + 1)):
        if quote.fits:
            best = rise(problem, plan, replace(job, deadline_slot=quote.deadline_slot))
            assert best is not None
            assert quote.cost_eur is not None
            assert quote.cost_eur >= best - 1e-4


@FEW
@given(problems(n_jobs=(2, 4), max_slots=6, has_plant=True))
def test_what_is_quoted_can_be_added_to_the_plan(drawn: Problem) -> None:
    """Verification finds no broken limit of the jobs and GPUs with it put in."""
    problem, job = newcomer(drawn)
    plan = exact(problem)
    before = {str(breach) for breach in verify(problem, plan)}
    (quote,) = Quoter.of(problem, plan).quote(job, [job.deadline_slot])
    if quote.placement is not None and quote.fits:
        joined = replace(problem, jobs=(*problem.jobs, job))
        added = plan_of(joined, *plan.placements, quote.placement)
        assert {str(breach) for breach in verify(joined, added)} <= before


@FEW
@given(problems(n_jobs=(1, 3), max_slots=6, has_plant=True))
def test_more_time_never_costs_more(drawn: Problem) -> None:
    """Once it fits it fits for every later deadline, for the same or less."""
    problem, job = newcomer(drawn)
    quotes = Quoter.of(problem, exact(problem)).quote(job, range(1, problem.horizon.n_slots + 2))
    fitting = [quote for quote in quotes if quote.fits]
    assert list(quotes[len(quotes) - len(fitting) :]) == fitting
    costs = [quote.cost_eur or 0.0 for quote in fitting]
    assert costs == sorted(costs, reverse=True)
    for quote in fitting:
        assert quote.placement is not None
        assert quote.placement.end_slot <= quote.deadline_slot


def quote_of(problem: Problem, plan: Plan, job: Job, deadline: int = build.N_SLOTS) -> Quote:
    """The only quote for one deadline."""
    (quote,) = Quoter.of(problem, plan).quote(job, [deadline])
    return quote


def test_cost_carbon_and_energy_of_a_quote_by_hand() -> None:
    """2 h at 10 kW and PUE 1.5 in the cheapest hours: 30 kWh at 50 EUR/MWh and 200 g/kWh."""
    site = build.site(
        pue=1.5, grid=build.grid([90, 90, 50, 50, 90, 90, 90, 90], carbon=200.0, fee=10.0)
    )
    problem = build.problem(sites=[site], weights=Weights(carbon_eur_per_t=100.0))
    job = build.job(points=(build.point(power_kw=10.0, gpus=3),))
    quote = quote_of(problem, plan_of(problem), job)
    assert quote.placement == build.placed("job", ("A/full", 2, 4))
    assert quote.energy_kwh == pytest.approx(30.0)
    assert quote.carbon_kg == pytest.approx(6.0)
    assert quote.paid_eur == pytest.approx(1.8)
    assert quote.cost_eur == pytest.approx(1.8 + 0.6)
    assert quote.gpu_hours == pytest.approx(6.0)
    assert quote.gpu_eur is None


def test_the_sun_that_is_left_is_free_and_emits_nothing() -> None:
    """8 of 10 kW of PV are unused in slots 5 and 6; 10 kW more take 2 kW from the grid."""
    sun = build.solar([0, 0, 0, 0, 0, 10, 10, 0])
    site = build.site(grid=build.grid(carbon=500.0), renewables=(sun,), base_kw=2.0)
    problem = build.problem(sites=[site])
    quote = quote_of(problem, plan_of(problem), build.job(points=(build.point(power_kw=10.0),)))
    assert quote.placement == build.placed("job", ("A/full", 5, 7))
    assert quote.cost_eur == pytest.approx(0.4)
    assert quote.carbon_kg == pytest.approx(2.0)


def test_power_that_would_have_been_sold_costs_what_it_earned() -> None:
    """1 kWh less exported at 30 EUR/MWh; nothing is emitted for it."""
    site = build.site(
        grid=build.grid(100.0, sell=30.0, carbon=500.0), renewables=(build.solar(50.0),)
    )
    problem = build.problem(sites=[site])
    quote = quote_of(problem, plan_of(problem), build.job(work=1.0))
    assert (quote.cost_eur, quote.carbon_kg) == (pytest.approx(0.03), 0.0)


def test_a_contractual_limit_is_kept_where_breaking_it_is_dearer_than_waiting() -> None:
    """No more than 0.5 kW in slots 0 to 6, at 5 EUR/kWh; with a deadline of 2 it is broken."""
    limit = CapacityLimit("dr", "A", 0, 6, 0.5, 5.0)
    problem = build.problem(capacity_limits=(limit,))
    soon, late = Quoter.of(problem, plan_of(problem)).quote(build.job(), [2, 8])
    assert soon.cost_eur == pytest.approx(0.2 + 2 * 0.5 * 5.0)
    assert soon.paid_eur == pytest.approx(0.2)
    assert late.placement == build.placed("job", ("A/full", 6, 8))
    assert late.cost_eur == pytest.approx(0.2)


def test_a_higher_peak_is_paid_once() -> None:
    """The plan imports 4 kW in slot 0; 5 kW for 2 h raise the peak by 1 kW at 10 EUR/kW."""
    site = build.site(base_kw=[4, 0, 0, 0, 0, 0, 0, 0], peaks=(build.peak(10.0),))
    problem = build.problem(sites=[site])
    quote = quote_of(problem, plan_of(problem), build.job(points=(build.point(power_kw=5.0),)))
    assert quote.cost_eur == pytest.approx(1.0 + 10.0)


def test_a_coincident_peak_is_paid_in_every_slot_that_may_be_it() -> None:
    """1 kW in two slots at 1/10 of 10 EUR/kW, beside 0.2 EUR of energy; later it is none."""
    charges = (build.coincident([0.1] * 6 + [0, 0]),)
    problem = build.problem(sites=[build.site(coincident_peaks=charges)])
    soon, late = Quoter.of(problem, plan_of(problem)).quote(build.job(), [2, 8])
    assert (soon.cost_eur, soon.paid_eur) == pytest.approx((0.2 + 2.0, 0.2 + 2.0))
    assert late.placement == build.placed("job", ("A/full", 6, 8))
    assert late.cost_eur == pytest.approx(0.2)


def test_each_peak_that_rises_is_paid() -> None:
    """5 kW over the morning's 4 at 10 EUR/kW, and over a ratchet of 3 kW at 1 EUR/kW."""
    morning = build.peak(10.0, so_far_kw=4.0, counts=[1, 1, 0, 0, 0, 0, 0, 0], name="morning")
    ratchet = build.peak(1.0, floor_kw=3.0, name="ratchet")
    problem = build.problem(sites=[build.site(peaks=(morning, ratchet))])
    job, plan = build.job(points=(build.point(power_kw=5.0),)), plan_of(problem)
    assert quote_of(problem, plan, job, 2).cost_eur == pytest.approx(1.0 + 10.0 + 2.0)
    assert quote_of(problem, plan, job, 4).cost_eur == pytest.approx(1.0 + 2.0)


def test_a_budget_that_is_used_up_makes_carbon_dear() -> None:
    """1 kWh at 500 g/kWh is half a kg over a budget of nothing, at 50 EUR/kg."""
    site = build.site(grid=build.grid(100.0, carbon=500.0))
    problem = build.problem(sites=[site], ceilings=Ceilings(carbon_budget_kg=0.0))
    quote = quote_of(problem, plan_of(problem), build.job(work=1.0))
    assert quote.cost_eur == pytest.approx(0.1 + 25.0)


def test_what_the_plan_spends_on_restarts_counts_towards_the_ceiling() -> None:
    """Restart and energy of the other job are 0.1 EUR over it: each EUR more costs 51."""
    other = build.job("other", pausing=Pausing(restart_eur=2.0))
    problem = build.problem(other, ceilings=Ceilings(cost_ceiling_eur=2.1))
    plan = plan_of(problem, build.placed("other", ("A/full", 0, 1), ("A/full", 4, 5)))
    quote = quote_of(problem, plan, build.job(work=1.0))
    assert quote.cost_eur == pytest.approx(0.1 * (1 + 50))


def test_pauses_are_quoted_where_they_pay() -> None:
    """Two cheap hours apart, one restart of 0.01 EUR between them."""
    site = build.site(price=[10, 90, 10, 90, 90, 90, 90, 90])
    problem = build.problem(sites=[site])
    job = build.job(pausing=Pausing(restart_eur=0.01))
    quote = quote_of(problem, plan_of(problem), job)
    assert quote.placement == build.placed("job", ("A/full", 0, 1), ("A/full", 2, 3))
    assert quote.cost_eur == pytest.approx(0.02 + 0.01)


def crowded() -> tuple[Problem, Plan]:
    """The pool is full until slot 4; a GPU-hour is worth 3 EUR then."""
    other = build.job("other", 4.0, points=(build.point(gpus=4),))
    problem = build.problem(other)
    plan = plan_of(problem, build.placed("other", ("A/full", 0, 4)))
    worth = (3.0, 3.0, 3.0, 3.0, 0.0, 0.0, 0.0, 0.0)
    prices = SlotPrices(((0.1,) * 8,), ((worth,),))
    return problem, replace(plan, prices=prices)


def test_what_is_taken_is_not_quoted_but_priced() -> None:
    """Two hours before slot 4 would cost 0.20 EUR and 6 EUR of GPU-hours, if others made room."""
    problem, plan = crowded()
    soon, late = Quoter.of(problem, plan).quote(build.job(), [3, 6])
    assert (soon.fits, late.fits) == (False, True)
    assert soon.blocked_by == ("GPUs of A/gpu are full from 0 to 2 (1 too few)",)
    assert (soon.cost_eur, soon.gpu_eur) == (pytest.approx(0.2), pytest.approx(6.0))
    assert soon.paid_eur is None
    assert late.placement == build.placed("job", ("A/full", 4, 6))
    assert (late.cost_eur, late.gpu_eur) == (pytest.approx(0.2), 0.0)


def test_a_deadline_nobody_could_meet_is_answered_with_the_slots_it_lacks() -> None:
    """Two hours of work, one before the deadline."""
    problem, plan = crowded()
    quote = quote_of(problem, plan, build.job(release_slot=4), 5)
    assert quote.placement is None
    assert quote.blocked_by == ("it takes 2 slots at least, and from 4 to 5 there are 1",)


def test_power_that_is_not_there_is_named() -> None:
    """The other job draws 4 of 5 kW until slot 4."""
    other = build.job("other", 4.0, points=(build.point(power_kw=4.0),))
    site = build.site(grid=build.grid(import_kw=5.0))
    problem = build.problem(other, sites=[site])
    plan = plan_of(problem, build.placed("other", ("A/full", 0, 4)))
    quote = quote_of(problem, plan, build.job(points=(build.point(power_kw=2.0),)), 4)
    assert quote.blocked_by == ("the supply of A cannot carry it from 0 to 2: 1.0 kW too little",)


def test_it_starts_after_the_jobs_it_waits_for() -> None:
    """The other is done in slot 4; one that the plan leaves out is never done."""
    problem, plan = crowded()
    quote = quote_of(problem, plan, build.job(after=("other",)))
    assert quote.placement == build.placed("job", ("A/full", 4, 6))
    nobody = quote_of(problem, plan_of(problem), build.job(after=("other",)))
    assert nobody.blocked_by == ("job other, which it must wait for, is not served",)


def test_quoting_changes_nothing_and_needs_a_deadline() -> None:
    """The same question has the same answer; none is refused."""
    problem, plan = crowded()
    quoter = Quoter.of(problem, plan)
    assert quoter.quote(build.job(), [3, 6]) == quoter.quote(build.job(), [3, 6])
    assert quoter.quote(build.job(), [6, 3]) == quoter.quote(build.job(), [3, 6])[::-1]
    with pytest.raises(ValueError, match="at least one"):
        quoter.quote(build.job(), [])
