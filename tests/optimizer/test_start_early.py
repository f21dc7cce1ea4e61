"""No wait that errors do not warrant: noise moves nobody, a strong signal everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from optimizer.explain import explain
from optimizer.jobs import Announced, Pausing, Pin
from optimizer.plan import Plan
from optimizer.problem import Problem
from optimizer.scenarios.early import start_early
from optimizer.scenarios.futures import Scenario, SiteFuture
from optimizer.solving.solve import solve
from optimizer.verify import verify
from tests.optimizer import build
from tests.optimizer.crowd import crowd

N_SLOTS = 24


def day(prices: Sequence[float], *jobs: object, gpus: int = 8, **changes: object) -> Problem:
    """One site for a day at these prices, with six jobs of three hours."""
    here = build.site(
        n_slots=N_SLOTS,
        grid=build.grid(list(prices), n_slots=N_SLOTS),
        pools=(build.pool(gpus=gpus, n_slots=N_SLOTS),),
    )
    made = jobs or tuple(build.job(f"j{k}", 3.0, deadline_slot=N_SLOTS) for k in range(6))
    return build.problem(*made, sites=[here], slots=build.horizon(N_SLOTS), **changes)  # type: ignore[arg-type]


def turning_out(problem: Problem, paths: np.ndarray) -> tuple[Scenario, ...]:
    """Scenarios of equal chance in which prices are these [path, slot], at every site."""
    return tuple(
        Scenario(
            f"path {k}",
            1.0 / len(paths),
            tuple(
                replace(SiteFuture.of(site), import_price_eur_per_mwh=tuple(path.tolist()))
                for site in problem.sites
            ),
        )
        for k, path in enumerate(paths)
    )


def starts(plan: Plan) -> list[int]:
    """First slots, in the order of the jobs."""
    return [placed.start_slot for placed in plan.placements]


@pytest.mark.parametrize("seed", range(5))
def test_nobody_waits_for_noise(seed: int) -> None:
    """Prices that say nothing of what comes make nobody wait, though some look cheaper."""
    rng = np.random.default_rng(seed)
    problem = day(100.0 + 10.0 * rng.normal(size=N_SLOTS))
    plan = solve(problem)
    # What comes has nothing to do with what was said.
    early = start_early(problem, plan, turning_out(problem, 100 + 10 * rng.normal(size=(10, 24))))
    assert max(starts(plan)) > 0
    assert starts(early) == [0] * 6
    assert not verify(problem, early)


@pytest.mark.parametrize("seed", range(5))
def test_everybody_waits_for_a_strong_signal(seed: int) -> None:
    """Where the night is cheaper on every path, all wait for it."""
    rng = np.random.default_rng(seed)
    shape = np.where(np.arange(N_SLOTS) < 16, 120.0, 40.0)
    problem = day(shape)
    plan = solve(problem)
    paths = shape + 10.0 * rng.normal(size=(10, N_SLOTS))
    early = start_early(problem, plan, turning_out(problem, paths))
    assert min(starts(early)) >= 16


def test_error_shared_by_all_hours_takes_no_gain_away() -> None:
    """A level that nobody knows moves both places alike: the wait is as good as it looks."""
    shape = np.where(np.arange(N_SLOTS) < 16, 60.0, 50.0)
    problem = day(shape)
    levels = np.linspace(-45.0, 45.0, 10)[:, None]
    early = start_early(problem, solve(problem), turning_out(problem, shape + levels))
    assert min(starts(early)) >= 16


def test_confidence_says_how_sure_a_gain_must_be() -> None:
    """A gain of one and a half standard errors is worth a wait at k = 1, and not at k = 2."""
    shape = np.where(np.arange(N_SLOTS) < 16, 100.0, 85.0)
    problem = day(shape, build.job(work=1.0, deadline_slot=N_SLOTS))
    swing = np.zeros((2, N_SLOTS))
    swing[0, 16:], swing[1, 16:] = 10.0, -10.0
    plan, futures = solve(problem), turning_out(problem, shape + swing)
    assert starts(start_early(problem, plan, futures, 1.0)) == [16]
    held = start_early(problem, plan, futures, 2.0)
    assert starts(held) == [0]
    (kept,) = held.kept_early
    assert (kept.job, kept.later_slot) == ("job", plan.placements[0].start_slot)
    assert kept.gain_eur == pytest.approx(0.015)
    assert kept.error_eur == pytest.approx(0.010)
    assert held.objective == pytest.approx(plan.objective + 0.015)


def test_ties_at_flat_prices_start_at_once() -> None:
    """Of equal slots the earliest is taken, as far as there are GPUs; the plan costs the same."""
    problem = day([100.0] * N_SLOTS, gpus=2)
    plan = solve(problem)
    early = start_early(problem, plan)
    assert sorted(starts(early)) == [0, 0, 3, 3, 6, 6]
    assert early.objective == pytest.approx(plan.objective)
    assert not verify(problem, early)


def test_ties_in_a_cheap_night_start_at_its_beginning() -> None:
    """Not the first slot of all, but the first of those that are as cheap."""
    problem = day(np.where(np.arange(N_SLOTS) < 12, 100.0, 50.0).tolist())
    early = start_early(problem, solve(problem))
    assert starts(early) == [12] * 6


def test_a_job_stays_where_it_was_announced() -> None:
    """What was announced comes before what is earliest, as long as errors allow."""
    rng = np.random.default_rng(0)
    job = build.job(work=2.0, deadline_slot=N_SLOTS, announced=Announced("A", 7))
    problem = day(100.0 + 10.0 * rng.normal(size=N_SLOTS), job)
    paths = 100.0 + 10.0 * rng.normal(size=(10, N_SLOTS))
    early = start_early(problem, solve(problem), turning_out(problem, paths))
    assert starts(early) == [7]
    assert starts(start_early(problem, early, turning_out(problem, paths))) == [7]


def test_pins_and_jobs_that_wait_for_others_keep_their_order() -> None:
    """A pinned job never moves, and one that comes after another starts when that is done."""
    pinned = build.job("pinned", 2.0, deadline_slot=N_SLOTS, pin=Pin("A/full", 5, 2))
    first = build.job("first", 3.0, deadline_slot=N_SLOTS)
    second = build.job("second", 2.0, deadline_slot=N_SLOTS, after=("first",))
    problem = day([100.0] * N_SLOTS, pinned, first, second)
    early = start_early(problem, solve(problem))
    assert starts(early) == [5, 0, 3]
    assert not verify(problem, early)


def test_a_job_in_pieces_becomes_one_early_piece() -> None:
    """A job that pauses for a gain within its error runs in one piece at once."""
    rng = np.random.default_rng(4)
    job = build.job(work=4.0, deadline_slot=N_SLOTS, pausing=Pausing())
    problem = day(100.0 + 10.0 * rng.normal(size=N_SLOTS), job)
    plan = solve(problem)
    paths = 100.0 + 10.0 * rng.normal(size=(10, N_SLOTS))
    early = start_early(problem, plan, turning_out(problem, paths))
    assert len(plan.placements[0].runs) > 1
    assert [(run.start_slot, run.end_slot) for run in early.placements[0].runs] == [(0, 4)]


def test_what_waiting_avoids_besides_energy_counts() -> None:
    """Lateness, and a peak that running together would raise, are part of what a place costs."""
    peaky = day([100.0] * N_SLOTS, gpus=8)
    site = replace(peaky.sites[0], peaks=(build.peak(n_slots=N_SLOTS),))
    peaky = replace(peaky, sites=(site,))
    plan = solve(peaky)
    early = start_early(peaky, plan)
    assert early.objective == pytest.approx(plan.objective)
    assert max(starts(early)) > 0
    slower = build.job(work=2.0, deadline_slot=N_SLOTS, due_slot=4, lateness_eur_per_slot=1.0)
    dear_day = day(np.where(np.arange(N_SLOTS) < 12, 101.0, 100.0), slower)
    assert starts(start_early(dear_day, solve(dear_day))) == [0]


def test_many_jobs_keep_their_gpus() -> None:
    """Where GPUs are scarce at two sites, what is moved early still fits, and costs no more."""
    problem = crowd()
    plan = solve(problem)
    early = start_early(problem, plan)
    assert not verify(problem, early)
    assert early.objective <= plan.objective * (1.0 + 1e-5)
    assert sum(starts(early)) <= sum(starts(plan))


def test_explanation_says_why_a_job_does_not_wait() -> None:
    """The reason names when it would have started, the gain and its error."""
    shape = np.where(np.arange(N_SLOTS) < 16, 100.0, 85.0)
    problem = day(shape, build.job(work=1.0, deadline_slot=N_SLOTS))
    swing = np.zeros((2, N_SLOTS))
    swing[0, 16:], swing[1, 16:] = 10.0, -10.0
    held = start_early(problem, solve(problem), turning_out(problem, shape + swing), 2.0)
    reason = explain(problem, held, "job").reason
    assert "It does not wait until slot" in reason
    assert "0.015 EUR" in reason
    assert "0.010 EUR" in reason
