"""Prices and carbon that the grid side tells, kept like any other signal: as known when they came.

What is told again tells nothing new. What the grid side takes back stands until another value
comes: values of signals are never deleted.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

from connectors.types import GridSignal, SignalKind
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import fleet as fleets
from scheduler.services.errors import ServiceError
from scheduler.services.signals import SignalPoint, insert_values
from scheduler.specs import FleetSpec
from scheduler.timekeeping import Now

log = logging.getLogger(__name__)

_MINUTE = timedelta(minutes=1)
_MONEY = (SignalKind.PRICE, SignalKind.EXPORT_PRICE)


class GridSignals:
    """Keeps signals of one sender; the same as the last time is not looked up again."""

    def __init__(self, sessions: SessionFactory, source: str, now: Now) -> None:
        self._sessions = sessions
        self._source = source
        self._now = now
        self._last: tuple[GridSignal, ...] = ()
        self._said: set[str] = set()

    def keep(self, signals: tuple[GridSignal, ...]) -> int:
        """Store what is new of ``signals``; return how many values are."""
        if signals == self._last or not signals:
            return 0
        try:
            with transaction(self._sessions) as session:
                points = self._points(fleets.required_spec(session), signals)
                inserted = insert_values(session, points, self._source, self._now()).inserted
        except ServiceError as error:
            self._tell(f"signals of {self._source} are not kept: {error}")
            return 0
        self._last = signals
        return inserted

    def _points(self, fleet: FleetSpec, signals: Sequence[GridSignal]) -> list[SignalPoint]:
        now = self._now()
        currencies = {site.name: site.currency for site in fleet.sites}
        points = []
        for signal in signals:
            own = currencies.get(signal.site)
            if own is None:
                self._tell(
                    f"{self._source}: {signal.site} is not in the fleet: its signals are not"
                )
                continue
            is_money = signal.kind in _MONEY and signal.currency is not None
            if is_money and signal.currency != own:
                told = f"{signal.kind} of {signal.site} is in {str(signal.currency)[:20]}"
                self._tell(f"{self._source}: {told}, must be in {own}: it is passed over")
                continue
            minutes = (signal.window.end - signal.window.start) // _MINUTE
            start = signal.window.start
            points.append(SignalPoint(signal.site, signal.kind, start, minutes, signal.value, now))
        return points

    def _tell(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            log.error("%s", sentence)
