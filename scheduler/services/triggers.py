"""Which planning run the clock owes: that of the latest firing, daily or rolling, of any group.

Every run plans the whole fleet from the next slot on; a group only sets the time. So the latest
firing stands for all before it, missed ones included, and firings of one instant are one run. A run
owed is named by its trigger key: asked for twice, or from two machines, it is one run. The key of a
daily run holds the local date, which stays the same across clock changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from scheduler.services.runs import RunRequest
from scheduler.services.window import EPOCH
from scheduler.specs import FleetSpec
from scheduler.specs.fleet import TriggerSpec

REQUESTED_BY = "clock"


@dataclass(frozen=True, slots=True)
class Firing:
    """A trigger's time that has come, and the key of the run it asks for."""

    due_at: datetime
    trigger_key: str


def daily_firing(trigger: TriggerSpec, now: datetime) -> Firing:
    """Return the latest local day whose time has come: today, or yesterday."""
    zone, at = ZoneInfo(trigger.time_zone), time.fromisoformat(trigger.local_time)
    local = now.astimezone(zone)
    day = local.date() if local.time() >= at else local.date() - timedelta(days=1)
    due_at = datetime.combine(day, at, tzinfo=zone).astimezone(UTC)
    return Firing(due_at, f"daily/{trigger.group}/{day.isoformat()}")


def rolling_firing(trigger: TriggerSpec, now: datetime) -> Firing | None:
    """Return the latest rolling replan that is due, ``None`` where the group has none."""
    if trigger.replan_minutes is None:
        return None
    every = timedelta(minutes=trigger.replan_minutes)
    due_at = EPOCH + (now - EPOCH) // every * every
    return Firing(due_at, f"rolling/{due_at:%Y-%m-%dT%H:%MZ}")


def owed(fleet: FleetSpec, now: datetime) -> RunRequest | None:
    """Return the run of the latest firing by ``now``, whether it was queued already or not.

    Of firings of one instant a daily one counts, and of these that of the group listed first.
    """
    daily = [daily_firing(trigger, now) for trigger in fleet.triggers]
    rolling = [rolling_firing(trigger, now) for trigger in fleet.triggers]
    firings = [firing for firing in (*daily, *rolling) if firing is not None]
    if not firings:
        return None
    latest = max(firings, key=lambda firing: firing.due_at)
    return fleet_request(fleet, latest.trigger_key, REQUESTED_BY)


def fleet_request(
    fleet: FleetSpec, trigger_key: str, requested_by: str, reason: str = ""
) -> RunRequest:
    """Return a run of the whole fleet from the next slot on, as long as the fleet says."""
    return RunRequest(
        trigger_key=trigger_key,
        requested_by=requested_by,
        hours=fleet.planning.horizon_hours,
        time_limit_s=fleet.planning.time_limit_s,
        reason=reason,
    )
