"""Grid events as a file scripts them, for a virtual power plant that is simulated."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from connectors.types import GridEventKind
from scheduler.specs.base import Instant, Minutes, Name, NonNegative, Spec, require_unique

Priority = Annotated[int | None, Field(ge=0, le=2**31 - 1)]
"""Of a call among those of its sender: 0 is the highest, none the lowest."""


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
