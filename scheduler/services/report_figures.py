"""What is known of sites in the intervals of a report: metered, planned, usual, stored, possible.

What was drawn is as the settlement of events has it: by the meter, else reckoned from the plan and
the cluster's own power, else what the plan wanted. What is to come is as the plan in force has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connectors.types import GridEventKind, Measure, ReportRequest, SiteFigures, Window
from optimizer import Headroom, headroom
from scheduler.db.models import GridEvent, TelemetryValue
from scheduler.services import fleet as fleets
from scheduler.services.event_report import LONGEST_EVENT, report_of
from scheduler.services.held_plans import HeldPlans
from scheduler.services.plan_document import PlanDocument
from scheduler.services.site_power import SitePower, planned_kw, site_power
from scheduler.settlement.days import cut
from scheduler.settlement.delivered import SettledInterval
from scheduler.specs.message import TelemetrySeries

MOST_PIECES = 5000
"""Slots that the intervals of one report reach over, of all its sites together."""

_STORAGE = ("stored_kwh", "storage_kwh", "charge_max_kw", "discharge_max_kw")


class TooMuch(Exception):
    """A report asks for more than is looked up for one."""


@dataclass(frozen=True, slots=True)
class _Sources:
    """Where figures come from; what was looked up once is kept."""

    session: Session
    plans: HeldPlans
    received_from: str
    slot: timedelta
    now: datetime
    usual: dict[UUID, tuple[SettledInterval, ...]] = field(default_factory=dict)
    possible: dict[tuple[int, str], Headroom] = field(default_factory=dict)

    def document(self, at: datetime) -> PlanDocument | None:
        """Return the plan that held at ``at``, or is to."""
        return self.plans.expected_at(at, min(at, self.now))


@dataclass(frozen=True, slots=True)
class _Piece:
    """Part of an interval within one slot, and the plan for it."""

    window: Window
    document: PlanDocument | None


def figures_of(
    session: Session, request: ReportRequest, received_from: str, now: datetime
) -> tuple[SiteFigures, ...]:
    """Return what is known of what ``request`` asks, site by site in order of time.

    Raises
    ------
    TooMuch
        Its intervals reach over more slots than ``MOST_PIECES``.
    """
    fleet = fleets.required_spec(session)
    slot = timedelta(minutes=fleet.planning.slot_minutes)
    n_pieces = len(request.sites) * sum(
        (window.end - window.start) // slot + 1 for window in request.intervals
    )
    if n_pieces > MOST_PIECES:
        raise TooMuch(f"reaches over {n_pieces} slots of sites, must be at most {MOST_PIECES}")
    sources = _Sources(session, HeldPlans(session), received_from, slot, now)
    known = {site.name for site in fleet.sites}
    return tuple(
        figures
        for site in request.sites
        if site in known
        for figures in _of_site(sources, site, request)
    )


def _of_site(sources: _Sources, site: str, request: ReportRequest) -> Iterable[SiteFigures]:
    windows = [
        part
        for window in request.intervals
        for part in (cut(window, sources.slot, window.end) if request.by_slot else (window,))
    ]
    past = [window for window in windows if window.end <= sources.now]
    is_drawn_asked = bool(request.measures & {Measure.POWER, Measure.PEAK, Measure.STATE})
    drawn = (
        site_power(sources.session, sources.plans, site, past)
        if past and is_drawn_asked
        else SitePower((None,) * len(past), is_metered=False)
    )
    drawn_kw = dict(zip(past, drawn.kw, strict=True))
    for window in windows:
        yield _figures(
            sources, site, request.measures, window, drawn_kw.get(window), drawn.is_metered
        )


def _figures(
    sources: _Sources,
    site: str,
    measures: frozenset[Measure],
    window: Window,
    drawn_kw: float | None,
    is_metered: bool,
) -> SiteFigures:
    pieces = [
        _Piece(part, sources.document(part.start)) for part in cut(window, sources.slot, window.end)
    ]
    wanted_kw = _mean(pieces, lambda piece: planned_kw(piece.document, site, piece.window.start))
    is_past = window.end <= sources.now
    is_measured = is_metered and drawn_kw is not None
    more: dict[str, float | None] = {}
    if Measure.PEAK in measures and is_past:
        more["peak_kw"] = _peak_kw(sources, site, window, pieces, is_measured=is_measured)
    if Measure.BASELINE in measures:
        more["baseline_kw"] = _usual_kw(sources, site, window)
    if Measure.STATE in measures:
        more["limit_kw"] = _limit_kw(sources, site, window)
    if Measure.STORAGE in measures:
        more |= _stored(pieces, site)
    if Measure.FLEXIBILITY in measures:
        more |= _possible(sources, site, pieces)
    return SiteFigures(
        site=site,
        window=window,
        import_kw=(wanted_kw if drawn_kw is None else drawn_kw) if is_past else None,
        is_measured=is_measured,
        planned_kw=wanted_kw,
        **more,
    )


def _mean(pieces: Sequence[_Piece], of: Callable[[_Piece], float | None]) -> float | None:
    """Return the mean over time; what is not known of one piece is not known of all."""
    total, length = 0.0, timedelta()
    for piece in pieces:
        kw, lasts = of(piece), piece.window.end - piece.window.start
        if kw is None:
            return None
        total += kw * lasts.total_seconds()
        length += lasts
    return total / length.total_seconds()


def _peak_kw(
    sources: _Sources, site: str, window: Window, pieces: Sequence[_Piece], *, is_measured: bool
) -> float | None:
    """Return the highest that was read, or that was planned where nothing was."""
    if is_measured:
        highest: float | None = sources.session.scalar(
            select(func.max(TelemetryValue.value)).where(
                TelemetryValue.site == site,
                TelemetryValue.series == TelemetrySeries.SITE_POWER,
                TelemetryValue.device == "",
                TelemetryValue.at >= window.start,
                TelemetryValue.at < window.end,
            )
        )
        return highest
    planned = [planned_kw(piece.document, site, piece.window.start) for piece in pieces]
    known = [kw for kw in planned if kw is not None]
    return max(known) if len(known) == len(planned) else None


def _calls(sources: _Sources, site: str, window: Window) -> Sequence[GridEvent]:
    """Return the calls of who asks that hold in any part of ``window``."""
    return sources.session.scalars(
        select(GridEvent)
        .where(
            GridEvent.received_from == sources.received_from,
            GridEvent.site == site,
            GridEvent.cancelled_at.is_(None),
            GridEvent.start_at < window.end,
            GridEvent.end_at > window.start,
        )
        .order_by(GridEvent.start_at, GridEvent.external_id)
    ).all()


def _limit_kw(sources: _Sources, site: str, window: Window) -> float | None:
    """Return the strictest level that was called; what is contracted is no call.

    As in settlement a call asks nothing of an interval that begins before its ramp is over.
    """
    limits = [
        call.limit_kw
        for call in _calls(sources, site, window)
        if call.kind is not GridEventKind.SUBSCRIPTION
        and window.start >= call.start_at + timedelta(minutes=call.ramp_minutes)
    ]
    return min(limits) if limits else None


def _usual_kw(sources: _Sources, site: str, window: Window) -> float | None:
    """Return the baseline of the calls that cover ``window``, as they are settled by."""
    total, covered = 0.0, timedelta()
    for call in _calls(sources, site, window):
        for one in _settled(sources, call):
            part = one.interval
            start, end = max(part.window.start, window.start), min(part.window.end, window.end)
            if start < end and part.baseline_kw is not None:
                total += part.baseline_kw * (end - start).total_seconds()
                covered += end - start
    return total / covered.total_seconds() if covered == window.end - window.start else None


def _settled(sources: _Sources, call: GridEvent) -> tuple[SettledInterval, ...]:
    if call.kind is GridEventKind.SUBSCRIPTION or call.end_at - call.start_at > LONGEST_EVENT:
        return ()
    if call.id not in sources.usual:
        sources.usual[call.id] = report_of(sources.session, call).intervals
    return sources.usual[call.id]


def _stored(pieces: Sequence[_Piece], site: str) -> dict[str, float | None]:
    """Return what batteries hold at the end and can do, as the plan of its last part has it."""
    last = pieces[-1]
    none: dict[str, float | None] = dict.fromkeys(_STORAGE)
    if last.document is None:
        return none
    slot = last.document.window.slot_of(last.window.start)
    for flows in last.document.plan.flows:
        if flows.site != site:
            continue
        units = last.document.problem.site(site).storage
        if units:
            return {
                "stored_kwh": sum(soc[slot] for soc in flows.soc_kwh),
                "storage_kwh": sum(unit.capacity_kwh for unit in units),
                "charge_max_kw": sum(unit.charge_max_kw for unit in units),
                "discharge_max_kw": sum(unit.discharge_max_kw for unit in units),
            }
    return none


def _possible(sources: _Sources, site: str, pieces: Sequence[_Piece]) -> dict[str, float | None]:
    """Return what can be done in every part: the least of them."""
    least: dict[str, float | None] = {}
    for piece in pieces:
        document = piece.document
        if document is None or all(flows.site != site for flows in document.plan.flows):
            return dict.fromkeys(("shed_kw", "more_discharge_kw", "more_charge_kw"))
        key = id(document), site
        if key not in sources.possible:
            sources.possible[key] = headroom(document.problem, document.plan, site)
        room, slot = sources.possible[key], document.window.slot_of(piece.window.start)
        for name, series in (
            ("shed_kw", room.shed_kw),
            ("more_discharge_kw", room.more_discharge_kw),
            ("more_charge_kw", room.more_charge_kw),
        ):
            before = least.get(name)
            least[name] = series[slot] if before is None else min(before, series[slot])
    return least
