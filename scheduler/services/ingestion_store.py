"""A batch that was decided on goes into the database: what is new of it, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from connectors.types import StreamMessage
from scheduler.db.bulk import Columns, insert_columns, insert_unseen
from scheduler.db.models import DeadLetter, SeenMessage, TelemetryValue
from scheduler.services.errors import Conflict, Invalid
from scheduler.services.ingestion_decide import Decided, Reading, Refused, Update, once_each
from scheduler.services.signals import insert_values

_LONGEST_BODY = 1000  # of a dead letter, in characters
_KEYS_AT_ONCE = 1000

_Key = tuple[str, str, str, datetime]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a batch; the four add up to it.

    ``unchanged`` told nothing that was not known; ``duplicates`` had come before. ``sent_at`` is
    when the message that was longest on its way was sent, where any says so.
    """

    stored: int
    unchanged: int
    duplicates: int
    dead_letters: tuple[Refused, ...]
    sent_at: datetime | None

    def and_then(self, other: Taken, offset: int) -> Taken:
        """Add what became of the messages from ``offset`` on."""
        return Taken(
            self.stored + other.stored,
            self.unchanged + other.unchanged,
            self.duplicates + other.duplicates,
            (
                *self.dead_letters,
                *(replace(one, index=one.index + offset) for one in other.dead_letters),
            ),
            min((at for at in (self.sent_at, other.sent_at) if at), default=None),
        )


def store_batch(
    session: Session,
    stream: str,
    messages: Sequence[StreamMessage],
    decided: Decided,
    now: datetime,
) -> Taken:
    """Store what is new of a batch that came by ``stream``, and say what became of each part."""
    digests = decided.digests
    seen: Columns = {"digest": digests, "seen_at": [now] * len(digests)}
    new = once_each(decided, insert_unseen(session, SeenMessage, seen, "digest"))
    stored, conflicting = _store_readings(session, new.readings, now)
    n_inserted, disputed = _store_updates(session, new.updates)
    refused = (*new.refused, *conflicting, *disputed)
    _bury(session, stream, messages, refused, now)
    accepted = (*new.readings, *new.updates)
    n_new = len(accepted) + len(new.refused)
    n_stored = stored + n_inserted
    return Taken(
        stored=n_stored,
        unchanged=n_new - n_stored - len(refused),
        duplicates=len(messages) - n_new,
        dead_letters=tuple(sorted(refused, key=lambda one: one.index)),
        sent_at=min((at for one in accepted if (at := one.message.sent_at)), default=None),
    )


def _store_readings(
    session: Session, readings: Sequence[Reading], now: datetime
) -> tuple[int, list[Refused]]:
    """Insert what is new; return how many are, and those that contradict one on record."""
    told = [one.message for one in readings]
    columns: Columns = {
        "site": [message.site for message in told],
        "series": [message.series for message in told],
        "device": [message.device for message in told],
        "at": [message.at for message in told],
        "value": [message.value for message in told],
        "source": [message.source for message in told],
        "received_at": [now] * len(told),
    }
    n_inserted = insert_columns(session, TelemetryValue, columns)
    if n_inserted == len(readings):
        return n_inserted, []
    on_record = _values_on_record(session, [_key(one) for one in readings])
    return n_inserted, [
        _contradiction(one, value)
        for one in readings
        if (value := on_record[_key(one)]) != one.message.value
    ]


def _key(one: Reading) -> _Key:
    message = one.message
    return message.site, message.series, message.device, message.at


def _values_on_record(session: Session, keys: Sequence[_Key]) -> dict[_Key, float]:
    row = TelemetryValue
    columns = (row.site, row.series, row.device, row.at)
    found: dict[_Key, float] = {}
    for first in range(0, len(keys), _KEYS_AT_ONCE):
        some = keys[first : first + _KEYS_AT_ONCE]
        rows = session.execute(select(*columns, row.value).where(tuple_(*columns).in_(some)))
        found |= {(site, series, device, at): value for site, series, device, at, value in rows}
    return found


def _contradiction(one: Reading, value: float) -> Refused:
    message = one.message
    what = f"{message.series.value} of {message.device}" if message.device else message.series.value
    reason = (
        f"message of {message.source}: value = {message.value!r}, but site {message.site}: {what}"
        f" at {message.at.isoformat()} is on record as {value!r}"
    )
    return Refused(one.index, one.digest, reason)


def _store_updates(session: Session, updates: Sequence[Update]) -> tuple[int, list[Refused]]:
    """Pass signals on, in order of when they were known, to where all signals come in."""
    n_inserted, refused = 0, []
    for one_round in _rounds(updates):
        n_of_round, refused_of_round = _insert(session, one_round)
        n_inserted += n_of_round
        refused += refused_of_round
    return n_inserted, refused


def _rounds(updates: Sequence[Update]) -> list[list[Update]]:
    """Part updates by source, and revisions of one interval from one another.

    They come sorted by interval and then by when they were known, so that the n-th revision of
    every interval is in the n-th round.
    """
    parts: dict[tuple[int, str], list[Update]] = {}
    for _, revisions in groupby(updates, key=lambda one: one.point.key):
        for number, one in enumerate(revisions):
            parts.setdefault((number, one.message.source), []).append(one)
    return [parts[key] for key in sorted(parts)]


def _insert(session: Session, updates: Sequence[Update]) -> tuple[int, list[Refused]]:
    """Insert what can be; where some cannot, halve until they stand alone."""
    points = [one.point for one in updates]
    try:
        with session.begin_nested():
            source = updates[0].message.source
            return insert_values(session, points, source, look_at_once=False).inserted, []
    except (Invalid, Conflict) as error:
        if len(updates) == 1:
            return 0, [Refused(updates[0].index, updates[0].digest, str(error))]
    middle = len(updates) // 2
    first, first_refused = _insert(session, updates[:middle])
    second, second_refused = _insert(session, updates[middle:])
    return first + second, first_refused + second_refused


def _bury(
    session: Session,
    stream: str,
    messages: Sequence[StreamMessage],
    refused: Sequence[Refused],
    now: datetime,
) -> None:
    session.add_all(
        DeadLetter(
            stream=stream,
            subject=_text(messages[one.index].subject.encode()),
            received_at=now,
            reason=_text(one.reason.encode()),
            body=_text(messages[one.index].body),
        )
        for one in refused
    )
    session.flush()


def _text(body: bytes) -> str:
    """Return the beginning of what may be anything, as text that every database takes."""
    return body[: 4 * _LONGEST_BODY].decode("utf-8", "replace").replace("\0", "�")[:_LONGEST_BODY]
