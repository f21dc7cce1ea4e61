"""Flags on signals: listed, counted, and decided on by an operator.

A decision is a fact with an instant of its own. Questions about an instant before it are answered
as they were; from it on, rejected values are not used by any plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scheduler.db.models import SignalFlag, SignalVerdict, Verdict
from scheduler.quality import Rule
from scheduler.services.errors import Conflict, NotFound
from scheduler.services.paging import Page, PageRequest, read_page_by
from scheduler.services.signal_store import Standing
from scheduler.specs.base import Instant

_POSITION: TypeAdapter[tuple[datetime, datetime, UUID]] = TypeAdapter(tuple[Instant, Instant, UUID])


def list_flags(session: Session, page: PageRequest, *, only_open: bool) -> Page[Standing]:
    """Give flags and what was decided about them last, the newest first."""
    statement = select(SignalFlag)
    if only_open:
        is_decided = select(SignalVerdict).where(SignalVerdict.flag_id == SignalFlag.id)
        statement = statement.where(~is_decided.exists())
    keys = (SignalFlag.flagged_at, SignalFlag.start_at, SignalFlag.id)
    found = read_page_by(session, statement, keys, _POSITION, page)
    verdicts = _last_verdicts(session, [flag.id for flag in found.items])
    standings = tuple(Standing(flag, verdicts.get(flag.id)) for flag in found.items)
    return Page(standings, found.next_cursor)


def count_open(session: Session) -> Mapping[Rule, int]:
    """Count the flags that nobody has decided on, by rule; every rule is there."""
    rows = session.execute(
        select(SignalFlag.rule, func.count())
        .outerjoin(SignalVerdict, SignalVerdict.flag_id == SignalFlag.id)
        .where(SignalVerdict.flag_id.is_(None))
        .group_by(SignalFlag.rule)
    )
    return dict.fromkeys(Rule, 0) | dict(rows.all())


def decide(
    session: Session, flag_id: UUID, verdict: Verdict, by: str, now: datetime, note: str = ""
) -> Standing:
    """Say that flagged values are right after all, or that they are not to be used.

    Whoever was wrong decides again. Deciding the same twice changes nothing.

    Raises
    ------
    NotFound
        There is no such flag.
    Conflict
        It is of a gap, which has no values to reject, or was decided on at this very moment.
    """
    flag = session.scalar(select(SignalFlag).where(SignalFlag.id == flag_id).with_for_update())
    if flag is None:
        raise NotFound("flag", flag_id)
    last = session.scalar(
        select(SignalVerdict)
        .where(SignalVerdict.flag_id == flag_id)
        .order_by(SignalVerdict.decided_at.desc())
        .limit(1)
    )
    if last is not None and last.verdict is verdict:
        return Standing(flag, last)
    if verdict is Verdict.REJECTED and flag.rule is Rule.GAP:
        raise Conflict(f"flag {flag_id} is of a gap: there are no values to reject")
    if last is not None and last.decided_at >= now:
        raise Conflict(f"flag {flag_id} was decided on at {last.decided_at.isoformat()} already")
    decided = SignalVerdict(
        flag_id=flag_id, decided_at=now, verdict=verdict, decided_by=by, note=note
    )
    session.add(decided)
    session.flush()
    return Standing(flag, decided)


def _last_verdicts(session: Session, flags: Sequence[UUID]) -> dict[UUID, SignalVerdict]:
    of_flags = select(SignalVerdict).where(SignalVerdict.flag_id.in_(flags))
    in_order = session.scalars(of_flags.order_by(SignalVerdict.decided_at))
    return {verdict.flag_id: verdict for verdict in in_order}
