"""Feeds: signals of sites that are fetched from their sources again and again.

Each source has a line of its own, on which its feeds are fetched one after the other: a source that
is slow, away or broken holds up no other, and nobody waits for it. Sites that are fed the same are
fed from one answer. What comes is stored by
``insert_values`` like any other value, as known since it was published where the source says so,
else since it came.
"""

from __future__ import annotations

import logging
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from datetime import UTC, datetime, timedelta
from functools import partial

import pandas as pd
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connectors.errors import ConnectorError, ContractBroken
from connectors.protocols import SignalSource
from connectors.types import SignalKind, Window
from scheduler.db.models import FleetVersion
from scheduler.db.outage import DATABASE_AWAY
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import fleet as fleets
from scheduler.services.dispatch_lines import Lines
from scheduler.services.errors import Conflict, ServiceError
from scheduler.services.feed_states import (
    Draw,
    Feed,
    due_feeds,
    feeds_of,
    is_work_to_do,
    note_failure,
    note_success,
    retry_failed,
)
from scheduler.services.signals import SignalPoint, insert_values
from scheduler.specs import FleetSpec
from scheduler.specs.feeds import FeedSpec
from scheduler.timekeeping import Now

log = logging.getLogger(__name__)

_MONEY = (SignalKind.PRICE, SignalKind.EXPORT_PRICE)


class FeedWatch:
    """Fetches what is due.

    Parameters
    ----------
    source_of
        Gives the source of a name to a fleet; raises what it refuses.
    draw
        Draws between two ends: no two fleets ask at the same instants for ever.
    """

    def __init__(
        self,
        sessions: SessionFactory,
        source_of: Callable[[FleetSpec, str], SignalSource],
        now: Now,
        draw: Draw = random.uniform,
    ) -> None:
        self._sessions = sessions
        self._source_of = source_of
        self._now = now
        self._draw = draw
        self._lines = Lines()
        self._running: dict[str, Future[None]] = {}
        self._said: dict[tuple[str, SignalKind], str] = {}
        self._fleet: tuple[int, FleetSpec] | None = None
        self._has_begun = False

    def look(self) -> None:
        """Begin to fetch what is due; sources that are still busy are left until they are done."""
        busy = {name for name, future in self._running.items() if not future.done()}
        with transaction(self._sessions) as session:
            fleet = self._current_fleet(session)
            if not self._has_begun:
                retry_failed(session, self._now())
            is_work = fleet is not None and is_work_to_do(session, feeds_of(fleet), self._now())
        self._has_begun = True
        if fleet is None or not is_work:
            return
        # The savepoint takes SQLite's write lock before anything is read.
        with transaction(self._sessions) as session, session.begin_nested():
            due = due_feeds(session, feeds_of(fleet), self._now(), busy)
        by_source: dict[str, list[Feed]] = defaultdict(list)
        for feed in due:
            by_source[feed.spec.source].append(feed)
        for name, feeds in by_source.items():
            self._begin(fleet, name, feeds)

    def _current_fleet(self, session: Session) -> FleetSpec | None:
        """Return the fleet in force; versions never change, so each is read once."""
        number = session.scalar(select(func.max(FleetVersion.id)))
        if number is None:
            return None
        if self._fleet is None or self._fleet[0] != number:
            self._fleet = number, fleets.spec_of(session.get_one(FleetVersion, number))
        return self._fleet[1]

    def finish(self, within_s: float) -> bool:
        """Wait for what was begun; whether all of it ended in time."""
        return not wait(self._running.values(), within_s).not_done

    def _begin(self, fleet: FleetSpec, name: str, feeds: Sequence[Feed]) -> None:
        try:
            source = self._source_of(fleet, name)
        except (ConnectorError, ServiceError) as error:
            for feed in feeds:
                self._note_failure(feed, error, self._draw)
            return
        self._running[name] = self._lines.start(name, lambda: self._fetch_all(source, feeds))

    async def _fetch_all(self, source: SignalSource, feeds: Iterable[Feed]) -> None:
        """Fetch what is the same of several sites once; one jitter keeps it together."""
        alike: dict[tuple[object, ...], list[Feed]] = defaultdict(list)
        for feed in feeds:
            spec = feed.spec
            alike[spec.zone, spec.kind, spec.back_hours, spec.ahead_hours].append(feed)
        for group in alike.values():
            share = self._draw(0.0, 1.0)
            await self._fetch(source, group, partial(_between, share))

    async def _fetch(self, source: SignalSource, group: Sequence[Feed], draw: Draw) -> None:
        spec = group[0].spec
        failure: Exception | None = None
        frame = pd.DataFrame()
        try:
            frame = await source.fetch(spec.zone, spec.kind, _window(spec, self._now()))
        except (ConnectorError, ServiceError) as error:
            failure = error
        except Exception as error:
            log.exception("%s failed", _name(group[0]))
            failure = error
        for feed in group:
            if failure is None:
                self._guarded(feed, partial(self._keep, feed, frame, draw))
            else:
                self._guarded(feed, partial(self._note_failure, feed, failure, draw))

    def _guarded(self, feed: Feed, do: Callable[[], None]) -> None:
        """Do what the database is needed for; one feed stands in no other's way."""
        try:
            do()
        except DATABASE_AWAY as error:
            # It stays taken until its lease is over, and is fetched again then.
            log.warning("%s: database unavailable: %s", _name(feed), error.orig)
        except Exception:
            log.exception("%s cannot be kept account of", _name(feed))

    def _keep(self, feed: Feed, frame: pd.DataFrame, draw: Draw) -> None:
        try:
            self._store(feed, frame, draw)
        except (ConnectorError, ServiceError) as error:
            self._note_failure(feed, error, draw)

    def _store(self, feed: Feed, frame: pd.DataFrame, draw: Draw) -> None:
        _require_currency(feed, frame)
        now = self._now()
        points = _points(feed, frame, now)
        try:
            inserted = self._insert(feed, points, now, draw)
        except Conflict:
            # Another value of the same instant of publication: the source changed it and did not
            # say so, and we have known it since now.
            inserted = self._insert(feed, _known_at(points, now), now, draw)
        if self._said.pop(feed.key, None) is not None:
            log.info("%s answers again", _name(feed))
        if inserted:
            log.info("%s: %d new values", _name(feed), inserted)

    def _insert(self, feed: Feed, points: Sequence[SignalPoint], now: datetime, draw: Draw) -> int:
        with transaction(self._sessions) as session:
            stored = insert_values(session, points, feed.spec.source, now) if points else None
            inserted = 0 if stored is None else stored.inserted
            note_success(session, feed, now, inserted > 0, draw)
        return inserted

    def _note_failure(self, feed: Feed, error: Exception, draw: Draw) -> None:
        if self._said.get(feed.key) != str(error):
            self._said[feed.key] = str(error)
            log.warning("%s: %s", _name(feed), error)
        with transaction(self._sessions) as session:
            note_failure(session, feed, self._now(), error, draw)


def _name(feed: Feed) -> str:
    return f"feed of {feed.spec.kind.value} of site {feed.site.name} from {feed.spec.source}"


def _between(share: float, low: float, high: float) -> float:
    return low + share * (high - low)


def _window(spec: FeedSpec, now: datetime) -> Window:
    """Return the whole days, in UTC, of what is asked for.

    They are the same all day long, so that a source may answer that nothing has changed.
    """
    start = now - timedelta(hours=spec.back_hours)
    end = now + timedelta(hours=spec.ahead_hours)
    return Window(_midnight(start), _midnight(end) + timedelta(days=1))


def _midnight(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _require_currency(feed: Feed, frame: pd.DataFrame) -> None:
    if feed.spec.kind not in _MONEY:
        return
    agreed = f"{feed.site.currency}/MWh"
    for unit in frame["unit"].unique():
        if unit not in {agreed, feed.spec.kind.unit}:
            raise ContractBroken(
                f"{feed.spec.source}: {feed.spec.kind.value} of {feed.spec.zone}: unit = {unit},"
                f" must be {agreed}, in the currency of site {feed.site.name}"
            )


def _points(feed: Feed, frame: pd.DataFrame, now: datetime) -> list[SignalPoint]:
    # Who publishes by a clock that is ahead of ours would tell of what nobody knows yet.
    latest = pd.Timestamp(now)
    known = frame["known_at"].where(frame["known_at"] <= latest, latest)
    return [
        SignalPoint(*feed.key, start, int(minutes), float(value), known_at)
        for start, minutes, value, known_at in zip(
            frame["start_at"].dt.to_pydatetime(),
            frame["minutes"],
            frame["value"],
            known.dt.to_pydatetime(),
            strict=True,
        )
    ]


def _known_at(points: Iterable[SignalPoint], now: datetime) -> list[SignalPoint]:
    return [
        SignalPoint(one.site, one.kind, one.start_at, one.minutes, one.value, now) for one in points
    ]
