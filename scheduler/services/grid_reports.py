"""Reports that a virtual power plant asks for: put together, sent once, and put on record.

What is sent is known by its name, also after a restart. What nobody here can tell is on record with
the reason, as is a report that was refused: neither is tried again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from connectors.errors import ConnectorError, Rejected
from connectors.types import Report, ReportRequest
from scheduler.db.inserts import insert_new
from scheduler.db.models import GridReport
from scheduler.db.session import SessionFactory, transaction
from scheduler.services.report_figures import TooMuch, figures_of
from scheduler.timekeeping import Now

log = logging.getLogger(__name__)

MOST_AT_ONCE = 200
"""Reports that one poll sends; the next poll goes on."""

MOST_FAILED = 5
"""Reports one after another that do not arrive, after which no more are tried in this poll."""

KEPT_FOR = timedelta(days=90)

_NAMES_AT_ONCE = 500


def send_reports(
    sessions: SessionFactory,
    due: Sequence[ReportRequest],
    asked_by: str,
    send: Callable[[Report], None],
    now: Now,
) -> int:
    """Send what is due and was not sent; return how many went out.

    Raises
    ------
    ConnectorError
        The other side did not take one, or is away, as it is taken to be after ``MOST_FAILED`` in
        a row. The others were tried all the same, and what was sent is on record.
    """
    with transaction(sessions) as session:
        lacking = _not_on_record(session, due, asked_by)
    sent = 0
    failures: list[ConnectorError] = []
    in_a_row = 0
    for request in lacking[:MOST_AT_ONCE]:
        try:
            problem = _why_not(sessions, request, asked_by, send, now)
        except ConnectorError as error:
            log.warning("report %s is not sent yet: %s", request.name, error)
            failures.append(error)
            in_a_row += 1
            if in_a_row == MOST_FAILED:
                break
            continue
        in_a_row = 0
        for name, reason in request.refused:
            log.warning("event %s: report of %s is not sent: %s", request.event_id, name, reason)
        if problem:
            log.error("report %s is not sent: %s", request.name, problem)
        with transaction(sessions) as session:
            _record(session, request, asked_by, problem, now())
        sent += not problem
    if failures:
        raise failures[0]
    return sent


def recent_reports(session: Session, most: int) -> Sequence[GridReport]:
    """Return the reports that were due last, the latest first."""
    latest = select(GridReport).order_by(GridReport.due_at.desc(), GridReport.name)
    return session.scalars(latest.limit(most)).all()


def _not_on_record(
    session: Session, due: Sequence[ReportRequest], asked_by: str
) -> list[ReportRequest]:
    names = [request.name for request in due]
    known: set[str] = set()
    for first in range(0, len(names), _NAMES_AT_ONCE):
        some = names[first : first + _NAMES_AT_ONCE]
        known |= set(
            session.scalars(
                select(GridReport.name).where(
                    GridReport.asked_by == asked_by, GridReport.name.in_(some)
                )
            )
        )
    return [request for request in due if request.name not in known]


def _why_not(
    sessions: SessionFactory,
    request: ReportRequest,
    asked_by: str,
    send: Callable[[Report], None],
    now: Now,
) -> str:
    """Send one report; return why it never will be sent, nothing where it was."""
    if not request.asked:
        return "nothing of what it asks for is told here"
    try:
        with transaction(sessions) as session:
            figures = figures_of(session, request, asked_by, now())
        if not figures:
            return f"none of {', '.join(request.sites)} is in the fleet"
        send(Report(request, figures))
    except TooMuch as error:
        return str(error)
    except Rejected as error:
        return f"refused: {error}"
    return ""


def _record(
    session: Session, request: ReportRequest, asked_by: str, problem: str, now: datetime
) -> None:
    row = {
        "id": uuid4(),
        "asked_by": asked_by,
        "name": request.name,
        "event": request.event_id,
        "sites": list(request.sites),
        "start_at": request.intervals[0].start,
        "end_at": request.intervals[-1].end,
        "due_at": request.due_at,
        "told": list(request.asked),
        "not_told": [f"{name}: {reason}" for name, reason in request.refused],
        "sent_at": None if problem else now,
        "problem": problem,
        "recorded_at": now,
    }
    insert_new(session, GridReport, [row])
    session.execute(delete(GridReport).where(GridReport.recorded_at < now - KEPT_FOR))
