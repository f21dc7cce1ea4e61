"""Whether the server lives, and whether it is ready to work."""

from __future__ import annotations

from fastapi import APIRouter, Response, status
from pydantic import BaseModel

from scheduler.api.context import ContextDep, SessionSlotDep
from scheduler.db.outage import DATABASE_AWAY, DATABASE_BUSY, DatabaseBroken
from scheduler.db.session import transaction
from scheduler.db.upgrade import SchemaState, schema_state

router = APIRouter(prefix="/health", tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    status: str = "alive"


class Readiness(BaseModel):
    """Whether requests can be served, and what stands against it."""

    is_ready: bool
    database: str
    schema_revision: str | None
    schema_needed: str | None


@router.get("/live")
def live() -> Alive:
    """Answer while the process lives, whatever the database does."""
    return Alive()


@router.get("/ready", responses={503: {"model": Readiness, "description": "Not ready."}})
def ready(context: ContextDep, _slot: SessionSlotDep, response: Response) -> Readiness:
    """Say whether the database answers and has the schema this version needs (else 503)."""
    state = _schema(context)
    if state is None:
        answer = Readiness(
            is_ready=False, database="does not answer", schema_revision=None, schema_needed=None
        )
    else:
        answer = Readiness(
            is_ready=state.is_current,
            database="answers",
            schema_revision=state.current,
            schema_needed=state.needed,
        )
    if not answer.is_ready:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return answer


def _schema(context: ContextDep) -> SchemaState | None:
    try:
        with transaction(context.sessions) as session:
            return schema_state(session.connection())
    except (*DATABASE_AWAY, DATABASE_BUSY, DatabaseBroken):
        return None
