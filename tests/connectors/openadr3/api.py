"""The published definition of the API, which every request and answer of a test is held to.

It is read where ``GRIDTIDE_FACTS`` says: ``openadr3-3.1.0.yaml`` and ``openadr3-3.0.1.yaml``.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from openapi_core.templating.responses.exceptions import ResponseNotFound
from starlette.datastructures import Headers, ImmutableMultiDict

FACTS = os.environ.get("GRIDTIDE_FACTS")
BASE = "http://vtn.test"  # wherever it is served: one definition does for all


class Sent:
    """A request or an answer as the validator wants it."""

    def __init__(self, path: str, method: str, query: Any, headers: Headers) -> None:
        self.host_url, self.path, self.method = BASE, path, method.lower()
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(query), header=headers, cookie=ImmutableMultiDict(), path={}
        )
        self.content_type = headers.get("content-type", "").split(";")[0]
        self.headers = headers
        self.body: bytes | None = None
        self.status_code = 0

    @property
    def data(self) -> bytes | None:
        """Body of an answer."""
        return self.body


class Definition:
    """What the API of one version must be like."""

    def __init__(self, version: str) -> None:
        path = Path(FACTS or "") / f"openadr3-{version}.yaml"
        document = _mended(yaml.safe_load(path.read_text(encoding="utf-8")))
        document["servers"] = [{"url": BASE}]
        # Of VENs and resources it asks for an object type that is both of two different words.
        types = document["components"]["schemas"].get("objectTypes", {"enum": []})
        types["enum"] += ["BL_VEN_REQUEST", "BL_RESOURCE_REQUEST"]
        self._api = OpenAPI.from_dict(document, config=Config(spec_validator_cls=None))

    def problems(self, request: Sent, answer: Sent) -> list[str]:
        """Return what is wrong with a request and the answer to it."""
        found = []
        for what, check in (
            ("request", lambda: self._api.validate_request(request)),
            ("answer", lambda: self._api.validate_response(request, answer)),
        ):
            try:
                check()
            except ResponseNotFound as error:
                # Refusals are listed with gaps, such as 401 or 409: any may come.
                if answer.status_code < 400:
                    found.append(f"{request.method} {request.path}: answer: {error!r}")
            except OpenAPIError as error:
                cause = getattr(error.__cause__, "schema_errors", error.__cause__)
                text = f"{request.method} {request.path}: {what}: {error!r} {cause}"
                found.append(f"{text} {request.body!r} {answer.body!r}"[:2000])
        return found


@cache
def definition(version: str) -> Definition:
    """Return the definition of one version, read once: it takes seconds."""
    return Definition(version)


def _mended(part: Any) -> Any:
    """Return the definition without a typing error of it: ``default: null   -`` is no default.

    Who is let in the VTN checks itself: the validator knows no client credentials.
    """
    if isinstance(part, dict):
        return {
            key: None if key == "default" and str(value).startswith("null ") else _mended(value)
            for key, value in part.items()
            if key != "security"
        }
    return [_mended(each) for each in part] if isinstance(part, list) else part
