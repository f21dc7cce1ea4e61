"""Thins superseded values that are old: signal by signal, some days of one at a time.

Each step is a transaction of its own, and takes nothing that a later one needs: it may be stopped
after any, done twice, and done by several at once. See ``signal_thinning`` for what is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.orm import Session

from connectors.types import SignalKind
from scheduler.db.models import PlanningRun, SignalSeries, SignalValue, StoredPlan
from scheduler.db.session import SessionFactory, transaction
from scheduler.services.assemble import FILL_HISTORY
from scheduler.services.signal_store import Wanted, flags_standing, superseded_values
from scheduler.services.signal_thinning import Flags, Instants, may_go
from scheduler.services.signals import LONGEST_MINUTES

SPAN = timedelta(days=28)  # of one signal in one step


@dataclass(frozen=True, slots=True)
class Detail:
    """How much is kept: all for ``days``; before that, what was known every ``grid_hours``."""

    days: float
    grid_hours: float


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction went through, and how many values it took away or would."""

    superseded: int
    removed: int


@dataclass(frozen=True, slots=True)
class _Span:
    site: str
    kind: SignalKind
    start: datetime
    end: datetime

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.start, self.end, (self.site,), (self.kind,))


def compact(
    sessions: SessionFactory,
    now: datetime,
    detail: Detail,
    *,
    is_dry: bool = False,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Compacted:
    """Thin everything that is older than ``detail`` says, until done or stopped.

    With ``is_dry`` nothing is removed, and the numbers are those that would be.
    """
    limit = now - timedelta(days=detail.days)
    with transaction(sessions) as session:
        spans = _spans(session)
        # One that is stored meanwhile read its signals after the limit.
        plans = _plans(session)
    superseded = removed = 0
    for span in spans:
        if is_stopped():
            break
        with transaction(sessions) as session:
            values = _superseded(session, span, limit, now)
            goes = values[_may_go(values, span, plans, limit, detail)]
            if not is_dry and not goes.empty:
                _remove(session, span, goes)
        superseded += len(values)
        removed += len(goes)
    return Compacted(superseded, removed)


def _spans(session: Session) -> list[_Span]:
    """Part every signal into pieces of some days."""
    series = session.execute(
        select(
            SignalSeries.site,
            SignalSeries.kind,
            SignalSeries.first_start_at,
            SignalSeries.last_end_at,
        ).order_by(SignalSeries.site, SignalSeries.kind)
    )
    return [
        _Span(site, kind, first + number * SPAN, first + (number + 1) * SPAN)
        for site, kind, first, last in series
        if first is not None and last is not None
        for number in range(-((first - last) // SPAN))
    ]


def _superseded(session: Session, span: _Span, limit: datetime, now: datetime) -> pd.DataFrame:
    """Read what was superseded before the limit, but for what somebody has decided on.

    Where something was rejected, another value stands in its place for a time: all of it stays.
    """
    values = superseded_values(session, span.wanted, limit)
    for standing in flags_standing(session, span.wanted, now):
        if standing.verdict is not None:
            start, end = standing.flag.start_at, standing.flag.end_at
            values = values[(values["start_at"] < start) | (values["start_at"] >= end)]
    return values


def _may_go(
    values: pd.DataFrame, span: _Span, plans: pd.DataFrame, limit: datetime, detail: Detail
) -> Flags:
    reads = plans[(plans["first_start"] < span.end) & (plans["end"] > span.start)]
    return may_go(
        _microseconds(values["start_at"]),
        _microseconds(values["known_at"]),
        _microseconds(values["superseded_at"]),
        limit=int(pd.Timestamp(limit).as_unit("us").value),
        grid=round(detail.grid_hours * 3600 * 10**6),
        plans=(
            np.sort(_microseconds(reads["read_from"])),
            np.sort(_microseconds(reads["read_to"])),
        ),
    )


def _plans(session: Session) -> pd.DataFrame:
    """Read from when to when each plan read signals, and from which first start to which end.

    What was made before this was kept read them between the beginning of its run and its end.
    """
    rows = session.execute(
        select(
            func.coalesce(
                StoredPlan.inputs_known_at, PlanningRun.started_at, PlanningRun.queued_at
            ),
            func.coalesce(StoredPlan.inputs_known_at, StoredPlan.created_at),
            StoredPlan.window_start,
            StoredPlan.slot_minutes,
            StoredPlan.n_slots,
        ).join(PlanningRun, PlanningRun.id == StoredPlan.run_id)
    )
    read = [
        (
            read_from,
            read_to,
            start - FILL_HISTORY - timedelta(minutes=LONGEST_MINUTES),
            start + n_slots * timedelta(minutes=slot_minutes),
        )
        for read_from, read_to, start, slot_minutes, n_slots in rows
    ]
    columns = ("read_from", "read_to", "first_start", "end")
    return pd.DataFrame(
        {
            name: pd.DatetimeIndex(pd.to_datetime([row[at] for row in read], utc=True))
            for at, name in enumerate(columns)
        }
    )


def _remove(session: Session, span: _Span, values: pd.DataFrame) -> None:
    """Delete by the whole key: one statement, sent once with all of them."""
    one = delete(SignalValue).where(
        SignalValue.site == span.site,
        SignalValue.kind == span.kind,
        SignalValue.start_at == bindparam("gone_start_at"),
        SignalValue.known_at == bindparam("gone_known_at"),
    )
    keys = [
        {"gone_start_at": start.to_pydatetime(), "gone_known_at": known.to_pydatetime()}
        for start, known in zip(values["start_at"], values["known_at"], strict=True)
    ]
    session.connection().execute(one, keys)


def _microseconds(instants: pd.Series) -> Instants:
    return np.asarray(instants.dt.as_unit("us").astype("int64").to_numpy(), np.int64)
