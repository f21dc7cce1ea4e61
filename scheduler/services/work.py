"""How much of a job is done, from how long it ran and how fast its operating point is."""

from __future__ import annotations

from datetime import datetime, timedelta

from scheduler.db.models import Job, JobStatus
from scheduler.specs import JobSpec


def speed_of(spec: JobSpec, point: str | None) -> float:
    """Work hours per hour at the operating point of this name; that of the first where unknown."""
    for candidate in spec.operating_points:
        if candidate.name == point:
            return candidate.speed
    return spec.operating_points[0].speed


def work_done_hours(job: Job, spec: JobSpec, now: datetime) -> float:
    """Work done by ``now`` [h at speed 1]; a running job goes on since it was last seen."""
    if job.status is not JobStatus.RUNNING or job.work_seen_at is None:
        return job.work_done_hours
    hours = max(0.0, (now - job.work_seen_at) / timedelta(hours=1))
    return job.work_done_hours + hours * speed_of(spec, job.point)
