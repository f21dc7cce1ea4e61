"""The one query for signals: the values that were known at an instant.

Of all values for one interval that were known by then and are not rejected, the one known last
stands. How a database finds it differs: SQLite goes through the window of each signal in the order
of the key and takes of each interval those beside its greatest ``known_at``; PostgreSQL does so for
one signal after another, from the table of signals. Neither reads a value outside of the window.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    String,
    exists,
    func,
    lateral,
    literal,
    select,
    true,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, aliased

from connectors.types import SignalKind
from scheduler.db.models import SignalFlag, SignalSeries, SignalValue, SignalVerdict, Verdict
from scheduler.db.types import CompactInstant

COLUMNS = ("site", "kind", "start_at", "minutes", "value", "known_at", "source")
_KINDS = {kind.value: kind for kind in SignalKind}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which values: of these sites and kinds (``None``: all), that start in [start, end)."""

    start: datetime
    end: datetime
    sites: Collection[str] | None = None
    kinds: Collection[SignalKind] | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A flag and what was decided about it last; ``None``: nothing yet."""

    flag: SignalFlag
    verdict: SignalVerdict | None

    @property
    def is_open(self) -> bool:
        """Whether nobody has decided on it."""
        return self.verdict is None

    @property
    def is_rejected(self) -> bool:
        """Whether its values are not to be used."""
        return self.verdict is not None and self.verdict.verdict is Verdict.REJECTED


def known_values(
    session: Session, wanted: Wanted, known_at: datetime, *, with_rejected: bool = False
) -> pd.DataFrame:
    """Give the values known at ``known_at`` in order of site, kind and start.

    Returns
    -------
    pandas.DataFrame
        ``COLUMNS``, and ``is_flagged``: whether a flag stood then that nobody had decided on.
    """
    return _newest(session, wanted, known_at, [], with_rejected=with_rejected)


def expected_values(session: Session, wanted: Wanted, known_at: datetime) -> pd.DataFrame:
    """Give of each interval what was expected of it as it began, as ``known_values`` does.

    That is what was known by its start, less what is known to be rejected at ``known_at``.
    """
    as_it_began = SignalValue.known_at <= SignalValue.start_at
    return _newest(session, wanted, known_at, [as_it_began])


def _newest(
    session: Session,
    wanted: Wanted,
    known_at: datetime,
    further: list[ColumnElement[bool]],
    *,
    with_rejected: bool = False,
) -> pd.DataFrame:
    """Give of each interval the value known last by ``known_at`` of those that are asked for."""
    flags = flags_standing(session, wanted, known_at)
    conditions = [
        SignalValue.known_at <= known_at,
        SignalValue.start_at >= wanted.start,
        SignalValue.start_at < wanted.end,
        *further,
    ]
    if not with_rejected:
        conditions += _not_of([one.flag.id for one in flags if one.is_rejected])
    on_postgres = session.get_bind().dialect.name == "postgresql"
    in_order = _on_postgres if on_postgres else _on_sqlite
    statement = in_order(_columns(session), wanted, conditions)
    frame = _frame(session, statement)
    return frame.assign(is_flagged=_is_flagged(frame, [it.flag for it in flags if it.is_open]))


def all_values(
    session: Session,
    wanted: Wanted,
    after: datetime,
    until: datetime,
    *,
    with_rejected: bool = True,
) -> pd.DataFrame:
    """Give every value that became known in (after, until], whatever stands beside it."""
    conditions = [
        SignalValue.known_at > after,
        SignalValue.known_at <= until,
        SignalValue.start_at >= wanted.start,
        SignalValue.start_at < wanted.end,
        *_of_series(wanted),
    ]
    if not with_rejected:
        standing = flags_standing(session, wanted, until)
        conditions += _not_of([one.flag.id for one in standing if one.is_rejected])
    return _frame(session, select(*_columns(session)).where(*conditions))


def superseded_values(session: Session, wanted: Wanted, before: datetime) -> pd.DataFrame:
    """Give the values that were superseded before an instant: ``start_at``, ``known_at``, and when.

    ``superseded_at`` is when the next value of the same interval became known.
    """
    start, known = (_kept(session, name) for name in ("start_at", "known_at"))
    key = SignalValue.site, SignalValue.kind, SignalValue.start_at
    following = func.lead(known).over(partition_by=key, order_by=SignalValue.known_at)
    every = (
        select(start.label("start_at"), known.label("known_at"), following.label("superseded_at"))
        .where(
            SignalValue.start_at >= wanted.start,
            SignalValue.start_at < wanted.end,
            *_of_series(wanted),
        )
        .subquery()
    )
    limit = literal(before, CompactInstant)
    rows = session.execute(select(every).where(every.c.superseded_at <= limit)).all()
    columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
    names = ("start_at", "known_at", "superseded_at")
    return pd.DataFrame(
        {name: _instants(column) for name, column in zip(names, columns, strict=True)}
    )


def flags_standing(session: Session, wanted: Wanted, known_at: datetime) -> list[Standing]:
    """Give the flags that stood at ``known_at`` on values in the window, in order of time."""
    every = aliased(SignalVerdict)
    last_decided = (
        select(func.max(every.decided_at))
        .where(every.flag_id == SignalFlag.id, every.decided_at <= known_at)
        .correlate(SignalFlag)
        .scalar_subquery()
    )
    its_verdict = (SignalVerdict.flag_id == SignalFlag.id) & (
        SignalVerdict.decided_at == last_decided
    )
    conditions = [
        SignalFlag.flagged_at <= known_at,
        SignalFlag.end_at > wanted.start,
        SignalFlag.start_at < wanted.end,
    ]
    if wanted.sites is not None:
        conditions.append(SignalFlag.site.in_(wanted.sites))
    if wanted.kinds is not None:
        conditions.append(SignalFlag.kind.in_(wanted.kinds))
    rows = session.execute(
        select(SignalFlag, SignalVerdict)
        .outerjoin(SignalVerdict, its_verdict)
        .where(*conditions)
        .order_by(SignalFlag.flagged_at, SignalFlag.start_at, SignalFlag.id)
    )
    return [Standing(flag, verdict) for flag, verdict in rows]


def _frame(session: Session, statement: Select[Any]) -> pd.DataFrame:
    rows = session.execute(statement).all()
    by_column = dict(zip(COLUMNS, zip(*rows, strict=True), strict=False)) if rows else {}
    frame = pd.DataFrame({name: by_column.get(name, ()) for name in COLUMNS})
    for name in ("start_at", "known_at"):
        frame[name] = _instants(by_column.get(name, ()))
    # Not by pandas: it would turn kinds, which are strings, into strings that are no kinds.
    frame["kind"] = pd.Series([_KINDS[kind] for kind in by_column.get("kind", ())], dtype=object)
    return frame.astype({"minutes": "int64", "value": "float64"})


def _instants(kept: Sequence[Any]) -> pd.DatetimeIndex:
    """Turn instants as a database keeps them to those of pandas."""
    if kept and isinstance(kept[0], int):
        return pd.DatetimeIndex(np.array(kept, "datetime64[us]"), tz="UTC")
    return pd.DatetimeIndex(pd.to_datetime(list(kept), utc=True)).as_unit("us")


def _is_flagged(frame: pd.DataFrame, flags: Sequence[SignalFlag]) -> pd.Series:
    """Whether each row is one of the values of a flag."""
    found = pd.Series(False, frame.index)
    for flag in flags:
        found |= (
            (frame["site"] == flag.site)
            & (frame["kind"] == flag.kind)
            & (frame["source"] == flag.source)
            & (frame["start_at"] >= flag.start_at)
            & (frame["start_at"] < flag.end_at)
            & (frame["known_at"] >= flag.known_from)
            & (frame["known_at"] <= flag.known_to)
        )
    return found


def _not_of(flags: Collection[Any]) -> list[ColumnElement[bool]]:
    """Ask for values that are of none of these flags."""
    if not flags:
        return []
    is_of_one = exists().where(
        SignalFlag.id.in_(flags),
        SignalFlag.site == SignalValue.site,
        SignalFlag.kind == SignalValue.kind,
        SignalFlag.source == SignalValue.source,
        SignalFlag.start_at <= SignalValue.start_at,
        SignalFlag.end_at > SignalValue.start_at,
        SignalFlag.known_from <= SignalValue.known_at,
        SignalFlag.known_to >= SignalValue.known_at,
    )
    return [~is_of_one]


def _columns(session: Session) -> list[ColumnElement[Any]]:
    return [_kept(session, name) for name in COLUMNS]


def _kept(session: Session, name: str) -> ColumnElement[Any]:
    """Return a column as the database keeps it: there may be a hundred thousand rows."""
    column: ColumnElement[Any] = getattr(SignalValue, name)
    if name == "kind":
        return type_coerce(column, String).label(name)
    if name.endswith("_at") and session.get_bind().dialect.name == "sqlite":
        return type_coerce(column, BigInteger).label(name)
    return column


def _on_sqlite(
    columns: Sequence[ColumnElement[Any]],
    wanted: Wanted,
    conditions: Sequence[ColumnElement[bool]],
) -> Select[Any]:
    # Columns that are not aggregated are those of the row with the maximum: documented at
    # sqlite.org/lang_select.html, "bare columns in an aggregate query".
    key = SignalValue.site, SignalValue.kind, SignalValue.start_at
    newest = select(*columns, func.max(SignalValue.known_at)).where(
        *_of_series(wanted), *conditions
    )
    return newest.group_by(*key).order_by(*key)


def _of_series(wanted: Wanted) -> list[ColumnElement[bool]]:
    """Name each signal, so that its window is gone to and the table not gone through."""

    def names(column: Any, given: Collection[Any] | None) -> Any:
        return select(column).distinct() if given is None else list(given)

    return [
        SignalValue.site.in_(names(SignalSeries.site, wanted.sites)),
        SignalValue.kind.in_(names(SignalSeries.kind, wanted.kinds)),
    ]


def _on_postgres(
    columns: Sequence[ColumnElement[Any]],
    wanted: Wanted,
    conditions: Sequence[ColumnElement[bool]],
) -> Select[Any]:
    series = select(SignalSeries.site, SignalSeries.kind)
    if wanted.sites is not None:
        series = series.where(SignalSeries.site.in_(wanted.sites))
    if wanted.kinds is not None:
        series = series.where(SignalSeries.kind.in_(wanted.kinds))
    one = series.subquery()
    newest = lateral(
        select(*columns)
        .correlate(one)
        .where(SignalValue.site == one.c.site, SignalValue.kind == one.c.kind, *conditions)
        .order_by(SignalValue.start_at, SignalValue.known_at.desc())
        .ext(distinct_on(SignalValue.start_at))
    )
    found = [newest.c[name] for name in COLUMNS]
    return select(*found).select_from(one.join(newest, true())).order_by(*found[:3])
