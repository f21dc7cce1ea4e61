"""The cheapest placement of one job, against every placement the rules allow."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from optimizer.jobs import Announced, InputData, Job, Pausing, Pin
from optimizer.pieces import links_of
from optimizer.placements.pausing import costs_to_go
from optimizer.placements.priced import EnergyAtPrices, Offer, Priced, Window, cheapest
from optimizer.placements.slot_costs import WayCosts, way_to_run
from optimizer.plan import Placement, Plan, Run
from optimizer.problem import Link, Problem, Weights
from optimizer.settlement import it_load_kw, settle
from optimizer.verify_jobs import job_breaches
from tests.optimizer import build

N = 6
SITES = ("A", "B")


def offer_of(problem: Problem, it_prices: np.ndarray, gpu_prices: np.ndarray) -> Offer:
    """Every GPU of the problem is free; prices are [site, slot]."""
    rows = list(enumerate(problem.sites))
    return Offer(
        EnergyAtPrices(it_prices, problem.horizon.slot_hours),
        {(site.name, "gpu"): gpu_prices[row] for row, site in rows},
        {(site.name, "gpu"): np.asarray(site.pools[0].gpus) for _, site in rows},
        links_of(problem),
    )


def all_placements(job: Job) -> Iterator[Placement]:
    """Every set of slots at every single point, lawful or not."""
    for point in job.points:
        for is_on in itertools.product((False, True), repeat=N):
            runs: list[Run] = []
            for slot in np.flatnonzero(is_on):
                if runs and runs[-1].end_slot == slot:
                    runs[-1] = Run(point.name, runs[-1].start_slot, int(slot) + 1)
                else:
                    runs.append(Run(point.name, int(slot), int(slot) + 1))
            if runs:
                yield Placement(job.name, point.site, tuple(runs))


def is_lawful(problem: Problem, nobody: Plan, placement: Placement) -> bool:
    """Whether verification accepts the placement in place of ``nobody`` being served."""
    return not job_breaches(problem, replace(nobody, placements=(placement,)))


def cost(problem: Problem, placement: Placement, offer: Offer, it_prices: np.ndarray) -> float:
    """Energy at prices by the settlement's own load, GPU-hours, and the job's own terms."""
    extra_kw = it_load_kw(problem, [placement]) - it_load_kw(problem, ())
    hours = problem.horizon.slot_hours
    gpu_eur = sum(
        offer.gpu_eur_per_gpu_hour[placement.site, "gpu"][slot]
        * problem.jobs[0].point(name).gpus
        * hours
        for slot, name in placement.slots()
    )
    nothing = [build.flows(name, N) for name in SITES]
    own = settle(problem, [placement], nothing).objective
    return float((extra_kw * it_prices).sum() * hours + gpu_eur + own)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Problem, list[list[float]]]:
    """One job of one site-bound point or more, with every rule a placement can have."""
    names = st.sampled_from(["A/full", "A/slow", "A/steady", "B/full"])
    points = draw(st.sets(names, min_size=1).map(sorted))
    made = {
        "A/full": build.point("A/full", gpus=2, work_per_hour=1.0, power_kw=3.0),
        "A/slow": build.point("A/slow", gpus=2, work_per_hour=0.5, power_kw=1.0),
        "A/steady": build.point("A/steady", gpus=2, work_per_hour=0.75, power_kw=2.0),
        "B/full": build.point("B/full", gpus=1, work_per_hour=0.75, power_kw=2.0),
    }
    pausing = draw(
        st.none()
        | st.builds(
            Pausing,
            min_run_slots=st.integers(1, 3),
            restart_slots=st.integers(0, 1),
            restart_kwh=st.sampled_from([0.0, 2.0]),
            restart_eur=st.sampled_from([0.0, 1.0]),
            max_pauses=st.none() | st.integers(0, 2),
        )
    )
    pin = draw(
        st.none()
        | st.builds(Pin, st.sampled_from(points), st.just(0), st.integers(1, 4), st.booleans())
        | st.builds(Pin, st.sampled_from(points), st.integers(0, 3), st.integers(1, 4))
    )
    job = build.job(
        "job",
        draw(st.sampled_from([0.5, 1.0, 1.7, 2.0, 3.0])),
        points=tuple(made[name] for name in points),
        release_slot=draw(st.integers(0, 1)),
        deadline_slot=draw(st.integers(N - 1, N + 1)),
        due_slot=draw(st.none() | st.integers(2, 5)),
        lateness_eur_per_slot=0.7,
        pausing=pausing,
        data=draw(st.none() | st.just(InputData("A", 2.0))),
        announced=draw(st.none() | st.builds(Announced, st.sampled_from(SITES), st.integers(0, N))),
        had_started=pausing is not None and draw(st.booleans()),
        pin=pin,
    )
    gpus = st.lists(st.sampled_from([2, 2, 2, 2, 0]), min_size=N, max_size=N)
    sites = [
        build.site(
            name,
            n_slots=N,
            grid=build.grid(n_slots=N),
            pools=(build.pool(gpus=draw(gpus), idle_kw_per_gpu=0.2, n_slots=N),),
        )
        for name in SITES
    ]
    problem = build.problem(
        job,
        sites=sites,
        slots=build.horizon(N),
        links=draw(st.sampled_from([(), (Link("A", "B", 1.5, eur_per_gb=0.4, kwh_per_gb=1.0),)])),
        weights=Weights(churn_eur_per_job=0.9, restarts=2.0, lateness=1.5, data_transfer=0.5),
    )
    prices = st.lists(st.sampled_from([-0.5, 0.0, 0.1, 0.35, 1.0, 2.0]), min_size=N, max_size=N)
    return problem, [draw(prices), draw(prices)]


def one_job(job: Job, prices: list[float]) -> tuple[Problem, list[list[float]]]:
    """``job`` at site A alone, free to use any slot."""
    sites = [build.site(name, n_slots=N, grid=build.grid(n_slots=N)) for name in SITES]
    return build.problem(job, sites=sites, slots=build.horizon(N)), [prices, prices]


@settings(max_examples=100, deadline=None)
@given(cases())
@example(  # A pause pays, although it adds a slot; pieces last two.
    one_job(
        build.job(work=3.0, deadline_slot=N, pausing=Pausing(min_run_slots=2, restart_slots=1)),
        [0.0, 0.0, 9.0, 9.0, 0.0, 0.0],
    )
)
@example(  # Paid to burn: restarting without a gap would add slots, and is not a restart.
    one_job(build.job(work=2.0, deadline_slot=N, pausing=Pausing(restart_slots=1)), [-1.0] * N)
)
def test_nothing_the_rules_allow_is_cheaper(case: tuple[Problem, list[list[float]]]) -> None:
    """Window sums and the dynamic programme find the optimum of exhaustive enumeration."""
    problem, prices = case
    it_prices = np.array(prices)
    offer = offer_of(problem, it_prices, 0.1 * np.abs(it_prices[::-1]))
    nobody = build.plan_of(replace(problem, jobs=()))
    lawful = [p for p in all_placements(problem.jobs[0]) if is_lawful(problem, nobody, p)]
    best = min((cost(problem, p, offer, it_prices) for p in lawful), default=None)
    found = cheapest(problem, problem.jobs[0], offer)
    if best is None:
        assert found is None
        return
    assert found is not None
    assert is_lawful(problem, nobody, found.placement)
    assert found.cost_eur == pytest.approx(best, abs=1e-9)
    assert cost(problem, found.placement, offer, it_prices) == pytest.approx(best, abs=1e-9)


def find(job: Job, prices: list[float], window: Window | None = None) -> Priced | None:
    """The cheapest placement at site A at these prices."""
    problem = build.problem(job)
    it_prices = np.array([prices])
    return cheapest(problem, job, offer_of(problem, it_prices, np.zeros((1, 8))), window)


def test_a_job_in_one_piece_takes_the_cheapest_window() -> None:
    """Three hours at 1 kW: slots 2 to 4 cost 1 + 2 + 1 EUR."""
    found = find(build.job(work=3.0), [5, 4, 1, 2, 1, 6, 3, 3])
    assert found == Priced(build.placed("job", ("A/full", 2, 5)), 4.0)


def test_a_pausable_job_skips_the_dear_slot_only_if_the_restart_is_worth_it() -> None:
    """Skipping slot 1 saves 4 EUR: worth it for a restart of 3, not for one of 5."""
    prices = [1.0, 5.0, 1.0, 9.0, 9.0, 9.0, 9.0, 9.0]
    cheap = find(build.job(pausing=Pausing(restart_eur=3.0)), prices)
    dear = find(build.job(pausing=Pausing(restart_eur=5.0)), prices)
    assert cheap == Priced(build.placed("job", ("A/full", 0, 1), ("A/full", 2, 3)), 5.0)
    assert dear == Priced(build.placed("job", ("A/full", 0, 2)), 6.0)


def test_a_window_narrows_release_and_deadline() -> None:
    """Within [4, 7) only two starts are left."""
    found = find(build.job(), [0, 0, 0, 0, 3, 2, 1, 0], Window(4, 7))
    assert found == Priced(build.placed("job", ("A/full", 5, 7)), 3.0)
    assert find(build.job(work=4.0), [0.0] * 8, Window(4, 7)) is None


def long_way(work: float, max_pauses: int | None) -> tuple[Problem, Offer, WayCosts]:
    """A day in slots of five minutes at prices that swing, at the slower point of two."""
    n_slots = 288
    prices = 1.0 + np.sin(np.arange(n_slots) / 5.0)
    job = build.job(
        work=work,
        points=(build.point("A/full", work_per_hour=12.0), build.point("A/slow", work_per_hour=9)),
        deadline_slot=n_slots,
        pausing=Pausing(restart_slots=1, max_pauses=max_pauses),
    )
    slots = build.horizon(n_slots, 1 / 12)
    problem = build.problem(job, sites=[build.site(n_slots=n_slots)], slots=slots)
    offer = offer_of(problem, prices[None, :], np.zeros((1, n_slots)))
    way = way_to_run(problem, job, job.point("A/slow"), offer, None)
    assert way is not None
    return problem, offer, way


def test_what_pauses_add_is_counted_by_its_period() -> None:
    """A restart loses a slot of the faster point, 4/3 of the slower: 2, 1, 1 and again."""
    _, _, way = long_way(90.0, None)
    assert (way.rhythm.pause_slots, way.rhythm.is_limited) == ((2, 1, 1), False)
    assert costs_to_go(way).running.shape[2] == 3


def test_no_more_pauses_are_counted_than_the_work_allows() -> None:
    """Ten work are 14 slots: pieces of two, and 4/3 more for each, are at most 20."""
    _, _, way = long_way(10.0, 90)
    assert way.rhythm.is_limited
    assert len(way.rhythm.pause_slots) < 25


def test_counting_by_period_finds_what_counting_every_pause_finds() -> None:
    """A limit that never binds makes no difference."""
    for work in (9.5, 31.0, 90.0):
        free, offer, _ = long_way(work, None)
        limited, _, _ = long_way(work, 60)
        found = cheapest(free, free.jobs[0], offer)
        other = cheapest(limited, limited.jobs[0], offer)
        assert found is not None
        assert other is not None
        assert found.cost_eur == pytest.approx(other.cost_eur)
