"""Slots that are over are entered in the ledger, and looked at again for what comes late.

A day (UTC) of a site is looked at whenever a slot of it has been over for ``ENTERED_AFTER``, and
again some hours and days after it. What differs then is entered as a correction.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.types import Window
from scheduler.db.inserts import insert_new
from scheduler.db.models import FleetVersion, LedgerDay, LedgerSite
from scheduler.db.outage import DATABASE_AWAY
from scheduler.db.session import SessionFactory, transaction
from scheduler.ledger.slots import expected_of
from scheduler.services import fleet as fleets
from scheduler.services.held_plans import HeldPlans
from scheduler.services.ledger_reckoning import Expected, FleetAt, reckon
from scheduler.services.ledger_slots import Reckoned
from scheduler.services.ledger_store import Kept, append, head_of, standing_in
from scheduler.services.plan_document import PlanDocument
from scheduler.services.site_power import METER_GAP
from scheduler.services.window import SLOT_MINUTES, slot_start_not_before
from scheduler.specs import FleetSpec
from scheduler.timekeeping import Now, seconds_to_next_minute

log = logging.getLogger(__name__)

ENTERED_AFTER = METER_GAP + timedelta(minutes=5)
"""So long after its end a slot is entered: by then its last readings are in."""

LOOKED_AT_AGAIN = (timedelta(hours=6), timedelta(days=1), timedelta(days=3), timedelta(days=7))
"""So long after its end a day is looked at again; then it stays as it is."""

_DAY = timedelta(days=1)


class LedgerWatch:
    """Enters what is due. Any number may run: of the same entry the database keeps one."""

    def __init__(self, sessions: SessionFactory, now: Now) -> None:
        self._sessions = sessions
        self._now = now
        self._plans: dict[UUID, PlanDocument] = {}

    def look(self) -> int:
        """Reckon every day that is due; return how many entries are new."""
        now = self._now()
        with transaction(self._sessions) as session:
            due = list(_due_days(session, now))
        entered = 0
        for site, day in due:
            try:
                entered += self._enter(site, day, now)
            except DATABASE_AWAY:
                raise
            except Exception:
                # One that cannot be reckoned stands in no other's way, and is tried again.
                log.exception("ledger of %s, %s: not reckoned", site, day.date().isoformat())
        if entered:
            log.info("%d entries of the ledger", entered)
        return entered

    def seconds_to_next(self) -> float:
        """Return how long it is to the next minute [s]."""
        return seconds_to_next_minute(self._now())

    def _enter(self, site: str, day: datetime, now: datetime) -> int:
        """Reckon one day, then add what is new of it in a transaction that is short."""
        with transaction(self._sessions) as session:
            head = head_of(session, site)
            reckoned = _reckon_day(session, site, day, now, self._plans)
        with transaction(self._sessions) as session:
            added = append(session, site, reckoned, head, now)
            if added is None:
                return 0  # somebody else was faster; what is left is due in the next look
            _note_look(session, site, day, now)
            return added


def _due_days(session: Session, now: datetime) -> Iterator[tuple[str, datetime]]:
    """Yield the days to look at, by site; begin the ledger of a site that has none."""
    version = fleets.find_current(session)
    if version is None:
        return
    spec = fleets.spec_of(version)
    _begin_new_sites(session, spec, now)
    slot = timedelta(minutes=spec.planning.slot_minutes)
    for site in session.scalars(select(LedgerSite).order_by(LedgerSite.site)):
        looked = select(LedgerDay.day_at, LedgerDay.looked_at).where(
            LedgerDay.site == site.site, LedgerDay.day_at >= site.open_from
        )
        looked_at = dict(session.execute(looked).all())
        day = site.open_from
        while day < now - ENTERED_AFTER:
            if _is_due(day, max(looked_at.get(day, day), site.began_at), slot, now):
                yield site.site, day
            day += _DAY


def _begin_new_sites(session: Session, spec: FleetSpec, now: datetime) -> None:
    """Begin the ledger of sites that have none with the next slot."""
    known = set(session.scalars(select(LedgerSite.site)))
    first = slot_start_not_before(now, spec.planning.slot_minutes)
    rows = [
        {"site": site.name, "began_at": first, "open_from": _day_of(first)}
        for site in spec.sites
        if site.name not in known
    ]
    insert_new(session, LedgerSite, rows)


def _is_due(day: datetime, looked_at: datetime, slot: timedelta, now: datetime) -> bool:
    """Whether a slot is over since ``looked_at``, or the day is to be looked at again."""
    ended = min(day + (now - ENTERED_AFTER - day) // slot * slot, day + _DAY)
    again = [day + _DAY + later for later in LOOKED_AT_AGAIN]
    marks = [ended, *(at for at in again if at + ENTERED_AFTER <= now)]
    return looked_at < max(marks) + ENTERED_AFTER


def _reckon_day(
    session: Session, site: str, day: datetime, now: datetime, read: dict[UUID, PlanDocument]
) -> list[Reckoned]:
    of_site = session.get_one(LedgerSite, site)
    begin = max(day, of_site.began_at)
    # With the slot before: whether generators ran in it is told by what was expected of it.
    earliest = day - timedelta(minutes=SLOT_MINUTES[-1])
    standing = standing_in(session, Window(earliest, day + _DAY), site)
    plans = _Plans(session, site, standing, read)
    found: list[Reckoned] = []
    for held, slots in _slots(session, site, begin, min(day + _DAY, now - ENTERED_AFTER)):
        found += reckon(session, held, site, slots, plans.expected_at, now)
    return found


class _Plans:
    """What plans let expect of slots of a site: as it was entered, else as the plan says."""

    def __init__(
        self,
        session: Session,
        site: str,
        standing: dict[datetime, Kept],
        read: dict[UUID, PlanDocument],
    ) -> None:
        self._held = HeldPlans(session, read)
        self._site = site
        self._standing = standing

    def expected_at(self, slot: Window) -> Expected:
        """Return what was expected of ``slot``; empty where no plan held as it began."""
        kept = self._standing.get(slot.start)
        if kept is not None:
            found: dict[str, Any] = kept.entry["expected"]
            return found
        document = self._held.holding_at(slot.start)
        if document is None or self._site not in {it.name for it in document.problem.sites}:
            return {}
        flows = next(it for it in document.plan.flows if it.site == self._site)
        hours = (slot.end - slot.start) / timedelta(hours=1)
        number = document.window.slot_of(slot.start)
        return expected_of(document.problem.site(self._site), flows, number, hours)


def _slots(
    session: Session, site: str, begin: datetime, end: datetime
) -> Iterator[tuple[FleetAt, Sequence[Window]]]:
    """Yield the slots of a site that are over by ``end``, by the fleet that held at their start."""
    versions = session.execute(
        select(FleetVersion.id, FleetVersion.created_at)
        .where(FleetVersion.created_at < end)
        .order_by(FleetVersion.id)
    ).all()
    specs: dict[int, FleetSpec] = {}

    def held_at(at: datetime) -> int | None:
        return next((row.id for row in reversed(versions) if row.created_at <= at), None)

    def cut() -> Iterator[tuple[int, Window]]:
        at = begin
        while at < end:
            version = held_at(at)
            if version is None:
                at += timedelta(minutes=SLOT_MINUTES[0])
                continue
            if version not in specs:
                specs[version] = fleets.spec_of(fleets.get_version(session, version))
            over = at + _length(specs[version].planning.slot_minutes, at)
            if over > end:
                return
            if site in {it.name for it in specs[version].sites}:
                yield version, Window(at, over)
            at = over

    def alike(one: tuple[int, Window]) -> tuple[int, timedelta]:
        return one[0], one[1].end - one[1].start

    for (version, _), some in groupby(cut(), alike):
        yield FleetAt(version, specs[version]), [slot for _, slot in some]


def _length(minutes: int, at: datetime) -> timedelta:
    """Return the length of the slot at ``at``: shorter until its grid is met, after a change."""
    since_midnight = at - _day_of(at)
    fitting = (one for one in reversed(SLOT_MINUTES) if one <= minutes)
    lengths = (timedelta(minutes=one) for one in fitting)
    return next(length for length in lengths if not since_midnight % length)


def _note_look(session: Session, site: str, day: datetime, now: datetime) -> None:
    insert_new(session, LedgerDay, [{"site": site, "day_at": day, "looked_at": now}])
    session.get_one(LedgerDay, (site, day)).looked_at = now
    of_site = session.get_one(LedgerSite, site)
    while _is_settled(session.get(LedgerDay, (site, of_site.open_from))):
        of_site.open_from += _DAY


def _is_settled(day: LedgerDay | None) -> bool:
    """Whether a day has been looked at for the last time."""
    last = _DAY + LOOKED_AT_AGAIN[-1] + ENTERED_AFTER
    return day is not None and day.looked_at >= day.day_at + last


def _day_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
