"""What is to be reported of grid events: what their site imported, interval by interval.

There is no meter yet: the figure is what the plan that held then says, and is marked as modelled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from connectors.types import DeliveryReport, Window
from scheduler.db.models import GridEvent
from scheduler.services import fleet as fleets
from scheduler.services.held_plans import HeldPlans
from scheduler.services.plan_document import PlanDocument
from scheduler.services.window import EPOCH


@dataclass(frozen=True, slots=True)
class DueReport:
    """The next interval of an event that is over. Without a plan then there is no ``report``."""

    event: UUID
    name: str
    until: datetime
    report: DeliveryReport | None


def due_reports(session: Session, received_from: str, now: datetime) -> list[DueReport]:
    """Return what is to be reported of the events of one sender, in order of time within each."""
    started = select(GridEvent).where(
        GridEvent.received_from == received_from,
        GridEvent.cancelled_at.is_(None),
        GridEvent.start_at < now,
        or_(GridEvent.reported_until.is_(None), GridEvent.reported_until < GridEvent.end_at),
    )
    events = session.scalars(started.order_by(GridEvent.start_at, GridEvent.external_id)).all()
    if not events:
        return []
    slot = timedelta(minutes=fleets.required_spec(session).planning.slot_minutes)
    plans = HeldPlans(session)
    return [due for event in events for due in _due(event, plans, slot, now)]


def _due(event: GridEvent, plans: HeldPlans, slot: timedelta, now: datetime) -> Iterator[DueReport]:
    """Cut what is over of ``event`` and not reported yet at the ends of slots."""
    start = max(event.start_at, event.reported_until or event.start_at)
    while start < event.end_at:
        document = plans.holding_at(start)
        length = slot if document is None else document.window.slot
        end = min(event.end_at, EPOCH + ((start - EPOCH) // length + 1) * length)
        if end > now:
            return
        report = None if document is None else _report(event, document, Window(start, end))
        yield DueReport(event.id, event.external_id, end, report)
        start = end


def _report(event: GridEvent, document: PlanDocument, window: Window) -> DeliveryReport | None:
    slot = document.window.slot_of(window.start)
    for flows in document.plan.flows:
        if flows.site == event.site:
            units = document.problem.site(event.site).storage
            return DeliveryReport(
                event.external_id,
                event.site,
                window,
                flows.import_kw[slot],
                is_measured=False,
                limit_kw=event.limit_kw,
                stored_kwh=sum(soc[slot] for soc in flows.soc_kwh) if units else None,
                storage_kwh=sum(unit.capacity_kwh for unit in units) if units else None,
            )
    return None
