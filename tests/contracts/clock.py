"""A clock that a test turns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class TurnedClock:
    """Stands still until it is turned."""

    def __init__(self) -> None:
        self._now = datetime(2026, 6, 7, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the instant it shows."""
        return self._now

    def turn(self, hours: float) -> None:
        """Turn it forward."""
        self._now += timedelta(hours=hours)
