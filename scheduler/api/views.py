"""Bases of what the API answers: read from rows and frozen dataclasses alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from scheduler.services.paging import Page
from scheduler.specs.base import Spec, Text

Item = TypeVar("Item")
Row = TypeVar("Row")


class View(BaseModel):
    """Base of every answer."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Body(Spec):
    """Base of every request body that is not itself a spec: an unknown field is an error."""


class PageView(View, Generic[Item]):
    """One page. Ask again with ``cursor`` set to ``next_cursor`` for the next one."""

    items: list[Item]
    next_cursor: str | None = Field(description="None on the last page.")


def page_view(page: Page[Row], view: Callable[[Row], Item]) -> PageView[Item]:
    """Show every row of ``page`` as ``view`` does."""
    return PageView(items=[view(row) for row in page.items], next_cursor=page.next_cursor)


def seen_before(view: type[View]) -> dict[int | str, dict[str, Any]]:
    """Document that a request sent again is answered with 200 and what it made the first time."""
    return {200: {"model": view, "description": "The same request was taken in before."}}


class Note(Body):
    """Why somebody decided so."""

    note: Annotated[Text, Field(max_length=2000)] = ""


SiteQuery = Annotated[str | None, Query(description="Name of a site.")]
