"""Small uncertain problems: PV and a battery, jobs that compete, errors that persist."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.problem import Problem, Weights
from optimizer.scenarios.futures import Risk, Scenario, SiteFuture, UncertainProblem
from tests.optimizer import build

N_SLOTS = 8


def some_problem(seed: int, n_jobs: int = 4) -> Problem:
    """A few jobs on three GPUs, PV that is often too little, and a battery."""
    rng = np.random.default_rng(seed)
    jobs = [
        build.job(
            f"j{k}",
            float(rng.integers(1, 4)),
            points=(build.point(gpus=int(rng.integers(1, 3)), power_kw=float(rng.integers(1, 4))),),
            release_slot=int(rng.integers(0, 3)),
            unserved_eur=float(rng.choice([0.2, 5.0])),
        )
        for k in range(n_jobs)
    ]
    prices = rng.integers(20, 200, N_SLOTS).tolist()
    here = build.site(
        grid=build.grid(prices, carbon=rng.integers(0, 500, N_SLOTS).tolist(), export_kw=0.0),
        pools=(build.pool(gpus=3),),
        base_kw=1.0,
        renewables=(build.solar(rng.integers(0, 4, N_SLOTS).tolist()),),
        storage=(
            build.battery(
                charge_max_kw=2.0,
                discharge_max_kw=2.0,
                capacity_kwh=4.0,
                soc_initial_kwh=1.0,
                charge_efficiency=0.9,
            ),
        ),
    )
    return build.problem(*jobs, sites=[here], weights=Weights(carbon_eur_per_t=80.0))


def uncertain(
    problem: Problem,
    seed: int,
    n_scenarios: int = 3,
    *,
    first_slots: int = 3,
    battery_slots: int = 2,
    risk: Risk | None = None,
    step_eur_per_mwh: float = 30.0,
) -> UncertainProblem:
    """Prices, carbon, PV and base load of every site go another way in every scenario."""
    rng = np.random.default_rng(100 + seed)
    share = rng.integers(1, 5, n_scenarios).astype(float)
    scenarios = tuple(
        Scenario(
            f"s{k}",
            float(share[k] / share.sum()),
            tuple(
                another_way(SiteFuture.of(site), rng, step_eur_per_mwh) for site in problem.sites
            ),
        )
        for k in range(n_scenarios)
    )
    return UncertainProblem(problem, scenarios, first_slots, battery_slots, risk or Risk())


def another_way(
    future: SiteFuture, rng: np.random.Generator, step_eur_per_mwh: float
) -> SiteFuture:
    """Walk away from what is expected, slot by slot."""
    n_slots = len(future.base_load_kw)

    def walked(series: tuple[float, ...], step: float) -> tuple[float, ...]:
        values = np.asarray(series) + np.cumsum(rng.normal(0.0, step, n_slots))
        return tuple(np.maximum(values, 1.0).round(3).tolist())

    return replace(
        future,
        import_price_eur_per_mwh=walked(future.import_price_eur_per_mwh, step_eur_per_mwh),
        carbon_g_per_kwh=walked(future.carbon_g_per_kwh, 60.0),
        base_load_kw=walked(future.base_load_kw, 0.3),
        renewable_kw=tuple(walked(plant, 0.7) for plant in future.renewable_kw),
    )


def as_forecast(problem: Problem, first_slots: int = 3) -> UncertainProblem:
    """One scenario, in which all comes as forecast."""
    only = Scenario("forecast", 1.0, tuple(map(SiteFuture.of, problem.sites)))
    return UncertainProblem(problem, (only,), first_slots)
