"""The page of how the plan in force answers a call."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.services.event_answers import Answer
from scheduler.views.page import render_page
from scheduler.views.wording import when


def answer_page(answer: Answer, links: Mapping[str, str]) -> str:
    """Draw who delivers how many kW, and at what cost."""
    return render_page(
        "answer.html",
        title=f"Who answers {answer.event}",
        answer=answer,
        slots=[{"one": one, "at": when(one.start_at, "UTC").utc} for one in answer.slots],
        links=links,
    )
