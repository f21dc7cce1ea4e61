"""The page of signals, and the decisions that are made on it."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from scheduler.api.auth import require_role
from scheduler.api.context import NowDep, SessionDep
from scheduler.api.forms import NoteDep, require_own_page
from scheduler.api.pages import PersonDep
from scheduler.db.models import Role, Verdict
from scheduler.quality import Rule
from scheduler.services import coverage, fleet, signal_quality
from scheduler.services.paging import PageRequest
from scheduler.services.signal_store import Standing
from scheduler.views import FlagActions, signals_page

router = APIRouter(prefix="/signals", include_in_schema=False, default_response_class=HTMLResponse)

_FLAGS_SHOWN = 100
_SEE_OTHER = 303
_FROM_OWN_PAGE = [Depends(require_own_page)]


@router.get("")
def show_signals(session: SessionDep, person: PersonDep, now: NowDep) -> str:
    """Show how far signals reach and what is flagged; forms are for those who may decide."""
    has_fleet = fleet.find_current(session) is not None
    reach = coverage.coverage(session, now) if has_fleet else []
    flags = signal_quality.list_flags(session, PageRequest(_FLAGS_SHOWN), only_open=True).items
    may_decide = person.role.includes(Role.OPERATOR)
    shown = [(one, _actions(one) if may_decide else None) for one in flags]
    return signals_page(reach, shown, {"All plans": "/", "API docs": "/docs"})


@router.post("/{flag_id}/confirm", dependencies=_FROM_OWN_PAGE)
def confirm(
    flag_id: UUID, session: SessionDep, person: PersonDep, now: NowDep, note: NoteDep
) -> Response:
    """Say that flagged values are right, and show the page again."""
    require_role(person, Role.OPERATOR)
    signal_quality.decide(session, flag_id, Verdict.CONFIRMED, person.name, now, note)
    return RedirectResponse("/signals", _SEE_OTHER)


@router.post("/{flag_id}/reject", dependencies=_FROM_OWN_PAGE)
def reject(
    flag_id: UUID, session: SessionDep, person: PersonDep, now: NowDep, note: NoteDep
) -> Response:
    """Say that flagged values are not to be used, and show the page again."""
    require_role(person, Role.OPERATOR)
    signal_quality.decide(session, flag_id, Verdict.REJECTED, person.name, now, note)
    return RedirectResponse("/signals", _SEE_OTHER)


def _actions(standing: Standing) -> FlagActions:
    address = f"/signals/{standing.flag.id}"
    is_gap = standing.flag.rule is Rule.GAP
    return FlagActions(f"{address}/confirm", None if is_gap else f"{address}/reject")
