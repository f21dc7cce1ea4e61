"""The replan watch: one run for each cause, none without."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from connectors.types import GridEventNotice, SignalKind, Window
from optimizer import Placement, Run
from scheduler.db.models import PlanningRun, PoolState, RunStatus
from scheduler.db.session import SessionFactory, make_engine, make_session_factory, transaction
from scheduler.services.events import cancel_event, create_event
from scheduler.services.replan_causes import Cause, CauseKind
from scheduler.services.replan_watch import ReplanWatch
from scheduler.services.signals import SignalPoint, insert_values
from tests.services.builders import START, fleet_spec
from tests.services.scene import Scene, propose, put_in_force

JOB = Placement("train", "DE", (Run("DE/a100x1", 6, 8),))


@pytest.fixture
def sessions(sqlite_url: str) -> Iterator[SessionFactory]:
    """SQLite is enough: nothing here differs between databases."""
    engine = make_engine(sqlite_url)
    yield make_session_factory(engine)
    engine.dispose()


def scene_with(sessions: SessionFactory, **replan: Any) -> Scene:
    """A site, a job, and a plan in force that runs it in the cheap hours."""
    fleet = fleet_spec()
    planning = fleet.planning.model_dump() | {"replan": replan}
    fleet = fleet.model_validate(fleet.model_dump() | {"planning": planning})
    scene = Scene(sessions).set_up(fleet)
    scene.submit("train")
    put_in_force(scene, JOB)
    ended(scene)
    scene.wait(minutes=10)
    return scene


def ended(scene: Scene) -> None:
    """Let whatever was queued have ended."""
    with transaction(scene.sessions) as session:
        session.execute(update(PlanningRun).values(status=RunStatus.SUCCEEDED))


def kind_of(cause: Cause | None) -> CauseKind | None:
    """What kind of cause, if any."""
    return None if cause is None else cause.kind


def reprice(scene: Scene, hours: range, price: float) -> None:
    """Publish other prices for some hours."""
    points = [
        SignalPoint("DE", SignalKind.PRICE, START + timedelta(hours=h), 60, price, scene.now())
        for h in hours
    ]
    with transaction(scene.sessions) as session:
        insert_values(session, points, "test")


def event(limit_kw: float = 1.0) -> GridEventNotice:
    """A call for the first hours."""
    window = Window(START + timedelta(hours=2), START + timedelta(hours=4))
    return GridEventNotice("call-1", "DE", window, limit_kw, 2.0)


def test_while_nothing_happens_nothing_is_planned(sessions: SessionFactory) -> None:
    """Hours go by, and what was planned goes on."""
    scene = scene_with(sessions)
    watch = ReplanWatch(sessions, scene.now)
    for _ in range(4):
        assert watch.look() is None
        scene.wait(minutes=20)


def test_a_fleet_without_the_table_is_planned_by_the_clock_alone(sessions: SessionFactory) -> None:
    """Whatever happens."""
    scene = Scene(sessions).set_up()
    scene.submit("train")
    put_in_force(scene, JOB)
    ended(scene)
    with transaction(sessions) as session:
        create_event(session, event(), "test", scene.now())
    assert ReplanWatch(sessions, scene.now).look() is None


def test_a_grid_event_is_planned_for_at_once(sessions: SessionFactory) -> None:
    """Also within the spacing of the last run; the run says why it was queued."""
    scene = scene_with(sessions, spacing_minutes=600)
    watch = ReplanWatch(sessions, scene.now)
    assert watch.look() is None
    with transaction(sessions) as session:
        create_event(session, event(), "test", scene.now())
    assert kind_of(watch.look()) is CauseKind.GRID_EVENT
    with transaction(sessions) as session:
        run = session.scalars(
            select(PlanningRun).where(PlanningRun.status == RunStatus.QUEUED)
        ).one()
    assert run.reason == "grid event call-1 is new or changed"
    assert run.requested_by == "replan"


def test_a_cause_has_one_run_however_many_watch(sessions: SessionFactory) -> None:
    """And none more while that is queued or under way, or once its plan knows."""
    scene = scene_with(sessions)
    with transaction(sessions) as session:
        create_event(session, event(), "test", scene.now())
    watches = [ReplanWatch(sessions, scene.now) for _ in range(3)]
    assert [kind_of(watch.look()) for watch in watches] == [CauseKind.GRID_EVENT, None, None]
    ended(scene)
    propose(scene, JOB, key="with the event")
    ended(scene)
    scene.wait(minutes=10)
    assert [watch.look() for watch in watches] == [None, None, None]


def test_an_event_called_off_is_a_cause_too(sessions: SessionFactory) -> None:
    """What was given up for it can be had again."""
    scene = scene_with(sessions)
    with transaction(sessions) as session:
        create_event(session, event(), "test", scene.now())
    propose(scene, JOB, key="with the event")
    ended(scene)
    scene.wait(minutes=10)
    with transaction(sessions) as session:
        cancel_event(session, "call-1", scene.now())
    assert kind_of(ReplanWatch(sessions, scene.now).look()) is CauseKind.GRID_EVENT


def test_gpus_that_are_gone_are_planned_around_at_once(sessions: SessionFactory) -> None:
    """The plan cannot be followed; which pool, and from when, is said."""
    scene = scene_with(sessions, spacing_minutes=600)
    watch = ReplanWatch(sessions, scene.now)
    assert watch.look() is None
    pool = scene.fleet.sites[0].pools[0]
    with transaction(sessions) as session:
        session.add(
            PoolState(
                site="DE",
                pool=pool.name,
                gpus_total=pool.gpus,
                gpus_available=0,
                gpus_in_use=0,
                gpus_of_others=0,
                seen_at=scene.now(),
            )
        )
    cause = watch.look()
    assert cause is not None
    assert cause.kind is CauseKind.BROKEN_PLAN
    assert f"pool DE/{pool.name} breaks gpus" in cause.text
    assert "2021-07-05T06:00Z" in cause.text


@pytest.mark.parametrize(("n_jobs", "minutes"), [(3, 0.0), (1, 5.0)])
def test_jobs_that_came_are_planned_in_batches(
    sessions: SessionFactory, n_jobs: int, minutes: float
) -> None:
    """Enough of them at once, fewer when the first has waited long enough, and not before."""
    scene = scene_with(sessions, arrivals=3, arrival_minutes=5, regret=False, spacing_minutes=0)
    watch = ReplanWatch(sessions, scene.now)
    for number in range(n_jobs - 1):
        scene.submit(f"new-{number}")
    assert watch.look() is None
    scene.submit("the-last")
    if minutes:
        assert watch.look() is None
    scene.wait(minutes=minutes)
    assert kind_of(watch.look()) is CauseKind.ARRIVALS


def test_what_is_not_urgent_waits_for_the_spacing(sessions: SessionFactory) -> None:
    """Ten minutes have passed since the last run; it is fifteen."""
    scene = scene_with(sessions, arrivals=1, spacing_minutes=15)
    scene.submit("new")
    watch = ReplanWatch(sessions, scene.now)
    assert watch.look() is None
    scene.wait(minutes=5)
    assert kind_of(watch.look()) is CauseKind.ARRIVALS


def test_prices_of_another_day_are_a_publication(sessions: SessionFactory) -> None:
    """Those of two more hours are none."""
    scene = scene_with(sessions, regret=False)
    watch = ReplanWatch(sessions, scene.now)
    reprice(scene, range(48, 50), 50.0)
    assert watch.look() is None
    scene.wait(seconds=10)
    reprice(scene, range(50, 72), 50.0)
    assert kind_of(watch.look()) is CauseKind.PUBLICATION


def test_a_revision_that_leaves_the_plan_the_best_is_no_cause(sessions: SessionFactory) -> None:
    """Prices double everywhere: a large change, and nothing to gain."""
    scene = scene_with(sessions, regret_eur=0.05, regret_share=0.0)
    watch = ReplanWatch(sessions, scene.now)
    assert watch.look() is None
    reprice(scene, range(6), 100.0)
    reprice(scene, range(6, 10), 20.0)
    reprice(scene, range(10, 48), 100.0)
    assert watch.look() is None


def test_a_revision_that_makes_another_plan_better_is(sessions: SessionFactory) -> None:
    """The hours it was planned for are dear now, and others cheap: moving it is worth a run."""
    scene = scene_with(sessions, regret_eur=0.05, regret_share=0.0)
    watch = ReplanWatch(sessions, scene.now)
    assert watch.look() is None
    reprice(scene, range(6, 10), 400.0)
    assert kind_of(watch.look()) is CauseKind.REGRET


def test_what_could_be_gained_must_be_material(sessions: SessionFactory) -> None:
    """The same change, for less than the limit."""
    scene = scene_with(sessions, regret_eur=500.0)
    reprice(scene, range(6, 10), 400.0)
    assert ReplanWatch(sessions, scene.now).look() is None


def test_jobs_without_any_plan_get_one(sessions: SessionFactory) -> None:
    """None was ever made, or the last one is over."""
    fleet = fleet_spec()
    planning = fleet.planning.model_dump() | {"replan": {}}
    scene = Scene(sessions).set_up(
        fleet.model_validate(fleet.model_dump() | {"planning": planning})
    )
    watch = ReplanWatch(sessions, scene.now)
    assert watch.look() is None
    scene.submit("train")
    assert kind_of(watch.look()) is CauseKind.NO_PLAN


@pytest.mark.parametrize(
    ("off", "kind"),
    [({"grid_events": False}, "event"), ({"broken_plan": False}, "pool"), ({"arrivals": 0}, "job")],
)
def test_each_cause_can_be_turned_off(
    sessions: SessionFactory, off: dict[str, Any], kind: str
) -> None:
    """Then it is left to the clock."""
    scene = scene_with(sessions, regret=False, spacing_minutes=0, arrival_minutes=0, **off)
    with transaction(sessions) as session:
        if kind == "event":
            create_event(session, event(), "test", scene.now())
        elif kind == "pool":
            session.add(
                PoolState(
                    site="DE",
                    pool=scene.fleet.sites[0].pools[0].name,
                    gpus_total=8,
                    gpus_available=0,
                    gpus_in_use=0,
                    gpus_of_others=0,
                    seen_at=scene.now(),
                )
            )
    if kind == "job":
        scene.submit("new")
    assert ReplanWatch(sessions, scene.now).look() is None


def test_a_failed_run_is_not_tried_again_at_once(sessions: SessionFactory) -> None:
    """Whatever made it fail is likely still there: a minute later, then."""
    scene = scene_with(sessions, spacing_minutes=0)
    watch = ReplanWatch(sessions, scene.now)
    scene.submit("train-2")
    scene.wait(minutes=6)
    assert kind_of(watch.look()) is CauseKind.ARRIVALS
    with transaction(sessions) as session:
        queued = update(PlanningRun).where(PlanningRun.status == RunStatus.QUEUED)
        session.execute(queued.values(status=RunStatus.FAILED))
    assert watch.look() is None
    scene.wait(minutes=2)
    assert kind_of(watch.look()) is CauseKind.ARRIVALS
