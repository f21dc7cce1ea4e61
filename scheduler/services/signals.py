"""Signals, kept bitemporally: what each value is for, and since when it was known.

A value is never changed. A later one for the same interval stands beside it, so that any plan can
be made again from what was known then.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import pandas as pd
from sqlalchemy import Row, Subquery, func, select
from sqlalchemy.orm import Session

from connectors.types import SignalKind, Window
from scheduler.db.inserts import insert_new
from scheduler.db.models import SignalValue
from scheduler.services import fleet
from scheduler.services.errors import Conflict, Invalid, Refusal
from scheduler.specs.base import EARLIEST, LATEST, MOST

LONGEST_MINUTES = 24 * 60
STEP_MINUTES = 5  # the shortest slot there is; intervals are whole steps of it
_MOST_REFUSALS = 20
_LEAST: dict[SignalKind, float] = {
    SignalKind.CARBON_INTENSITY: 0.0,
    SignalKind.PV: 0.0,
    SignalKind.WIND: 0.0,
    SignalKind.BASE_LOAD: 0.0,
    SignalKind.PUE: 1.0,
}
_POINT_COLUMNS = ("site", "kind", "start_at", "minutes", "value", "known_at")
_FRAME_COLUMNS = (*_POINT_COLUMNS, "source")


@dataclass(frozen=True, slots=True)
class SignalPoint:
    """One value for [start_at, start_at + minutes), in ``kind.unit``, as of ``known_at``."""

    site: str
    kind: SignalKind
    start_at: datetime
    minutes: int
    value: float
    known_at: datetime

    @property
    def key(self) -> tuple[str, SignalKind, datetime]:
        """What the value is for."""
        return self.site, self.kind, self.start_at


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of an upload."""

    inserted: int
    unchanged: int  # the same as what was known already


def insert_values(session: Session, points: Sequence[SignalPoint], source: str) -> Stored:
    """Keep those of ``points`` that tell something new.

    Raises
    ------
    Invalid
        A site is unknown, a value is impossible for its kind, or intervals overlap.
    Conflict
        Another value is on record as known at the very same instant.
    """
    _require_acceptable(points, [site.name for site in fleet.required_spec(session).sites])
    on_record = _on_record(session, points)
    fresh = [point for point in points if not _tells_nothing_new(point, on_record)]
    rows = [
        {
            "site": point.site,
            "kind": point.kind,
            "start_at": point.start_at,
            "known_at": point.known_at,
            "minutes": point.minutes,
            "value": point.value,
            "source": source,
        }
        for point in fresh
    ]
    inserted = insert_new(session, SignalValue, rows)
    if inserted < len(fresh):
        raise Conflict(f"{len(fresh) - inserted} values were stored by another upload meanwhile")
    return Stored(inserted, len(points) - inserted)


def points_of(table: pd.DataFrame, known_at: datetime) -> list[SignalPoint]:
    """Turn rows of a signals file into points; ``known_at`` is for those that do not state it.

    Raises ``Invalid`` where an instant lies outside of the years that specs take.
    """
    stated = table["known_at"].fillna(pd.Timestamp(known_at))
    for column, instants in (("start_at", table["start_at"]), ("known_at", stated)):
        outside = instants[(instants < EARLIEST) | (instants >= LATEST)]
        if not outside.empty:
            limit = f"within [{EARLIEST:%Y-%m-%d}, {LATEST:%Y-%m-%d})"
            raise Invalid(Refusal("signals file", column, str(outside.iloc[0]), limit))
    return [
        SignalPoint(
            site=row["site"],
            kind=SignalKind(row["kind"]),
            start_at=row["start_at"].to_pydatetime(),
            minutes=int(row["minutes"]),
            value=float(row["value"]),
            known_at=row["known_at"].to_pydatetime(),
        )
        for row in table.assign(known_at=stated).to_dict("records")
    ]


def signals_frame(session: Session, window: Window, known_at: datetime) -> pd.DataFrame:
    """Give the values for ``window`` as they were known at ``known_at``.

    Returns
    -------
    pandas.DataFrame
        Columns ``site``, ``kind`` (SignalKind), ``start_at`` and ``known_at`` (UTC), ``minutes``,
        ``value`` [``kind.unit``], ``source``; one row for each interval that overlaps the window,
        in order of site, kind and start.
    """
    earliest = window.start - timedelta(minutes=LONGEST_MINUTES)
    latest = _latest(known_at, earliest, window.end)
    columns = [latest.c[name] for name in _FRAME_COLUMNS]
    rows = session.execute(select(*columns).where(latest.c.rank == 1).order_by(*columns[:3])).all()
    overlapping = [row for row in rows if _end(row) > window.start]
    frame = pd.DataFrame(overlapping, columns=list(_FRAME_COLUMNS))
    for name in ("start_at", "known_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True)
    return frame


def latest_values(
    session: Session, site: str, kind: SignalKind, window: Window, known_at: datetime
) -> list[SignalPoint]:
    """Values of one signal in ``window`` as known at ``known_at``, in order of time."""
    latest = _latest(known_at, window.start, window.end)
    columns = [latest.c[name] for name in _POINT_COLUMNS]
    wanted = select(*columns).where(
        latest.c.rank == 1, latest.c.site == site, latest.c.kind == kind
    )
    rows = session.execute(wanted.order_by(latest.c.start_at))
    return [SignalPoint(**row._mapping) for row in rows]


def _latest(known_at: datetime, start: datetime, end: datetime) -> Subquery:
    """Every value starting in [start, end); ``rank`` 1 is the last one known of its interval."""
    same_interval = (SignalValue.site, SignalValue.kind, SignalValue.start_at)
    rank = func.row_number().over(partition_by=same_interval, order_by=SignalValue.known_at.desc())
    return (
        select(SignalValue, rank.label("rank"))
        .where(
            SignalValue.start_at >= start,
            SignalValue.start_at < end,
            SignalValue.known_at <= known_at,
        )
        .subquery()
    )


def _end(row: Row[tuple[object, ...]]) -> datetime:
    end: datetime = row.start_at + timedelta(minutes=row.minutes)
    return end


_Known = dict[datetime, tuple[int, float]]  # known_at -> minutes, value


def _on_record(
    session: Session, points: Sequence[SignalPoint]
) -> dict[tuple[str, SignalKind, datetime], _Known]:
    """Everything known of the intervals of ``points``."""
    if not points:
        return {}
    starts = [point.start_at for point in points]
    wanted = {point.key for point in points}
    rows = session.scalars(
        select(SignalValue).where(
            SignalValue.site.in_({point.site for point in points}),
            SignalValue.kind.in_({point.kind for point in points}),
            SignalValue.start_at.between(min(starts), max(starts)),
        )
    )
    on_record: dict[tuple[str, SignalKind, datetime], _Known] = {}
    for row in rows:
        key = (row.site, row.kind, row.start_at)
        if key in wanted:
            on_record.setdefault(key, {})[row.known_at] = (row.minutes, row.value)
    return on_record


def _tells_nothing_new(
    point: SignalPoint, on_record: dict[tuple[str, SignalKind, datetime], _Known]
) -> bool:
    """Whether the value last known by then was the same."""
    known = on_record.get(point.key, {})
    now = (point.minutes, point.value)
    if known.get(point.known_at, now) != now:
        raise Conflict(
            f"site {point.site}: {point.kind.value} at {point.start_at.isoformat()} known at"
            f" {point.known_at.isoformat()} is on record as {known[point.known_at][1]!r}"
        )
    before = [at for at in known if at <= point.known_at]
    return bool(before) and known[max(before)] == now


def _require_acceptable(points: Sequence[SignalPoint], sites: Sequence[str]) -> None:
    # Where a single value is impossible, ends of intervals may not be instants at all.
    refusals = [*_impossible_values(points, sites)] or [*_overlaps(points)]
    if refusals:
        raise Invalid(*refusals[:_MOST_REFUSALS])


def _impossible_values(points: Iterable[SignalPoint], sites: Sequence[str]) -> Iterable[Refusal]:
    for point in points:
        owner = f"signal {point.site}/{point.kind.value} at {point.start_at.isoformat()}"
        least = _LEAST.get(point.kind, -MOST)
        if point.site not in sites:
            yield Refusal(owner, "site", point.site, f"one of {', '.join(sites)}")
        if point.minutes % STEP_MINUTES or not 0 < point.minutes <= LONGEST_MINUTES:
            limit = f"a multiple of {STEP_MINUTES} in {STEP_MINUTES} .. {LONGEST_MINUTES}"
            yield Refusal(owner, "minutes", point.minutes, limit)
        if point.start_at.timestamp() % (STEP_MINUTES * 60):
            start = point.start_at.isoformat()
            yield Refusal(owner, "start_at", start, f"a multiple of {STEP_MINUTES} minutes")
        if not math.isfinite(point.value):
            yield Refusal(owner, "value", str(point.value), "a finite number")
        elif not least <= point.value <= MOST:
            limit = f"within [{least:g}, {MOST:g}] {point.kind.unit}"
            yield Refusal(owner, "value", point.value, limit)


def _overlaps(points: Iterable[SignalPoint]) -> Iterable[Refusal]:
    ordered = sorted(points, key=lambda point: point.key)
    for first, second in pairwise(ordered):
        end = first.start_at + timedelta(minutes=first.minutes)
        if first.key[:2] == second.key[:2] and second.start_at < end:
            owner = f"signal {second.site}/{second.kind.value}"
            start = second.start_at.isoformat()
            yield Refusal(owner, "start_at", start, f">= {end.isoformat()}, where another ends")
