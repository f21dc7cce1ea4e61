"""The page of signals: how far each reaches, and what is suspicious about what came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scheduler.services.coverage import Coverage
from scheduler.services.signal_store import Standing
from scheduler.views.page import render_page
from scheduler.views.wording import when


@dataclass(frozen=True, slots=True)
class FlagActions:
    """Where the page posts a decision on one flag."""

    confirm_url: str
    reject_url: str | None  # None: there is nothing to reject


def signals_page(
    coverage: Sequence[Coverage],
    flags: Sequence[tuple[Standing, FlagActions | None]],
    links: Mapping[str, str],
) -> str:
    """Draw it; forms to decide are there for flags that come with ``FlagActions``."""
    shown = [
        {
            "flag": standing.flag,
            "verdict": standing.verdict,
            "start": when(standing.flag.start_at, "UTC").utc,
            "end": when(standing.flag.end_at, "UTC").utc,
            "actions": actions,
        }
        for standing, actions in flags
    ]
    reach = [
        {"one": one, "until": None if one.known_until is None else when(one.known_until, "UTC").utc}
        for one in coverage
    ]
    return render_page("signals.html", title="Signals", coverage=reach, flags=shown, links=links)
