"""What is suspicious about signals that came in, and what somebody decides about it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from connectors.types import SignalKind
from scheduler.api.auth import OperatorDep, SubmitterDep
from scheduler.api.context import NowDep, PageDep, SessionDep
from scheduler.api.views import Note, PageView, View, page_view
from scheduler.db.models import Verdict
from scheduler.quality import Rule
from scheduler.services import signal_quality
from scheduler.services.signal_store import Standing

router = APIRouter(prefix="/v1/signals/quality", tags=["signals"])


class FlagView(View):
    """Values of one upload that are suspicious: used until somebody rejects them."""

    id: UUID
    site: str
    kind: SignalKind
    source: str
    rule: Rule
    start_at: datetime
    end_at: datetime
    n_values: int = Field(description="Of a gap 0.")
    reason: str
    flagged_at: datetime
    verdict: Verdict | None = Field(description="None: nobody has decided yet.")
    decided_by: str | None
    decided_at: datetime | None
    note: str


@router.get("")
def list_flags(
    session: SessionDep,
    _caller: SubmitterDep,
    page: PageDep,
    only_open: Annotated[bool, Query(description="Leave out what was decided.")] = True,
) -> PageView[FlagView]:
    """List suspicious values, those flagged last first: gaps, outliers, units, hours, signs."""
    return page_view(signal_quality.list_flags(session, page, only_open=only_open), flag_view)


@router.post("/{flag_id}/confirm")
def confirm_values(
    flag_id: UUID, body: Note, session: SessionDep, caller: OperatorDep, now: NowDep
) -> FlagView:
    """Say that flagged values are right. They are used as before, and not marked any more."""
    verdict = Verdict.CONFIRMED
    return flag_view(signal_quality.decide(session, flag_id, verdict, caller.name, now, body.note))


@router.post("/{flag_id}/reject")
def reject_values(
    flag_id: UUID, body: Note, session: SessionDep, caller: OperatorDep, now: NowDep
) -> FlagView:
    """Say that flagged values are wrong. No plan made from now on uses them.

    What was known before them stands again. They stay on record, and questions about an instant
    before this one are answered as they were. Confirming them brings them back.
    """
    verdict = Verdict.REJECTED
    return flag_view(signal_quality.decide(session, flag_id, verdict, caller.name, now, body.note))


def flag_view(standing: Standing) -> FlagView:
    """Show a flag and what was decided about it last."""
    flag, verdict = standing.flag, standing.verdict
    return FlagView(
        id=flag.id,
        site=flag.site,
        kind=flag.kind,
        source=flag.source,
        rule=flag.rule,
        start_at=flag.start_at,
        end_at=flag.end_at,
        n_values=flag.n_values,
        reason=flag.reason,
        flagged_at=flag.flagged_at,
        verdict=None if verdict is None else verdict.verdict,
        decided_by=None if verdict is None else verdict.decided_by,
        decided_at=None if verdict is None else verdict.decided_at,
        note="" if verdict is None else verdict.note,
    )
