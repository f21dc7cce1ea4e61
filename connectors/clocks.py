"""How far the clock of somebody outside is from ours: read where it tells its time, never assumed.

Nothing is decided by comparing an instant of theirs with one of ours: what lasts is counted by one
clock, or by none that can be set. What is measured here is for people to see, and puts the instants
they tell on our clock before they are kept.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime

from connectors.errors import ConnectorError

_READ_EVERY_S = 60.0
_LONGEST_ANSWER_S = 2.0  # what takes longer does not say when in that time its clock was read
_HALF_A_SECOND = 0.5  # who tells whole seconds has left out so much on average


class ForeignClock:
    """The clock that ``read`` tells in whole seconds since 1970; read once a minute at most."""

    def __init__(self, read: Callable[[], Awaitable[float]]) -> None:
        self._read = read
        self._read_at = -_READ_EVERY_S
        self._ahead_s: float | None = None

    async def ahead_s(self) -> float | None:
        """How far it is ahead of ours [s], as read last; ``None`` where it cannot be read."""
        if time.monotonic() - self._read_at >= _READ_EVERY_S:
            began = time.time()
            try:
                told = await self._read()
            except ConnectorError:  # it is a question beside others, whose errors are told
                self._ahead_s = None
            else:
                measured = ahead_s(told, began, time.time())
                self._ahead_s = self._ahead_s if measured is None else measured
            self._read_at = time.monotonic()
        return self._ahead_s


def ahead_s(told: float, began: float, ended: float) -> float | None:
    """How far a clock is ahead that told whole seconds between two instants of ours [s].

    ``None`` where these are too far apart to say.
    """
    if ended - began > _LONGEST_ANSWER_S:
        return None
    return told + _HALF_A_SECOND - (began + ended) / 2


def ahead_by_date(header: str | None, began: float) -> float | None:
    """How far a clock is ahead by the ``Date`` of an answer that was asked for at ``began`` [s]."""
    told = date_of(header)
    return None if told is None else ahead_s(told, began, time.time())


def date_of(header: str | None) -> float | None:
    """Return what a ``Date`` header of HTTP tells [s since 1970], ``None`` where it does not."""
    try:
        return None if header is None else parsedate_to_datetime(header).timestamp()
    except ValueError:
        return None
