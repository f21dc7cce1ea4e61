"""Where the signals of a site are fetched from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from connectors.types import SignalKind
from scheduler.specs.base import Name, Spec, Text


class FeedSpec(Spec):
    """One signal of a site, fetched again and again; ``gridtide signals sources`` lists sources.

    Asked for are each time the days, in UTC, from ``back_hours`` before to ``ahead_hours`` after:
    so a revision is seen, and what was missed while a source was away. A price must be in the
    currency of the site.
    """

    kind: SignalKind
    source: Name
    zone: Annotated[Text, Field(min_length=1, max_length=120)]
    every_minutes: Annotated[int, Field(ge=1, le=7 * 24 * 60)] = 60
    back_hours: Annotated[float, Field(ge=0, le=24 * 31)] = 24.0
    ahead_hours: Annotated[float, Field(ge=1, le=24 * 31)] = 72.0
