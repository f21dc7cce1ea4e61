"""The OpenAPI document: FastAPI's, with a worked example in every request and every problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from scheduler.api.context import ApiContext
from scheduler.api.examples import worked_examples
from scheduler.api.problems import MEDIA_TYPE, PROBLEM_NAMES, Problem
from scheduler.specs.message import MESSAGE

_DESCRIPTION = """
Grid-aware scheduling of deferrable AI work, with batteries, solar and grid obligations in one plan.

Press **Authorize** and paste an API key. Then, as an operator: ask for a plan at
`POST /v1/planning-runs`, watch the run until it has succeeded, read the plan's `summary` and look
at its `chart.png` (both show here, in place), and `approve` or `reject` it.

Instants carry an offset and are answered in UTC; intervals are half-open and labelled by their
start. Every error is problem details (RFC 9457).
"""
_REF = "#/components/schemas/{model}"
_Operation = tuple[str, str, dict[str, Any]]


def openapi_of(app: FastAPI, context: ApiContext) -> Callable[[], dict[str, Any]]:
    """Return what ``app.openapi`` becomes: examples are of the day on which it is asked for."""

    @cache
    def unchanging() -> dict[str, Any]:
        document = get_openapi(
            title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes
        )
        _add_problems(document)
        _add_messages(document)
        return document

    def openapi() -> dict[str, Any]:
        document = deepcopy(unchanging())
        _add_examples(document, context)
        return document

    return openapi


def _operations(document: dict[str, Any]) -> Iterator[_Operation]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def _add_problems(document: dict[str, Any]) -> None:
    """State, for every operation, which problems it may answer."""
    schemas = document["components"]["schemas"]
    schema = Problem.model_json_schema(ref_template=_REF)
    schemas |= schema.pop("$defs") | {"Problem": schema}
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schema_of_problem = {"$ref": _REF.format(model="Problem")}
    for method, path, operation in _operations(document):
        for status in _possible(method, path, operation):
            operation["responses"][str(status.value)] = {
                "description": status.phrase,
                "content": {
                    MEDIA_TYPE: {"schema": schema_of_problem, "example": _example(status, path)}
                },
            }


def _add_messages(document: dict[str, Any]) -> None:
    """State the form of messages, which are decoded one by one and not with the body."""
    schema = MESSAGE.json_schema(ref_template=_REF)
    document["components"]["schemas"] |= schema.pop("$defs") | {"Message": schema}


def _example(status: HTTPStatus, path: str) -> dict[str, Any]:
    """Show the shape; what is told depends on the request."""
    return {
        "type": f"urn:gridtide:problem:{PROBLEM_NAMES[status]}",
        "title": status.phrase,
        "status": status.value,
        "detail": "what was wrong, with object, value and limit",
        "instance": path,
    }


def _possible(method: str, path: str, operation: dict[str, Any]) -> Iterator[HTTPStatus]:
    if not path.startswith("/v1"):
        return
    yield HTTPStatus.UNAUTHORIZED
    yield HTTPStatus.FORBIDDEN
    yield HTTPStatus.INTERNAL_SERVER_ERROR
    yield HTTPStatus.SERVICE_UNAVAILABLE
    if "{" in path or path == "/v1/quotes":
        yield HTTPStatus.NOT_FOUND
    if method != "get" or path.endswith("/logs"):
        yield HTTPStatus.CONFLICT
    if "requestBody" in operation:
        yield HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    if "requestBody" in operation or "parameters" in operation:
        yield HTTPStatus.UNPROCESSABLE_ENTITY


def _add_examples(document: dict[str, Any], context: ApiContext) -> None:
    for example in worked_examples(context.now()):
        operation = document["paths"][example.path][example.method]
        content = operation["requestBody"]["content"][example.media_type]
        content["examples"] = {
            "worked example": {"summary": example.summary, "value": example.body}
        }
