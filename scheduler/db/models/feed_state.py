"""How the feeds of sites fare."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from connectors.types import SignalKind
from scheduler.db.models.base import Base
from scheduler.db.types import enum_by_value


class FeedState(Base):
    """One signal of a site that is fetched from a source: when it was, and when it is to be next.

    Whoever fetches moves ``due_at`` ahead first, so that of any number of clocks one does.
    """

    __tablename__ = "feed_state"

    site: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[SignalKind] = mapped_column(enum_by_value(SignalKind), primary_key=True)
    source: Mapped[str]
    zone: Mapped[str]
    due_at: Mapped[datetime]
    succeeded_at: Mapped[datetime | None]  # the last time that it answered as agreed
    newest_at: Mapped[datetime | None]  # the last time that it told something new
    failures: Mapped[int] = mapped_column(default=0)  # in a row
    failed_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(default="")  # of the last try; empty: it went well
