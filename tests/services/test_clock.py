"""The clock: every local day once, rolling replans, and whatever was missed."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from scheduler.clock import Clock, queue_owed
from scheduler.db.models import PlanningRun
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import fleet as fleets
from scheduler.services.planning_queue import claim_run
from scheduler.services.triggers import daily_firing, owed
from scheduler.specs import FleetSpec
from scheduler.specs.fleet import PlanningSpec, TriggerSpec
from tests.services.builders import fleet_spec, site_spec

LONGER = PlanningSpec(horizon_hours=72)


def fleet(**trigger: object) -> FleetSpec:
    """One group, planned daily at 13:30 in Berlin."""
    values = {"group": "europe", "time_zone": "Europe/Berlin", "local_time": "13:30"} | trigger
    return fleet_spec(site_spec(group="europe"), triggers=[values])


def keys(sessions: SessionFactory) -> list[str]:
    """What is queued."""
    with transaction(sessions) as session:
        return list(session.scalars(select(PlanningRun.trigger_key).order_by("trigger_key")))


def at(text: str) -> datetime:
    """An instant."""
    return datetime.fromisoformat(text)


def owed_key(spec: FleetSpec, instant: str) -> str:
    """The key of the run that is owed."""
    request = owed(spec, at(instant))
    assert request is not None
    return request.trigger_key


def put(sessions: SessionFactory, spec: FleetSpec) -> None:
    """Put a fleet in force."""
    with transaction(sessions) as session:
        fleets.replace_fleet(session, spec, "test", datetime(2021, 1, 1, tzinfo=UTC))


def test_the_days_run_is_due_from_its_local_time_on() -> None:
    """13:30 in Berlin is 11:30 UTC in July and 12:30 in January; before it, it is yesterday's."""
    trigger = fleet().triggers[0]
    for instant, day in (
        ("2021-07-05T11:29+00:00", "2021-07-04"),
        ("2021-07-05T11:30+00:00", "2021-07-05"),
        ("2021-01-05T12:29+00:00", "2021-01-04"),
        ("2021-01-05T12:30+00:00", "2021-01-05"),
        ("2021-07-05T22:30+00:00", "2021-07-05"),
    ):
        assert daily_firing(trigger, at(instant)).trigger_key == f"daily/europe/{day}"


def test_every_local_day_has_one_run_through_both_clock_changes() -> None:
    """Looked at every quarter of an hour for a year, there is a key for each day of it."""
    start = datetime(2021, 1, 1, 12, 30, tzinfo=UTC)
    for zone in ("Europe/Berlin", "America/New_York"):
        for local_time in ("01:30", "03:30", "13:30"):
            trigger = TriggerSpec(group="g", time_zone=zone, local_time=local_time)
            quarters = (start + timedelta(minutes=15 * step) for step in range(365 * 96))
            days = {daily_firing(trigger, instant).trigger_key for instant in quarters}
            assert len(days) in {365, 366}


def test_a_rolling_replan_is_named_by_its_instant() -> None:
    """Every 30 minutes; until the first one of the day is due, the daily run stands for all."""
    spec = fleet(replan_minutes=30)
    for instant, key in (
        ("2021-07-05T11:29+00:00", "rolling/2021-07-05T11:00Z"),
        ("2021-07-05T11:30+00:00", "daily/europe/2021-07-05"),
        ("2021-07-05T11:59+00:00", "daily/europe/2021-07-05"),
        ("2021-07-05T12:00+00:00", "rolling/2021-07-05T12:00Z"),
    ):
        assert owed_key(spec, instant) == key


def test_groups_of_one_instant_make_one_run() -> None:
    """A run plans the whole fleet: two groups that are due at once ask for the same."""
    groups = [
        {"group": "default", "time_zone": "Europe/Berlin", "local_time": "13:30"},
        {"group": "east", "time_zone": "UTC", "local_time": "11:30", "replan_minutes": 60},
        {"group": "west", "time_zone": "UTC", "local_time": "17:00", "replan_minutes": 30},
    ]
    spec = fleet_spec(triggers=groups)
    assert owed_key(spec, "2021-07-05T11:45+00:00") == "daily/default/2021-07-05"
    assert owed_key(spec, "2021-07-05T12:15+00:00") == "rolling/2021-07-05T12:00Z"
    assert owed_key(spec, "2021-07-05T17:00+00:00") == "daily/west/2021-07-05"


def test_requests_carry_the_fleets_horizon_and_time_limit() -> None:
    """What the operator set is what is queued."""
    planning = {"horizon_hours": 36, "time_limit_s": 7.0}
    triggers = [{"group": "default"}]
    spec = fleet_spec(planning=planning, triggers=triggers)
    request = owed(spec, at("2021-07-05T14:00+00:00"))
    assert request is not None
    assert (request.hours, request.time_limit_s, request.window_start) == (36, 7.0, None)


def test_firing_twice_and_from_many_machines_queues_once(sessions: SessionFactory) -> None:
    """Eight clocks at the same instant make one run."""
    put(sessions, fleet())
    barrier = threading.Barrier(8)
    made: list[bool] = []

    def fire() -> None:
        barrier.wait()
        made.append(queue_owed(sessions, lambda: at("2021-07-05T12:00+00:00")))

    clocks = [threading.Thread(target=fire) for _ in range(8)]
    for clock in clocks:
        clock.start()
    for clock in clocks:
        clock.join()
    assert sorted(made) == [False] * 7 + [True]
    assert keys(sessions) == ["daily/europe/2021-07-05"]


def test_runs_do_not_pile_up_while_no_worker_takes_them(sessions: SessionFactory) -> None:
    """One waits; once it is begun, the next firing queues another."""
    put(sessions, fleet(replan_minutes=30))
    for instant in ("12:00", "12:30", "13:00"):
        queue_owed(sessions, lambda: at(f"2021-07-05T{instant}+00:00"))  # noqa: B023 - called here
    assert keys(sessions) == ["rolling/2021-07-05T12:00Z"]
    with transaction(sessions) as session:
        assert claim_run(session, "worker", at("2021-07-05T13:01Z"), at("2021-07-05T13:01Z"), 30)
    assert queue_owed(sessions, lambda: at("2021-07-05T13:05+00:00"))
    assert keys(sessions) == ["rolling/2021-07-05T12:00Z", "rolling/2021-07-05T13:00Z"]


def test_a_run_that_waits_does_not_stand_for_a_longer_one(sessions: SessionFactory) -> None:
    """The fleet's horizon was changed meanwhile: the run with the new one is queued as well."""
    put(sessions, fleet(replan_minutes=30))
    queue_owed(sessions, lambda: at("2021-07-05T12:00Z"))
    put(sessions, fleet(replan_minutes=30).model_copy(update={"planning": LONGER}))
    assert queue_owed(sessions, lambda: at("2021-07-05T12:30Z"))


def test_what_was_missed_while_it_was_down_is_queued_at_the_start(sessions: SessionFactory) -> None:
    """It comes up at 09:00; yesterday's run was never queued."""
    put(sessions, fleet())
    stop = threading.Event()
    clock = Clock(sessions, lambda: at("2021-07-05T07:00+00:00"))
    running = threading.Thread(target=clock.run, args=(stop,))
    running.start()
    until = time.monotonic() + 20
    while not keys(sessions):
        assert time.monotonic() < until
        time.sleep(0.05)
    stop.set()
    running.join(20)
    assert keys(sessions) == ["daily/europe/2021-07-04"]


def test_without_a_fleet_nothing_is_due(sessions: SessionFactory) -> None:
    """The clock waits for one."""
    assert queue_owed(sessions, lambda: at("2021-07-05T12:00+00:00")) == 0


def test_triggers_follow_the_fleet_in_force(sessions: SessionFactory) -> None:
    """Local time in its own zone, rolling, and every quarter of an hour; changed as it changes."""
    clock = Clock(sessions, lambda: at("2021-07-05T12:00+00:00"))
    clock.fire()
    assert clock.triggers() == {}
    put(sessions, fleet(replan_minutes=20))
    clock.fire()
    assert clock.triggers() == {
        "daily/europe": "cron[hour='13', minute='30']",
        "rolling/europe": "interval[0:20:00]",
    }
    put(sessions, fleet(local_time="12:15"))
    clock.fire()
    assert clock.triggers() == {"daily/europe": "cron[hour='12', minute='15']"}
