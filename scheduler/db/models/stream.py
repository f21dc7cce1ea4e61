"""What came in by streams: readings, what was seen, what was refused, and how each stands."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.db.models.base import Base
from scheduler.db.types import CompactInstant, enum_by_value
from scheduler.specs.message import TelemetrySeries


class TelemetryValue(Base):
    """One reading of one device, in ``series.unit``. Never updated.

    What the dispatcher reads of whole clusters every minute is in ``cluster_power``, not here.
    """

    __tablename__ = "telemetry_value"
    __table_args__ = (Index("ix_telemetry_value_at", "at"), {"sqlite_with_rowid": False})

    site: Mapped[str] = mapped_column(primary_key=True)
    series: Mapped[TelemetrySeries] = mapped_column(
        enum_by_value(TelemetrySeries), primary_key=True
    )
    device: Mapped[str] = mapped_column(primary_key=True)  # "": what a site has one of
    at: Mapped[datetime] = mapped_column(CompactInstant, primary_key=True)
    value: Mapped[float]
    source: Mapped[str]  # who sent it
    received_at: Mapped[datetime] = mapped_column(CompactInstant)  # since when it is known


class SeenMessage(Base):
    """A message that was taken in, so that it is known when it comes again. Kept for a while."""

    __tablename__ = "seen_message"
    __table_args__ = (Index("ix_seen_message_seen", "seen_at"), {"sqlite_with_rowid": False})

    digest: Mapped[bytes] = mapped_column(LargeBinary(16), primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(CompactInstant)


class DeadLetter(Base):
    """A message that cannot be used, and why. The newest are kept."""

    __tablename__ = "dead_letter"
    __table_args__ = (Index("ix_dead_letter_received", "received_at", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    stream: Mapped[str]
    subject: Mapped[str]  # topic it came under, or name of the API key
    received_at: Mapped[datetime]
    reason: Mapped[str]
    body: Mapped[str]  # its beginning, as text


class StreamState(Base):
    """What came by one way in since ever, and how that way stands."""

    __tablename__ = "stream_state"
    __table_args__ = (CheckConstraint("delay_s >= 0", name="delay_nonnegative"),)

    stream: Mapped[str] = mapped_column(primary_key=True)
    stored: Mapped[int] = mapped_column(BigInteger, default=0)
    unchanged: Mapped[int] = mapped_column(BigInteger, default=0)  # told what was known
    duplicates: Mapped[int] = mapped_column(BigInteger, default=0)
    dead_letters: Mapped[int] = mapped_column(BigInteger, default=0)
    received_at: Mapped[datetime | None]  # the last message
    delay_s: Mapped[float | None]  # longest of the last batch, from sending to storing
    backlog: Mapped[int | None] = mapped_column(BigInteger)  # waiting at the broker, where it tells
    problem: Mapped[str] = mapped_column(default="")  # why nothing comes; empty: connected
    seen_at: Mapped[datetime]


STREAM_COUNTS = ("stored", "unchanged", "duplicates", "dead_letters")
"""Columns of ``StreamState`` that only grow."""
