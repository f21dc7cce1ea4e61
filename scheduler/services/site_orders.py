"""What the database says of controlled sites: the fleet, what the plan wants, and the limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.control.types import SiteLimits
from scheduler.db.models import GridEvent
from scheduler.services import fleet as fleets
from scheduler.services.dispatch_records import governing_plan
from scheduler.services.plan_document import PlanDocument
from scheduler.services.plans import read_document
from scheduler.specs import FleetSpec
from scheduler.specs.fleet import SiteSpec

_AHEAD = timedelta(hours=1)  # events are read before they begin: the database may be away then


@dataclass(frozen=True, slots=True)
class Call:
    """An event: import at most ``limit_kw`` at ``site`` in [start_at, end_at)."""

    site: str
    start_at: datetime
    end_at: datetime
    limit_kw: float


@dataclass(frozen=True, slots=True)
class Orders:
    """What was read, and when by the monotonic clock of this process [s]."""

    fleet: FleetSpec | None
    plan_id: UUID | None
    plan: PlanDocument | None
    calls: tuple[Call, ...]
    read_s: float

    def limits(self, site: SiteSpec, now: datetime) -> SiteLimits:
        """Return what may flow at a site: its connection, and what the grid side calls for."""
        margin_kw = 0.0 if site.control is None else site.control.margin_kw
        called = (
            call.limit_kw
            for call in self.calls
            if call.site == site.name and call.start_at <= now < call.end_at
        )
        import_kw = min((site.grid.import_limit_kw, *called))
        return SiteLimits(import_kw, site.grid.export_limit_kw, margin_kw)

    def wanted_kw(self, site: str, now: datetime) -> Mapping[str, float]:
        """Return what the plan wants of each battery [kW]; nothing outside its window."""
        if self.plan is None:
            return {}
        slot = self.plan.window.slot_of(now)
        if not 0 <= slot < self.plan.window.n_slots:
            return {}
        pairs = zip(self.plan.problem.sites, self.plan.plan.flows, strict=True)
        spec, flows = next(
            ((spec, flows) for spec, flows in pairs if spec.name == site), (None, None)
        )
        if spec is None or flows is None:
            return {}
        return {
            unit.name: charge[slot] - discharge[slot]
            for unit, charge, discharge in zip(
                spec.storage, flows.charge_kw, flows.discharge_kw, strict=True
            )
        }


class OrderBook:
    """Reads orders; the spec of a fleet and the document of a plan are read once."""

    def __init__(self) -> None:
        self._fleet: tuple[int, FleetSpec] | None = None
        self._plan: tuple[UUID, PlanDocument] | None = None

    def read(self, session: Session, now: datetime, read_s: float) -> Orders:
        """Return what holds now; where no site has a control loop, of the fleet alone."""
        fleet = self._fleet_now(session)
        if fleet is None or all(site.control is None for site in fleet.sites):
            return Orders(fleet, None, None, (), read_s)
        plan_id = governing_plan(session, now)
        if plan_id is not None and (self._plan is None or self._plan[0] != plan_id):
            self._plan = plan_id, read_document(session, plan_id)
        plan = self._plan[1] if plan_id is not None and self._plan is not None else None
        events = session.scalars(
            select(GridEvent).where(
                GridEvent.cancelled_at.is_(None),
                GridEvent.start_at <= now + _AHEAD,
                GridEvent.end_at > now,
            )
        )
        return Orders(
            fleet=fleet,
            plan_id=plan_id,
            plan=plan,
            calls=tuple(
                Call(event.site, event.start_at, event.end_at, event.limit_kw) for event in events
            ),
            read_s=read_s,
        )

    def _fleet_now(self, session: Session) -> FleetSpec | None:
        version = fleets.find_current(session)
        if version is None:
            return None
        if self._fleet is None or self._fleet[0] != version.id:
            self._fleet = version.id, fleets.spec_of(version)
        return self._fleet[1]
