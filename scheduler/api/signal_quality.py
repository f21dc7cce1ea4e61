"""What is suspicious about signals that came in, and what somebody decides about it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from connectors.types import SignalKind
from scheduler.api.auth import OperatorDep, SubmitterDep
from scheduler.api.context import NowDep, SessionDep
from scheduler.api.views import View
from scheduler.db.models import Verdict
from scheduler.quality import Rule
from scheduler.services import signal_quality
from scheduler.services.signal_store import Standing
from scheduler.specs.base import Text

router = APIRouter(prefix="/v1/signals/quality", tags=["signals"])

NoteQuery = Annotated[Text, Query(max_length=2000, description="Why; kept with the decision.")]


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
    only_open: Annotated[bool, Query(description="Leave out what was decided.")] = True,
    limit: Annotated[int, Query(ge=1, le=signal_quality.MOST_LISTED)] = 100,
) -> list[FlagView]:
    """List suspicious values, those flagged last first: gaps, outliers, units, hours, signs."""
    found = signal_quality.list_flags(session, limit, only_open=only_open)
    return [flag_view(standing) for standing in found]


@router.post("/{flag_id}/confirm")
def confirm_values(
    flag_id: UUID, session: SessionDep, caller: OperatorDep, now: NowDep, note: NoteQuery = ""
) -> FlagView:
    """Say that flagged values are right. They are used as before, and not marked any more."""
    decided = signal_quality.decide(session, flag_id, Verdict.CONFIRMED, caller.name, now, note)
    return flag_view(decided)


@router.post("/{flag_id}/reject")
def reject_values(
    flag_id: UUID, session: SessionDep, caller: OperatorDep, now: NowDep, note: NoteQuery = ""
) -> FlagView:
    """Say that flagged values are wrong. No plan made from now on uses them.

    What was known before them stands again. They stay on record, and questions about an instant
    before this one are answered as they were. Confirming them brings them back.
    """
    decided = signal_quality.decide(session, flag_id, Verdict.REJECTED, caller.name, now, note)
    return flag_view(decided)


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
