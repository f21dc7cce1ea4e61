"""Grid events as a file scripts them, for a virtual power plant that is simulated."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Protocol, Self

from pydantic import Field, model_validator

from connectors.types import GridEventKind, GridEventNotice, Window
from scheduler.specs.base import Instant, Minutes, Name, NonNegative, Spec, require_unique

Priority = Annotated[int | None, Field(ge=0, le=2**31 - 1)]
"""Of a call among those of its sender: 0 is the highest, none the lowest."""


class Called(Protocol):
    """A call as a file, a request or the database has it."""

    external_id: str
    site: str
    start_at: datetime
    end_at: datetime
    limit_kw: float
    breach_eur_per_kwh: float
    kind: GridEventKind
    issued_at: datetime | None
    ramp_minutes: float
    priority: int | None
    payment_eur_per_kwh: float
    rebound_kw: float | None
    rebound_minutes: float
    rebound_eur_per_kwh: float


def notice_of(call: Called) -> GridEventNotice:
    """Return a call as its sender told it, whether or not it was called off since."""
    return GridEventNotice(
        event_id=call.external_id,
        site=call.site,
        window=Window(call.start_at, call.end_at),
        limit_kw=call.limit_kw,
        breach_eur_per_kwh=call.breach_eur_per_kwh,
        kind=call.kind,
        issued_at=call.issued_at,
        ramp_minutes=call.ramp_minutes,
        priority=call.priority,
        payment_eur_per_kwh=call.payment_eur_per_kwh,
        rebound_kw=call.rebound_kw,
        rebound_minutes=call.rebound_minutes,
        rebound_eur_per_kwh=call.rebound_eur_per_kwh,
    )


class GridEventSpec(Spec):
    """Import at most ``limit_kw`` at ``site`` in [start_at, end_at); known from ``known_at`` on."""

    external_id: Name
    site: Name
    start_at: Instant
    end_at: Instant
    limit_kw: NonNegative
    breach_eur_per_kwh: NonNegative
    known_at: Instant
    is_cancelled: bool = False
    kind: GridEventKind = GridEventKind.LIMIT
    issued_at: Instant | None = None
    ramp_minutes: Minutes = 0.0
    priority: Priority = None
    payment_eur_per_kwh: NonNegative = 0.0
    rebound_kw: NonNegative | None = None
    rebound_minutes: Minutes = 0.0
    rebound_eur_per_kwh: NonNegative = 0.0

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.end_at <= self.start_at:
            raise ValueError(
                f"grid event {self.external_id}: end_at = {self.end_at.isoformat()},"
                f" must be after start_at = {self.start_at.isoformat()}"
            )
        return self


class GridScriptSpec(Spec):
    """Every event a simulated virtual power plant calls."""

    events: tuple[GridEventSpec, ...]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        require_unique("script", "event", (event.external_id for event in self.events))
        return self
