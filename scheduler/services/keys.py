"""API keys: made, looked up, revoked. A key itself is shown once and never stored."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from scheduler.db.inserts import insert_new
from scheduler.db.models import ApiKey, Role
from scheduler.services.errors import Conflict, Invalid, NotFound, Refusal

FIRST_KEY_NAME = "first"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, as the key says."""

    name: str
    role: Role
    sites: frozenset[str] | None = None  # it may send for; None: every site


def create_key(
    session: Session,
    name: str,
    role: Role,
    now: datetime,
    sites: Sequence[str] | None = None,
) -> tuple[ApiKey, str]:
    """Make a key; returns its row and the key itself, which cannot be shown again.

    Names are never given twice, not even after a revocation: they stand in the records. A sender
    may be kept to some ``sites``, which need not be in the fleet yet.
    """
    if sites is not None and role is not Role.SENDER:
        limit = f"none: keys of role {role.value} are for every site"
        raise Invalid(Refusal(f"key {name}", "sites", ", ".join(sites), limit))
    secret = _new_secret()
    kept_to = None if sites is None else sorted(set(sites))
    key = ApiKey(name=name, role=role, sites=kept_to, digest=_digest(secret), created_at=now)
    try:
        with session.begin_nested():
            session.add(key)
    except IntegrityError as error:
        raise Conflict(f"key {name}: the name was given before") from error
    return key, secret


def create_first_key(session: Session, now: datetime) -> str | None:
    """Make an admin key where there is none at all; of several processes one gets it."""
    if session.scalar(select(func.count()).select_from(ApiKey)):
        return None
    secret = _new_secret()
    row = {
        "name": FIRST_KEY_NAME,
        "role": Role.ADMIN,
        "sites": None,
        "digest": _digest(secret),
        "created_at": now,
    }
    return secret if insert_new(session, ApiKey, [row]) else None


def authenticate(session: Session, secret: str) -> Caller | None:
    """Whose key ``secret`` is; ``None`` where it is unknown or revoked."""
    key = session.scalar(
        select(ApiKey).where(ApiKey.digest == _digest(secret), ApiKey.revoked_at.is_(None))
    )
    if key is None:
        return None
    return Caller(key.name, key.role, None if key.sites is None else frozenset(key.sites))


def list_keys(session: Session) -> tuple[ApiKey, ...]:
    """Every key ever made, in order of creation."""
    return tuple(session.scalars(select(ApiKey).order_by(ApiKey.created_at, ApiKey.name)))


def revoke_key(session: Session, key_id: UUID, now: datetime) -> ApiKey:
    """Make a key worthless from now on; doing so twice changes nothing.

    Raises
    ------
    Conflict
        It is the last admin key: nobody could make another.
    """
    # Two revocations at once must not each leave the other's key as the last one: the savepoint
    # takes the write lock on SQLite, the SELECT locks the rows on PostgreSQL.
    with session.begin_nested():
        admins = select(ApiKey).where(ApiKey.role == Role.ADMIN, ApiKey.revoked_at.is_(None))
        # In one order for all, so that they wait for each other instead of blocking each other.
        active_admins = session.scalars(admins.order_by(ApiKey.id).with_for_update()).all()
        key = session.get(ApiKey, key_id)
        if key is None:
            raise NotFound("key", key_id)
        if [admin.id for admin in active_admins] == [key.id]:
            raise Conflict(f"key {key.name} is the last admin key; make another one first")
        if key.revoked_at is None:
            key.revoked_at = now
    return key


def _new_secret() -> str:
    return f"gt_{secrets.token_urlsafe(32)}"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
