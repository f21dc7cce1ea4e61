"""How feeds fare, on record: what is due, who fetches it, and how that went."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from connectors.errors import Unavailable
from connectors.types import SignalKind
from scheduler.db.inserts import insert_new
from scheduler.db.models import FeedState
from scheduler.specs import FleetSpec
from scheduler.specs.feeds import FeedSpec
from scheduler.specs.fleet import SiteSpec

LEASE = timedelta(minutes=15)
"""How long a feed is somebody's who began to fetch it; then it is due again, whatever became."""
JITTER_SHARE = 0.1
_FIRST_RETRY = timedelta(minutes=1)
_LONGEST_ERROR = 2000

Draw = Callable[[float, float], float]
Key = tuple[str, SignalKind]


@dataclass(frozen=True, slots=True)
class Feed:
    """One feed of one site."""

    site: SiteSpec
    spec: FeedSpec

    @property
    def key(self) -> Key:
        """Which signal it is of."""
        return self.site.name, self.spec.kind

    @property
    def every(self) -> timedelta:
        """Pause between two fetches."""
        return timedelta(minutes=self.spec.every_minutes)


@dataclass(frozen=True, slots=True)
class FeedStanding:
    """How a feed of the fleet fares.

    Attributes
    ----------
    due_at
        When it is fetched next; ``None``: nobody has looked after it yet.
    succeeded_at, newest_at
        When the source last answered as agreed, and last told something new.
    age_hours
        Since it last answered as agreed [h].
    failures
        Tries in a row that went wrong; ``error`` is of the last of them.
    """

    site: str
    kind: SignalKind
    source: str
    zone: str
    every_minutes: int
    due_at: datetime | None = None
    succeeded_at: datetime | None = None
    newest_at: datetime | None = None
    age_hours: float | None = None
    failures: int = 0
    failed_at: datetime | None = None
    error: str = ""


def feeds_of(fleet: FleetSpec) -> tuple[Feed, ...]:
    """Return every feed of a fleet."""
    return tuple(Feed(site, spec) for site in fleet.sites for spec in site.feeds)


def due_feeds(
    session: Session, feeds: Collection[Feed], now: datetime, busy: Collection[str]
) -> list[Feed]:
    """Take the feeds that are due, but those of ``busy`` sources, and keep others from doing so.

    Feeds that are new are due at once, as are those of another source or zone than before; those
    that are no more are forgotten.
    """
    _keep_in_step(session, feeds, now)
    due_at = {key: row.due_at for key, row in standing_of(session).items()}
    ready = [one for one in feeds if one.spec.source not in busy and due_at[one.key] <= now]
    return [one for one in ready if _take(session, one, due_at[one.key], now)]


def is_work_to_do(session: Session, feeds: Collection[Feed], now: datetime) -> bool:
    """Whether any feed is due, new, of another source, or no more; nothing is written to tell."""
    standing = standing_of(session)
    if standing.keys() != {one.key for one in feeds}:
        return True
    return any(
        standing[one.key].due_at <= now or _is_other(standing[one.key], one) for one in feeds
    )


def retry_failed(session: Session, now: datetime) -> None:
    """Let what failed be due: whoever begins may have been given what was missing."""
    failed = (FeedState.failures > 0, FeedState.due_at > now)
    session.execute(
        update(FeedState)
        .where(*failed)
        .values(due_at=now)
        .execution_options(synchronize_session=False)
    )


def note_success(session: Session, feed: Feed, now: datetime, is_new: bool, draw: Draw) -> None:
    """Note that a source answered as agreed; ``is_new``: it told something new."""
    changed: dict[str, object] = {
        "succeeded_at": now,
        "failures": 0,
        "error": "",
        "due_at": now + feed.every * (1 + draw(0.0, JITTER_SHARE)),
    }
    _change(session, feed.key, changed | ({"newest_at": now} if is_new else {}))


def note_failure(
    session: Session, feed: Feed, now: datetime, error: Exception, draw: Draw = random.uniform
) -> None:
    """Note that there is nothing new of a feed, and why.

    What may pass is tried again soon and then ever later, up to its usual pause; when the source
    says how long to wait, then. What does not pass by itself is tried at its usual times.
    """
    row = session.get(FeedState, feed.key)
    failures = 1 if row is None else row.failures + 1
    pause = feed.every * (1 + draw(0.0, JITTER_SHARE))
    if isinstance(error, Unavailable):
        soon = min(feed.every, _FIRST_RETRY * 2 ** min(failures - 1, 20))
        asked = timedelta(seconds=error.retry_after_s or 0.0)
        pause = max(soon * draw(0.5, 1.0), asked * (1 + draw(0.0, JITTER_SHARE)))
    changed = {
        "failures": failures,
        "failed_at": now,
        "error": str(error)[:_LONGEST_ERROR],
        "due_at": now + pause,
    }
    _change(session, feed.key, changed)


def standing_of(session: Session) -> dict[Key, FeedState]:
    """Return how every feed fares that was looked after yet."""
    return {(row.site, row.kind): row for row in session.scalars(select(FeedState))}


def feed_standings(
    session: Session, fleet: FleetSpec | None, now: datetime
) -> dict[Key, FeedStanding]:
    """Return how every feed of a fleet fares."""
    if fleet is None:
        return {}
    rows = standing_of(session)
    return {one.key: _standing(one, rows.get(one.key), now) for one in feeds_of(fleet)}


def _standing(feed: Feed, row: FeedState | None, now: datetime) -> FeedStanding:
    spec = feed.spec
    fresh = FeedStanding(*feed.key, spec.source, spec.zone, spec.every_minutes)
    if row is None or _is_other(row, feed):
        return fresh
    succeeded_at = row.succeeded_at
    return replace(
        fresh,
        due_at=row.due_at,
        succeeded_at=succeeded_at,
        newest_at=row.newest_at,
        age_hours=None if succeeded_at is None else (now - succeeded_at) / timedelta(hours=1),
        failures=row.failures,
        failed_at=row.failed_at,
        error=row.error,
    )


def _keep_in_step(session: Session, feeds: Collection[Feed], now: datetime) -> None:
    known = standing_of(session)
    fresh = [_fresh(one, now) for one in feeds if one.key not in known]
    insert_new(session, FeedState, fresh)
    for one in feeds:
        row = known.pop(one.key, None)
        if row is not None and _is_other(row, one):
            _change(session, one.key, _fresh(one, now))
    for row in known.values():
        session.delete(row)
    session.flush()
    session.expire_all()


def _is_other(row: FeedState, feed: Feed) -> bool:
    return (row.source, row.zone) != (feed.spec.source, feed.spec.zone)


def _fresh(feed: Feed, now: datetime) -> dict[str, object]:
    return {
        "site": feed.site.name,
        "kind": feed.spec.kind,
        "source": feed.spec.source,
        "zone": feed.spec.zone,
        "due_at": now,
        "succeeded_at": None,
        "newest_at": None,
        "failures": 0,
        "failed_at": None,
        "error": "",
    }


def _take(session: Session, feed: Feed, due_at: datetime, now: datetime) -> bool:
    """Whether it is ours now; of several who see it due at an instant one moves it on."""
    site, kind = feed.key
    taken = (
        update(FeedState)
        .where(FeedState.site == site, FeedState.kind == kind, FeedState.due_at == due_at)
        .values(due_at=now + LEASE)
        .returning(FeedState.site)
        .execution_options(synchronize_session=False)
    )
    return session.scalar(taken) is not None


def _change(session: Session, key: Key, values: dict[str, object]) -> None:
    site, kind = key
    which = (FeedState.site == site, FeedState.kind == kind)
    session.execute(
        update(FeedState)
        .where(*which)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
