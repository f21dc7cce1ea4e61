"""Bases of what the API answers: read from rows and frozen dataclasses alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from scheduler.services.paging import Page
from scheduler.specs.base import Spec

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


class Note(Body):
    """Why somebody decided so."""

    note: Annotated[str, Field(max_length=2000)] = ""


SiteQuery = Annotated[str | None, Query(description="Name of a site.")]
