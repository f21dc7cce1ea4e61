"""Pages for people with a browser: the list of plans, a plan, and the login before them.

The key is kept in a cookie that scripts cannot read. A form acts for the person who is logged in,
so it is taken from our own pages only; see ``forms``.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from scheduler.api.auth import COOKIE, require_role
from scheduler.api.context import NowDep, SessionDep, context_of
from scheduler.api.forms import FormDep, NoteDep, require_own_page
from scheduler.db.models import PlanningRun, PlanStatus, Role, StoredPlan
from scheduler.services import keys, plans, runs
from scheduler.services.event_answers import held_calls
from scheduler.services.keys import Caller
from scheduler.services.paging import PageRequest
from scheduler.services.plan_document import PlanDocument
from scheduler.views import IndexRow, PageActions, index_page, login_page, plan_page

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

_PLANS_SHOWN = 100
_MOST_REASONS = 100  # a sentence for each job takes some 20 ms
_SEE_OTHER = 303
_FROM_OWN_PAGE = [Depends(require_own_page)]


class LoginNeeded(Exception):
    """Nobody is logged in, or the key is not accepted any more."""


def ask_to_log_in(_request: Request, _error: Exception) -> Response:
    """Answer ``LoginNeeded``."""
    return RedirectResponse("/login", _SEE_OTHER)


def _person(request: Request, session: SessionDep) -> Caller:
    secret = request.cookies.get(COOKIE)
    caller = None if secret is None else keys.authenticate(session, secret)
    if caller is None or not caller.role.includes(Role.SUBMITTER):
        raise LoginNeeded
    return caller


PersonDep = Annotated[Caller, Depends(_person, scope="function")]


@router.get("/login")
def show_login() -> str:
    """Ask for a key."""
    return login_page()


@router.post("/login", dependencies=_FROM_OWN_PAGE)
def log_in(request: Request, form: FormDep, session: SessionDep) -> Response:
    """Keep the key in a cookie until the browser is closed."""
    secret = form.get("key", "").strip()
    caller = keys.authenticate(session, secret)
    if caller is None:
        return HTMLResponse(login_page("This key is unknown or was revoked."), 401)
    if not caller.role.includes(Role.SUBMITTER):
        return HTMLResponse(login_page("This key is for sending messages only."), 403)
    answer = RedirectResponse("/", _SEE_OTHER)
    is_secure = context_of(request).has_secure_cookie or request.url.scheme == "https"
    answer.set_cookie(COOKIE, secret, httponly=True, samesite="strict", secure=is_secure)
    return answer


@router.post("/logout", dependencies=_FROM_OWN_PAGE)
def log_out() -> Response:
    """Forget the key."""
    answer = RedirectResponse("/login", _SEE_OTHER)
    answer.delete_cookie(COOKIE)
    return answer


@router.get("/")
def show_plans(session: SessionDep, _person: PersonDep) -> str:
    """List the newest plans."""
    newest = plans.list_plans(session, None, PageRequest(_PLANS_SHOWN))
    links = {
        "Grid events": "/grid-events",
        "Ledger": "/ledger",
        "Signals": "/signals",
        "API docs": "/docs",
    }
    return index_page([_row(plan) for plan in newest.items], links)


@router.get("/plans/{plan_id}")
def show_plan(plan_id: UUID, session: SessionDep, person: PersonDep) -> str:
    """Show one plan, with a form to decide on it where that is possible."""
    plan = plans.get_plan(session, plan_id)
    document = plans.read_document(session, plan_id)
    return plan_page(
        document,
        title=f"Plan {plan.created_at:%Y-%m-%d %H:%M} UTC",
        status=plan.status.value,
        note=_note(runs.get_run(session, plan.run_id), plan),
        actions=_actions(plan, person),
        links=_links(plan, document),
        with_reasons=len(document.problem.jobs) <= _MOST_REASONS,
    )


@router.post("/plans/{plan_id}/approve", dependencies=_FROM_OWN_PAGE)
def approve(
    plan_id: UUID, session: SessionDep, person: PersonDep, now: NowDep, note: NoteDep
) -> Response:
    """Put the plan in force and show it again."""
    require_role(person, Role.OPERATOR)
    plans.approve_plan(session, plan_id, person.name, now, note)
    return RedirectResponse(f"/plans/{plan_id}", _SEE_OTHER)


@router.post("/plans/{plan_id}/reject", dependencies=_FROM_OWN_PAGE)
def reject(
    plan_id: UUID, session: SessionDep, person: PersonDep, now: NowDep, note: NoteDep
) -> Response:
    """Turn the plan down and show it again."""
    require_role(person, Role.OPERATOR)
    plans.reject_plan(session, plan_id, person.name, now, note)
    return RedirectResponse(f"/plans/{plan_id}", _SEE_OTHER)


def _row(plan: StoredPlan) -> IndexRow:
    return IndexRow(
        url=f"/plans/{plan.id}",
        status=plan.status.value,
        created_at=plan.created_at,
        window_start=plan.window_start,
        window_end=plan.window_end,
        rung=plan.rung,
        gap=plan.gap,
        money_eur=plan.money_eur,
        baseline_money_eur=plan.baseline_money_eur,
        carbon_kg=plan.carbon_kg,
        baseline_carbon_kg=plan.baseline_carbon_kg,
        n_violations=plan.n_violations,
        n_marks=len(plan.marks),
    )


def _note(run: PlanningRun, plan: StoredPlan) -> str:
    """Say what it was made for, where that was not its time, and what was decided on it."""
    made = f"Planned anew: {run.reason}." if run.reason else ""
    return " ".join(part for part in (made, _decision(plan)) if part)


def _decision(plan: StoredPlan) -> str:
    if plan.breaches:
        return f"Refused by verification: {'; '.join(plan.breaches)}"
    if plan.decided_at is None:
        return ""
    said = f": {plan.decision_note}" if plan.decision_note else ""
    return f"Decided by {plan.decided_by}, {plan.decided_at:%Y-%m-%d %H:%M} UTC{said}"


def _actions(plan: StoredPlan, person: Caller) -> PageActions | None:
    if plan.status is not PlanStatus.PROPOSED or not person.role.includes(Role.OPERATOR):
        return None
    return PageActions(f"/plans/{plan.id}/approve", f"/plans/{plan.id}/reject")


def _links(plan: StoredPlan, document: PlanDocument) -> dict[str, str]:
    address = f"/v1/plans/{plan.id}"
    calls = held_calls(document) if plan.status is PlanStatus.IN_FORCE else ()
    answers = {f"Who answers {call}": f"/grid-events/{quote(call)}/answer" for call in calls}
    return answers | {
        "All plans": "/",
        "Jobs (CSV)": f"{address}/jobs?format=csv",
        "Energy (CSV)": f"{address}/energy?format=csv",
        "Whole plan (JSON)": f"{address}/document",
    }
