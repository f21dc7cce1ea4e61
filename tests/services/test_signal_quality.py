"""Suspicious values are used with a mark until somebody rejects them, and from then on not."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from connectors.types import SignalKind, Window
from scheduler.db.models import PlanningRun, SignalSeries, Verdict
from scheduler.db.session import SessionFactory, transaction
from scheduler.quality import Rule
from scheduler.services.errors import Conflict, NotFound
from scheduler.services.paging import PageRequest
from scheduler.services.planning_inputs import read_inputs
from scheduler.services.signal_compaction import Detail
from scheduler.services.signal_quality import count_open, decide, list_flags
from scheduler.services.signal_store import Standing, Wanted, all_values
from scheduler.services.signal_watch import SignalWatch
from scheduler.services.signals import SignalPoint, insert_values, signals_frame
from scheduler.specs.base import EARLIEST
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.scene import Scene

CARBON = SignalKind.CARBON_INTENSITY
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ONE_DAY = Window(START, START + DAY)


def day_of(seed: int, factor: float = 1.0) -> list[float]:
    """A day of carbon intensities that is like no other."""
    noise = np.random.default_rng(seed).normal(0, 8, 24)
    shape = 300 + 90 * np.sin((np.arange(24) - 6) * np.pi / 12)
    return [float(value) for value in np.round((shape + noise) * factor, 1)]


def points(values: list[float], start: datetime, known_at: datetime) -> list[SignalPoint]:
    """Values of consecutive hours at DE."""
    return [
        SignalPoint("DE", CARBON, start + hour * HOUR, 60, value, known_at)
        for hour, value in enumerate(values)
    ]


def store(scene: Scene, values: list[float], start: datetime = START, **changes: Any) -> None:
    """Let values come in now."""
    changes = {"source": "feed", "known_at": scene.at} | changes
    with transaction(scene.sessions) as session:
        came = points(values, start, changes["known_at"])
        insert_values(session, came, changes["source"], scene.at)


def flags(scene: Scene, only_open: bool = True) -> list[Standing]:
    """What is flagged."""
    with transaction(scene.sessions) as session:
        return list(list_flags(session, PageRequest(100), only_open=only_open).items)


def judge(scene: Scene, standing: Standing, verdict: Verdict) -> Standing:
    """Decide as an operator."""
    with transaction(scene.sessions) as session:
        return decide(session, standing.flag.id, verdict, "op", scene.at, "I looked")


def known(scene: Scene, at: datetime) -> tuple[list[float], int]:
    """Values of the day as known then, and how many of them were flagged."""
    with transaction(scene.sessions) as session:
        frame = signals_frame(session, ONE_DAY, at)
    frame = frame[frame["kind"] == CARBON]
    return frame["value"].tolist(), int(frame["is_flagged"].sum())


@pytest.fixture
def scene(sessions: SessionFactory) -> Scene:
    """Four weeks of carbon intensity, and what was forecast for the first day of the plan."""
    scene = Scene(sessions, at=START - 2 * DAY).set_up(fleet_spec(site_spec()), hours=0)
    history = [value for day in range(26) for value in day_of(day)]
    store(scene, history, START - 28 * DAY)
    store(scene, [value for seed in (101, 102, 100) for value in day_of(seed)], START - 2 * DAY)
    assert flags(scene) == []
    scene.at = START - 12 * HOUR
    return scene


def test_flags_come_in_pages_with_what_was_decided_last(scene: Scene) -> None:
    """The newest first; every flag is on one page."""
    for day in (2, 1, 0):
        store(scene, day_of(90 + day, 1e-3), START + day * DAY)
        scene.at += timedelta(minutes=1)
    (newest, *_) = flags(scene)
    judge(scene, newest, Verdict.REJECTED)
    scene.at += timedelta(minutes=1)
    judge(scene, newest, Verdict.CONFIRMED)
    seen: list[Standing] = []
    cursor = None
    with transaction(scene.sessions) as session:
        while not seen or cursor is not None:
            page = list_flags(session, PageRequest(1, cursor), only_open=False)
            seen += page.items
            cursor = page.next_cursor
    whole = flags(scene, only_open=False)
    assert len(whole) >= 3
    assert [one.flag.id for one in seen] == [one.flag.id for one in whole]
    assert seen[0].verdict is not None
    assert seen[0].verdict.verdict is Verdict.CONFIRMED


def test_values_in_another_unit_are_kept_flagged_and_used(scene: Scene) -> None:
    """kg/kWh taken for g/kWh: nobody changes the value itself."""
    store(scene, day_of(7, 1e-3))
    (one,) = flags(scene)
    assert (one.flag.rule, one.flag.site, one.flag.source) == (Rule.UNIT, "DE", "feed")
    assert (one.flag.start_at, one.flag.end_at) == (START, START + DAY)
    assert (one.flag.n_values, one.flag.flagged_at) == (24, scene.at)
    assert known(scene, scene.at) == (day_of(7, 1e-3), 24)
    with transaction(scene.sessions) as session:
        assert count_open(session)[Rule.UNIT] == 1
        assert count_open(session)[Rule.GAP] == 0


def test_rejected_values_are_not_used_from_then_on(scene: Scene) -> None:
    """What was known before them stands again; earlier questions are answered as they were."""
    store(scene, day_of(7, 1e-3))
    came_at = scene.at
    scene.wait(hours=1)
    judge(scene, flags(scene)[0], Verdict.REJECTED)
    assert known(scene, scene.at) == (day_of(100), 0)
    assert known(scene, scene.at - timedelta(microseconds=1)) == (day_of(7, 1e-3), 24)
    assert known(scene, came_at - HOUR) == (day_of(100), 0)
    assert flags(scene) == []


def test_fits_of_forecasts_do_not_see_rejected_values(scene: Scene) -> None:
    """Whatever else asks for all that was ever said sees them."""
    store(scene, day_of(7, 1e-3))
    judge(scene, flags(scene)[0], Verdict.REJECTED)
    wanted = Wanted(START, START + DAY, ("DE",), (CARBON,))
    with transaction(scene.sessions) as session:
        every = all_values(session, wanted, EARLIEST, scene.at)
        usable = all_values(session, wanted, EARLIEST, scene.at, with_rejected=False)
    assert sorted(every["value"]) == sorted(day_of(7, 1e-3) + day_of(100))
    assert sorted(usable["value"]) == sorted(day_of(100))


def test_a_source_that_says_it_again_does_not_bring_it_back(scene: Scene) -> None:
    """What it then says anew is used."""
    store(scene, day_of(7, 1e-3))
    scene.wait(hours=1)
    judge(scene, flags(scene)[0], Verdict.REJECTED)
    scene.wait(hours=1)
    store(scene, day_of(7, 1e-3))
    assert known(scene, scene.at) == (day_of(100), 0)
    store(scene, day_of(7), known_at=scene.at)
    assert known(scene, scene.at) == (day_of(7), 0)


def test_whoever_was_wrong_decides_again(scene: Scene) -> None:
    """Each decision holds from its instant to that of the next."""
    store(scene, day_of(7, 1e-3))
    scene.wait(hours=1)
    judge(scene, flags(scene)[0], Verdict.REJECTED)
    rejected_at = scene.at
    scene.wait(hours=1)
    (one,) = flags(scene, only_open=False)
    assert judge(scene, one, Verdict.CONFIRMED).verdict is not None
    assert known(scene, rejected_at) == (day_of(100), 0)
    assert known(scene, scene.at) == (day_of(7, 1e-3), 0)


def test_deciding_the_same_twice_changes_nothing(scene: Scene) -> None:
    """The first decision stands, with its instant."""
    store(scene, day_of(7, 1e-3))
    scene.wait(hours=1)
    first = judge(scene, flags(scene)[0], Verdict.CONFIRMED)
    scene.wait(hours=1)
    second = judge(scene, first, Verdict.CONFIRMED)
    assert second.verdict is not None
    assert second.verdict.decided_at == scene.at - HOUR


def test_only_the_flagged_upload_is_rejected(scene: Scene) -> None:
    """Not what another source said of the same hours, nor what came before or after."""
    store(scene, day_of(7, 1e-3))
    store(scene, day_of(8), source="another", known_at=scene.at + timedelta(minutes=1))
    scene.wait(hours=1)
    judge(scene, flags(scene)[0], Verdict.REJECTED)
    assert known(scene, scene.at) == (day_of(8), 0)


def test_a_gap_is_flagged_until_values_come(scene: Scene) -> None:
    """There is nothing in it to reject."""
    scene.at = START + 10 * HOUR
    store(scene, day_of(7), START + 2 * DAY)
    (one,) = flags(scene)
    assert (one.flag.rule, one.flag.start_at) == (Rule.GAP, START + DAY)
    with pytest.raises(Conflict, match="is of a gap: there are no values to reject"):
        judge(scene, one, Verdict.REJECTED)
    scene.wait(hours=1)
    store(scene, day_of(8), START + DAY)
    assert flags(scene) == []
    (closed,) = flags(scene, only_open=False)
    assert closed.verdict is not None
    assert (closed.verdict.decided_by, closed.verdict.note) == ("gridtide", "values came")


def test_a_flag_that_is_not_there_is_not_found(scene: Scene) -> None:
    """By its name."""
    with transaction(scene.sessions) as session, pytest.raises(NotFound, match="there is no flag"):
        decide(session, uuid4(), Verdict.REJECTED, "op", scene.at)


def test_what_comes_a_value_at_a_time_is_looked_at_by_the_watch(scene: Scene) -> None:
    """Once, however often it looks."""
    watch = SignalWatch(scene.sessions, scene.now, Detail(92, 6), threading.Event())
    for hour, value in enumerate(day_of(7)[:5]):
        scene.wait(minutes=1)
        wrong = value * (40 if hour == 3 else 1)
        store(scene, [wrong], START + hour * HOUR)
    assert flags(scene) == []
    scene.wait(minutes=1)
    watch.look()
    (one,) = flags(scene)
    assert (one.flag.rule, one.flag.start_at) == (Rule.OUTLIER, START + 3 * HOUR)
    with transaction(scene.sessions) as session:
        series = session.get_one(SignalSeries, ("DE", CARBON))
        assert series.examined_at == series.newest_known_at
    scene.wait(minutes=1)
    store(scene, [day_of(7)[5]], START + 5 * HOUR)
    watch.look()
    assert len(flags(scene)) == 1


def test_what_comes_in_a_stream_waits_for_the_watch_however_much_it_is(scene: Scene) -> None:
    """Storing it is not held up by reading four weeks."""
    with transaction(scene.sessions) as session:
        came = points(day_of(7, 1e-3), START, scene.at)
        insert_values(session, came, "mqtt", scene.at, look_at_once=False)
    assert flags(scene) == []
    SignalWatch(scene.sessions, scene.now, Detail(92, 6), threading.Event()).look()
    assert [one.flag.rule for one in flags(scene)] == [Rule.UNIT]


def test_a_plan_says_that_it_rests_on_flagged_values(scene: Scene) -> None:
    """In a sentence and by slot; after they are rejected it does not."""
    with transaction(scene.sessions) as session:
        price = [
            SignalPoint("DE", SignalKind.PRICE, START + hour * HOUR, 60, 50.0 + hour, scene.at)
            for hour in range(24)
        ]
        insert_values(session, price, "feed", scene.at)
    store(scene, day_of(7, 1e-3))
    marks = _plan_marks(scene, "flagged")
    assert any("DE carbon_intensity: 24 of 24 slots rest on values that are" in it for it in marks)
    scene.wait(minutes=5)
    judge(scene, flags(scene)[0], Verdict.REJECTED)
    assert not any("suspicious" in mark for mark in _plan_marks(scene, "rejected"))


def _plan_marks(scene: Scene, key: str) -> tuple[str, ...]:
    run = scene.queue(key)
    with transaction(scene.sessions) as session:
        return read_inputs(session, session.get_one(PlanningRun, run), scene.at).assemble().marks
