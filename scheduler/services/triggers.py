"""Which planning runs the clock owes: one for every local day of a group, and rolling ones.

A run owed is named by its trigger key, so that asking for it twice, or from two machines, makes one
run. The key holds the local date, not an instant: it stays the same across clock changes.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from scheduler.services.runs import RunRequest
from scheduler.services.window import EPOCH
from scheduler.specs import FleetSpec
from scheduler.specs.fleet import TriggerSpec

REQUESTED_BY = "clock"


def daily_request(fleet: FleetSpec, trigger: TriggerSpec, now: datetime) -> RunRequest:
    """Return the run of the latest local day whose time has come: today's, or yesterday's."""
    local = now.astimezone(ZoneInfo(trigger.time_zone))
    has_come = local.time() >= time.fromisoformat(trigger.local_time)
    day = local.date() if has_come else local.date() - timedelta(days=1)
    return _request(fleet, f"daily/{trigger.group}/{day.isoformat()}")


def rolling_request(fleet: FleetSpec, trigger: TriggerSpec, now: datetime) -> RunRequest | None:
    """Return the rolling replan of a group that is due, ``None`` where it has none."""
    if trigger.replan_minutes is None:
        return None
    every = timedelta(minutes=trigger.replan_minutes)
    due_at = EPOCH + (now - EPOCH) // every * every
    return _request(fleet, f"rolling/{trigger.group}/{due_at:%Y-%m-%dT%H:%MZ}")


def owed(fleet: FleetSpec, now: datetime) -> tuple[RunRequest, ...]:
    """Return every run that is due by ``now``, whether it was queued already or not."""
    requests = [
        request
        for trigger in fleet.triggers
        for request in (daily_request(fleet, trigger, now), rolling_request(fleet, trigger, now))
    ]
    return tuple(request for request in requests if request is not None)


def _request(fleet: FleetSpec, trigger_key: str) -> RunRequest:
    return RunRequest(
        trigger_key=trigger_key,
        requested_by=REQUESTED_BY,
        hours=fleet.planning.horizon_hours,
        time_limit_s=fleet.planning.time_limit_s,
    )
