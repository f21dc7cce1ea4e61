"""The virtual end node: what top nodes call, as limits of our sites; what we delivered, as reports.

It keeps nothing that must outlive it. The random start of an event is drawn from the names of the
VEN and the event and from when that changed last: the same in every process, for good. What the
other side deleted is no longer listed, and who compares with what is on record calls it off.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from connectors.errors import ConnectorError, Rejected
from connectors.types import GridEventNotice, GridSignal, Report, ReportRequest, Window
from connectors.vpp.openadr3.client import Version, Vtn
from connectors.vpp.openadr3.overlap import Holding, holding
from connectors.vpp.openadr3.payloads import SIGNALS, Call, CallKind, Horizon, calls
from connectors.vpp.openadr3.registration import Resource, register
from connectors.vpp.openadr3.reports import Header, report_body
from connectors.vpp.openadr3.requests import LATEST, Asked, end_of, reports_asked
from connectors.vpp.openadr3.subscription import Webhook, subscribe
from connectors.vpp.openadr3.tariffs import LONGEST, Said, said_by, signals_of
from connectors.vpp.openadr3.timing import EventTiming
from connectors.vpp.openadr3.wire import Target, Unreadable, WireEvent, read_events

log = logging.getLogger(__name__)

LOOKS_AHEAD_DAYS = 8
LOOKS_BACK = timedelta(days=7)
"""What is over still tells which part of a longer call below it is over as well."""
MOST_CALLS = 50_000
MOST_NOTICES = 1000
MOST_REPORTS = 5000
_MOST_TOLD = 10_000


@dataclass(frozen=True, slots=True)
class SiteTerms:
    """One of our sites: what it is called there, and what its contract lets it draw [kW].

    ``targets`` are words besides its name by which events name it, such as its group or feeder.
    For ``rebound_minutes`` after a call it may draw ``rebound_kw``, and more at a price.
    """

    site: str
    resource: str
    contract_kw: float
    export_kw: float = 0.0
    targets: frozenset[str] = frozenset()
    rebound_kw: float | None = None
    rebound_minutes: float = 0.0
    rebound_eur_per_kwh: float = 0.0


@dataclass(frozen=True, slots=True)
class VenTerms:
    """What was agreed with the other side.

    Attributes
    ----------
    programs
        Those we take part in; none: all that we are shown.
    simple_shares
        What of its contract a site may draw at levels 1, 2 and 3 of ``SIMPLE``.
    breach_eur_per_kwh, payment_eur_per_kwh, ramp_minutes
        What drawing more than called is worth avoiding, what each kWh not drawn is paid, and how
        long coming down may take: OpenADR has no words for them.
    webhook
        Where the other side is to tell of changes; none: it is asked only.
    """

    name: str
    sites: tuple[SiteTerms, ...]
    programs: frozenset[str] = frozenset()
    simple_shares: tuple[float, float, float] = (0.75, 0.5, 0.0)
    breach_eur_per_kwh: float = 1.0
    payment_eur_per_kwh: float = 0.0
    ramp_minutes: float = 0.0
    webhook: Webhook | None = None


class OpenAdrVen:
    """Implements ``VirtualPowerPlant``."""

    def __init__(self, vtn: Vtn, terms: VenTerms, now: Callable[[], datetime]) -> None:
        self._vtn = vtn
        self._terms = terms
        self._now = now
        self._number: str | None = None
        self._events: dict[str, WireEvent] = {}
        self._uncertain: frozenset[str] = frozenset()
        self._heard_at: dict[str, datetime] = {}
        self._told: set[str] = set()
        # No longer listed, but over: their last reports may still be due.
        self._over: dict[str, tuple[datetime, WireEvent]] = {}
        self._asked: dict[str, Asked] = {}

    async def events(self) -> tuple[GridEventNotice, ...]:
        """Return every limit that is not over; what is called off is no longer among them."""
        await self._be_registered()
        listed, bad = read_events(await self._vtn.listed("events"))
        programs = self._terms.programs
        ours = [event for event in listed if not programs or event.program in programs]
        before, self._events = self._events, {event.id: event for event in ours}
        self._keep_what_is_over(before)
        self._heard_at = {
            number: at for number, at in self._heard_at.items() if self._event(number) is not None
        }
        called, refused = self._calls(ours)
        notices, cut = self._notices(called)
        for each in (*bad, *refused):
            self._tell(f"event {each.id or 'without a number'} is passed over: {each.reason}")
        self._uncertain = frozenset(each.id for each in (*bad, *refused)) | cut
        return notices

    def may_still_hold(self, event_id: str) -> bool:
        """Whether a notice that is not listed may hold, as its event could not be read.

        One whose number could not be read either may be any of them.
        """
        return "" in self._uncertain or event_id.split(".", 1)[0] in self._uncertain

    def signals(self) -> tuple[GridSignal, ...]:
        """Return prices and carbon that events say of our sites, of what is not over."""
        ahead = self._horizon()
        # What is over still tells which part of a longer one below it is; none is told for longer.
        horizon = replace(ahead, since=ahead.since - LONGEST)
        said: dict[str, list[Said]] = {site.site: [] for site in self._terms.sites}
        for event in self._events.values():
            if not event.says_any(SIGNALS):
                continue
            try:
                draw = draw_of(self._terms.name, event)
                of_event = list(said_by(event, self._timing(event), draw, horizon))
            except (ValueError, OverflowError) as error:
                self._tell(f"event {event.id}: its prices and carbon are passed over: {error}")
                continue
            for site in self._sites(event):
                said[site.site] += of_event
        return tuple(
            signal
            for site, of in said.items()
            for signal in signals_of(site, of)
            if signal.window.end > ahead.since
        )

    def reports_due(self) -> tuple[ReportRequest, ...]:
        """Return what is asked for by now, the oldest first, also what was sent already."""
        found: list[Asked] = []
        for event in (*self._events.values(), *(event for _, event in self._over.values())):
            if event.reports:
                found += self._reports_of(event)
        found.sort(key=lambda asked: (asked.request.due_at, asked.request.name))
        if len(found) > MOST_REPORTS:
            self._tell(f"more than {MOST_REPORTS} reports are due: the earlier ones are left out")
        # All of the last day are among them, also those that were sent long ago.
        self._asked = {asked.request.name: asked for asked in found[-MOST_REPORTS:]}
        return tuple(asked.request for asked in self._asked.values())

    async def report(self, report: Report) -> None:
        """Send a report, in the place of an earlier one of its name."""
        asked = self._asked.get(report.request.name)
        event = None if asked is None else self._event(asked.request.event_id)
        if asked is None or event is None:
            raise Rejected(f"report {report.request.name!r}: nobody asks for it")
        program = event.program if self._vtn.version is Version.V3_0_1 else None
        header = Header(event.id, program, self._terms.name, asked.is_aggregate)
        resources = {site.site: site.resource for site in self._terms.sites}
        body = report_body(header, asked.told, asked.numbered, report, resources)
        query = {"eventID": event.id, "clientName": self._terms.name}
        for known in await self._vtn.listed("reports", query):
            if isinstance(known, dict) and known.get("reportName") == report.request.name:
                await self._vtn.replace(f"reports/{known.get('id')}", body)
                return
        await self._vtn.create("reports", body)

    def _reports_of(self, event: WireEvent) -> list[Asked]:
        of_event = self._sites(event)

        def sites_of(targets: tuple[Target, ...]) -> list[str]:
            words = {target.word for target in targets}
            named = [site for site in of_event if words & {site.resource, *site.targets}]
            return [site.site for site in (named if words else of_event)]

        draw = draw_of(self._terms.name, event)
        try:
            asked = list(reports_asked(event, sites_of, self._timing(event), draw, self._now()))
        except (ValueError, OverflowError) as error:
            self._tell(f"event {event.id}: its reports are not sent: {error}")
            return []
        for each in asked:
            for name, reason in each.request.refused:
                self._tell(f"event {event.id}: report of {name[:128]} is not sent: {reason}")
        return asked

    def _keep_what_is_over(self, before: Mapping[str, WireEvent]) -> None:
        """Keep events that asked for reports and are listed no more because they are over."""
        now = self._now()
        gone = [event for number, event in before.items() if number not in self._events]
        for event in gone:
            if not event.reports:
                continue
            try:
                end = end_of(self._timing(event), draw_of(self._terms.name, event))
            except (ValueError, OverflowError):
                continue  # its reports were refused already
            self._over[event.id] = end, event
        self._over = {
            number: (end, event)
            for number, (end, event) in self._over.items()
            if number not in self._events and end <= now < end + LATEST
        }

    def _event(self, number: str) -> WireEvent | None:
        over = self._over.get(number)
        return self._events.get(number) or (None if over is None else over[1])

    def _timing(self, event: WireEvent) -> EventTiming:
        zero_lasts = self._vtn.version is Version.V3_0_1
        return event.timing(self._said_at(event), zero_lasts=zero_lasts)

    async def _be_registered(self) -> None:
        """Register where we are not known; events are asked for whatever comes of it."""
        resources = [
            Resource(site.resource, site.contract_kw, site.export_kw) for site in self._terms.sites
        ]
        try:
            if self._number is not None and await self._vtn.find(f"vens/{self._number}") is None:
                log.warning("VTN: forgot VEN %s, registering again", self._terms.name)
                self._number = None
            if self._number is None:
                self._number = await register(self._vtn, self._terms.name, resources)
            if self._terms.webhook is not None:
                programs = self._terms.programs
                await subscribe(self._vtn, self._terms.name, programs, self._terms.webhook)
        except ConnectorError as error:
            self._tell(f"VEN {self._terms.name} is not registered or subscribed: {error}")

    def _calls(self, events: Iterable[WireEvent]) -> tuple[dict[str, list[Call]], list[Unreadable]]:
        """Return what is asked of each site, and the events that ask what cannot be."""
        ahead = self._horizon()
        now = ahead.since
        horizon = replace(ahead, since=now - LOOKS_BACK)
        found: dict[str, list[Call]] = {site.site: [] for site in self._terms.sites}
        refused: list[Unreadable] = []
        n_calls = n_over = 0
        # By priority: a flood of what matters less shuts out nothing that matters more.
        for event in sorted(events, key=_importance):
            try:
                asked = [
                    (site.site, self._calls_of(event, site, horizon)) for site in self._sites(event)
                ]
            except (ValueError, OverflowError) as error:
                refused.append(Unreadable(event.id, str(error)))
                continue
            n_ahead = sum(call.end > now for _, of_site in asked for call in of_site)
            n_calls += n_ahead
            n_over += sum(len(of_site) for _, of_site in asked) - n_ahead
            if n_calls > MOST_CALLS:
                refused.append(Unreadable(event.id, f"more than {MOST_CALLS} calls before it"))
                continue
            for name, of_site in asked:
                # Those that are over are kept as far as there is room: they take no other's place.
                found[name] += [call for call in of_site if call.end > now or n_over <= MOST_CALLS]
        return found, refused

    def _horizon(self) -> Horizon:
        now = self._now()
        day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return Horizon(now, day + timedelta(days=LOOKS_AHEAD_DAYS))

    def _calls_of(self, event: WireEvent, site: SiteTerms, horizon: Horizon) -> list[Call]:
        asked, unused = calls(
            event,
            site.contract_kw,
            self._terms.simple_shares,
            horizon,
            said_at=self._said_at(event),
            draw=draw_of(self._terms.name, event),
            zero_lasts=self._vtn.version is Version.V3_0_1,
        )
        for payload_type in sorted(unused):
            self._tell(f"event {event.id}: {payload_type} is kept in mind by nobody")
        return asked

    def _said_at(self, event: WireEvent) -> datetime:
        """Return when an event was said: where it does not say, when we heard of it."""
        return event.issued_at or self._heard_at.setdefault(event.id, self._now())

    def _sites(self, event: WireEvent) -> list[SiteTerms]:
        """Return whom an event is for: sites it names, else all of them, or none.

        A VTN of 3.1.0 shows us ours only. One of 3.0.1 shows all: what names other VENs or
        resources than ours is not for us.
        """
        words = {target.word for target in event.targets}
        named = [site for site in self._terms.sites if words & {site.resource, *site.targets}]
        if named or not words:
            return named or list(self._terms.sites)
        vens = {target.word for target in event.targets if target.kind == "VEN_NAME"}
        is_of_others = any(target.kind == "RESOURCE_NAME" for target in event.targets)
        is_ours = self._terms.name in vens if vens else not is_of_others
        return list(self._terms.sites) if is_ours else []

    def _notices(
        self, called: dict[str, list[Call]]
    ) -> tuple[tuple[GridEventNotice, ...], frozenset[str]]:
        """Return what holds, the next first, and the events of what is left out as too many."""
        now = self._now()
        found = [
            (site, around)
            for site in self._terms.sites
            for around in _with_neighbours(holding(called[site.site]))
            if around[1].end > now
        ]
        found.sort(key=lambda pair: (pair[1][1].start, pair[0].site))
        left_out = frozenset(around[1].event_id for _, around in found[MOST_NOTICES:])
        if left_out:
            self._tell(f"more than {MOST_NOTICES} limits: those that begin later are left out")
        nearest = found[:MOST_NOTICES]
        return tuple(self._notice(site, *around) for site, around in nearest), left_out

    def _notice(
        self, site: SiteTerms, before: Holding | None, each: Holding, after: Holding | None
    ) -> GridEventNotice:
        """Return what holds as a notice; what holds directly before and after it may be nothing.

        Who was at the limit already needs no ramp, and what is still called does not rebound.
        """
        micro = f"{each.start.microsecond:06d}" if each.start.microsecond else ""
        name = f"{each.event_id}.{site.site}.{each.start:%Y%m%dT%H%M%S}{micro}"
        is_down = before is not None and before.limit_kw <= each.limit_kw
        goes_on = after is not None and after.call.kind is CallKind.LIMIT
        may_rebound = each.call.kind is CallKind.LIMIT and not goes_on
        window = Window(each.start, each.end)
        return GridEventNotice(
            event_id=name,
            site=site.site,
            window=window,
            limit_kw=each.limit_kw,
            breach_eur_per_kwh=self._terms.breach_eur_per_kwh,
            kind=each.call.means,
            issued_at=self._events[each.event_id].issued_at,
            ramp_minutes=0.0 if is_down else self._terms.ramp_minutes,
            priority=each.call.priority,
            payment_eur_per_kwh=self._terms.payment_eur_per_kwh,
            rebound_kw=site.rebound_kw if may_rebound else None,
            rebound_minutes=site.rebound_minutes if may_rebound else 0.0,
            rebound_eur_per_kwh=site.rebound_eur_per_kwh if may_rebound else 0.0,
        )

    def _tell(self, sentence: str) -> None:
        """Say it once, not at every poll."""
        if sentence not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(sentence)
            log.warning("VTN: %s", sentence)


def _with_neighbours(
    held: Sequence[Holding],
) -> Iterator[tuple[Holding | None, Holding, Holding | None]]:
    """Yield each with what ends where it begins, and what begins where it ends."""
    for before, each, after in zip((None, *held), held, (*held[1:], None), strict=False):
        yield (
            before if before is not None and before.end == each.start else None,
            each,
            after if after is not None and after.start == each.end else None,
        )


def _importance(event: WireEvent) -> tuple[bool, int]:
    return event.priority is None, event.priority or 0


def draw_of(ven_name: str, event: WireEvent) -> float:
    """Return the draw for the random start of an event: uniform in [-1, 1), always the same."""
    changed = event.issued_at
    said = f"{ven_name}\n{event.id}\n{'' if changed is None else changed.isoformat()}"
    drawn = int.from_bytes(hashlib.sha256(said.encode()).digest()[:8], "big")
    return drawn / 2**63 - 1.0
