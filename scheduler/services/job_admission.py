"""What a job must be for any plan to honour it: known sites, pools, data, predecessors, time.

Only what no plan of this fleet could ever do is refused. A job that merely may not fit beside
others is taken in; the plan says what becomes of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.db.models import Job, JobStatus
from scheduler.services import fleet
from scheduler.services.errors import Invalid, Refusal
from scheduler.specs import FleetSpec, JobSpec
from scheduler.specs.fleet import SiteSpec
from scheduler.specs.job import OperatingPointSpec

_CANNOT_SUCCEED = (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED)


def require_admissible(session: Session, spec: JobSpec, now: datetime) -> None:
    """Raise ``Invalid`` with everything that stands against ``spec``."""
    refusals = [
        *_impossible(session, fleet.required_spec(session), spec),
        *_too_little_time(spec, now),
        *_nothing_to_run(spec),
    ]
    if refusals:
        raise Invalid(*refusals)


def require_possible(session: Session, fleet_spec: FleetSpec, spec: JobSpec) -> None:
    """Raise ``Invalid`` with what stands against ``spec`` in this fleet, whenever it is to run."""
    refusals = [*_impossible(session, fleet_spec, spec)]
    if refusals:
        raise Invalid(*refusals)


def _impossible(session: Session, fleet_spec: FleetSpec, spec: JobSpec) -> Iterable[Refusal]:
    yield from _unknown_sites(fleet_spec, spec)
    yield from _unusable_points(fleet_spec, spec)
    yield from _unreachable_data(fleet_spec, spec)
    yield from _dead_predecessors(session, spec)


def _owner(spec: JobSpec) -> str:
    return f"job {spec.name}"


def _names(sites: Iterable[SiteSpec]) -> str:
    return ", ".join(site.name for site in sites)


def _allowed_sites(fleet_spec: FleetSpec, spec: JobSpec) -> tuple[SiteSpec, ...]:
    return tuple(site for site in fleet_spec.sites if spec.sites is None or site.name in spec.sites)


def _unknown_sites(fleet_spec: FleetSpec, spec: JobSpec) -> Iterable[Refusal]:
    known = {site.name for site in fleet_spec.sites}
    limit = f"one of {_names(fleet_spec.sites)}"
    for name in spec.sites or ():
        if name not in known:
            yield Refusal(_owner(spec), "sites", name, limit)
    if spec.data is not None and spec.data.site not in known:
        yield Refusal(_owner(spec), "data.site", spec.data.site, limit)


def _unusable_points(fleet_spec: FleetSpec, spec: JobSpec) -> Iterable[Refusal]:
    """Every operating point must fit a pool of some site the job may run at."""
    sites = _allowed_sites(fleet_spec, spec)
    if not sites:
        return
    gpus: dict[str, int] = {}
    for site in sites:
        for pool in site.pools:
            gpus[pool.name] = max(pool.gpus, gpus.get(pool.name, 0))
    for point in spec.operating_points:
        if point.pool not in gpus:
            limit = f"one of {', '.join(gpus) or 'none'}, the pools at {_names(sites)}"
            yield Refusal(_owner(spec), "operating_points.pool", point.pool, limit)
        elif point.gpus > gpus[point.pool]:
            limit = f"<= {gpus[point.pool]}, the most in a pool {point.pool} at {_names(sites)}"
            yield Refusal(_owner(spec), "operating_points.gpus", point.gpus, limit)


def _unreachable_data(fleet_spec: FleetSpec, spec: JobSpec) -> Iterable[Refusal]:
    data = spec.data
    if data is None or data.site not in {site.name for site in fleet_spec.sites}:
        return
    reachable = {data.site} | {
        link.to_site for link in fleet_spec.links if link.from_site == data.site
    }
    usable = [
        site
        for site in _allowed_sites(fleet_spec, spec)
        if any(_fits(site, point) for point in spec.operating_points)
    ]
    if usable and not any(site.name in reachable for site in usable):
        limit = f"linked to one of {_names(usable)}"
        yield Refusal(_owner(spec), "data.site", data.site, limit)


def _fits(site: SiteSpec, point: OperatingPointSpec) -> bool:
    return any(pool.name == point.pool and pool.gpus >= point.gpus for pool in site.pools)


def _dead_predecessors(session: Session, spec: JobSpec) -> Iterable[Refusal]:
    if not spec.after:
        return
    rows = session.execute(select(Job.name, Job.status).where(Job.name.in_(spec.after)))
    standing = dict(rows.all())
    for name in spec.after:
        if name not in standing:
            limit = f"a job submitted before{_tasks_instead(session, name)}"
            yield Refusal(_owner(spec), "after", name, limit)
        elif standing[name] in _CANNOT_SUCCEED:
            limit = f"a job that can still succeed; it has {standing[name].value}"
            yield Refusal(_owner(spec), "after", name, limit)


def _tasks_instead(session: Session, name: str) -> str:
    """Say what to name where ``name`` is an array."""
    task = session.scalar(select(Job).where(Job.array_name == name).limit(1))
    known = None if task is None else JobSpec.model_validate(task.spec).array_task
    if known is None:
        return ""
    return f"; {name} is an array: name its tasks, {name}-{known.first} to {name}-{known.last}"


def _too_little_time(spec: JobSpec, now: datetime) -> Iterable[Refusal]:
    """Even at its fastest point and alone, it must end by its deadline."""
    fastest = max(point.speed for point in spec.operating_points)
    start = max(spec.release_at, now)
    earliest_end = start + timedelta(hours=spec.work_hours / fastest)
    if earliest_end > spec.deadline_at:
        deadline = spec.deadline_at.isoformat()
        limit = (
            f">= {earliest_end.isoformat(timespec='seconds')}, when it ends at its fastest"
            f" if started at {start.isoformat(timespec='seconds')}"
        )
        yield Refusal(_owner(spec), "deadline_at", deadline, limit)


def _nothing_to_run(spec: JobSpec) -> Iterable[Refusal]:
    """Files may leave the command out, to be planned only; what is submitted is to be run."""
    if not spec.command:
        yield Refusal(_owner(spec), "command", (), "a program to run and its arguments")
