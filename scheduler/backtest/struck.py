"""Whom a failure of GPUs strikes, and what of its work is left to it. Pure."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from itertools import count, islice

from scheduler.backtest.world import Failure, JobInWorld
from scheduler.db.models import JobStatus

PoolKey = tuple[str, str]


def struck(
    jobs: Sequence[JobInWorld],
    begun: Sequence[Failure],
    gone: Mapping[PoolKey, Container[int]],
    free_gpus: Mapping[PoolKey, int],
) -> tuple[JobInWorld, ...]:
    """Return the jobs that lose their GPUs.

    Those that hold one that fails now; and where the others together still hold more than are
    there, who began last goes as well.

    Parameters
    ----------
    begun
        Failures that begin now.
    gone
        Numbers of the GPUs that others had taken before, by site and pool: nobody holds these.
    free_gpus
        GPUs that are there and that nobody holds, by site and pool: negative where more are held.
    """
    found: dict[str, JobInWorld] = {}
    for key, holders in _holders(jobs).items():
        missing = -free_gpus.get(key, 0)
        hit = [one for one in begun if (one.site, one.pool) == key]
        before = gone.get(key, ())
        there = (number for number in count() if number not in before)
        for job, gpus in holders:
            held = list(islice(there, gpus))
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


def _overlap(held: Sequence[int], failure: Failure) -> bool:
    last = failure.first_gpu + failure.gpus - 1
    return any(failure.first_gpu <= number <= last for number in held)
