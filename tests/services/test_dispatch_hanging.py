"""Clusters and batteries that hang or break: the others are served, and nothing is guessed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from connectors.types import JobOrder
from scheduler.db.models import CommandKind, CommandOutcome, JobStatus
from scheduler.db.session import make_engine, make_session_factory
from scheduler.services.dispatch import Dispatcher
from scheduler.services.outside import Outside
from tests.services.builders import fleet_spec, site_spec
from tests.services.fakes import FakeBattery, FakeCluster
from tests.services.play import Play, runs
from tests.services.scene import Scene, put_in_force

ANSWER_S = 0.5


class Gate:
    """Holds whoever comes, in a thread nobody can end, until it is opened."""

    def __init__(self) -> None:
        self._opened = threading.Event()
        self.passed = threading.Event()

    async def wait(self) -> None:
        """Wait as a connector that reads a file of a volume that hangs."""
        await asyncio.to_thread(self._opened.wait, 60)
        self.passed.set()

    def open(self) -> None:
        """Let everybody pass."""
        self._opened.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Opened at the end, so that no thread is left."""
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def play(sqlite_url: str) -> Play:
    """Two sites, and a dispatcher with little patience."""
    sessions = make_session_factory(make_engine(sqlite_url))
    scene = Scene(sessions).set_up(fleet_spec(site_spec("FR"), site_spec()))
    play = Play(scene, FakeCluster())
    play.outside = Outside({"FR": FakeCluster("FR"), "DE": play.cluster})
    play.dispatcher = Dispatcher(scene.sessions, lambda _: play.outside, scene.now, ANSWER_S)
    return play


def test_a_site_that_hangs_delays_a_tick_once_and_no_other_site(play: Play, gate: Gate) -> None:
    """It is silent while its call hangs, without being asked again, and heard after it."""
    asked: list[float] = []
    identity = play.outside.clusters["FR"].identity

    async def hang() -> str:
        asked.append(time.monotonic())
        await gate.wait()
        return await identity()

    play.outside.clusters["FR"].identity = hang  # type: ignore[method-assign]
    job = play.scene.submit()
    put_in_force(play.scene, runs("train", (0, 2)))
    began = time.monotonic()
    play.at(0)
    assert play.dispatcher.tick().silent_sites == ("FR",)
    assert time.monotonic() - began < 10 * ANSWER_S
    assert play.status(job) is JobStatus.RUNNING
    assert len(asked) == 1
    gate.open()
    gate.passed.wait(10)
    give_up_at = time.monotonic() + 10
    while play.dispatcher.tick().silent_sites:
        assert time.monotonic() < give_up_at


def test_an_order_that_hangs_is_waited_for_before_anything_is_decided(
    play: Play, gate: Gate
) -> None:
    """The job is cancelled meanwhile: it is not called over, and ended once it has started."""
    job = play.scene.submit()
    other = play.scene.submit("other")
    put_in_force(play.scene, runs("train", (0, 2)), runs("other", (1, 3)))
    submit = play.cluster.submit

    async def hang(order: JobOrder) -> None:
        await gate.wait()
        await submit(order)

    play.cluster.submit = hang  # type: ignore[method-assign]
    play.at(0)
    assert play.commands() == [(CommandKind.SUBMIT, CommandOutcome.RETRY)]
    play.cancel()
    play.at(1)  # long after an order is taken for settled
    assert (play.status(job), play.status(other)) == (JobStatus.WAITING, JobStatus.WAITING)
    gate.open()
    give_up_at = time.monotonic() + 10
    while play.status(job) is not JobStatus.CANCELLED:
        play.dispatcher.tick()
        assert time.monotonic() < give_up_at
    assert play.status(other) is JobStatus.RUNNING


def test_a_connector_that_breaks_silences_its_own_site_only(play: Play) -> None:
    """A file that is no JSON, say; the battery of that site goes on."""

    async def broken() -> str:
        raise ValueError("Expecting value: line 1 column 1 (char 0)")

    play.outside.clusters["FR"].identity = broken  # type: ignore[method-assign]
    battery = FakeBattery("battery", play.scene.now)
    play.outside = Outside(play.outside.clusters, {("FR", "battery"): battery})
    job = play.scene.submit()
    put_in_force(play.scene, runs("train", (0, 2)))
    play.at(0)
    assert play.dispatcher.tick().silent_sites == ("FR",)
    assert play.status(job) is JobStatus.RUNNING
    assert len(battery.told) == 1


def test_an_order_that_breaks_is_sent_again(play: Play) -> None:
    """Nobody knows whether it arrived; the other orders of the tick are sent."""
    play.scene.submit()
    second = play.scene.submit("second")
    put_in_force(play.scene, runs("train", (0, 2)), runs("second", (0, 2)))
    submit = play.cluster.submit

    async def break_once(order: JobOrder) -> None:
        play.cluster.submit = submit  # type: ignore[method-assign]
        raise KeyError(order.key)

    play.cluster.submit = break_once  # type: ignore[method-assign]
    play.at(0)
    outcomes = sorted(outcome for _, outcome in play.commands())
    assert outcomes == [CommandOutcome.DONE, CommandOutcome.RETRY]
    play.at(0.01)
    assert play.status(second) is JobStatus.RUNNING
    assert len(play.cluster.starts) == 2
