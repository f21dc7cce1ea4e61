"""One way in for whatever is streamed, whoever brings it.

    decode -> validate -> de-duplicate -> order in transit -> store durably -> acknowledge

A batch is one transaction: what is stored, what it is known again by, what is refused, and the
counts. Who brought the batch acknowledges it once ``Intake.take`` has returned. A batch that comes
again, because it was not acknowledged or nobody heard that, changes nothing but a count.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy import func, select
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session

from connectors.types import StreamMessage
from scheduler.db.models import FleetVersion
from scheduler.db.outage import DATABASE_AWAY, DATABASE_BUSY, DatabaseBroken
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import fleet as fleets
from scheduler.services.ingestion_decide import (
    Decided,
    Known,
    KnownSite,
    decide,
    known_sites,
    refuse_all,
)
from scheduler.services.ingestion_store import Taken, store_batch
from scheduler.services.ingestion_tidy import Kept, tidy
from scheduler.services.stream_states import count_batch
from scheduler.timekeeping import Now

log = logging.getLogger(__name__)

MOST_AT_ONCE = 10_000
"""Messages of one batch."""

_TIDY_EVERY_S = 1.0

_Decide = Callable[[Sequence[StreamMessage], Known], Decided]


class Intake:
    """Takes in batches of any stream; any number of threads and processes may at the same time.

    ``kept`` says how long what came in, and what it is known again by, is kept.
    """

    def __init__(self, sessions: SessionFactory, now: Now, kept: Kept | None = None) -> None:
        self._sessions = sessions
        self._now = now
        self._kept = kept or Kept()
        self._fleet: tuple[int, dict[str, KnownSite]] | None = None
        self._tidying = threading.Lock()
        self._tidied_at_s = time.monotonic()

    def take(self, stream: str, messages: Sequence[StreamMessage]) -> Taken:
        """Store ``messages``, which came by ``stream``; on return they may be acknowledged.

        Raises
        ------
        NoFleet
            There is no site yet that a message could be of. Nothing is stored.
        """
        taken = self._take(stream, messages)
        self._tidy()
        return taken

    def _take(self, stream: str, messages: Sequence[StreamMessage]) -> Taken:
        """Take in a batch; where the database refuses a value of it, halve until one stands alone.

        What it refuses should have been refused before: the message is kept as a dead letter.
        """
        try:
            return self._store(stream, messages, decide)
        except DataError as error:
            log.exception("a value that was let in cannot be stored")
            if len(messages) == 1:
                reason = f"cannot be stored: {error.orig}"
                return self._store(stream, messages, partial(refuse_all, reason=reason))
        middle = len(messages) // 2
        first = self._take(stream, messages[:middle])
        return first.and_then(self._take(stream, messages[middle:]), middle)

    def _store(self, stream: str, messages: Sequence[StreamMessage], how: _Decide) -> Taken:
        with transaction(self._sessions) as session:
            now = self._now()
            known = Known(self._sites(session), now, self._kept.readings)
            taken = store_batch(session, stream, messages, how(messages, known), now)
            count_batch(session, stream, taken, self._now())
        return taken

    def _sites(self, session: Session) -> dict[str, KnownSite]:
        """Return the sites of the fleet in force; it is read again when there is a newer one."""
        newest = session.scalar(select(func.max(FleetVersion.id)))
        if newest is None:
            raise fleets.NoFleet
        if self._fleet is None or self._fleet[0] != newest:
            self._fleet = newest, known_sites(fleets.spec_of(fleets.get_version(session, newest)))
        return self._fleet[1]

    def _tidy(self) -> None:
        """Once a second let go of some of what is older than it is kept."""
        if not self._tidying.acquire(blocking=False):
            return
        try:
            if time.monotonic() - self._tidied_at_s < _TIDY_EVERY_S:
                return
            self._tidied_at_s = time.monotonic()
            with transaction(self._sessions) as session:
                tidy(session, self._now(), self._kept)
        except (*DATABASE_AWAY, DATABASE_BUSY, DatabaseBroken) as error:
            # What was taken in is stored: no reason to take it again.
            log.warning("what is old is kept for now, the database is unavailable: %s", error)
        finally:
            self._tidying.release()
