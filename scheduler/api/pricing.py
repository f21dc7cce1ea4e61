"""Questions that take a solver: how long each may take, and that one is asked at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Query

from scheduler.api.context import ApiContext
from scheduler.services.errors import Conflict

TimeLimit = Annotated[
    float, Query(ge=1, le=120, description="For all solves together [s]; longer proves more.")
]


@contextmanager
def alone(context: ApiContext) -> Iterator[None]:
    """Let one question at a time take the machine's cores."""
    if not context.pricing.acquire(blocking=False):
        raise Conflict("another question is being priced: ask again in a while")
    try:
        yield
    finally:
        context.pricing.release()
