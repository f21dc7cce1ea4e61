"""Asking another process to look at something at once, over the database they share."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from scheduler.db.models import WakeUp

GRID_SIDE = "grid-side"


def ask_to_look(session: Session, subject: str) -> None:
    """Count one more time."""
    more = update(WakeUp).where(WakeUp.subject == subject).values(times=WakeUp.times + 1)
    if session.execute(more).rowcount:  # type: ignore[attr-defined]
        return
    try:
        with session.begin_nested():
            session.add(WakeUp(subject=subject, times=1))
    except IntegrityError:
        session.execute(more)  # somebody else was first


def times_asked(session: Session, subject: str) -> int:
    """Return how often it was asked for since ever."""
    return session.scalar(select(WakeUp.times).where(WakeUp.subject == subject)) or 0
