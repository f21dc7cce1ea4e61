"""What the API is handed by the composition root, and how a request gets at it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, cast
from weakref import WeakKeyDictionary

import pandas as pd
from fastapi import Depends, Query, Request
from pydantic import SecretStr
from sqlalchemy.orm import Session

from scheduler.db.session import POOL_SIZE, SessionFactory, transaction
from scheduler.pricing import (
    Priced,
    Question,
    Reported,
    ReportQuestion,
    price_in_child,
    report_in_child,
)
from scheduler.services.ingestion import Intake
from scheduler.services.outside import OutsideOf
from scheduler.services.paging import PageRequest
from scheduler.services.ready_plans import ReadyPlans
from scheduler.timekeeping import Now


class SessionSlots:
    """Lets as many requests at a time work with the database as it has connections.

    The others wait here without a thread. A request holds its connection while it goes from thread
    to thread; were all threads taken by requests that wait for a connection, none would go on.
    """

    def __init__(self) -> None:
        self._of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            WeakKeyDictionary()
        )

    def of_running_loop(self) -> asyncio.Semaphore:
        """Return what to hold while working with the database."""
        return self._of_loop.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(POOL_SIZE))


@dataclass(frozen=True, slots=True)
class ApiContext:
    """Everything outside the API that it works with.

    Attributes
    ----------
    read_signals
        Reads a signals file of so many rows at most, see ``connectors.signals.files``; for uploads
        as CSV and Parquet.
    outside_of
        Connects to the clusters of a fleet; asked for logs only.
    intake
        Takes in what is pushed, with connections of its own.
    max_body_bytes
        Larger request bodies are refused.
    has_secure_cookie
        The pages are reached through https only, though the app itself may not see that.
    webhook_token
        Shown by a virtual power plant that tells of changes; without one none can.
    ready_plans
        The plan in force, made ready for explanations and quotes.
    price_calls
        Prices possible calls; whoever asks holds ``pricing``, so that one is priced at a time.
    report_call
        Tells who answers a call; whoever asks holds ``pricing`` as well.
    """

    sessions: SessionFactory
    now: Now
    read_signals: Callable[[Path, int], pd.DataFrame]
    outside_of: OutsideOf
    intake: Intake
    max_body_bytes: int = 16 * 1024 * 1024
    has_secure_cookie: bool = False
    webhook_token: SecretStr | None = None
    session_slots: SessionSlots = field(default_factory=SessionSlots)
    ready_plans: ReadyPlans = field(default_factory=ReadyPlans)
    price_calls: Callable[[Question], Priced] = price_in_child
    report_call: Callable[[ReportQuestion], Reported] = report_in_child
    pricing: threading.Lock = field(default_factory=threading.Lock)


def context_of(request: Request) -> ApiContext:
    """Return the context the app was made with."""
    return cast("ApiContext", request.app.state.context)


async def _session_slot(request: Request) -> AsyncIterator[None]:
    async with context_of(request).session_slots.of_running_loop():
        yield


SessionSlotDep = Annotated[None, Depends(_session_slot, scope="function")]


def _session(request: Request, _slot: SessionSlotDep) -> Iterator[Session]:
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
