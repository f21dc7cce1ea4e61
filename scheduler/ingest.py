"""The loop that carries messages from brokers into the database, and acknowledges what is stored.

Of each source one batch at a time is on its way; what comes meanwhile waits, first with the source
and then, where that holds as much as it may, with the broker. Nothing is dropped: a batch that
cannot be stored now is tried until it can be.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence

from connectors.errors import ConnectorError
from connectors.protocols import MessageSource
from connectors.types import StreamMessage
from scheduler.db.outage import DATABASE_AWAY, DATABASE_BUSY, DatabaseBroken
from scheduler.db.session import SessionFactory, transaction
from scheduler.loops import side_by_side
from scheduler.services.fleet import NoFleet
from scheduler.services.ingestion import Intake
from scheduler.services.stream_states import note_standing
from scheduler.timekeeping import Now

log = logging.getLogger(__name__)

STANDING_EVERY_S = 10.0
AGAIN_S = 1.0  # after a batch that could not be stored
_PASSING = (*DATABASE_AWAY, DATABASE_BUSY, DatabaseBroken, NoFleet)


def run_ingest(
    sources: Sequence[MessageSource],
    intake: Intake,
    sessions: SessionFactory,
    now: Now,
    stop: threading.Event,
) -> None:
    """Carry the messages of every source until ``stop`` is set, each whatever the others do."""
    asyncio.run(_run([Carrier(source, intake, sessions, now) for source in sources], stop))


async def _run(carriers: Sequence[Carrier], stop: threading.Event) -> None:
    try:
        await side_by_side((do() for one in carriers for do in (one.carry, one.watch)), stop)
    finally:
        for one in carriers:
            await one.close()


class Carrier:
    """Carries the messages of one source."""

    def __init__(
        self, source: MessageSource, intake: Intake, sessions: SessionFactory, now: Now
    ) -> None:
        self._source = source
        self._intake = intake
        self._sessions = sessions
        self._now = now
        self._problem = ""
        self._is_held_up = False

    async def carry(self) -> None:
        """Receive, store, acknowledge, for ever."""
        while True:
            try:
                messages = await self._source.receive()
                await self._store(messages)
                await self._source.acknowledge(messages)
            except ConnectorError as error:  # what was not acknowledged comes again
                await self._note(str(error))
            except Exception as error:
                log.exception("%s failed", self._source.name)
                await self._note(f"failed: {error!r}")
                await self.close()  # what it holds unacknowledged comes again by a new connection
                await asyncio.sleep(AGAIN_S)

    async def watch(self) -> None:
        """Record from time to time how the source stands, also while nothing comes."""
        while True:
            if self._source.is_connected and not self._is_held_up:
                await self._note("")
            await self._record()
            await asyncio.sleep(STANDING_EVERY_S)

    async def close(self) -> None:
        """Leave the source."""
        try:
            await self._source.close()
        except ConnectorError as error:
            log.warning("%s was left without a farewell: %s", self._source.name, error)

    async def _store(self, messages: Sequence[StreamMessage]) -> None:
        """Store a batch, however long that takes: the source is held up meanwhile."""
        while not await self._is_stored(messages):
            self._is_held_up = True
            await asyncio.sleep(AGAIN_S)
        self._is_held_up = False
        await self._note("")

    async def _is_stored(self, messages: Sequence[StreamMessage]) -> bool:
        try:
            await asyncio.to_thread(self._intake.take, self._source.name, messages)
        except _PASSING as error:
            await self._note(f"messages wait, they cannot be stored now: {_said(error)}")
            return False
        except Exception as error:
            # A defect of ours. It would be one of the next batch as well: nothing is given up.
            log.exception("%s: messages wait, storing them failed", self._source.name)
            await self._note(f"messages wait, storing them failed: {type(error).__name__}")
            return False
        return True

    async def _note(self, problem: str) -> None:
        """Say what stands in the way when it changes, and record it."""
        if problem == self._problem:
            return
        self._problem = problem
        if problem:
            log.warning("%s: %s", self._source.name, problem)
        else:
            log.info("%s: nothing stands in the way any more", self._source.name)
        await self._record()

    async def _record(self) -> None:
        try:
            backlog = await self._source.backlog()
            await asyncio.to_thread(self._write, backlog)
        except ConnectorError as error:
            log.warning("%s: how many messages wait is not known: %s", self._source.name, error)
        except _PASSING as error:
            log.warning("%s: how it stands is not recorded: %s", self._source.name, _said(error))
        except Exception:
            log.exception("%s: how it stands is not recorded", self._source.name)

    def _write(self, backlog: int | None) -> None:
        with transaction(self._sessions) as session:
            note_standing(session, self._source.name, self._problem, backlog, self._now())


def _said(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error)
