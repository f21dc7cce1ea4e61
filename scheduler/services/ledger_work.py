"""What jobs did in the slots of a site: energy by their operating points, GPU-hours, tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.types import Window
from scheduler.db.models import Job, JobRun
from scheduler.ledger.account import Work
from scheduler.ledger.metering import told_since
from scheduler.services.job_energy import energy_of
from scheduler.services.job_runs import runs_in, runs_of
from scheduler.services.ledger_readings import Readings, read_tokens
from scheduler.specs import JobSpec
from scheduler.specs.fleet import PoolSpec, SiteSpec
from scheduler.specs.job import OperatingPointSpec

_HOUR = timedelta(hours=1)
_YEAR_HOURS = 365.25 * 24


@dataclass(frozen=True, slots=True)
class SlotWork:
    """What jobs did in one slot, and what GPUs that none of them held drew [kWh of IT]."""

    work: tuple[Work, ...]
    idle_kwh: float


@dataclass(frozen=True, slots=True)
class _Run:
    """One run, and what it drew."""

    row: JobRun
    point: OperatingPointSpec
    own_kw: float | None  # by the account of its cluster, evenly over the start; None: no account


@dataclass(frozen=True, slots=True)
class _Done:
    """All there is to know of one job, for all slots."""

    id: UUID
    spec: JobSpec
    runs: tuple[_Run, ...]
    tokens: Readings
    began_at: datetime

    def in_slot(self, slot: Window, pools: Mapping[str, PoolSpec]) -> Work | None:
        """Return what it did in ``slot``; ``None``: nothing."""
        parts = [(run, hours_in(run.row, slot)) for run in self.runs]
        parts = [(run, hours) for run, hours in parts if hours > 0.0]
        if not parts:
            return None
        own = [None if run.own_kw is None else run.own_kw * hours for run, hours in parts]
        known = [kwh for kwh in own if kwh is not None]
        return Work(
            job_id=self.id,
            job=self.spec.name,
            tenant=self.spec.tenant,
            project=self.spec.project or "",
            modelled_kwh=sum(run.point.kw * hours for run, hours in parts),
            gpu_hours=float(sum(run.point.gpus * hours for run, hours in parts)),
            own_kwh=sum(known) if len(known) == len(own) else None,
            embodied_kg=_embodied_kg(parts, pools),
            tokens=told_since(slot, self.tokens, self.began_at),
        )


def read_work(session: Session, spec: SiteSpec, slots: Sequence[Window]) -> list[SlotWork]:
    """Return what jobs did at a site in each of ``slots``, which follow each other."""
    window = Window(slots[0].start, slots[-1].end)
    jobs = _jobs(session, spec.name, window)
    pools = {pool.name: pool for pool in spec.pools}
    return [_in_slot(slot, jobs, pools) for slot in slots]


def hours_in(run: JobRun, window: Window) -> float:
    """Return how long a run lasted in ``window`` [h]; one that has not ended lasts to its end."""
    end = window.end if run.ended_at is None else min(run.ended_at, window.end)
    return max(0.0, (end - max(run.began_at, window.start)) / _HOUR)


def point_of(spec: JobSpec, run: JobRun) -> OperatingPointSpec:
    """Return the operating point of a run; the first where it is not told, or no longer there."""
    for point in spec.operating_points:
        if point.name == run.point:
            return point
    return spec.operating_points[0]


def _in_slot(slot: Window, jobs: Sequence[_Done], pools: Mapping[str, PoolSpec]) -> SlotWork:
    found = [job.in_slot(slot, pools) for job in jobs]
    hours = (slot.end - slot.start) / _HOUR
    held = dict.fromkeys(pools, 0.0)
    for job in jobs:
        for run in job.runs:
            if run.point.pool in held:
                held[run.point.pool] += run.point.gpus * hours_in(run.row, slot)
    idle_kwh = sum(
        pool.idle_kw_per_gpu * max(0.0, pool.gpus * hours - held[name])
        for name, pool in pools.items()
    )
    return SlotWork(tuple(work for work in found if work is not None), float(idle_kwh))


def _jobs(session: Session, site: str, window: Window) -> list[_Done]:
    ids = {run.job_id for run in runs_in(session, site, window)}
    runs: dict[UUID, list[JobRun]] = {}
    for run in runs_of(session, ids):
        if run.site == site:
            runs.setdefault(run.job_id, []).append(run)
    rows = session.execute(
        select(Job.id, Job.spec).where(Job.id.in_(ids)).order_by(Job.submitted_at, Job.name)
    ).all()
    specs = {row.id: JobSpec.model_validate(row.spec) for row in rows}
    tokens = read_tokens(session, site, {spec.name for spec in specs.values()}, window)
    accounts = energy_of(session, ids)
    done = []
    for job, spec in specs.items():
        known = {one.start: one.kwh for one in accounts.get(job, ()) if one.kwh is not None}
        done.append(
            _Done(
                id=job,
                spec=spec,
                runs=tuple(_with_accounts(spec, runs[job], known)),
                tokens=tokens.get(spec.name, []),
                began_at=runs[job][0].began_at,
            )
        )
    return done


def _with_accounts(
    spec: JobSpec, runs: Sequence[JobRun], known_kwh: Mapping[int, float]
) -> list[_Run]:
    """Spread the energy that was measured of each start over its runs, by their points."""
    points = [point_of(spec, run) for run in runs]
    modelled = dict.fromkeys((run.start for run in runs), 0.0)
    for run, point in zip(runs, points, strict=True):
        if run.ended_at is not None:
            modelled[run.start] += point.kw * ((run.ended_at - run.began_at) / _HOUR)
    found = []
    for run, point in zip(runs, points, strict=True):
        whole = modelled[run.start]
        is_known = run.start in known_kwh and whole > 0.0 and run.ended_at is not None
        own_kw = point.kw * known_kwh[run.start] / whole if is_known else None
        found.append(_Run(run, point, own_kw))
    return found


def _embodied_kg(
    parts: Sequence[tuple[_Run, float]], pools: Mapping[str, PoolSpec]
) -> float | None:
    """Return the share of these GPUs' lives that was spent; ``None`` where one is not stated."""
    total = 0.0
    for run, hours in parts:
        pool = pools.get(run.point.pool)
        if pool is None or pool.embodied_kg_per_gpu is None:
            return None
        of_life = run.point.gpus * hours / (pool.lifetime_years * _YEAR_HOURS)
        total += pool.embodied_kg_per_gpu * of_life
    return total
