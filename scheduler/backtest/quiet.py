"""When dispatch has to look again: what ``dispatch_decide.decide`` rests on besides the plan. Pure.

Once dispatch has nothing left to send, it decides the same at every later look until one of these:
the next slot of the plan, a job that comes or ends, GPUs that fail or come back; and for a job
that does not run its deadline, and its latest safe start, whose safety margin is in it. A job that
runs is decided on by the plan alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from scheduler.backtest.world import STEP, JobInWorld, Scene, whole_steps
from scheduler.db.models import JobStatus
from scheduler.services.dispatch_types import SAFETY
from scheduler.services.window import PlanWindow


def next_look(
    now: datetime,
    jobs: Iterable[JobInWorld],
    n_arrived: int,
    scene: Scene,
    window: PlanWindow | None,
) -> datetime:
    """Return the first step after ``now`` at which something else may be decided."""
    instants = _instants(now, jobs, n_arrived, scene, window)
    following = min((at for at in instants if at > now), default=scene.end)
    return max(now + STEP, now + _up_to_a_step(following - now))


def _instants(
    now: datetime,
    jobs: Iterable[JobInWorld],
    n_arrived: int,
    scene: Scene,
    window: PlanWindow | None,
) -> Iterator[datetime]:
    if window is not None:
        yield window.start if now < window.start else window.instant(window.slot_of(now) + 1)
    if n_arrived < len(scene.jobs):
        yield scene.jobs[n_arrived].spec.release_at
    for failure in scene.failures:
        yield failure.start_at
        yield failure.end_at
    for job in jobs:
        if job.status is JobStatus.RUNNING:
            if job.ends_at is not None:
                yield job.ends_at
        else:
            yield from _thresholds(job, now)


def _thresholds(job: JobInWorld, now: datetime) -> Iterator[datetime]:
    """Yield when it is to be started without a plan, can be no more, and is late."""
    spec = job.true.spec
    fastest = max(point.speed for point in spec.operating_points)
    left_hours = max(0.0, spec.work_hours - job.done_at(now))
    last = spec.deadline_at - timedelta(hours=left_hours / fastest)
    yield last - SAFETY
    yield last
    yield last + timedelta.resolution
    yield spec.deadline_at


def _up_to_a_step(length: timedelta) -> timedelta:
    """Round up to whole steps, without the second that ``whole_steps`` forgives."""
    exact = whole_steps(length)
    return exact if exact >= length else exact + STEP
