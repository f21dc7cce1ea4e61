"""A virtual power plant that is not there: it calls the events it was given and keeps reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from connectors.errors import Rejected
from connectors.types import DeliveryReport, GridEventNotice, Window


class SimulatedVirtualPowerPlant:
    """Implements ``VirtualPowerPlant``.

    Parameters
    ----------
    script
        Events it calls, each with the instant from which it is known.
    now
        The clock.
    """

    def __init__(
        self,
        script: Iterable[tuple[datetime, GridEventNotice]],
        now: Callable[[], datetime],
    ) -> None:
        self._now = now
        self._script: dict[str, tuple[datetime, GridEventNotice]] = {}
        self._reports: dict[tuple[str, str, Window], DeliveryReport] = {}
        for known_at, notice in script:
            self.call(notice, known_at)

    async def events(self) -> tuple[GridEventNotice, ...]:
        """Every event that is known and not over, cancelled ones marked, in order of start."""
        now = self._now()
        current = [
            notice
            for known_at, notice in self._script.values()
            if known_at <= now < notice.window.end
        ]
        return tuple(sorted(current, key=lambda event: (event.window.start, event.event_id)))

    def may_still_hold(self, event_id: str) -> bool:  # noqa: ARG002 - as the protocol has it
        """Say no: it lists all there is."""
        return False

    async def report(self, report: DeliveryReport) -> None:
        """Keep what was delivered. The same interval twice replaces the first."""
        entry = self._script.get(report.event_id)
        if entry is None or entry[1].site != report.site:
            raise Rejected(f"event {report.event_id!r} at site {report.site!r}: never called")
        window, interval = entry[1].window, report.window
        if interval.start < window.start or interval.end > window.end:
            raise Rejected(
                f"event {report.event_id}: report for {interval.start.isoformat()} ..,"
                f" must be within {window.start.isoformat()} .. {window.end.isoformat()}"
            )
        self._reports[report.event_id, report.site, interval] = report

    def call(self, notice: GridEventNotice, known_at: datetime) -> None:
        """Call an event, or change the one of this name, from ``known_at`` on."""
        self._script[notice.event_id] = (known_at, notice)

    def cancel(self, event_id: str) -> None:
        """Cancel an event; it is listed, marked, until it would have been over."""
        known_at, notice = self._script[event_id]
        self._script[event_id] = (known_at, replace(notice, is_cancelled=True))

    @property
    def reports(self) -> tuple[DeliveryReport, ...]:
        """What was reported, in order of event and interval."""
        return tuple(
            self._reports[key]
            for key in sorted(self._reports, key=lambda key: (key[0], key[1], key[2].start))
        )
