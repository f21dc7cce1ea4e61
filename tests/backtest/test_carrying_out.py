"""What becomes of a plan in a world where jobs take as long as they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from optimizer import Placement, Run, Unserved, dispatch, settled_plan
from optimizer import Rung as _Rung
from scheduler.backtest.carrying_out import carry_out
from scheduler.backtest.replay import first_state, inputs_at
from scheduler.backtest.world import Past, Scene, TrueJob, World
from scheduler.db.models import JobStatus
from scheduler.services.documents import make_document
from scheduler.services.plan_document import PlanDocument
from scheduler.services.window import PlanWindow
from tests.backtest.small import GPUS, HOURS, as_if_known, job, played, policy, scene, truth
from tests.services.builders import START

T0 = timedelta(0)
ALL_GPUS = [{"pool": "a100", "gpus": GPUS, "kw": 1.0 * GPUS}]
PAUSING = {"restart_minutes": 15.0}


def at(hours: float) -> timedelta:
    """So many hours."""
    return timedelta(hours=hours)


def document(day: Scene, *placements: Placement, charge_kw: float = 0.0) -> PlanDocument:
    """A plan of the day with these placements, whose battery is told ``charge_kw`` all day."""
    rules = policy(as_if_known(truth()), lead=T0)
    window = PlanWindow(START, 60, HOURS)
    inputs = inputs_at(first_state(day, rules), day, rules, window)
    assembled = inputs.assemble()
    problem = assembled.problem
    placed = {placement.job for placement in placements}
    left = [Unserved(it.name, "") for it in problem.jobs if it.name not in placed]
    flows = dispatch(problem, placements, {})
    told = (max(0.0, charge_kw),) * HOURS, (max(0.0, -charge_kw),) * HOURS
    flows = tuple(
        replace(flow, charge_kw=told[:1], discharge_kw=told[1:]) if flow.charge_kw else flow
        for flow in flows
    )
    plan = settled_plan(problem, _Rung.GREEDY, placements, left, flows)
    return make_document(day.fleet, assembled, plan, plan, START)


def placed(name: str, *runs: tuple[int, int], gpus: int = 1) -> Placement:
    """Runs at DE in these slots."""
    point = f"DE/a100x{gpus}"
    return Placement(name, "DE", tuple(Run(point, start, end) for start, end in runs))


def carried(
    jobs: Sequence[TrueJob], *placements: Placement, until: float = HOURS
) -> tuple[World, Past]:
    """What comes of a plan from START on."""
    day = scene(jobs)
    world = first_state(day, policy(as_if_known(truth()), lead=T0)).world
    return carry_out(world, document(day, *placements), START + at(until), day)


def spans(past: Past, name: str) -> list[tuple[float, float]]:
    """When a job ran [h from START]."""
    return [
        ((run.start_at - START) / at(1), (run.end_at - START) / at(1))
        for run in past.runs
        if run.job == name
    ]


def test_a_job_is_done_when_its_true_work_is() -> None:
    """It was planned for three hours, and takes an hour and a quarter."""
    _, past = carried([job("short", 1.25, stated_hours=3.0)], placed("short", (2, 5)))
    assert spans(past, "short") == [(2.0, 3.25)]
    assert past.ends[0].status is JobStatus.SUCCEEDED


def test_a_job_longer_than_stated_goes_on() -> None:
    """Nobody stops a job that ought to be done and is not."""
    _, past = carried([job("long", 4.0, stated_hours=2.0)], placed("long", (1, 3)))
    assert spans(past, "long") == [(1.0, 5.0)]


def test_who_finds_no_free_gpus_waits_for_them_and_starts_late() -> None:
    """The job before it runs on; GPUs are never given twice."""
    whole = {"operating_points": ALL_GPUS}
    jobs = [job("first", 3.5, stated_hours=2.0, **whole), job("second", 2.0, **whole)]
    plan = placed("first", (0, 2), gpus=GPUS), placed("second", (2, 4), gpus=GPUS)
    _, past = carried(jobs, *plan)
    assert spans(past, "first") == [(0.0, 3.5)]
    assert spans(past, "second") == [(3.5, 5.5)]


def test_gpus_that_are_free_early_wait_for_whom_the_plan_wants_there() -> None:
    """The next start is moved up by the next plan only."""
    whole = {"operating_points": ALL_GPUS}
    jobs = [job("first", 1.0, stated_hours=2.0, **whole), job("second", 2.0, **whole)]
    plan = placed("first", (0, 2), gpus=GPUS), placed("second", (2, 4), gpus=GPUS)
    _, past = carried(jobs, *plan)
    assert spans(past, "second") == [(2.0, 4.0)]


def test_a_pause_is_made_as_planned_and_a_restart_takes_its_time() -> None:
    """Two hours of work, a quarter of an hour to load anew."""
    _, past = carried([job("paused", 2.0, pausing=PAUSING)], placed("paused", (0, 1), (3, 6)))
    assert spans(past, "paused") == [(0.0, 1.0), (3.0, 4.25)]


def test_a_job_no_plan_knows_starts_when_it_must() -> None:
    """At its latest safe start, less the quarter of an hour that dispatch is early."""
    _, past = carried([job("new", 2.0)])
    assert spans(past, "new") == [(HOURS - 2.25, HOURS - 0.25)]


def test_a_job_never_runs_before_it_has_come() -> None:
    """Although the plan, made up here, wants it to."""
    late = job("late", 2.0, release_at=START + at(1.5))
    early = carried([job("late", 2.0)], placed("late", (0, 2)))
    assert spans(early[1], "late") == [(0.0, 2.0)]
    day = scene([late])
    plan = document(scene([job("late", 2.0)]), placed("late", (0, 2)))
    world = first_state(day, policy(as_if_known(truth()), lead=T0)).world
    _, past = carry_out(world, plan, START + at(6), day)
    assert spans(past, "late") == [(1.5, 3.5)]


def test_time_may_pass_in_pieces() -> None:
    """Who looks in between finds the same past."""
    jobs = [job("a", 2.5, stated_hours=3.0), job("b", 3.0, pausing=PAUSING)]
    plan = placed("a", (0, 3)), placed("b", (1, 2), (4, 7))
    day = scene(jobs)
    whole = carried(jobs, *plan, until=8)
    world = first_state(day, policy(as_if_known(truth()), lead=T0)).world
    pasts = []
    for hours in (0.5, 1.25, 4.0, 8.0):
        world, past = carry_out(world, document(day, *plan), START + at(hours), day)
        pasts.append(past)
    assert [run for past in pasts for run in past.runs] == list(whole[1].runs)
    assert world == whole[0]


@pytest.mark.parametrize(
    ("told_kw", "end_kwh"), [(2.0, 4.0), (-2.0, 0.0), (0.05, 2.0 + 24 * 0.05 * 0.95)]
)
def test_a_battery_follows_until_it_is_full_or_empty(told_kw: float, end_kwh: float) -> None:
    """It holds 4 kWh and begins with 2."""
    day = scene([])
    world = first_state(day, policy(as_if_known(truth()), lead=T0)).world
    world, past = carry_out(world, document(day, charge_kw=told_kw), day.end, day)
    (charge,) = world.charges
    assert charge.kwh == pytest.approx(end_kwh, abs=1e-9)
    (power,) = past.powers
    stored = sum(power.charge_kw) * 0.95 / 12 - sum(power.discharge_kw) / 0.95 / 12
    assert 2.0 + stored == pytest.approx(end_kwh, abs=1e-9)


def test_an_announced_start_within_the_freeze_holds() -> None:
    """Prices turn around between two plans; who was to start within an hour starts then."""
    dear, cheap = truth(0), truth(0)
    is_price = dear["kind"] == "price"
    hour = (dear["start_at"] - dear["start_at"].min()).dt.total_seconds() / 3600
    dear.loc[is_price, "value"] = 100.0 - 90.0 * ((hour >= 6) & (hour < 9))
    cheap.loc[is_price, "value"] = 100.0 - 90.0 * (hour >= 12)

    def knows(_window: object, now: object) -> object:
        return dear if now == START else cheap

    def start_of(freeze_minutes: int) -> float:
        frozen = scene([job("train", 3.0)], freeze_minutes=freeze_minutes)
        _, past, _ = played(frozen, policy(knows, 6, lead=T0))
        return spans(past, "train")[0][0]

    assert start_of(60) == 6.0
    assert start_of(0) >= 12.0
