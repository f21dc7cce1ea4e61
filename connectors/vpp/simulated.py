"""A virtual power plant that is not there: it calls the events it was given and keeps reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from connectors.errors import Rejected
from connectors.types import GridEventNotice, GridSignal, Measure, Report, ReportRequest, Window


class SimulatedVirtualPowerPlant:
    """Implements ``VirtualPowerPlant``.

    Parameters
    ----------
    script
        Events it calls, each with the instant from which it is known.
    now
        The clock.
    reports_every
        It asks for a report of each so long part of an event once that is over.
    measures
        What it asks for.
    signals
        What it says of prices and intensities; no two overlap.
    """

    def __init__(
        self,
        script: Iterable[tuple[datetime, GridEventNotice]],
        now: Callable[[], datetime],
        reports_every: timedelta = timedelta(hours=1),
        measures: frozenset[Measure] = frozenset((Measure.POWER, Measure.STATE)),
        signals: Iterable[GridSignal] = (),
    ) -> None:
        self._now = now
        self._reports_every = reports_every
        self._measures = measures
        self._signals = tuple(signals)
        self._script: dict[str, tuple[datetime, GridEventNotice]] = {}
        self._reports: dict[str, Report] = {}
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

    def signals(self) -> tuple[GridSignal, ...]:
        """Return those that are not over."""
        now = self._now()
        return tuple(signal for signal in self._signals if signal.window.end > now)

    def reports_due(self) -> tuple[ReportRequest, ...]:
        """Ask for what is over of events that were not cancelled."""
        now = self._now()
        due = [
            request
            for known_at, notice in self._script.values()
            if known_at <= now and not notice.is_cancelled
            for request in self._requests(notice)
            if request.due_at <= now
        ]
        return tuple(sorted(due, key=lambda request: (request.due_at, request.name)))

    async def report(self, report: Report) -> None:
        """Keep a report. The same one twice replaces the first."""
        if report.request not in self.reports_due():
            raise Rejected(f"report {report.request.name!r}: nobody asks for it")
        self._reports[report.request.name] = report

    def _requests(self, notice: GridEventNotice) -> Iterator[ReportRequest]:
        start = notice.window.start
        while start < notice.window.end:
            end = min(start + self._reports_every, notice.window.end)
            yield ReportRequest(
                name=f"{notice.event_id} {start.isoformat()}",
                event_id=notice.event_id,
                sites=(notice.site,),
                due_at=end,
                intervals=(Window(start, end),),
                measures=self._measures,
                asked=tuple(sorted(self._measures)),
            )
            start = end

    def call(self, notice: GridEventNotice, known_at: datetime) -> None:
        """Call an event, or change the one of this name, from ``known_at`` on."""
        self._script[notice.event_id] = (known_at, notice)

    def cancel(self, event_id: str) -> None:
        """Cancel an event; it is listed, marked, until it would have been over."""
        known_at, notice = self._script[event_id]
        self._script[event_id] = (known_at, replace(notice, is_cancelled=True))

    @property
    def reports(self) -> tuple[Report, ...]:
        """What was reported, in order of event and interval."""
        return tuple(
            sorted(
                self._reports.values(),
                key=lambda report: (report.request.event_id, report.request.due_at),
            )
        )
