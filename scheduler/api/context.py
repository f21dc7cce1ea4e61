"""What the API is handed by the composition root, and how a request gets at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, cast

import pandas as pd
from fastapi import Depends, Query, Request
from sqlalchemy.orm import Session

from scheduler.db.session import SessionFactory, transaction
from scheduler.services.outside import OutsideOf
from scheduler.services.paging import PageRequest
from scheduler.timekeeping import Now


@dataclass(frozen=True, slots=True)
class ApiContext:
    """Everything outside the API that it works with.

    Attributes
    ----------
    read_signals
        Reads a signals file, see ``connectors.signals.files``; for uploads as CSV.
    outside_of
        Connects to the clusters of a fleet; asked for logs only.
    max_body_bytes
        Larger request bodies are refused.
    """

    sessions: SessionFactory
    now: Now
    read_signals: Callable[[Path], pd.DataFrame]
    outside_of: OutsideOf
    max_body_bytes: int = 16 * 1024 * 1024


def context_of(request: Request) -> ApiContext:
    """Return the context the app was made with."""
    return cast("ApiContext", request.app.state.context)


def _session(request: Request) -> Iterator[Session]:
    with transaction(context_of(request).sessions) as session:
        yield session


def _now(request: Request) -> datetime:
    return context_of(request).now()


def _page(
    limit: Annotated[int, Query(ge=1, le=1000, description="Rows on the page.")] = 100,
    cursor: Annotated[
        str | None, Query(description="`next_cursor` of the page before; none: the first page.")
    ] = None,
) -> PageRequest:
    return PageRequest(limit, cursor)


# With the default scope the transaction would end after the response: a failing commit would be
# answered with a success.
SessionDep = Annotated[Session, Depends(_session, scope="function")]
NowDep = Annotated[datetime, Depends(_now)]
PageDep = Annotated[PageRequest, Depends(_page)]
ContextDep = Annotated[ApiContext, Depends(context_of)]
