"""Events of a virtual power plant taken in, replanned for, and reported on: with its twin."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import select

from connectors.errors import Unavailable
from connectors.types import (
    GridEventKind,
    GridEventNotice,
    Window,
)
from connectors.vpp.simulated import SimulatedVirtualPowerPlant
from scheduler.db.models import GridEvent, PlanningRun
from scheduler.db.session import SessionFactory, transaction
from scheduler.files import BadFile
from scheduler.grid_side import run_grid_side
from scheduler.main import virtual_power_plant_of
from scheduler.services import events
from scheduler.services.grid_side import GridSide, Poll
from scheduler.settings import Settings
from tests.services.builders import START
from tests.services.scene import Scene

HOUR = timedelta(hours=1)
CHEAP = Window(START + 6 * HOUR, START + 8 * HOUR)
EVENT = GridEventNotice("dr-1", "DE", CHEAP, 0.0, 5.0)


@pytest.fixture
def scene(sessions: SessionFactory) -> Scene:
    """One site, an hour before the first slot; energy is cheap in the hours 6 to 9."""
    return Scene(sessions).set_up()


@pytest.fixture
def vpp(scene: Scene) -> SimulatedVirtualPowerPlant:
    """It has called one event: no import at all in the hours 6 and 7."""
    return SimulatedVirtualPowerPlant([(scene.at, EVENT)], scene.now)


@pytest.fixture
def grid_side(scene: Scene, vpp: SimulatedVirtualPowerPlant) -> GridSide:
    """What listens to it."""
    return GridSide(scene.sessions, vpp, "vpp", scene.now)


def on_record(scene: Scene) -> list[GridEvent]:
    """Every event."""
    with transaction(scene.sessions) as session:
        return list(session.scalars(select(GridEvent).order_by(GridEvent.external_id)))


def runs(scene: Scene) -> list[str]:
    """Trigger keys of what is queued, in order of time."""
    with transaction(scene.sessions) as session:
        queued = select(PlanningRun.trigger_key).where(PlanningRun.trigger_key.startswith("event/"))
        return list(session.scalars(queued.order_by(PlanningRun.queued_at)))


def test_a_flood_is_planned_for_once(
    scene: Scene, grid_side: GridSide, vpp: SimulatedVirtualPowerPlant
) -> None:
    """Whatever one poll takes in before the replan is begun, the replan knows."""
    for number in range(30):
        vpp.call(replace(EVENT, event_id=f"flood-{number}"), scene.at)
    assert len(grid_side.poll().changed) == 31
    assert len(on_record(scene)) == 31
    assert len(runs(scene)) == 1


def test_what_was_agreed_is_on_record_and_only_what_plans_go_by_is_planned_anew(
    scene: Scene, grid_side: GridSide, vpp: SimulatedVirtualPowerPlant
) -> None:
    """Said again later it is the same event, with the later instant on record."""
    terms = replace(EVENT, kind=GridEventKind.SETPOINT, ramp_minutes=5.0, priority=2)
    vpp.call(replace(terms, payment_eur_per_kwh=0.2, issued_at=scene.at), scene.at)
    assert grid_side.poll().changed == ("dr-1",)
    later = scene.at + timedelta(minutes=1)
    vpp.call(replace(terms, payment_eur_per_kwh=0.2, issued_at=later), scene.at)
    assert grid_side.poll().changed == ()
    (event,) = on_record(scene)
    assert (event.kind, event.issued_at, event.ramp_minutes) == ("setpoint", later, 5.0)
    assert (event.priority, event.payment_eur_per_kwh) == (2, 0.2)
    vpp.call(replace(terms, payment_eur_per_kwh=0.3, issued_at=later), scene.at)
    assert grid_side.poll().changed == ("dr-1",)


def test_an_event_is_taken_in_once_and_planned_for(scene: Scene, grid_side: GridSide) -> None:
    """However often it is listed, it is one event and one run; its sender is on record."""
    assert grid_side.poll() == Poll(changed=("dr-1",))
    scene.wait(minutes=1)
    assert grid_side.poll() == Poll()
    (event,) = on_record(scene)
    assert (event.received_from, event.limit_kw, event.start_at) == ("vpp", 0.0, CHEAP.start)
    assert runs(scene) == ["event/dr-1/called"]


def test_what_is_as_it_was_writes_nothing(scene: Scene, grid_side: GridSide) -> None:
    """A poll without news of many events is two questions to the database, not some of each."""
    grid_side.poll()
    asked: list[str] = []
    engine = scene.sessions.kw["bind"]

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    sqlalchemy_event.listen(engine, "before_cursor_execute", note)
    assert grid_side.poll() == Poll()
    sqlalchemy_event.remove(engine, "before_cursor_execute", note)
    assert asked
    assert not [one for one in asked if "UPDATE" in one or "INSERT" in one or "SAVEPOINT" in one]


def test_the_replan_keeps_the_event(scene: Scene, grid_side: GridSide) -> None:
    """The job leaves the first two cheap hours to the grid and takes the two after them."""
    scene.submit("train")
    scene.wait(hours=1)
    grid_side.poll()
    document = scene.work_off()
    placement = document.plan.placement("train")
    assert placement is not None
    assert document.window.instant(placement.start_slot) == CHEAP.end


def test_changes_and_cancellations_are_followed(
    scene: Scene, vpp: SimulatedVirtualPowerPlant, grid_side: GridSide
) -> None:
    """Each is planned for anew, also one that goes back to what it was."""
    grid_side.poll()
    for limit_kw in (3.0, 0.0):
        scene.wait(minutes=1)
        vpp.call(replace(EVENT, limit_kw=limit_kw), scene.at)
        assert grid_side.poll().changed == ("dr-1",)
        assert on_record(scene)[0].limit_kw == limit_kw
    scene.wait(minutes=1)
    vpp.cancel("dr-1")
    assert grid_side.poll().changed == ("dr-1",)
    assert on_record(scene)[0].cancelled_at == scene.at
    assert grid_side.poll().changed == ()
    assert len(set(runs(scene))) == 4


def test_an_event_cancelled_before_it_was_known_is_nothing(
    scene: Scene, vpp: SimulatedVirtualPowerPlant, grid_side: GridSide
) -> None:
    """Neither recorded nor planned for."""
    vpp.cancel("dr-1")
    assert grid_side.poll() == Poll()
    assert on_record(scene) == []


def test_what_cannot_be_honoured_is_said_once_and_holds_nothing_up(
    scene: Scene,
    vpp: SimulatedVirtualPowerPlant,
    grid_side: GridSide,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A site there is not, and a number that somebody else's event has; the rest is taken in."""
    with transaction(scene.sessions) as session:
        events.create_event(session, replace(EVENT, event_id="dr-2"), "operator", scene.at)
    vpp.call(replace(EVENT, event_id="dr-0", site="nowhere"), scene.at)
    vpp.call(replace(EVENT, event_id="dr-2", limit_kw=1.0), scene.at)
    with caplog.at_level(logging.ERROR):
        assert grid_side.poll().changed == ("dr-1",)
        grid_side.poll()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "dr-0" in said[0]
    assert "nowhere" in said[0]
    assert "taken by one of operator" in said[1]
    assert [(event.external_id, event.limit_kw) for event in on_record(scene)] == [
        ("dr-1", 0.0),
        ("dr-2", 0.0),
    ]


def test_two_pollers_take_a_change_in_once(
    scene: Scene, vpp: SimulatedVirtualPowerPlant, grid_side: GridSide
) -> None:
    """Each process that listens has its own view; the database decides."""
    sides = [GridSide(scene.sessions, vpp, "vpp", scene.now) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(GridSide.poll, sides))
    assert runs(scene) == ["event/dr-1/called"]
    scene.wait(minutes=1)
    vpp.cancel("dr-1")
    with ThreadPoolExecutor(4) as pool:
        polls = list(pool.map(GridSide.poll, sides))
    assert sum(len(poll.changed) for poll in polls) == 1
    assert len(runs(scene)) == 2


class Forgetful(SimulatedVirtualPowerPlant):
    """One that lists nothing, and cannot say of ``unread`` whether that still holds."""

    unread = ""

    async def events(self) -> tuple[GridEventNotice, ...]:
        """Nothing."""
        return ()

    def may_still_hold(self, event_id: str) -> bool:
        """Whether it is the one that could not be read."""
        return event_id == self.unread


@pytest.mark.parametrize(("unread", "holds"), [("", False), ("dr-1", True)])
def test_an_event_that_is_no_longer_listed_is_called_off(
    scene: Scene, grid_side: GridSide, unread: str, holds: bool
) -> None:
    """Once, with a replan; unless it was listed and could not be read."""
    grid_side.poll()
    vpp = Forgetful([], scene.now)
    vpp.unread = unread
    side = GridSide(scene.sessions, vpp, "vpp", scene.now)
    scene.wait(minutes=1)
    assert side.poll().changed == (() if holds else ("dr-1",))
    assert side.poll().changed == ()
    (event,) = on_record(scene)
    assert (event.cancelled_at is None) is holds
    assert len(runs(scene)) == (1 if holds else 2)


def test_events_of_others_and_such_as_are_over_are_not_called_off(
    scene: Scene, grid_side: GridSide
) -> None:
    """That they are not listed says nothing of them."""
    grid_side.poll()
    other = GridSide(scene.sessions, Forgetful([], scene.now), "another", scene.now)
    assert other.poll() == Poll()
    scene.wait(hours=9)
    assert scene.at >= CHEAP.end
    GridSide(scene.sessions, Forgetful([], scene.now), "vpp", scene.now).poll()
    (event,) = on_record(scene)
    assert event.cancelled_at is None


def test_the_loop_outlives_a_grid_side_that_is_away(
    scene: Scene, grid_side: GridSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first polls fail, by what is foreseen and by what is not; the third takes the event."""
    stop = threading.Event()
    failures: Iterator[Exception] = iter([Unavailable("not there"), ValueError("a defect")])
    real = grid_side.poll

    def poll() -> Poll:
        for failure in failures:
            raise failure  # each once
        stop.set()
        return real()

    monkeypatch.setattr(grid_side, "poll", poll)
    run_grid_side(grid_side, stop, 0.001)
    assert runs(scene) == ["event/dr-1/called"]


SCRIPT = """
[[events]]
external_id = "dr-1"
site = "DE"
start_at = 2021-07-05T06:00:00Z
end_at = 2021-07-05T08:00:00Z
limit_kw = 0
breach_eur_per_kwh = 5
known_at = 2021-07-04T00:00:00Z
"""


async def test_the_simulated_one_is_switched_on_by_a_setting(tmp_path: Path) -> None:
    """Its events come from the file the setting names; without it nobody is listened to."""
    assert virtual_power_plant_of(Settings(), lambda: START) is None
    script = tmp_path / "events.toml"
    script.write_text(SCRIPT)
    vpp = virtual_power_plant_of(Settings(simulated_vpp=script), lambda: START)
    assert vpp is not None
    assert await vpp.events() == (EVENT,)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("end_at = 2021-07-05T08", "end_at = 2021-07-05T06", "must be after start_at"),
        ("limit_kw = 0", "limit_kw = -1", "limit_kw = -1: input should be greater than or equal"),
        (SCRIPT, SCRIPT + SCRIPT, "'dr-1' occurs twice"),
    ],
)
def test_a_wrong_script_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    """With the event, the value and the limit."""
    script = tmp_path / "events.toml"
    script.write_text(SCRIPT.replace(old, new))
    with pytest.raises(BadFile, match=said):
        virtual_power_plant_of(Settings(simulated_vpp=script), lambda: START)
