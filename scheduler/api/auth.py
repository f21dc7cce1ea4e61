"""Who is calling: an API key as a bearer token, or in the cookie that the login page sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from scheduler.api.context import SessionDep
from scheduler.db.models import Role
from scheduler.services import keys
from scheduler.services.errors import Forbidden
from scheduler.services.keys import Caller

COOKIE = "gridtide_key"
_READING = frozenset({"GET", "HEAD"})
_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="API key",
    description="The API key, without `Bearer` before it. The first one is printed at first start.",
)


class Unauthenticated(Exception):
    """No key, or one that is unknown or revoked."""


def _caller(
    request: Request,
    session: SessionDep,
    token: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    """Name the caller. The cookie counts for reading only: no other site can make it act."""
    secret = token.credentials if token is not None else None
    if secret is None and request.method in _READING:
        secret = request.cookies.get(COOKIE)
    if secret is None:
        raise Unauthenticated("this needs an API key: send it as 'Authorization: Bearer <key>'")
    caller = keys.authenticate(session, secret)
    if caller is None:
        raise Unauthenticated("the API key is unknown or was revoked")
    return caller


def require_role(caller: Caller, role: Role) -> Caller:
    """Return ``caller``, or refuse one whose role does not include ``role``."""
    if not caller.role.includes(role):
        raise Forbidden(f"this needs role {role.value}; key {caller.name} is {caller.role.value}")
    return caller


def _at_least(role: Role) -> Callable[[Caller], Caller]:
    def allowed(caller: Annotated[Caller, Depends(_caller, scope="function")]) -> Caller:
        return require_role(caller, role)

    return allowed


SubmitterDep = Annotated[Caller, Depends(_at_least(Role.SUBMITTER), scope="function")]
OperatorDep = Annotated[Caller, Depends(_at_least(Role.OPERATOR), scope="function")]
SenderDep = Annotated[Caller, Depends(_at_least(Role.SENDER), scope="function")]
AdminDep = Annotated[Caller, Depends(_at_least(Role.ADMIN), scope="function")]
