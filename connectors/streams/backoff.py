"""How long to wait before the next try, where some have failed."""

from __future__ import annotations

import asyncio
import random

_FIRST_S = 0.2
_LONGEST_S = 60.0


class Backoff:
    """At once, then up to twice as long each time, drawn at random: many do not come in step."""

    def __init__(self, first_s: float = _FIRST_S, longest_s: float = _LONGEST_S) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._failures = 0

    @property
    def most_s(self) -> float:
        """The longest that the next pause may be [s]."""
        if not self._failures:
            return 0.0
        return float(min(self._first_s * 2 ** min(self._failures - 1, 30), self._longest_s))

    async def pause(self) -> None:
        """Wait before a try."""
        await asyncio.sleep(random.uniform(0.0, self.most_s))  # noqa: S311 - no secret

    def failed(self) -> None:
        """Note that a try failed."""
        self._failures += 1

    def succeeded(self) -> None:
        """Note that a try was good."""
        self._failures = 0
