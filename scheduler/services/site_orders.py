"""What the database says of controlled sites: the fleet, what the plan wants, and the limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from connectors.types import GridEventNotice
from scheduler.control.types import SiteLimits
from scheduler.db.models import GridEvent
from scheduler.services import fleet as fleets
from scheduler.services.assemble_commitments import is_declined, terms_of
from scheduler.services.dispatch_records import governing_plan
from scheduler.services.dispatch_wants import battery_power_at
from scheduler.services.plan_document import PlanDocument
from scheduler.services.plans import read_document
from scheduler.specs import FleetSpec
from scheduler.specs.base import MONTH_MINUTES
from scheduler.specs.fleet import SiteSpec
from scheduler.specs.grid_event import notice_of

_LONGEST_REBOUND = timedelta(minutes=MONTH_MINUTES)
_AHEAD = timedelta(hours=1)  # events are read before they begin: the database may be away then


@dataclass(frozen=True, slots=True)
class Orders:
    """What was read, and when by the monotonic clock of this process [s]."""

    fleet: FleetSpec | None
    plan_id: UUID | None
    plan: PlanDocument | None
    calls: tuple[GridEventNotice, ...]
    read_s: float

    def limits(self, site: SiteSpec, now: datetime) -> SiteLimits:
        """Return what may flow at a site: its connection, and what the grid side calls for.

        A call that the plan has declined binds nobody; others are come down to over their ramp.
        """
        margin_kw = 0.0 if site.control is None else site.control.margin_kw
        rated_kw = site.grid.import_limit_kw
        called = (
            limit_kw
            for call in self._binding(site.name)
            for limit_kw in _limits_at(call, rated_kw, now)
        )
        import_kw = min((rated_kw, *called))
        return SiteLimits(import_kw, site.grid.export_limit_kw, margin_kw)

    def _binding(self, site: str) -> Iterator[GridEventNotice]:
        """Yield the calls on a site alone, by its name or by that of its terms, not declined."""
        declined = frozenset() if self.plan is None else self.plan.declined
        for call in self.calls:
            terms = None if self.fleet is None else terms_of(self.fleet, call.site)
            is_asked = call.site == site or (terms is not None and terms.sites == (site,))
            if is_asked and not (terms is not None and is_declined(call, declined)):
                yield call

    def wanted_kw(self, site: str, now: datetime) -> Mapping[str, float]:
        """Return what the plan wants of each battery [kW]; nothing outside its window."""
        if self.plan is None:
            return {}
        if not self.plan.window.start <= now < self.plan.window.end:
            return {}
        powers_kw = battery_power_at(self.plan, now)
        return {battery: kw for (name, battery), kw in powers_kw.items() if name == site}


def _limits_at(call: GridEventNotice, rated_kw: float, now: datetime) -> Iterator[float]:
    """Yield what a call limits import to now: itself, or its rebound [kW]."""
    if call.window.start <= now < call.window.end:
        yield _along_ramp(call, rated_kw, now)
    after = call.rebound
    if call.rebound_kw is not None and after is not None and after.start <= now < after.end:
        yield call.rebound_kw


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
                GridEvent.end_at > now - _LONGEST_REBOUND,
                or_(GridEvent.end_at > now, GridEvent.rebound_kw.is_not(None)),
            )
        )
        return Orders(
            fleet=fleet,
            plan_id=plan_id,
            plan=plan,
            calls=tuple(map(notice_of, events)),
            read_s=read_s,
        )

    def _fleet_now(self, session: Session) -> FleetSpec | None:
        version = fleets.find_current(session)
        if version is None:
            return None
        if self._fleet is None or self._fleet[0] != version.id:
            self._fleet = version.id, fleets.spec_of(version)
        return self._fleet[1]


def _along_ramp(call: GridEventNotice, from_kw: float, now: datetime) -> float:
    """Return the level of a call now: down evenly over its ramp from what the connection allows.

    So no tick demands more of the batteries than the ramp leaves them time for, and at its end the
    level itself holds.
    """
    ramp_s = 60.0 * call.ramp_minutes
    gone_s = (now - call.window.start).total_seconds()
    if gone_s >= ramp_s or call.limit_kw >= from_kw:
        return call.limit_kw
    return from_kw + (call.limit_kw - from_kw) * gone_s / ramp_s
