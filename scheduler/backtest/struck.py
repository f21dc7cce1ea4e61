"""Whom a failure of GPUs strikes, and what of its work is left to it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from scheduler.backtest.world import Failure, JobInWorld
from scheduler.db.models import JobStatus

PoolKey = tuple[str, str]


def struck(
    jobs: Sequence[JobInWorld], begun: Sequence[Failure], free_gpus: Mapping[PoolKey, int]
) -> tuple[JobInWorld, ...]:
    """Return the jobs that lose their GPUs.

    Those that hold one that fails now; and where the others together still hold more than are
    there, who began last goes as well.

    Parameters
    ----------
    begun
        Failures that begin now.
    free_gpus
        GPUs that are there and that nobody holds, by site and pool: negative where more are held.
    """
    found: dict[str, JobInWorld] = {}
    for key, holders in _holders(jobs).items():
        missing = -free_gpus.get(key, 0)
        hit = [one for one in begun if (one.site, one.pool) == key]
        first = 0
        for job, gpus in holders:
            held = range(first, first + gpus)
            first += gpus
            if any(_overlap(held, failure) for failure in hit):
                found[job.true.spec.name] = job
                missing -= gpus
        for job, gpus in reversed(holders):
            if missing <= 0:
                break
            if job.true.spec.name not in found:
                found[job.true.spec.name] = job
                missing -= gpus
    return tuple(found.values())


def saved_hours(job: JobInWorld, now: datetime, every_hours: float | None) -> float:
    """Return the work that a job which loses its GPUs need not do again [h at speed 1].

    One that cannot pause begins anew.
    """
    if job.true.spec.pausing is None:
        return 0.0
    if every_hours is None:
        return job.saved_hours
    since = max(0.0, job.done_at(now) - job.saved_hours)
    return job.saved_hours + math.floor(since / every_hours + 1e-9) * every_hours


def _holders(jobs: Sequence[JobInWorld]) -> dict[PoolKey, list[tuple[JobInWorld, int]]]:
    """Group running jobs with the GPUs they hold by site and pool, in the order they began."""
    holders: dict[PoolKey, list[tuple[JobInWorld, int]]] = {}
    running = [job for job in jobs if job.status is JobStatus.RUNNING]
    for job in sorted(running, key=lambda job: (job.running_since, job.true.spec.name)):
        points = job.true.spec.operating_points
        point = next(point for point in points if point.name == job.point)
        holders.setdefault((job.site or "", point.pool), []).append((job, point.gpus))
    return holders


def _overlap(held: range, failure: Failure) -> bool:
    return held.start < failure.first_gpu + failure.gpus and failure.first_gpu < held.stop
