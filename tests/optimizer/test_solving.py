"""The hand-off to HiGHS and the ladder of answers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from optimizer import Pausing, Problem, Progress, Rung, SolveLimits, SolverFailed, solve, verify
from optimizer.jobs import Job
from optimizer.master import build_master
from optimizer.solving.exact import set_start
from optimizer.solving.highs import compile_model, run_highs
from tests.optimizer.build import battery, job, peak, point, pool, problem, site
from tests.optimizer.golden_cases import elastic, one_piece, pausable, plant, resumed


def crowded(n_jobs: int = 40) -> Problem:
    """Far more jobs than can be proven optimal in a second: every one may pause."""
    n_slots = 48
    price = [50 + 40 * ((7 * t) % 11 - 5) / 5 for t in range(n_slots)]
    sites = tuple(
        site(
            name,
            n_slots=n_slots,
            price=[level + 3 * k * (t % 3) for t, level in enumerate(price)],
            pools=(pool(gpus=24, n_slots=n_slots),),
            storage=(battery(wear_eur_per_kwh=0.001),),
            peaks=(peak(n_slots=n_slots),),
        )
        for k, name in enumerate(("A", "B"))
    )
    return problem(
        *(_crowded_job(k, n_slots) for k in range(n_jobs)),
        sites=sites,
        slots=type(problem().horizon)(n_slots, 1.0),
    )


def _crowded_job(k: int, n_slots: int) -> Job:
    gpus = 1 + (5 * k) % 7
    points = tuple(point(f"{name}/full", gpus=gpus, power_kw=0.7 * gpus) for name in ("A", "B"))
    return job(
        f"j{k}",
        3.0 + (3 * k) % 8,
        points=points,
        release_slot=k % 9,
        deadline_slot=n_slots - k % 5,
        pausing=Pausing(2, 1, 0.4, 0.05),
    )


def test_an_option_highs_does_not_know_is_an_error() -> None:
    """A misspelt option would otherwise be a limit nobody keeps."""
    form = compile_model(build_master(problem(job())).model)
    with pytest.raises(SolverFailed, match="mip_rel_gapp"):
        run_highs(form, {"mip_rel_gapp": 0.1})


def test_the_relaxation_is_below_the_optimum_and_fixing_gives_it_back() -> None:
    """What the bound and the last clean-up rest on."""
    form = compile_model(build_master(problem(job(), sites=(site(peaks=(peak(),)),))).model)
    whole = run_highs(form, {})
    assert whole.values is not None
    assert run_highs(form.relaxed(), {}).objective <= whole.objective + 1e-9
    again = run_highs(form.fixed_at(whole.values), {})
    assert again.objective == pytest.approx(whole.objective)


@pytest.mark.parametrize("case", [elastic, pausable, resumed, one_piece, plant])
def test_a_plan_given_as_a_start_is_taken_whole(case: Callable[[], Problem]) -> None:
    """Every integer gets a value, and at these values the model costs what the plan does."""
    plan = solve(case(), SolveLimits(mip_gap=0.0))
    master = build_master(case())
    set_start(master, plan)
    form = compile_model(master.model)
    start = form.start_values()
    assert start is not None
    values = np.zeros(len(form.variables))
    values[form.is_integer] = start
    assert run_highs(form.fixed_at(values), {}).objective == pytest.approx(plan.objective)


def test_an_exact_plan_states_its_bound() -> None:
    """Proven: objective and bound are the same within the gap asked for."""
    plan = solve(problem(job()), SolveLimits(mip_gap=0.0))
    assert plan.rung is Rung.EXACT
    assert plan.bound == pytest.approx(plan.objective)
    assert plan.gap == pytest.approx(0.0, abs=1e-9)


def test_the_same_problem_and_seed_give_the_same_plan() -> None:
    """Ties and all: two GPUs, four equal jobs, flat prices."""
    case = problem(*(job(f"j{k}") for k in range(4)), sites=(site(pools=(pool(gpus=2),)),))
    assert solve(case) == solve(case)


def test_slot_prices_are_the_price_of_power_and_of_scarce_gpus() -> None:
    """PUE 1.5 at 100 EUR/MWh; a second job would pay to displace the first."""
    wide = (point(gpus=4),)
    rivals = [job(name, points=wide, deadline_slot=2, unserved_eur=8.0) for name in ("a", "b")]
    prices = solve(problem(*rivals, sites=(site(pue=1.5),))).prices
    assert prices is not None
    assert prices.it_eur_per_kwh[0] == pytest.approx((0.15,) * 8)
    scarce = prices.gpu_eur_per_gpu_hour[0][0]
    assert sum(scarce[:2]) == pytest.approx((8.0 - 2 * 0.15) / 4)
    assert scarce[2:] == (0.0,) * 6


def test_a_solve_out_of_time_gives_its_best_plan_with_a_bound() -> None:
    """Cut off long before the proof: verified, and honest about the gap."""
    case = crowded()
    plan = solve(case, SolveLimits(time_limit_s=3.0, mip_gap=0.0))
    assert plan.rung in {Rung.BEST_FOUND, Rung.GREEDY}
    assert verify(case, plan) == ()
    assert plan.gap is None or plan.gap > 0.0


@pytest.mark.parametrize("phases", [("greedy",), ("build",), ("prove", "search")])
def test_a_solve_is_stopped_by_its_watcher(phases: tuple[str, ...]) -> None:
    """False from ``on_progress`` ends it with the best plan so far, long before its time."""
    case = crowded()
    seen: list[Progress] = []

    def stop(progress: Progress) -> bool:
        seen.append(progress)
        return progress.phase not in phases

    plan = solve(case, SolveLimits(time_limit_s=60.0, mip_gap=0.0), on_progress=stop)
    assert verify(case, plan) == ()
    assert plan.rung is not Rung.EXACT
    assert seen[-1].phase in phases
    assert seen[-1].seconds < 30.0


def test_what_a_watcher_raises_reaches_the_caller() -> None:
    """Not swallowed in HiGHS, and not a crash of the process."""

    def fail(_: Progress) -> bool:
        raise RuntimeError("the lease is lost")

    with pytest.raises(RuntimeError, match="lease"):
        solve(crowded(5), on_progress=fail)


def test_a_fleet_without_jobs_is_planned_too() -> None:
    """No integer is left then: HiGHS solves an LP and reports no MIP bound."""
    plan = solve(problem(sites=(site(storage=(battery(wear_eur_per_kwh=0.01),)),)))
    assert plan.rung is Rung.EXACT
    assert plan.bound == pytest.approx(plan.objective)
