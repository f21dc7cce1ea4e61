"""Measure the scenario mode against the plan for the mean, and against the extensive form.

``python -m benchmarks.scenarios --jobs 200 --scenarios 8`` writes one line per measurement. Errors
are drawn as forecasts err: correlated from hour to hour (0.94), between sites, and growing with
lead time; half of the jobs have come when the plan is made. Seconds are of this process, so that a
machine with other work gives the same; with more than one process, of the clock on the wall.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from benchmarks.draws import Size
from benchmarks.instances import drawn
from optimizer import (
    Plan,
    Problem,
    Risk,
    Scenario,
    Site,
    SiteFuture,
    SolveLimits,
    UncertainProblem,
    plan_for_scenarios,
    solve,
    verify,
)

N_SITES, N_SLOTS, FIRST_SLOTS, BATTERY_SLOTS = 3, 96, 24, 6
HOURLY, BETWEEN_SITES = 0.94, 0.6
"""Correlation of errors from one hour to the next, and between sites."""
OTHERS_SHARE = 0.5
PRICE_ERROR, PV_ERROR = 0.25, 0.3
"""Standard deviation of errors at long lead times, as a share of the mean price and of PV."""

Floats = NDArray[np.float64]


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scenarios")
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--slots", type=int, default=N_SLOTS)
    parser.add_argument("--scenarios", type=int, default=8)
    parser.add_argument("--cvar", type=float, default=0.0, help="weight of CVaR, at level 0.9")
    parser.add_argument("--limit", type=float, default=60.0, help="time limit [s]")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--extensive", type=float, default=0.0, help="its time limit [s]; 0: none")
    arguments = parser.parse_args()
    problem = _problem(arguments.jobs, arguments.slots)
    uncertain = _uncertain(problem, arguments.scenarios, Risk(arguments.cvar))
    limits = SolveLimits(arguments.limit)
    clock = time.process_time if arguments.processes == 1 else time.monotonic
    begun = clock()
    plan = solve(problem, limits, clock=clock)
    seconds = clock() - begun
    print(f"forecast alone  {seconds:6.1f} s  {plan.objective:10.3f} EUR  gap {_gap(plan.gap)}")
    with ProcessPoolExecutor(arguments.processes, get_context("spawn")) as pool:
        begun = clock()
        apart = pool.map if arguments.processes > 1 else map
        plan = plan_for_scenarios(uncertain, limits, clock=clock, apart=apart, extensive=False)
        _report("scenario mode", plan, clock() - begun, problem)
    if arguments.extensive:
        begun = clock()
        longer = replace(limits, time_limit_s=arguments.extensive)
        plan = plan_for_scenarios(uncertain, longer, clock=clock, extensive=True)
        _report("extensive form", plan, clock() - begun, problem)


def _report(name: str, plan: Plan, seconds: float, problem: Problem) -> None:
    outlook = plan.outlook
    if outlook is None:
        print(f"{name}: {plan.notes}")
        return
    print(
        f"{name:15s} {seconds:6.1f} s  {outlook.minimised_eur:10.3f} EUR"
        f"  gap {_gap(outlook.gap)}  spread {outlook.spread_eur:.3f} EUR"
        f"  CVaR {outlook.cvar_eur:.3f} EUR  breaches {len(verify(problem, plan))}"
    )


def _gap(gap: float | None) -> str:
    return "none" if gap is None else f"{100.0 * gap:.2f} %"


def _problem(n_jobs: int, n_slots: int) -> Problem:
    problem = drawn(Size(n_jobs, N_SITES, n_slots))
    jobs = tuple(
        replace(job, release_slot=0) if number % 2 else job
        for number, job in enumerate(problem.jobs)
    )
    return replace(problem, jobs=jobs, sites=tuple(_with_others(site) for site in problem.sites))


def _with_others(site: Site) -> Site:
    """Let others at ``site`` draw half of what its PV gives at best: little energy is for free."""
    base_kw = OTHERS_SHARE * max(site.renewables[0].available_kw)
    return replace(site, base_load_kw=(base_kw,) * len(site.pue))


def _uncertain(problem: Problem, n_scenarios: int, risk: Risk) -> UncertainProblem:
    rng = np.random.default_rng(1)
    n_slots, n_sites = problem.horizon.n_slots, len(problem.sites)
    price = _errors(rng, n_scenarios, n_sites, n_slots)
    sun = _errors(rng, n_scenarios, n_sites, n_slots)
    scenarios = tuple(
        Scenario(
            f"path {s}",
            1.0 / n_scenarios,
            tuple(_future(problem, row, price[s, row], sun[s, row]) for row in range(n_sites)),
        )
        for s in range(n_scenarios)
    )
    return UncertainProblem(problem, scenarios, min(FIRST_SLOTS, n_slots), BATTERY_SLOTS, risk)


def _future(problem: Problem, row: int, price: Floats, sun: Floats) -> SiteFuture:
    site = problem.sites[row]
    mean = np.asarray(site.grid.import_price_eur_per_mwh)
    paid = mean + PRICE_ERROR * abs(mean).mean() * price
    pv = np.asarray(site.renewables[0].available_kw) * np.clip(1.0 + PV_ERROR * sun, 0.0, 2.0)
    return replace(
        SiteFuture.of(site),
        import_price_eur_per_mwh=tuple(paid.tolist()),
        renewable_kw=(tuple(pv.tolist()),),
    )


def _errors(rng: np.random.Generator, n_paths: int, n_sites: int, n_slots: int) -> Floats:
    """Draw errors [path, site, slot] of variance 1 at long lead times, with mean 0 over paths."""
    own = rng.normal(size=(n_paths, n_sites, n_slots))
    shared = rng.normal(size=(n_paths, 1, n_slots))
    shocks = np.sqrt(BETWEEN_SITES) * shared + np.sqrt(1.0 - BETWEEN_SITES) * own
    errors = np.zeros_like(shocks)
    for t in range(1, n_slots):
        errors[..., t] = HOURLY * errors[..., t - 1] + np.sqrt(1 - HOURLY**2) * shocks[..., t]
    centred: Floats = errors - errors.mean(axis=0)
    return centred


if __name__ == "__main__":
    main()
