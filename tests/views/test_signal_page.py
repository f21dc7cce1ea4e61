"""The page of signals says how far each reaches, where it comes from, and what went wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from connectors.types import SignalKind
from scheduler.services.coverage import Coverage
from scheduler.services.feed_states import FeedStanding
from scheduler.views import signals_page

NOW = datetime(2026, 6, 7, 9, 30, tzinfo=UTC)


def price(feed: FeedStanding | None) -> Coverage:
    """Prices that reach a day ahead."""
    until = NOW + timedelta(hours=24)
    return Coverage(
        "DE", SignalKind.PRICE, True, 24, NOW, until, NOW, 24.0, 0.0, is_stale=False, feed=feed
    )


def test_a_feed_that_fails_says_why() -> None:
    """As the command line does; what an answer held is shown as text."""
    error = "entsoe: needs GRIDTIDE_ENTSOE_TOKEN in the environment <b>"
    feed = FeedStanding("DE", SignalKind.PRICE, "entsoe", "DE-LU", 30, failures=2, error=error)
    page = signals_page([price(feed)], [], {})
    assert "entsoe DE-LU" in page
    assert "needs GRIDTIDE_ENTSOE_TOKEN in the environment &lt;b&gt;" in page
    assert "needs GRIDTIDE_ENTSOE_TOKEN" not in signals_page([price(None)], [], {})


def test_without_a_fleet_the_page_says_what_to_do() -> None:
    """An empty table says nothing."""
    page = signals_page([], [], {})
    assert "gridtide fleet put" in page
    assert "<table" not in page
