"""What a virtual power plant that speaks OpenADR 3 tells by webhook: that an event has changed.

What it tells is not read: it is a reason to ask the other side. So nobody can say anything here
that it would not say when asked.
"""

from __future__ import annotations

import hmac
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr
from starlette.exceptions import HTTPException

from scheduler.api.auth import Unauthenticated
from scheduler.api.context import ContextDep, SessionDep
from scheduler.services.wake_ups import GRID_SIDE, ask_to_look

router = APIRouter(prefix="/v1/openadr", tags=["grid events"])

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="webhook token",
    description="The token that the subscription gave to the other side.",
)


def _authenticate(
    context: ContextDep,
    token: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> None:
    if token is None or not _is_right(context.webhook_token, token.credentials):
        raise Unauthenticated("this needs the token of the subscription")


@router.post("/notifications", dependencies=[Depends(_authenticate)])
def take_notification(session: SessionDep) -> Response:
    """Be told that an event has changed: the grid side is asked at once. The body is not read."""
    ask_to_look(session, GRID_SIDE)
    return Response(status_code=HTTPStatus.OK)


@router.get("/notifications", include_in_schema=False)
def echo(
    context: ContextDep,
    echo: Annotated[str, Query(pattern=r"^[A-Za-z0-9._~-]{1,256}$")],
) -> Response:
    """Answer with what is asked: so a VTN sees that the address is that of who subscribed."""
    if context.webhook_token is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    headers = {"X-Content-Type-Options": "nosniff"}
    return Response(echo, media_type="text/plain", headers=headers)


def _is_right(known: SecretStr | None, shown: str) -> bool:
    secret = b"" if known is None else known.get_secret_value().encode()
    return bool(secret) and hmac.compare_digest(secret, shown.encode())
