"""API keys: make, list, revoke."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, status
from pydantic import Field

from scheduler.api.auth import AdminDep
from scheduler.api.context import NowDep, SessionDep
from scheduler.api.views import Body, View
from scheduler.db.models import Role
from scheduler.services import keys
from scheduler.specs.base import Name

router = APIRouter(prefix="/v1/keys", tags=["keys"])


class KeyBody(Body):
    """Whose key it will be, and what it may do."""

    name: Name
    role: Role
    sites: Annotated[tuple[Name, ...], Field(min_length=1, max_length=1000)] | None = Field(
        default=None, description="Of a sender: the sites it may send for. None: every site."
    )


class KeyView(View):
    """A key, without the key itself."""

    id: UUID
    name: str
    role: Role
    sites: list[str] | None = Field(description="Of a sender: those it may send for; none: all.")
    created_at: datetime
    revoked_at: datetime | None


class NewKeyView(KeyView):
    """A new key with the key itself."""

    key: str = Field(description="Shown here only, never again.")


@router.post("", status_code=status.HTTP_201_CREATED)
def create_key(body: KeyBody, session: SessionDep, _caller: AdminDep, now: NowDep) -> NewKeyView:
    """Make a key. A submitter sends jobs, an operator plans and approves, an admin does all.

    A sender pushes messages of streams, for all sites or for some, and can see nothing.
    """
    made, secret = keys.create_key(session, body.name, body.role, now, body.sites)
    return NewKeyView(**KeyView.model_validate(made).model_dump(), key=secret)


@router.get("")
def list_keys(session: SessionDep, _caller: AdminDep) -> list[KeyView]:
    """List every key ever made, in order of creation."""
    return [KeyView.model_validate(key) for key in keys.list_keys(session)]


@router.post("/{key_id}/revoke")
def revoke_key(key_id: UUID, session: SessionDep, _caller: AdminDep, now: NowDep) -> KeyView:
    """Make a key worthless from now on. The last admin key cannot be revoked."""
    return KeyView.model_validate(keys.revoke_key(session, key_id, now))
