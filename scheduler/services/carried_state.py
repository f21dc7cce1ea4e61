"""State at the start of a new window, as the plan in force and the last telemetry let expect it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.db.models import CommandKind, DataTransfer, DispatchCommand, JobStatus
from scheduler.services.assemble_jobs import AnnouncedStart
from scheduler.services.plan_document import PlanDocument
from scheduler.services.telemetry import last_readings
from scheduler.services.transfers import open_transfers
from scheduler.services.window import PlanWindow
from scheduler.specs import FleetSpec
from scheduler.specs.message import TelemetrySeries

_TELEMETRY_DAYS = 2  # older readings say nothing any more
# A transfer begins a tick after the start of its slot, and its end is seen a tick later: without
# this allowance each replan would find that it takes a slot longer.
_TICKS = timedelta(minutes=1)

Battery = tuple[str, str]
"""Site and name."""


def announced_starts(in_force: PlanDocument) -> dict[str, AnnouncedStart]:
    """Return what the plan in force promises, by job."""
    return {
        placed.job: AnnouncedStart(
            placed.site,
            in_force.window.instant(placed.start_slot),
            placed.runs[0].point.removeprefix(f"{placed.site}/"),
        )
        for placed in in_force.plan.placements
    }


def soc_at(
    session: Session, in_force: PlanDocument | None, instant: datetime
) -> dict[Battery, float]:
    """Return the expected state of charge of every battery that was read lately [kWh].

    From the newest reading, whoever took it: the dispatcher, a control loop, or a device by a
    stream. See ``soc_expected``.
    """
    since = instant - timedelta(days=_TELEMETRY_DAYS)
    rows = session.scalars(
        select(DispatchCommand)
        .where(
            DispatchCommand.kind == CommandKind.BATTERY_POWER,
            DispatchCommand.decided_at > since,
        )
        .order_by(DispatchCommand.decided_at)
    )
    read = {
        (row.site, row.detail["battery"]): (row.decided_at, row.detail["soc_kwh"]) for row in rows
    }
    for one in last_readings(session, since):
        battery = one.site, one.device
        is_newer = battery not in read or one.at > read[battery][0]
        if one.series is TelemetrySeries.BATTERY_SOC and is_newer:
            read[battery] = one.at, one.value
    return soc_expected(read, in_force, instant)


def soc_expected(
    read: Mapping[Battery, tuple[datetime, float]],
    in_force: PlanDocument | None,
    instant: datetime,
) -> dict[Battery, float]:
    """Return each reading plus what the plan in force charges from then to ``instant`` [kWh]."""
    return {
        battery: soc_kwh + _planned_change(in_force, battery, read_at, instant)
        for battery, (read_at, soc_kwh) in read.items()
    }


def _planned_change(
    in_force: PlanDocument | None, battery: Battery, start: datetime, end: datetime
) -> float:
    """Energy the plan puts into the battery in [start, end) [kWh]."""
    if in_force is None:
        return 0.0
    for site, flows in zip(in_force.problem.sites, in_force.plan.flows, strict=True):
        for unit, soc in zip(site.storage, flows.soc_kwh, strict=True):
            if (site.name, unit.name) == battery:
                levels = (unit.soc_initial_kwh, *soc)
                window = in_force.window
                return _level(levels, window, end) - _level(levels, window, start)
    return 0.0


def _level(levels: tuple[float, ...], window: PlanWindow, instant: datetime) -> float:
    """Planned energy at ``instant``, straight between slot ends; constant outside the window."""
    position = min(max((instant - window.start) / window.slot, 0.0), float(window.n_slots))
    slot = min(int(position), window.n_slots - 1)
    return levels[slot] + (position - slot) * (levels[slot + 1] - levels[slot])


def data_left_gb(
    session: Session, fleet: FleetSpec, begin: datetime, now: datetime
) -> dict[UUID, dict[str, float]]:
    """Return what of the data of open jobs will be left to move at ``begin``, by job and site [GB].

    Nothing where it has arrived. What moves, and moved before it was paused or failed, does so at
    the rate of its link; where it ought to have arrived and has not, a little is left, so that its
    job waits for another slot.
    """
    rates = {(link.from_site, link.to_site): link.gb_per_hour for link in fleet.links}
    left: dict[UUID, dict[str, float]] = {}
    for transfer in open_transfers(session):
        row = transfer.row
        if row.status is JobStatus.SUCCEEDED:
            left.setdefault(row.job_id, {})[row.site] = 0.0
        elif row.starts > 0:
            rate = rates.get((row.from_site, row.site), row.link_gb_per_hour)
            hours_left = _left_at(begin, row, rate, now) / timedelta(hours=1)
            left.setdefault(row.job_id, {})[row.site] = min(row.size_gb, rate * hours_left)
    return left


def _left_at(begin: datetime, row: DataTransfer, gb_per_hour: float, now: datetime) -> timedelta:
    """Return how long a transfer that has begun will take from ``begin`` on."""
    takes = timedelta(hours=row.size_gb / gb_per_hour - row.hours)
    if row.moving_since is None:
        return max(_TICKS, takes - _TICKS)
    end = row.moving_since + takes
    late = _TICKS if now > end + _TICKS else timedelta(0)
    return max(late, end - _TICKS - begin)
