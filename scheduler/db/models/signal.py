"""Signals as they came in: what each value is for, and when it was known."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from connectors.types import SignalKind
from scheduler.db.models.base import Base
from scheduler.db.types import CompactInstant, enum_by_value
from scheduler.quality import Rule


class SignalValue(Base):
    """One value for [start_at, start_at + minutes), as known at ``known_at``. Never updated.

    The primary key is in the order in which values are looked up, and on SQLite it is the table:
    one signal's values of some days lie beside each other. None is looked up by ``known_at`` alone.
    """

    __tablename__ = "signal_value"
    __table_args__ = (
        CheckConstraint("minutes > 0", name="minutes_positive"),
        {"sqlite_with_rowid": False},
    )

    site: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[SignalKind] = mapped_column(enum_by_value(SignalKind), primary_key=True)
    start_at: Mapped[datetime] = mapped_column(CompactInstant, primary_key=True)
    known_at: Mapped[datetime] = mapped_column(CompactInstant, primary_key=True)
    minutes: Mapped[int]
    value: Mapped[float]
    source: Mapped[str]


class SignalSeries(Base):
    """What is on record of one signal, so that nobody has to go through its values to tell.

    Whoever stores values locks the row first, so that its figures are right.
    """

    __tablename__ = "signal_series"
    __table_args__ = (CheckConstraint("n_intervals >= 0", name="intervals_nonnegative"),)

    site: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[SignalKind] = mapped_column(enum_by_value(SignalKind), primary_key=True)
    n_intervals: Mapped[int] = mapped_column(default=0)
    first_start_at: Mapped[datetime | None]
    last_end_at: Mapped[datetime | None]
    newest_known_at: Mapped[datetime | None]
    examined_at: Mapped[datetime | None]  # as of when its quality was last looked at


class Verdict(StrEnum):
    """What an operator decided about flagged values."""

    CONFIRMED = "confirmed"  # they are right: used, and not flagged any more
    REJECTED = "rejected"  # they are wrong: not used


class SignalFlag(Base):
    """Values of one upload that are suspicious: kept and used until somebody rejects them.

    They are those of ``source`` that start in [start_at, end_at) and became known from
    ``known_from`` to ``known_to``, both included.
    """

    __tablename__ = "signal_flag"
    __table_args__ = (Index("ix_signal_flag_end", "end_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    site: Mapped[str]
    kind: Mapped[SignalKind] = mapped_column(enum_by_value(SignalKind))
    source: Mapped[str]
    start_at: Mapped[datetime] = mapped_column(CompactInstant)
    end_at: Mapped[datetime] = mapped_column(CompactInstant)
    known_from: Mapped[datetime] = mapped_column(CompactInstant)
    known_to: Mapped[datetime] = mapped_column(CompactInstant)
    rule: Mapped[Rule] = mapped_column(enum_by_value(Rule))
    n_values: Mapped[int]
    reason: Mapped[str]  # a sentence
    flagged_at: Mapped[datetime] = mapped_column(CompactInstant)


class SignalVerdict(Base):
    """What somebody decided about a flag; the last one known at an instant holds then."""

    __tablename__ = "signal_verdict"

    flag_id: Mapped[UUID] = mapped_column(ForeignKey("signal_flag.id"), primary_key=True)
    decided_at: Mapped[datetime] = mapped_column(CompactInstant, primary_key=True)
    verdict: Mapped[Verdict] = mapped_column(enum_by_value(Verdict))
    decided_by: Mapped[str]
    note: Mapped[str] = mapped_column(default="")
