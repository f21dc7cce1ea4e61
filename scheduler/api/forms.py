"""Forms that pages post: only from our own pages, and no larger than a person writes."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

from fastapi import Depends, Request
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from scheduler.api.views import Note
from scheduler.services.errors import Forbidden, Invalid, Refusal

MOST_BYTES = 64 * 1024
_MOST_FIELDS = 20
_OWN = frozenset({"same-origin", "none"})


def require_own_page(request: Request) -> None:
    """Refuse a form of another site, which would act for whoever is logged in here.

    Every browser of today says which site a form comes from; a same-site cookie alone would let in
    other ports and other hosts of our domain. What says nothing is no browser, and has no cookie
    that somebody else could make it send.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        is_own = site in _OWN
    else:
        is_own = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    if not is_own:
        raise Forbidden(f"the form was sent by a page of another site ({origin or site})")


async def _form(request: Request) -> dict[str, str]:
    """Fields of a posted form; of a repeated one the last."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise HTTPException(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the form is larger than {MOST_BYTES} bytes"
            )
    try:
        fields = parse_qs(
            body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS
        )
    except ValueError as error:
        limit = f"at most {_MOST_FIELDS} fields"
        raise Invalid(Refusal("form", "fields", "more", limit)) from error
    return {name: values[-1] for name, values in fields.items()}


def _note(form: FormDep) -> str:
    try:
        return Note(note=form.get("note", "")).note
    except ValidationError as error:
        raise Invalid.from_validation("form", error) from error


FormDep = Annotated[dict[str, str], Depends(_form)]
NoteDep = Annotated[str, Depends(_note)]
