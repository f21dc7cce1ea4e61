"""The loop between a source and the database: held up, never given up."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text

from connectors.errors import Unavailable
from connectors.types import StreamMessage
from scheduler import ingest
from scheduler.db.models import DeadLetter, StreamState, TelemetryValue
from scheduler.db.session import SessionFactory, make_engine, make_session_factory, transaction
from scheduler.ingest import run_ingest
from scheduler.services.ingestion import Intake
from tests.peers.processes import wait_until
from tests.services.builders import START
from tests.services.scene import Scene


class Remembering:
    """A source that gives batches, or losses of connection, and remembers what came back."""

    name = "memory"
    is_connected = True

    def __init__(self, *batches: Sequence[StreamMessage] | Exception) -> None:
        self.batches = list(batches)
        self.acknowledged: list[StreamMessage] = []
        self.is_closed = False

    async def receive(self) -> tuple[StreamMessage, ...]:
        """Give the next batch."""
        while not self.batches:
            await asyncio.sleep(0.01)
        batch = self.batches.pop(0)
        if isinstance(batch, Exception):
            raise batch
        return tuple(batch)

    async def acknowledge(self, messages: Sequence[StreamMessage]) -> None:
        """Remember these."""
        self.acknowledged += messages

    async def backlog(self) -> int | None:
        """Say what is left."""
        return len(self.batches)

    async def close(self) -> None:
        """Remember that too."""
        self.is_closed = True


def batch(*numbers: int) -> list[StreamMessage]:
    """Readings of a meter, a second apart."""
    return [
        StreamMessage(
            "t",
            json.dumps(
                {
                    "source": "g",
                    "site": "DE",
                    "series": "site_power",
                    "at": (START - timedelta(seconds=number)).isoformat(),
                    "value": number,
                    "unit": "kW",
                }
            ).encode(),
            (number,),
        )
        for number in numbers
    ]


def rows(sessions: SessionFactory, model: type[Any]) -> list[Any]:
    """All of a table."""
    with transaction(sessions) as session:
        return list(session.scalars(select(model)))


@contextmanager
def carrying(source: Remembering, sessions: SessionFactory) -> Iterator[None]:
    """The loop in a thread of its own."""
    stop = threading.Event()
    intake = Intake(sessions, lambda: START)
    arguments = ([source], intake, sessions, lambda: START, stop)
    thread = threading.Thread(target=run_ingest, args=arguments)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)
    assert source.is_closed


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "AGAIN_S", 0.05)
    monkeypatch.setattr(ingest, "STANDING_EVERY_S", 0.05)


def problem(sessions: SessionFactory) -> str:
    """What is on record as standing in the way."""
    found = rows(sessions, StreamState)
    return found[0].problem if found else ""


def test_each_batch_is_stored_before_it_is_acknowledged(sessions: SessionFactory) -> None:
    """In order, and what is lost meanwhile is on record until it is over."""
    Scene(sessions, at=START).set_up()
    source = Remembering(batch(1, 2), Unavailable("broker is lost"), batch(3))
    with carrying(source, sessions):
        wait_until(lambda: len(source.acknowledged) == 3, "all is acknowledged")
        wait_until(lambda: problem(sessions) == "", "nothing stands in the way")
    assert sorted(row.value for row in rows(sessions, TelemetryValue)) == [1.0, 2.0, 3.0]
    (state,) = rows(sessions, StreamState)
    assert (state.stored, state.backlog) == (3, 0)


def test_a_source_that_fails_is_left_and_asked_anew(sessions: SessionFactory) -> None:
    """What it holds comes again by a new connection only, and is stored once."""
    Scene(sessions, at=START).set_up()
    source = Remembering(batch(1))

    async def fail(_messages: Sequence[StreamMessage]) -> None:
        del source.acknowledge  # type: ignore[attr-defined]
        source.batches.append(batch(1))  # as a broker would
        raise ValueError

    source.acknowledge = fail  # type: ignore[method-assign]
    with carrying(source, sessions):
        wait_until(lambda: len(source.acknowledged) == 1, "it came again and is acknowledged")
        assert source.is_closed
    assert len(rows(sessions, TelemetryValue)) == 1


def test_messages_wait_for_a_fleet(sessions: SessionFactory) -> None:
    """Nothing is acknowledged, and nothing given up, before sites are known."""
    source = Remembering(batch(1))
    with carrying(source, sessions):
        wait_until(lambda: "no fleet has been set" in problem(sessions), "it says why")
        assert source.acknowledged == []
        Scene(sessions, at=START).set_up()
        wait_until(lambda: len(source.acknowledged) == 1, "it is acknowledged")
    assert len(rows(sessions, TelemetryValue)) == 1


def test_a_locked_database_is_waited_for(sqlite_url: str) -> None:
    """For longer than anybody waits for a lock: the source is held up, and nothing is lost."""
    engine = make_engine(sqlite_url)
    Scene(make_session_factory(engine), at=START).set_up()
    impatient = create_engine(sqlite_url, connect_args={"timeout": 0.05})
    locker = create_engine(sqlite_url, isolation_level="AUTOCOMMIT")
    source = Remembering(batch(1, 2))
    with locker.connect() as connection:
        connection.execute(text("BEGIN IMMEDIATE"))
        with carrying(source, make_session_factory(impatient)):
            threading.Event().wait(0.5)
            assert source.acknowledged == []
            connection.execute(text("ROLLBACK"))
            wait_until(lambda: len(source.acknowledged) == 2, "it is acknowledged")
    assert len(rows(make_session_factory(engine), TelemetryValue)) == 2
    for opened in (locker, impatient, engine):
        opened.dispose()


def test_a_defect_gives_nothing_up(
    sessions: SessionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that it failed, and goes on once it is mended."""
    Scene(sessions, at=START).set_up()
    true_take = Intake.take

    def broken(*_: Any) -> None:
        raise KeyError

    monkeypatch.setattr(Intake, "take", broken)
    source = Remembering(batch(1))
    with carrying(source, sessions):
        wait_until(lambda: "storing them failed: KeyError" in problem(sessions), "it says so")
        assert source.acknowledged == []
        monkeypatch.setattr(Intake, "take", true_take)
        wait_until(lambda: len(source.acknowledged) == 1, "it is acknowledged")
        wait_until(lambda: problem(sessions) == "", "nothing stands in the way")


def test_what_the_database_cannot_take_is_found_among_others(
    sessions: SessionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that was let in and should not have been: it alone is a dead letter."""
    from sqlalchemy.exc import DataError  # noqa: PLC0415

    from scheduler.services import ingestion_store  # noqa: PLC0415

    Scene(sessions, at=START).set_up()
    true_insert = ingestion_store.insert_columns

    def picky(session: Any, model: Any, columns: Any) -> int:
        if 3 in columns["value"]:
            raise DataError("INSERT", {}, ValueError("3 is too much"))
        return true_insert(session, model, columns)

    monkeypatch.setattr(ingestion_store, "insert_columns", picky)
    taken = Intake(sessions, lambda: START).take("test", batch(1, 2, 3, 4, 5))
    assert (taken.stored, [one.index for one in taken.dead_letters]) == (4, [2])
    (dead,) = rows(sessions, DeadLetter)
    assert "cannot be stored: 3 is too much" in dead.reason
