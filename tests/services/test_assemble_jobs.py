"""Jobs as people write them become jobs in slots; hand-computed numbers for every rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.types import GridEventNotice, Window
from optimizer import Announced, InputData, Job, Pin, solve, verify
from scheduler.services.assemble import (
    AnnouncedStart,
    Assembled,
    FleetState,
    JobToPlan,
    PlanWindow,
    assemble,
)
from scheduler.specs import FleetSpec
from tests.services.builders import START, flat_signals, fleet_spec, job_spec, site_spec, window

HOUR = timedelta(hours=1)


def made(
    *jobs: JobToPlan,
    fleet: FleetSpec | None = None,
    span: PlanWindow | None = None,
    now: datetime = START,
    state: FleetState | None = None,
    events: Sequence[GridEventNotice] = (),
) -> Assembled:
    """These jobs over 24 hours from START at 50 EUR/MWh and 200 g/kWh, at 100 EUR/t."""
    fleet = fleet or fleet_spec()
    signals = flat_signals(*(site.name for site in fleet.sites), hours=72)
    return assemble(fleet, jobs, signals, events, span or window(), now=now, state=state)


def to_plan(name: str = "train", left_h: float | None = None, **changes: Any) -> JobToPlan:
    """A job that waits, with all of its work before it."""
    standing = {
        field: changes.pop(field)
        for field in list(changes)
        if field in JobToPlan.__dataclass_fields__
    }
    spec = job_spec(name, **changes)
    return JobToPlan(spec, spec.work_hours if left_h is None else left_h, **standing)


def only(assembled: Assembled) -> Job:
    """The one job of the problem."""
    (job,) = assembled.problem.jobs
    return job


def job(*args: Any, **kwargs: Any) -> Job:
    """A job that waits, in slots."""
    return only(made(to_plan(*args, **kwargs)))


def after(hours: float) -> datetime:
    """So many hours from START."""
    return START + hours * HOUR


PAUSABLE: dict[str, Any] = {"pausing": {"min_run_minutes": 90, "restart_minutes": 20}}


def test_release_rounds_up_and_deadline_rounds_down() -> None:
    """From 01:30 to 05:30: the hours 2, 3 and 4."""
    made_job = job(release_at=after(1.5), deadline_at=after(5.5))
    assert (made_job.release_slot, made_job.deadline_slot) == (2, 5)


def test_quarter_hours_round_to_quarter_hours() -> None:
    """From 01:20 to 05:40 in slots of 15 minutes: 6 to 22."""
    standing = to_plan(release_at=after(1 + 1 / 3), deadline_at=after(5 + 2 / 3))
    made_job = only(made(standing, span=window(96, 15)))
    assert (made_job.release_slot, made_job.deadline_slot) == (6, 22)


def test_a_release_in_the_past_is_now() -> None:
    """Released yesterday: slot 0."""
    assert job(release_at=after(-20)).release_slot == 0


@pytest.mark.parametrize(
    ("deadline", "hours"),
    [
        ("2021-10-31T04:00+01:00", 5),
        ("2021-10-31T02:30+01:00", 3.5),
        ("2021-10-31T02:30+02:00", 2.5),
    ],
)
@pytest.mark.parametrize("minutes", [15, 60])
def test_deadlines_in_local_time_are_instants(deadline: str, hours: float, minutes: int) -> None:
    """Midnight to 04:00 in Berlin is five hours on the night the clocks go back."""
    midnight = datetime(2021, 10, 30, 22, tzinfo=UTC)
    span = PlanWindow(midnight, minutes, 12 * 60 // minutes)
    standing = to_plan(release_at=midnight, deadline_at=deadline)
    signals = flat_signals(start=midnight)
    (made_job,) = assemble(fleet_spec(), [standing], signals, (), span, now=midnight).problem.jobs
    assert made_job.deadline_slot == int(hours * 60 // minutes)


def test_the_night_an_hour_is_skipped_is_an_hour_shorter() -> None:
    """Midnight to 04:00 in Berlin on 2021-03-28 is three hours; in New York on 03-14 as well."""
    for start, deadline in (
        (datetime(2021, 3, 27, 23, tzinfo=UTC), "2021-03-28T04:00+02:00"),
        (datetime(2021, 3, 14, 5, tzinfo=UTC), "2021-03-14T04:00-04:00"),
    ):
        standing = to_plan(release_at=start, deadline_at=deadline)
        signals = flat_signals(start=start)
        span = window(24, 60, start)
        (made_job,) = assemble(fleet_spec(), [standing], signals, (), span, now=start).problem.jobs
        assert made_job.deadline_slot == 3


def test_points_expand_to_the_sites_that_have_the_pool() -> None:
    """FR has no A100; its H100 is as fast as stated."""
    fleet = fleet_spec(
        site_spec(), site_spec("FR", pools=[{"name": "h100", "gpus": 2}]), site_spec("PL")
    )
    points = [
        {"pool": "a100", "gpus": 4, "kw": 2.0},
        {"pool": "h100", "gpus": 1, "kw": 0.7, "speed": 1.5, "power_cap_w": 500},
    ]
    made_job = only(made(to_plan(operating_points=points), fleet=fleet))
    assert [point.name for point in made_job.points] == ["DE/a100x4", "FR/h100x1@500W", "PL/a100x4"]
    fast = made_job.point("FR/h100x1@500W")
    assert (fast.site, fast.pool, fast.gpus) == ("FR", "h100", 1)
    assert (fast.power_kw, fast.work_per_hour) == (0.7, 1.5)
    there = only(made(to_plan(operating_points=points, sites=["PL"]), fleet=fleet))
    assert there.sites == ("PL",)


def test_a_job_without_a_pool_is_left_out_by_name() -> None:
    """The mark says which pool and where it was looked for."""
    points = [{"pool": "tpu", "gpus": 1, "kw": 1}]
    assembled = made(to_plan(operating_points=points), to_plan("other"))
    assert [each.name for each in assembled.problem.jobs] == ["other"]
    assert assembled.marks == ("job train: left out, no pool tpu at any site",)


def test_value_is_stated_or_by_gpu_hours() -> None:
    """10 h of work at double speed on 4 GPUs are 20 GPU-hours at 20 EUR."""
    points = [{"pool": "a100", "gpus": 4, "kw": 2.0, "speed": 2.0}]
    assert job(work_hours=10, operating_points=points).unserved_eur == 400
    assert job(value_eur=7).unserved_eur == 7


def test_lateness_pauses_and_priority_in_slots() -> None:
    """8 EUR/h are 2 EUR per quarter hour; 90 minutes are 6 quarters, 20 minutes of restart 2."""
    standing = to_plan(
        due_at=after(3.1), lateness_eur_per_hour=8, priority="high", is_elastic=True, **PAUSABLE
    )
    made_job = only(made(standing, span=window(96, 15)))
    assert (made_job.due_slot, made_job.lateness_eur_per_slot) == (12, 2)
    assert made_job.pausing is not None
    assert (made_job.pausing.min_run_slots, made_job.pausing.restart_slots) == (6, 2)
    assert (made_job.priority, made_job.is_elastic) == (4.0, True)


def test_a_paused_job_keeps_its_site_and_its_pauses_count() -> None:
    """Of three pauses one is left; its next start is a restart."""
    fleet = fleet_spec(site_spec(), site_spec("FR"))
    standing = to_plan(
        left_h=1.5,
        site="FR",
        had_started=True,
        pauses_made=2,
        pausing={"max_pauses": 3},
    )
    made_job = only(made(standing, fleet=fleet))
    assert made_job.sites == ("FR",)
    assert (made_job.had_started, made_job.pin, made_job.work) == (True, None, 1.5)
    assert made_job.pausing is not None
    assert made_job.pausing.max_pauses == 1


MANY_POINTS = [
    {"pool": "a100", "gpus": 1, "kw": 1.0, "batch_size": 8},
    {"pool": "a100", "gpus": 1, "kw": 1.0, "speed": 1.2, "batch_size": 32},
    {"pool": "a100", "gpus": 1, "kw": 0.6, "speed": 0.9, "batch_size": 32, "power_cap_w": 200},
    {"pool": "a100", "gpus": 2, "kw": 2.0, "speed": 1.8, "batch_size": 32},
]


@pytest.mark.parametrize(
    ("how", "begun_at", "offered"),
    [
        ({}, None, [0, 1, 2, 3]),
        ({}, "a100x1/b32", [0, 1, 2, 3]),
        ({"is_elastic": True}, None, [0, 3]),
        ({"is_elastic": True}, "a100x1/b32", [1, 2, 3]),
        ({"suspend_by": "freeze"}, None, [0, 1, 2, 3]),
        ({"suspend_by": "freeze"}, "a100x1/b32", [1, 2]),
        ({"suspend_by": "freeze", "is_elastic": True}, None, [0]),
        ({"suspend_by": "freeze", "is_elastic": True}, "a100x1/b32", [1, 2]),
    ],
)
def test_a_plan_is_offered_the_points_that_dispatch_can_bring_about(
    how: dict[str, Any], begun_at: str | None, offered: list[int]
) -> None:
    """Another batch size or other GPUs take a restart, and a frozen job has none."""
    standing = to_plan(
        site="DE",
        point=begun_at,
        had_started=begun_at is not None,
        operating_points=MANY_POINTS,
        **how,
        **PAUSABLE,
    )
    expected = [standing.spec.operating_points[index].name for index in offered]
    assert [point.name for point in only(made(standing)).points] == [f"DE/{n}" for n in expected]


def running(left_h: float, **changes: Any) -> JobToPlan:
    """A job that runs at DE."""
    return to_plan(
        left_h=left_h, site="DE", point="a100x1", is_running=True, had_started=True, **changes
    )


def test_a_running_contiguous_job_is_pinned_to_its_end() -> None:
    """2.5 h are left: three slots."""
    made_job = only(made(running(2.5)))
    assert made_job.pin == Pin("DE/a100x1", 0, 3, is_running=True)
    assert (made_job.release_slot, made_job.had_started) == (0, False)


CAPS = [
    {"pool": "a100", "gpus": 1, "kw": 1.0},
    {"pool": "a100", "gpus": 1, "kw": 0.9, "speed": 0.8, "power_cap_w": 250.0},
]


def test_a_running_contiguous_job_may_be_told_another_cap() -> None:
    """It is pinned in the first slot alone, and runs on; without another cap it has no choice."""
    capped = running(2.5, operating_points=CAPS, is_elastic=True)
    assert only(made(capped)).pin == Pin("DE/a100x1", 0, 1, is_running=True)
    kept = running(2.5, operating_points=CAPS)
    assert only(made(kept)).pin == Pin("DE/a100x1", 0, 3, is_running=True)
    others = [CAPS[0], {"pool": "a100", "gpus": 2, "kw": 2.0, "speed": 2.0}]
    restarted = running(2.5, operating_points=others, is_elastic=True)
    assert only(made(restarted)).pin == Pin("DE/a100x1", 0, 3, is_running=True)


def test_a_running_contiguous_job_is_slowed_down_for_a_call_from_the_grid() -> None:
    """From the second slot on, and runs longer for it."""
    job = running(4.5, operating_points=CAPS, is_elastic=True, deadline_at=after(12))
    call = GridEventNotice("call", "DE", Window(after(1), after(3)), 0.95, 100.0)
    problem = made(job, events=[call]).problem
    plan = solve(problem)
    (placed,) = plan.placements
    points = [point.removeprefix("DE/") for _, point in placed.slots()]
    assert points == ["a100x1", "a100x1@250W", "a100x1@250W", "a100x1", "a100x1"]
    assert (verify(problem, plan), plan.violations) == ((), ())


def test_a_running_pausable_job_is_pinned_for_the_rest_of_its_minimum_run() -> None:
    """Begun an hour ago with a minimum of three: two slots; with no minimum left: one."""
    held = running(8, running_since=after(-1), pausing={"min_run_minutes": 180})
    assert only(made(held)).pin == Pin("DE/a100x1", 0, 2, is_running=True)
    free = running(8, running_since=after(-5), pausing={"min_run_minutes": 180})
    assert only(made(free)).pin == Pin("DE/a100x1", 0, 1, is_running=True)


def test_what_runs_until_the_window_begins_is_done_by_then() -> None:
    """Half an hour before START with 2.5 h left: two hours at START; with 0.4 h left it is over."""
    now = after(-0.5)
    assert only(made(running(2.5), now=now)).work == 2.0
    soon = made(running(0.4), to_plan("next", after=["train"]), now=now)
    assert only(soon).after == ()
    assert soon.marks == (
        "job train: left out, it is expected to be done before the window begins",
    )


def test_a_job_once_begun_is_finished_past_its_deadline() -> None:
    """Three hours are left and two to the deadline: it may take three."""
    made_job = only(made(running(3, deadline_at=after(2))))
    assert made_job.deadline_slot == 3
    assert only(made(running(0.0))).pin == Pin("DE/a100x1", 0, 1, is_running=True)


def test_an_announced_start_is_remembered() -> None:
    """What the plan in force said, where it lies in the window."""
    standing = to_plan(announced=AnnouncedStart("DE", after(5), "a100x1"))
    assert only(made(standing)).announced == Announced("DE", 5)
    missed = to_plan(announced=AnnouncedStart("DE", after(-1), "a100x1"))
    assert only(made(missed)).announced is None


def test_a_start_within_the_freeze_is_pinned() -> None:
    """With 90 minutes of freeze the start in an hour stands, the one in two hours does not."""
    fleet = fleet_spec(planning={"freeze_minutes": 90})
    near = to_plan(announced=AnnouncedStart("DE", after(1), "a100x1"))
    assert only(made(near, fleet=fleet)).pin == Pin("DE/a100x1", 1, 1)
    far = to_plan(announced=AnnouncedStart("DE", after(2), "a100x1"))
    assert only(made(far, fleet=fleet)).pin is None


def test_data_of_a_frozen_start_is_on_its_way_already() -> None:
    """Moving it takes two hours, the start is in one: there is nothing left to plan of it."""
    link = {"from_site": "FR", "to_site": "DE", "gb_per_hour": 10}
    fleet = fleet_spec(site_spec(), site_spec("FR"), planning={"freeze_minutes": 240}, links=[link])
    data = {"site": "FR", "size_gb": 20}
    near = to_plan(announced=AnnouncedStart("DE", after(1), "a100x1"), data=data)
    assert only(made(near, fleet=fleet)).data is None
    far = to_plan(announced=AnnouncedStart("DE", after(3), "a100x1"), data=data)
    assert only(made(far, fleet=fleet)).data is not None


def test_a_frozen_start_does_not_hold_where_its_data_comes_too_late() -> None:
    """What moves it is followed: nothing is known to be under way that is not on record."""
    link = {"from_site": "FR", "to_site": "DE", "gb_per_hour": 10}
    fleet = fleet_spec(site_spec(), site_spec("FR"), planning={"freeze_minutes": 240}, links=[link])
    data = {"site": "FR", "size_gb": 20, "command": ["rsync"]}
    near = to_plan(announced=AnnouncedStart("DE", after(1), "a100x1"), data=data)
    late = only(made(near, fleet=fleet))
    assert (late.pin, late.announced) == (None, Announced("DE", 1))
    assert late.data == InputData("FR", 20.0)
    half = only(made(replace(near, data_left_gb={"DE": 10.0}), fleet=fleet))
    assert half.pin == Pin("DE/a100x1", 1, 1)
    assert half.data == InputData("FR", 20.0, (("DE", 10.0),))


def test_what_is_left_to_move_to_a_site_that_is_no_more_is_forgotten() -> None:
    """The fleet has changed since; its data lies where it lay."""
    data = {"site": "DE", "size_gb": 20, "command": ["rsync"]}
    standing = replace(to_plan(data=data), data_left_gb={"GONE": 0.0})
    assert only(made(standing)).data == InputData("DE", 20.0)


def test_predecessors_that_succeeded_are_dropped() -> None:
    """Only the one still to come is waited for."""
    state = FleetState(succeeded=frozenset({"done"}))
    assembled = made(to_plan(), to_plan("b", after=["done", "train"]), state=state)
    assert assembled.problem.jobs[1].after == ("train",)


def test_jobs_behind_one_that_failed_are_left_out_down_the_chain() -> None:
    """B waits for a failed job, c for b."""
    state = FleetState(failed=frozenset({"a"}))
    assembled = made(to_plan("c", after=["b"]), to_plan("b", after=["a"]), state=state)
    assert assembled.problem.jobs == ()
    assert assembled.marks == (
        "job b: left out, its predecessor a did not succeed",
        "job c: left out, its predecessor b is not in the plan",
    )


def test_data_at_a_site_that_is_none_leaves_the_job_out() -> None:
    """There is no link from nowhere."""
    assembled = made(to_plan(data={"site": "XX", "size_gb": 1}))
    assert assembled.marks == (
        "job train: left out, its data lies at XX, which is no site of the fleet",
    )


def test_a_job_released_after_the_window_is_left_out() -> None:
    """It has the next window."""
    assembled = made(to_plan(release_at=after(24), deadline_at=after(40)))
    assert assembled.marks == ("job train: left out, it is released after the window's end",)
