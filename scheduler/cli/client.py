"""Talks to a running server for the commands that need one.

The address comes from ``--server`` or ``GRIDTIDE_SERVER``; the key from ``GRIDTIDE_API_KEY`` alone,
because what stands on a command line is seen by everybody on the machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from io import StringIO
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scheduler.cli.console import ExitCode, UserError

KEY_VARIABLE = "GRIDTIDE_API_KEY"
TIMEOUT_S = 30.0
UPLOAD_S = 300.0  # for a table of as many rows as a server takes, on one that has much to do
PAGE_ROWS = 200

ServerOption = Annotated[
    str, typer.Option("--server", envvar="GRIDTIDE_SERVER", help="Address of the server.")
]
DEFAULT_SERVER = "http://127.0.0.1:8000"

Rows = Sequence[Mapping[str, Any]]


class Server:
    """The API of one server, called with one key."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, path: str, **query: object) -> Any:
        """Return what is at ``path``; parameters that are None are left out."""
        return self._call("GET", path, params=_given(query)).json()

    def text(self, path: str, **query: object) -> str:
        """Return the text at ``path``; parameters that are None are left out."""
        return self._call("GET", path, params=_given(query)).text

    def post(
        self, path: str, body: object = None, *, idempotency_key: str | None = None, **query: object
    ) -> Any:
        """Send ``body`` to ``path`` and return the answer."""
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        return self._call("POST", path, json=body, headers=headers, params=_given(query)).json()

    def put(self, path: str, body: object) -> Any:
        """Put ``body`` in the place of what is at ``path`` and return the answer."""
        return self._call("PUT", path, json=body).json()

    def post_file(self, path: str, content: bytes, media_type: str, **query: object) -> Any:
        """Send a table to ``path`` and return the answer."""
        what = {"content": content, "headers": {"Content-Type": media_type}, "params": query}
        return self._call("POST", path, **what, timeout=UPLOAD_S).json()

    def pages(self, path: str, limit: int, **query: object) -> list[dict[str, Any]]:
        """Return the first ``limit`` items of a list that comes in pages."""
        items: list[dict[str, Any]] = []
        cursor: str | None = None
        while len(items) < limit:
            rows = min(PAGE_ROWS, limit - len(items))
            page = self.get(path, limit=rows, cursor=cursor, **query)
            items += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        return items

    def lines(self, path: str, **query: object) -> Iterator[str]:
        """Return lines of text as the server sends them, for as long as it does."""
        try:
            with self._client.stream("GET", path, params=_given(query), timeout=None) as answer:
                if answer.is_error:
                    answer.read()
                    raise _refusal(answer)
                yield from answer.iter_lines()
        except httpx.TransportError as error:
            raise self._away(error) from error

    def _call(self, method: str, path: str, **what: Any) -> httpx.Response:
        try:
            answer = self._client.request(method, path, **what)
        except httpx.TransportError as error:
            raise self._away(error) from error
        if answer.is_error:
            raise _refusal(answer)
        return answer

    def _away(self, error: httpx.TransportError) -> UserError:
        where = str(self._client.base_url).rstrip("/")
        message = f"the server at {where} cannot be reached: {error}"
        return UserError(message, code=ExitCode.UNREACHABLE)


def http_client(address: str, key: str) -> httpx.Client:
    """Open a client; a function of its own so that tests can put their app in its place."""
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.Client(base_url=address, headers=headers, timeout=TIMEOUT_S)


@contextmanager
def server_at(address: str) -> Iterator[Server]:
    """Talk to the server at ``address`` with the key of the environment."""
    key = os.environ.get(KEY_VARIABLE, "")
    if not key:
        raise UserError(f"{KEY_VARIABLE} is not set: it holds the API key to call the server with")
    with http_client(address, key) as client:
        yield Server(client)


def _given(query: Mapping[str, object]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def _refusal(answer: httpx.Response) -> UserError:
    """Say what the server refused, in its own words."""
    is_away = answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    code = ExitCode.UNREACHABLE if is_away else ExitCode.INVALID
    try:
        problem = answer.json()
        message, refused = str(problem["detail"]), problem.get("errors") or []
    except (ValueError, TypeError, KeyError):
        return UserError(f"{answer.url}: HTTP {answer.status_code}", code=code)
    details = [
        f"{entry['object']}: {entry['field']} = {entry['value']!r}, must be {entry['limit']}"
        for entry in refused
    ]
    if len(details) < 2:  # the one is what the message says
        return UserError(message, code=code)
    return UserError(f"{len(details)} values are refused", tuple(details), code)


def text_table(columns: Mapping[str, str], rows: Rows) -> str:
    """Set ``rows`` as a table; ``columns`` maps headings to keys, and an empty value shows as -."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns:
        table.add_column(Text(heading), no_wrap=True)
    for row in rows:
        # As they are: what stands in brackets is no markup.
        table.add_row(*(Text(_cell(row.get(key))) for key in columns.values()))
    page = StringIO()
    Console(file=page, width=400).print(table)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines())


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return str(value)
