"""One grid event put together for its settlement: called, planned, drawn, and what would have been.

This is where its instants become intervals: cut at the slots of the fleet, and where its ramp ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.types import GridEventKind, Window
from scheduler.db.models import GridEvent
from scheduler.services import fleet as fleets
from scheduler.services.assemble_commitments import fee_of_declining, is_declined, terms_of
from scheduler.services.held_plans import HeldPlans
from scheduler.services.plan_document import PlanDocument
from scheduler.services.site_power import SitePower, planned_kw, site_power
from scheduler.settlement.baseline import Baseline, DayLoad, baseline
from scheduler.settlement.days import candidate_days, choice_for, cut, local_day, on_day
from scheduler.settlement.delivered import Interval, Terms, settle_interval, summed
from scheduler.settlement.report import EventReport
from scheduler.settlement.rules import RULES, Adjustment, BaselineRule
from scheduler.specs import FleetSpec
from scheduler.specs.grid_event import notice_of
from scheduler.specs.settlement import SettlementSpec

LONGEST_EVENT = timedelta(days=7)
"""What lasts longer is a standing limit: it has no hours to compare with those of other days."""

SHOWN_AROUND = timedelta(hours=1)
"""Before and after an event, for the curve."""

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Case:
    """One event and where what is known of it comes from."""

    session: Session
    plans: HeldPlans
    event: GridEvent
    zone: ZoneInfo
    spec: SettlementSpec
    slot: timedelta
    terms: Terms

    def intervals(self, window: Window) -> tuple[Window, ...]:
        """Cut ``window`` where the level, the plan or the ramp may change."""
        return cut(window, self.slot, self.terms.held_from)

    def drawn(self, windows: Sequence[Window]) -> SitePower:
        """Return what the site drew."""
        return site_power(self.session, self.plans, self.event.site, windows)

    def planned(self, window: Window) -> float | None:
        """Return what the plan that held then wanted [kW]."""
        return planned_kw(self.plans.holding_at(window.start), self.event.site, window.start)

    def planned_before(self, window: Window) -> float | None:
        """Return what the plan wanted that was in force when the call came [kW]."""
        document = self.plans.expected_at(window.start, self.event.received_at)
        return planned_kw(document, self.event.site, window.start)


def called_window(event: GridEvent) -> Window | None:
    """Return for how long it held: until it was called off; ``None``: it never did."""
    end = event.end_at if event.cancelled_at is None else min(event.end_at, event.cancelled_at)
    return None if end <= event.start_at else Window(event.start_at, end)


def report_of(session: Session, event: GridEvent) -> EventReport:
    """Settle an event that has held, by what is on record now.

    Raises
    ------
    NotFound
        Its site is not in the fleet any more.
    """
    case = _case(session, event)
    windows = case.intervals(case.terms.window)
    before_event = tuple(case.planned_before(window) for window in windows)
    rule = RULES.get(case.spec.baseline.value)
    usual = _plan_baseline(before_event) if rule is None else _metered_baseline(case, rule, windows)
    drawn = case.drawn(windows)
    usual_kw = usual.kw or (None,) * len(windows)
    rows = zip(windows, drawn.kw, usual_kw, before_event, strict=True)
    settled = [
        settle_interval(
            case.terms,
            Interval(window, case.planned(window), kw, drawn.is_metered, expected, own),
        )
        for window, kw, expected, own in rows
    ]
    result = summed(case.terms, settled)
    return EventReport(
        event=event.external_id,
        site=event.site,
        time_zone=case.zone.key,
        terms=case.terms,
        rule=case.spec.baseline.value,
        baseline=usual,
        result=result,
        intervals=tuple(settled),
        around=tuple(_around(case)),
        notes=tuple(_notes(event, case.terms, drawn)),
    )


def _case(session: Session, event: GridEvent) -> _Case:
    window = called_window(event)
    if window is None:
        raise ValueError(f"grid event {event.external_id}: called off before it began")
    fleet = fleets.required_spec(session)
    site = fleet.site(event.site)
    held_from = min(window.start + timedelta(minutes=event.ramp_minutes), window.end)
    plans = HeldPlans(session)
    agreed = terms_of(fleet, event.site)
    terms = Terms(
        window=window,
        held_from=held_from,
        limit_kw=event.limit_kw,
        payment_eur_per_kwh=event.payment_eur_per_kwh,
        breach_eur_per_kwh=event.breach_eur_per_kwh,
        declined_eur=_declined_eur(fleet, plans.holding_at(window.start), event),
        pay_eur=0.0 if agreed is None else agreed.pay_eur,
    )
    slot = timedelta(minutes=fleet.planning.slot_minutes)
    zone = ZoneInfo(site.time_zone)
    return _Case(session, plans, event, zone, site.settlement, slot, terms)


def _declined_eur(fleet: FleetSpec, plan: PlanDocument | None, event: GridEvent) -> float | None:
    """Return what declining cost if the plan that held as the call began had declined it."""
    notice, terms = notice_of(event), terms_of(fleet, event.site)
    if plan is None or terms is None or not is_declined(notice, plan.declined):
        return None
    return fee_of_declining(notice, terms) or 0.0


def _plan_baseline(kw: Sequence[float | None]) -> Baseline:
    known = tuple(value for value in kw if value is not None)
    if len(known) == len(kw):
        return Baseline(known)
    lack = f"no baseline: no plan from before the call tells {len(kw) - len(known)} intervals"
    return Baseline((), notes=(lack,))


def _metered_baseline(case: _Case, rule: BaselineRule, windows: Sequence[Window]) -> Baseline:
    day = local_day(case.terms.window.start, case.zone)
    holidays = frozenset(case.spec.holidays)
    called = _days_of_events(case, rule)
    near = candidate_days(rule, day, holidays)
    before = _before(rule.adjustment, case.terms.window)

    def load(of: date) -> DayLoad:
        kw = case.drawn([on_day(window, day, of, case.zone) for window in windows]).kw
        early = None if before is None else case.drawn([on_day(before, day, of, case.zone)]).kw[0]
        return DayLoad(of, kw, early)

    return baseline(
        rule,
        choice_for(rule, day, holidays),
        [(window.end - window.start) / _HOUR for window in windows],
        None if before is None else case.drawn([before]).kw[0],
        [load(one) for one in near if one not in called],
        [load(one) for one in near if one in called],
    )


def _before(adjustment: Adjustment | None, window: Window) -> Window | None:
    if adjustment is None:
        return None
    start = window.start - adjustment.begins_hours_before * _HOUR
    return Window(start, start + adjustment.hours * _HOUR)


def _days_of_events(case: _Case, rule: BaselineRule) -> frozenset[date]:
    """Return the days on which another call held at the site; standing limits are none."""
    first = case.terms.window.start - timedelta(days=rule.look_back_days + 2)
    others = case.session.scalars(
        select(GridEvent).where(
            GridEvent.site == case.event.site,
            GridEvent.id != case.event.id,
            GridEvent.kind != GridEventKind.SUBSCRIPTION,
            GridEvent.end_at > first,
            GridEvent.start_at < case.terms.window.start,
        )
    )
    windows = (called_window(one) for one in others)
    held = (one for one in windows if one is not None and one.end - one.start <= LONGEST_EVENT)
    return frozenset(day for one in held for day in _days_of(one, case.zone))


def _days_of(window: Window, zone: ZoneInfo) -> Iterable[date]:
    day = local_day(window.start, zone)
    last = local_day(window.end - timedelta(microseconds=1), zone)
    while day <= last:
        yield day
        day += timedelta(days=1)


def _around(case: _Case) -> Iterable[Interval]:
    """Tell of the hours before and after, for the curve."""
    held = case.terms.window
    for window in (
        Window(held.start - SHOWN_AROUND, held.start),
        Window(held.end, held.end + SHOWN_AROUND),
    ):
        pieces = case.intervals(window)
        drawn = case.drawn(pieces)
        for piece, kw in zip(pieces, drawn.kw, strict=True):
            own = case.planned_before(piece)
            yield Interval(piece, case.planned(piece), kw, drawn.is_metered, None, own)


def _notes(event: GridEvent, terms: Terms, drawn: SitePower) -> Iterable[str]:
    if terms.declined_eur is not None:
        yield (
            "The plan that held as it began had declined it: nothing is paid, no level bound"
            f" anybody, and the penalty is the fee of {terms.declined_eur:.2f} EUR."
        )
    lacking = sum(kw is None for kw in drawn.kw)
    if lacking == len(drawn.kw):
        yield "What was drawn is not known: neither the meter nor a measured cluster told."
    elif lacking:
        yield f"What was drawn is not known in {lacking} of {len(drawn.kw)} intervals."
    if not drawn.is_metered and lacking < len(drawn.kw):
        yield (
            "The meter told nothing: what was planned is corrected by what the cluster was"
            " measured to draw, and all else is taken to have done as planned."
        )
    if event.cancelled_at is not None and event.cancelled_at < event.end_at:
        yield f"It was called off at {event.cancelled_at.isoformat(timespec='seconds')}."
