"""What to tell the clusters, from what the plan wants, what is known, and what was seen. Pure.

The rules, for a job that is not over:

- cancel requested: cancelled on its cluster, or at once where no cluster has it nor may yet get it
  by an order that is on its way.
- waiting: started when the plan wants it to run; when its start was missed and it can still make
  its deadline; and without a plan for it at its latest safe start. Never before its release or its
  predecessors' success, never after its deadline, never at another site than it was handed to.
- running: paused as planned if it may be. One that cannot pause is never stopped, and one that
  ought to be done but is not is left running.
- paused: resumed as planned, or when it ought to be done but is not.

Nothing is decided about a job whose cluster does not answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from connectors.types import JobObservation, JobOrder
from scheduler.db.models import CommandKind, JobStatus
from scheduler.services.dispatch_wants import Aim, Want
from scheduler.specs import JobSpec
from scheduler.specs.job import OperatingPointSpec

# Without a plan a job starts this long before its latest safe start, so that no tick misses it.
SAFETY = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class JobSnapshot:
    """A job that is not over, as the database has it.

    ``work_left_hours`` is what is left now; ``is_ready`` says whether its predecessors succeeded.
    ``is_order_under_way``: its order was sent, by whomever, and may arrive yet.
    """

    id: UUID
    spec: JobSpec
    status: JobStatus
    site: str | None
    point: str | None
    is_cancel_requested: bool
    is_ready: bool
    work_left_hours: float
    is_order_under_way: bool = False

    @property
    def key(self) -> str:
        """Its key on every cluster."""
        return str(self.id)


@dataclass(frozen=True, slots=True)
class Situation:
    """What decisions about all jobs share.

    ``free_gpus`` are those free now by site and pool, of the clusters that answered.
    """

    now: datetime
    sites: tuple[str, ...]
    free_gpus: Mapping[tuple[str, str], int]

    def is_free(self, site: str, point: OperatingPointSpec) -> bool:
        """Whether a job can take the GPUs of ``point`` at ``site`` now."""
        return self.free_gpus.get((site, point.pool), -1) >= point.gpus


@dataclass(frozen=True, slots=True)
class Command:
    """One thing to tell a cluster about a job, or a battery.

    ``gpus_to_take``: GPUs of which pool are free no more once it is done.
    """

    kind: CommandKind
    site: str
    job_id: UUID | None = None
    point: str | None = None
    order: JobOrder | None = None
    power_cap_w: float | None = None
    gpus_to_take: tuple[str, int] | None = None
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ending:
    """A job that is over without a cluster having ended it."""

    status: JobStatus
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about one job; empty where all is as it should be."""

    commands: tuple[Command, ...] = ()
    ending: Ending | None = None


NOTHING = Decision()


def decide(
    job: JobSnapshot, want: Want | None, seen: JobObservation | None, situation: Situation
) -> Decision:
    """Decide about one job.

    Parameters
    ----------
    want
        What the plan wants of it; ``None`` where there is no plan or it leaves the job out.
    seen
        What its cluster reports; ``None`` where no cluster has it. The cluster has answered.
    """
    if job.is_cancel_requested:
        return _cancel(job, seen)
    if job.status is JobStatus.WAITING:
        return _start(job, want, situation)
    if job.status is JobStatus.RUNNING:
        return _go_on(job, want, seen)
    return _resume(job, want, seen, situation)


def latest_safe_start(job: JobSnapshot) -> datetime:
    """Last instant at which the rest of a job can begin and still make its deadline."""
    fastest = max(point.speed for point in job.spec.operating_points)
    return job.spec.deadline_at - timedelta(hours=job.work_left_hours / fastest)


def order_of(job: JobSnapshot, point: OperatingPointSpec) -> JobOrder:
    """Say what a cluster is asked to run."""
    environment = job.spec.environment | {"GRIDTIDE_JOB": job.spec.name}
    if point.batch_size is not None:
        environment["GRIDTIDE_BATCH_SIZE"] = str(point.batch_size)
    return JobOrder(
        key=job.key,
        command=job.spec.command,
        pool=point.pool,
        gpus=point.gpus,
        environment=environment,
        power_cap_w=point.power_cap_w,
        suspend_by=job.spec.suspend_by,
        checkpoint_grace_s=job.spec.checkpoint_grace_s,
    )


def _cancel(job: JobSnapshot, seen: JobObservation | None) -> Decision:
    if seen is None or job.site is None:
        if job.is_order_under_way:
            return NOTHING
        return Decision(ending=Ending(JobStatus.CANCELLED, "cancelled before it was started"))
    return Decision((Command(CommandKind.CANCEL, job.site, job.id),))


def _start(job: JobSnapshot, want: Want | None, situation: Situation) -> Decision:
    now = situation.now
    if now >= job.spec.deadline_at:
        return _expire(job)
    is_to_wait = want is not None and want.aim is Aim.WAIT
    if now < job.spec.release_at or not job.is_ready or is_to_wait:
        return NOTHING
    if want is None or want.aim is not Aim.RUN:
        last = latest_safe_start(job)
        is_time = want is not None or now >= last - SAFETY
        if not is_time or now > last:
            return NOTHING
    place = _place(job, want, situation)
    if place is None:
        return NOTHING
    site, point = place
    return Decision(
        (
            Command(
                CommandKind.SUBMIT,
                site,
                job.id,
                point.name,
                order=order_of(job, point),
                gpus_to_take=(point.pool, point.gpus),
            ),
        )
    )


def _expire(job: JobSnapshot) -> Decision:
    if job.is_order_under_way:
        return NOTHING
    waited_for = "" if job.is_ready else f", waiting for {', '.join(job.spec.after)}"
    reason = f"its deadline passed before it was started{waited_for}"
    return Decision(ending=Ending(JobStatus.EXPIRED, reason))


def _place(
    job: JobSnapshot, want: Want | None, situation: Situation
) -> tuple[str, OperatingPointSpec] | None:
    """Where to start: as planned, else where it was handed to, else where its data is.

    Only where GPUs are free now; ``None`` where there is no such place. Without a plan the fastest
    operating point is taken.
    """
    points = {point.name: point for point in job.spec.operating_points}
    if want is not None and want.point in points and job.site in (None, want.site):
        planned = points[want.point]
        return (want.site, planned) if situation.is_free(want.site, planned) else None
    by_speed = sorted(job.spec.operating_points, key=lambda point: -point.speed)
    home = None if job.spec.data is None else job.spec.data.site
    sites = [job.site] if job.site is not None else list(job.spec.sites or situation.sites)
    sites.sort(key=lambda site: site != home)
    places = ((site, point) for point in by_speed for site in sites)
    return next((place for place in places if situation.is_free(*place)), None)


def _go_on(job: JobSnapshot, want: Want | None, seen: JobObservation | None) -> Decision:
    if want is None or job.site is None or want.aim is Aim.OVER:
        return NOTHING
    if want.aim is Aim.RUN:
        return Decision(_power_cap(job, want, seen))
    if job.spec.pausing is None:
        return NOTHING
    return Decision((Command(CommandKind.SUSPEND, job.site, job.id, job.point),))


def _resume(
    job: JobSnapshot, want: Want | None, seen: JobObservation | None, situation: Situation
) -> Decision:
    if job.site is None or seen is None:
        return NOTHING
    now = situation.now
    if job.spec.pausing is None:
        is_time = True  # somebody else stopped it; it goes on
    elif want is None:
        is_time = now >= latest_safe_start(job) - SAFETY
    else:
        is_time = want.aim in {Aim.RUN, Aim.OVER}
    if not is_time:
        return NOTHING
    points = {point.name: point for point in job.spec.operating_points}
    point = points.get(job.point or "", job.spec.operating_points[0])
    gpus_to_take = max(0, point.gpus - seen.gpus)  # none where it is frozen and holds them
    if situation.free_gpus.get((job.site, point.pool), 0) < gpus_to_take:
        return NOTHING
    return Decision(
        (
            Command(
                CommandKind.RESUME,
                job.site,
                job.id,
                point.name,
                gpus_to_take=(point.pool, gpus_to_take),
            ),
        )
    )


def _power_cap(job: JobSnapshot, want: Want, seen: JobObservation | None) -> tuple[Command, ...]:
    """Change the cap where the planned operating point differs from the present one in it alone.

    A cluster cannot change the GPUs of a job it runs; there the job stays as it is.
    """
    points = {point.name: point for point in job.spec.operating_points}
    wanted = points.get(want.point)
    if wanted is None or seen is None or want.site != job.site:
        return ()
    same_gpus = (wanted.pool, wanted.gpus) == (seen.pool, seen.gpus)
    if not same_gpus or wanted.power_cap_w == seen.power_cap_w:
        return ()
    return (
        Command(
            CommandKind.POWER_CAP,
            want.site,
            job.id,
            wanted.name,
            power_cap_w=wanted.power_cap_w,
        ),
    )
