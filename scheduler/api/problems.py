"""Every error as problem details (RFC 9457): each class of error is mapped once, here."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException

from connectors.errors import ConnectorError, Unavailable
from scheduler.api.auth import Unauthenticated
from scheduler.api.job_logs import TooManyFollowers
from scheduler.db.outage import DATABASE_AWAY, DATABASE_BUSY
from scheduler.services.errors import Conflict, Forbidden, Invalid, NotFound, Refusal, must_be

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
_LONGEST_VALUE = 200
_log = logging.getLogger(__name__)


class RefusedValue(BaseModel):
    """One value that was refused."""

    object: str = Field(examples=["job train-7"])
    field: str = Field(examples=["deadline_at"])
    value: str | int | float | bool | None
    limit: str = Field(examples=["after release_at = 2026-06-07T08:00:00+00:00"])


class Problem(BaseModel):
    """Problem details, RFC 9457."""

    type: str = Field(examples=["urn:gridtide:problem:conflict"])
    title: str = Field(examples=["Conflict"])
    status: int = Field(examples=[409])
    detail: str = Field(examples=["job train-7: the name is taken"])
    instance: str = Field(examples=["/v1/jobs"])
    errors: list[RefusedValue] | None = Field(
        default=None, description="Every value that was refused, where the request was invalid."
    )


@dataclass(frozen=True, slots=True)
class _Kind:
    """What one class of error is to a client."""

    status: HTTPStatus
    name: str
    headers: Mapping[str, str] | None = None


def _name_of(status: HTTPStatus) -> str:
    """Name of a problem that is nothing more than its status."""
    return status.phrase.lower().replace(" ", "-")


_INVALID = _Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid")
_FAILED = _Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "failed")
_DATABASE_AWAY = _Kind(
    HTTPStatus.SERVICE_UNAVAILABLE, "database-unavailable", {"Retry-After": str(RETRY_AFTER_S)}
)
_KINDS: dict[type[Exception], _Kind] = {
    Unauthenticated: _Kind(
        HTTPStatus.UNAUTHORIZED, "unauthenticated", {"WWW-Authenticate": "Bearer"}
    ),
    Forbidden: _Kind(HTTPStatus.FORBIDDEN, "forbidden"),
    NotFound: _Kind(HTTPStatus.NOT_FOUND, "not-found"),
    Conflict: _Kind(HTTPStatus.CONFLICT, "conflict"),
    Unavailable: _Kind(
        HTTPStatus.SERVICE_UNAVAILABLE, "cluster-unavailable", {"Retry-After": str(RETRY_AFTER_S)}
    ),
    TooManyFollowers: _Kind(
        HTTPStatus.SERVICE_UNAVAILABLE, "busy", {"Retry-After": str(RETRY_AFTER_S)}
    ),
    ConnectorError: _Kind(HTTPStatus.BAD_GATEWAY, "cluster-refused"),
}


PROBLEM_NAMES = {kind.status: kind.name for kind in (_INVALID, _FAILED, *_KINDS.values())} | {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: _name_of(HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    _DATABASE_AWAY.status: _DATABASE_AWAY.name,
}
"""What each status is called, where several kinds share one the most likely."""


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error of ``app`` with problem details."""
    for error_class, kind in _KINDS.items():
        app.add_exception_handler(error_class, _answer_with(kind))
    app.add_exception_handler(Invalid, _invalid)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, http_problem)
    app.add_exception_handler(DataError, _cannot_be_stored)
    for error_class in (*DATABASE_AWAY, DATABASE_BUSY):
        app.add_exception_handler(error_class, _database_away)
    app.add_exception_handler(Exception, _failed)


def problem_response(
    request: Request,
    kind: _Kind,
    detail: str,
    refused: Iterable[Refusal] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return one problem."""
    problem = Problem(
        type=f"urn:gridtide:problem:{kind.name}",
        title=kind.status.phrase,
        status=kind.status,
        detail=_encodable(detail),
        instance=request.url.path,
        errors=[_refused_value(refusal) for refusal in refused] or None,
    )
    content = problem.model_dump(exclude_none=problem.errors is None)
    return JSONResponse(content, kind.status, headers or kind.headers, media_type=MEDIA_TYPE)


def _answer_with(kind: _Kind) -> Callable[[Request, Exception], JSONResponse]:
    def answer(request: Request, error: Exception) -> JSONResponse:
        return problem_response(request, kind, str(error))

    return answer


def _invalid(request: Request, error: Exception) -> JSONResponse:
    refused = error.refusals if isinstance(error, Invalid) else ()
    return problem_response(request, _INVALID, str(error), refused)


def _invalid_request(request: Request, error: Exception) -> JSONResponse:
    found = error.errors() if isinstance(error, RequestValidationError) else ()
    refused = [_refusal_of(entry) for entry in found]
    return problem_response(request, _INVALID, "; ".join(map(str, refused)), refused)


def http_problem(request: Request, error: Exception) -> JSONResponse:
    """Errors of the framework itself: no such address, wrong method, body too large."""
    status, detail, headers = HTTPStatus.INTERNAL_SERVER_ERROR, str(error), None
    if isinstance(error, HTTPException):
        status, detail, headers = HTTPStatus(error.status_code), error.detail, error.headers
    if status is HTTPStatus.NOT_FOUND:
        detail = f"there is nothing at {request.url.path}"
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.method} is not possible at {request.url.path}"
    return problem_response(request, _Kind(status, _name_of(status)), detail, headers=headers)


def _cannot_be_stored(request: Request, _error: Exception) -> JSONResponse:
    """Answer what the database can neither store nor compare with: PostgreSQL takes no NUL."""
    detail = "a value of the request holds what no database field can: NUL, or a number too large"
    return problem_response(request, _INVALID, detail)


def _database_away(request: Request, error: Exception) -> JSONResponse:
    _log.error("database unavailable during %s %s: %s", request.method, request.url.path, error)
    return problem_response(request, _DATABASE_AWAY, "the database does not answer; try again")


def _failed(request: Request, error: Exception) -> JSONResponse:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    detail = f"an unexpected {type(error).__name__}; the log of the server has the details"
    return problem_response(request, _FAILED, detail)


def _refusal_of(entry: Mapping[str, Any]) -> Refusal:
    """Turn an error of pydantic's into whose value it is, what it is, and what it must be."""
    where, *path = entry["loc"]
    if entry["type"] == "json_invalid":
        return Refusal("body", "", "", f"JSON: {entry['ctx']['error']}")
    value = None if entry["type"] == "missing" else entry["input"]
    return Refusal(str(where), ".".join(map(str, path)), value, must_be(entry["msg"]))


def _refused_value(refusal: Refusal) -> RefusedValue:
    value = refusal.value
    if isinstance(value, float) and not math.isfinite(value):
        value = str(value)
    if value is not None and not isinstance(value, str | int | float | bool):
        value = repr(value)
    if isinstance(value, str):
        value = _encodable(value[:_LONGEST_VALUE])
    field = _encodable(refusal.field)
    return RefusedValue(object=refusal.owner, field=field, value=value, limit=refusal.limit)


def _encodable(text: str) -> str:
    """Escape half a surrogate pair: what was refused may be what no answer can hold."""
    return text.encode("utf-8", "backslashreplace").decode()
