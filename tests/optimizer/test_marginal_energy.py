"""What one more kWh costs and emits: by hand, and against solving with one more."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from optimizer.plan import Plan
from optimizer.problem import Problem, Weights
from optimizer.progress import SolveLimits
from optimizer.settlement import it_load_kw
from optimizer.sites import Site
from optimizer.solving import marginal_energy as marginal
from optimizer.solving.exact import solve_exact
from optimizer.solving.marginal_energy import marginal_energy, with_marginal_energy
from tests.optimizer import build
from tests.optimizer.build import plan_of
from tests.strategies import problems


def exact(problem: Problem) -> Plan:
    """The optimum."""
    return solve_exact(problem, SolveLimits(60.0, 0.0), None, None)


def of_site(site: Site, **changes: object) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """EUR and g per kWh of the only site of the optimal plan without jobs."""
    problem = replace(build.problem(sites=[site]), **changes)
    found = marginal_energy(problem, exact(problem))
    return found.eur_per_kwh[0], found.carbon_g_per_kwh[0]


def test_import_costs_its_price_fee_and_carbon_and_emits_its_intensity() -> None:
    """At the meter: PUE is not in it."""
    site = build.site(grid=build.grid(50.0, fee=20.0, carbon=400.0), base_kw=1.0, pue=2.0)
    eur, grams = of_site(site, weights=Weights(carbon_eur_per_t=100.0))
    assert eur == pytest.approx([0.05 + 0.02 + 0.04] * 8)
    assert grams == pytest.approx([400.0] * 8)


def test_sun_that_is_curtailed_costs_and_emits_nothing() -> None:
    """Nothing is paid for exports; the sun shines in slots 2 and 3."""
    site = build.site(
        grid=build.grid(carbon=500.0), renewables=(build.solar([0, 0, 9, 9, 0, 0, 0, 0]),)
    )
    eur, grams = of_site(site)
    assert eur == pytest.approx([0.1, 0.1, 0, 0, 0.1, 0.1, 0.1, 0.1], abs=1e-9)
    assert grams == pytest.approx([500, 500, 0, 0, 500, 500, 500, 500], abs=1e-6)


def test_what_a_battery_gives_was_imported_in_another_slot() -> None:
    """It carries 80 % of the cheap and clean first slot into the dear and dirty second."""
    site = build.site(
        grid=build.grid([10, 300, *[400] * 6], carbon=[100, 900, *[900] * 6]),
        base_kw=[0, 4, 0, 0, 0, 0, 0, 0],
        storage=(build.battery(soc_initial_kwh=0.0, charge_efficiency=0.8),),
    )
    eur, grams = of_site(site)
    assert eur[:2] == pytest.approx([0.01, 0.0125])
    assert grams[:2] == pytest.approx([100.0, 125.0])


def test_a_generator_that_runs_at_part_load_is_the_source() -> None:
    """The connection is full; it burns at 0.5 EUR/kWh and 700 g/kWh."""
    engine = build.generator(emissions_g_per_kwh=700.0)
    site = build.site(
        grid=build.grid(carbon=100.0, import_kw=3.0), base_kw=6.0, generators=(engine,)
    )
    eur, grams = of_site(site)
    assert eur == pytest.approx([0.5] * 8)
    assert grams == pytest.approx([700.0] * 8)


def laden(problem: Problem, plan: Plan, all_kw: float, more_kw: float) -> Problem:
    """Jobs of the plan as base load, some more everywhere, and more in the first slot of A."""
    load = it_load_kw(problem, plan.placements)

    def with_load(row: int, owner: Site) -> Site:
        base = np.asarray(owner.base_load_kw) + np.asarray(owner.pue) * load[row] + all_kw
        base[0] += more_kw * (row == 0)
        pools = tuple(replace(pool, idle_kw_per_gpu=0.0) for pool in owner.pools)
        return replace(owner, base_load_kw=tuple(base.tolist()), pools=pools)

    sites = tuple(with_load(row, owner) for row, owner in enumerate(problem.sites))
    return replace(problem, sites=sites, jobs=())


def without_decisions(problem: Problem) -> Problem:
    """No generators, no exports, nobody paid to import: nothing is on or off."""
    nothing = (0.0,) * problem.horizon.n_slots

    def plain(site: Site) -> Site:
        price = tuple(map(abs, site.grid.import_price_eur_per_mwh))
        grid = replace(site.grid, export_limit_kw=nothing, import_price_eur_per_mwh=price)
        return replace(site, grid=grid, generators=())

    ceilings = replace(problem.ceilings, cost_ceiling_eur=None)
    return replace(problem, sites=tuple(map(plain, problem.sites)), ceilings=ceilings)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems(n_jobs=(1, 3), max_slots=5, has_plant=True))
def test_the_price_is_what_the_optimum_rises_by_for_a_little_more(drawn: Problem) -> None:
    """Solved again, with 2 W less and 2 W more on top of the 50 W that show what one more does."""
    problem = without_decisions(drawn)
    plan = exact(problem)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(marginal, "LITTLE_MORE_KW", 0.05)
        found = marginal.marginal_energy(problem, plan)
    loads = (laden(problem, plan, 0.05, kw) for kw in (-2e-3, 0.0, 2e-3))
    costs = [exact(load).objective for load in loads]
    kwh = 2e-3 * problem.horizon.slot_hours
    rises = [(more - less) / kwh for less, more in pairwise(costs)]
    if rises[0] == pytest.approx(rises[1], rel=1e-3, abs=1e-3):  # no kink in between
        assert found.eur_per_kwh[0][0] == pytest.approx(rises[0], rel=1e-2, abs=1e-2)


def test_a_carbon_price_raises_the_price_by_the_marginal_carbon() -> None:
    """As long as it changes no decision: d(eur)/d(carbon price) is the carbon."""
    site = build.site(
        grid=build.grid([10, 300, *[400] * 6], carbon=[100, 900, *[900] * 6]),
        base_kw=[0, 4, 1, 1, 1, 1, 1, 1],
        storage=(build.battery(soc_initial_kwh=3.0, charge_efficiency=0.8),),
        renewables=(build.solar([0, 0, 0, 3, 0, 0, 0, 0]),),
    )
    eur, grams = of_site(site)
    dearer, _ = of_site(site, weights=Weights(carbon_eur_per_t=1.0))
    rise = (np.array(dearer) - np.array(eur)) * 1e6
    assert rise == pytest.approx(np.array(grams), abs=1e-3)


def test_a_plan_that_does_not_go_with_its_problem_keeps_everything_else() -> None:
    """Prices are lost, not the plan."""
    problem = build.problem(build.job())
    plan = plan_of(problem, build.placed("job", ("A/full", 0, 2)))
    without = with_marginal_energy(build.problem(), plan)
    assert without.marginal is None
    assert without.notes[0].startswith("no marginal prices of energy: ")
    priced = with_marginal_energy(problem, plan)
    assert priced.marginal is not None
    assert replace(priced, marginal=None) == plan
