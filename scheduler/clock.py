"""The clock: fires triggers that queue planning runs. The only module that knows APScheduler.

Triggers live in memory and in code, never in a shared store. Firing does nothing but queue the run
that is owed; one that is queued already stays one. So a missed firing is made up for by the next
one, at the start and every quarter of an hour at the latest, and any number of clocks may run.
"""

from __future__ import annotations

import logging
import threading
from datetime import UTC
from zoneinfo import ZoneInfo

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from scheduler.db.outage import DATABASE_AWAY
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import fleet as fleets
from scheduler.services.runs import is_like_one_waiting, queue_run
from scheduler.services.triggers import owed
from scheduler.specs import FleetSpec
from scheduler.timekeeping import Now

log = logging.getLogger(__name__)

CATCH_UP_MINUTES = 15


def queue_owed(sessions: SessionFactory, now: Now) -> bool:
    """Queue the run that is owed; false where there is none, or another one does its work.

    While a like run waits for a worker, one more would only make the same plan again: a queue that
    nobody works off does not grow.
    """
    with transaction(sessions) as session:
        version = fleets.find_current(session)
        at = now()
        request = None if version is None else owed(fleets.spec_of(version), at)
        if request is None or is_like_one_waiting(session, request):
            return False
        _, is_new = queue_run(session, request, at)
        if is_new:
            log.info("queued %s", request.trigger_key)
        return is_new


class Clock:
    """Fires at the local times of the fleet in force, and looks for a changed fleet as it fires."""

    def __init__(self, sessions: SessionFactory, now: Now) -> None:
        self._sessions = sessions
        self._now = now
        self._fleet: FleetSpec | None = None
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            # However late: queueing what is due is right at any time, and once is enough.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    def run(self, stop: threading.Event) -> None:
        """Keep time until asked to stop."""
        every = IntervalTrigger(minutes=CATCH_UP_MINUTES, timezone=UTC)
        self._scheduler.add_job(self.fire, every, id="catch-up")
        self._scheduler.start()
        try:
            self.fire()
            stop.wait()
        finally:
            self._scheduler.shutdown(wait=True)

    def triggers(self) -> dict[str, str]:
        """Return what it fires at, by name."""
        return {job.id: str(job.trigger) for job in self._scheduler.get_jobs()}

    def fire(self) -> None:
        """Queue what is due, and set triggers anew where the fleet has changed."""
        try:
            self._follow_fleet()
            queue_owed(self._sessions, self._now)
        except DATABASE_AWAY as error:
            log.warning("database unavailable, trying again later: %s", error.orig)

    def _follow_fleet(self) -> None:
        """Set triggers as the fleet in force says, where it has changed."""
        with transaction(self._sessions) as session:
            version = fleets.find_current(session)
        fleet = None if version is None else fleets.spec_of(version)
        if fleet == self._fleet:
            return
        for job in self._scheduler.get_jobs():
            if job.id != "catch-up":
                job.remove()
        for name, trigger in _triggers(fleet).items():
            self._scheduler.add_job(self.fire, trigger, id=name)
        self._fleet = fleet


def _triggers(fleet: FleetSpec | None) -> dict[str, CronTrigger | IntervalTrigger]:
    triggers: dict[str, CronTrigger | IntervalTrigger] = {}
    for spec in () if fleet is None else fleet.triggers:
        hour, minute = spec.local_time.split(":")
        zone = ZoneInfo(spec.time_zone)
        triggers[f"daily/{spec.group}"] = CronTrigger(hour=hour, minute=minute, timezone=zone)
        if spec.replan_minutes is not None:
            triggers[f"rolling/{spec.group}"] = IntervalTrigger(
                minutes=spec.replan_minutes, start_date="1970-01-01T00:00:00+00:00", timezone=UTC
            )
    return triggers


def run_clock(sessions: SessionFactory, now: Now, stop: threading.Event) -> None:
    """Keep time until ``stop`` is set."""
    Clock(sessions, now).run(stop)
