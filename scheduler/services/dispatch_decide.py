"""What to tell the clusters, from what the plan wants, what is known, and what was seen. Pure.

The rules, for a job that is not over:

- cancel requested: cancelled on its cluster, or at once where no cluster has it nor may yet get it
  by an order that is on its way.
- waiting: started when the plan wants it to run; when all its runs were missed and it can still
  make its deadline; and without a plan for it at its latest safe start. Never before its release or
  its predecessors' success, never after its deadline, never at another site than it was handed to,
  and only where its data is (``dispatch_stage``).
- queued: left to its cluster, which starts it once it can. Taken out of the queue when the plan no
  longer wants it to run, or wants it at other GPUs, if it may pause: it may be started at that very
  moment; and for good when its deadline passes.
- running: paused as planned if it may be. One that cannot pause, or whose checkpoints failed too
  often, is never stopped, and one that ought to be done but is not is left running. Another cap is
  told it; for other GPUs or another batch size, as an elastic job may be planned to have, it is
  paused, once they are free.
- paused, taken out of a queue, or crashed with a retry left: resumed as planned, at the operating
  point planned, or when it ought to be done but is not; not for a run that ends before its restart
  does. One that is frozen in memory keeps its GPUs and batch size, and loses no time.

Nothing is decided about a job whose cluster does not answer.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from connectors.types import JobObservation, SuspendBy
from scheduler.db.models import CommandKind, JobStatus
from scheduler.services.dispatch_orders import order_of
from scheduler.services.dispatch_stage import stage
from scheduler.services.dispatch_types import (
    NOTHING,
    SAFETY,
    Command,
    Decision,
    Ending,
    JobSnapshot,
    Situation,
    latest_safe_start,
    restart_of,
)
from scheduler.services.dispatch_wants import Aim, Want
from scheduler.specs.job import OperatingPointSpec


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
        return _go_on(job, want, seen, situation)
    if not job.has_started and _is_late(job, situation):
        return _call_off(job)
    if job.status is JobStatus.QUEUED:
        return _queue(job, want, seen)
    return _resume(job, want, seen, situation)


def _cancel(job: JobSnapshot, seen: JobObservation | None) -> Decision:
    if seen is None or job.site is None:
        if job.is_order_under_way:
            return NOTHING
        return Decision(ending=Ending(JobStatus.CANCELLED, "cancelled before it was started"))
    return Decision((Command(CommandKind.CANCEL, job.site, job.id),))


def _start(job: JobSnapshot, want: Want | None, situation: Situation) -> Decision:
    if _is_late(job, situation):
        return _expire(job)
    if situation.now < job.spec.release_at:
        return NOTHING
    staged = stage(job, want, situation)
    if staged.ending is not None or not job.is_ready or not _is_time(job, want, situation):
        return staged
    place = _place(job, want, situation)
    if place is None:
        return staged
    site, point = place
    submit = Command(
        CommandKind.SUBMIT,
        site,
        job.id,
        point.name,
        order=order_of(job, point, site),
        gpus_to_take=(point.pool, point.gpus),
    )
    return Decision((*staged.commands, submit))


def _is_time(job: JobSnapshot, want: Want | None, situation: Situation) -> bool:
    """Whether it is to be started now, as planned or by rule."""
    if want is not None and want.aim is not Aim.OVER:
        return want.aim is Aim.RUN  # started in a planned pause, it would be paused at once
    last = latest_safe_start(job)
    return situation.now <= last and (want is not None or situation.now >= last - SAFETY)


_NAMED = 5  # predecessors that are called by their names


def _expire(job: JobSnapshot) -> Decision:
    if job.is_order_under_way:
        return NOTHING
    named = ", ".join(job.spec.after[:_NAMED])
    more = len(job.spec.after) - _NAMED
    others = f" and {more} others" if more > 0 else ""
    waited_for = "" if job.is_ready else f", waiting for {named}{others}"
    reason = f"its deadline passed before it was started{waited_for}"
    return Decision(ending=Ending(JobStatus.EXPIRED, reason))


def _place(
    job: JobSnapshot, want: Want | None, situation: Situation
) -> tuple[str, OperatingPointSpec] | None:
    """Where to start: as planned, else where it was handed to, else where its data is.

    Only where GPUs are free and its data is now; ``None`` where there is no such place. Without a
    plan the fastest operating point is taken.
    """
    points = {point.name: point for point in job.spec.operating_points}
    if want is not None and want.point in points and job.site in (None, want.site):
        planned = points[want.point]
        is_possible = situation.is_free(want.site, planned) and job.has_data_at(want.site)
        return (want.site, planned) if is_possible else None
    by_speed = sorted(job.spec.operating_points, key=lambda point: -point.speed)
    home = None if job.spec.data is None else job.spec.data.site
    sites = [job.site] if job.site is not None else list(job.spec.sites or situation.sites)
    sites.sort(key=lambda site: site != home)
    places = ((site, point) for point in by_speed for site in sites if job.has_data_at(site))
    return next((place for place in places if situation.is_free(*place)), None)


def _is_late(job: JobSnapshot, situation: Situation) -> bool:
    return situation.now >= job.spec.deadline_at


def _call_off(job: JobSnapshot) -> Decision:
    """Take a job out of its cluster's care that was not started in time."""
    if job.site is None:
        return NOTHING
    return Decision((Command(CommandKind.CANCEL, job.site, job.id),))


def _queue(job: JobSnapshot, want: Want | None, seen: JobObservation | None) -> Decision:
    """Leave a queued job where it is, unless the plan wants something else of it now."""
    if want is None or job.site is None or seen is None or want.aim is Aim.OVER:
        return NOTHING
    points = {point.name: point for point in job.spec.operating_points}
    wanted, present = points.get(want.point), points.get(job.point or "")
    if want.aim is not Aim.RUN or (wanted and present and wanted.setup != present.setup):
        if not job.may_be_paused:
            return NOTHING
        return Decision((Command(CommandKind.SUSPEND, job.site, job.id, job.point),))
    return Decision(() if wanted is None else _power_cap(job, wanted, seen))


def _go_on(
    job: JobSnapshot, want: Want | None, seen: JobObservation | None, situation: Situation
) -> Decision:
    if want is None or job.site is None or want.aim is Aim.OVER:
        return NOTHING
    if want.aim is Aim.RUN:
        return Decision(_follow_point(job, want, seen, situation))
    if not job.may_be_paused:
        return NOTHING
    return Decision((Command(CommandKind.SUSPEND, job.site, job.id, job.point),))


def _resume(
    job: JobSnapshot, want: Want | None, seen: JobObservation | None, situation: Situation
) -> Decision:
    if job.site is None or seen is None:
        return NOTHING
    now = situation.now
    if job.spec.pausing is None and job.has_started:
        is_time = True  # somebody else stopped it; it goes on
    elif want is None:
        is_time = now >= latest_safe_start(job) - SAFETY
    else:
        is_time = want.aim is Aim.OVER or (want.aim is Aim.RUN and _is_worth_it(job, want, now))
    if not is_time:
        return NOTHING
    point = _point_to_resume(job, want)
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
                order=replace(order_of(job, point, job.site), after_starts=job.starts),
                gpus_to_take=(point.pool, gpus_to_take),
            ),
        )
    )


def _is_worth_it(job: JobSnapshot, want: Want, now: datetime) -> bool:
    """Whether anything is done before the planned run ends: not in a restart."""
    is_frozen = job.spec.suspend_by is SuspendBy.FREEZE
    loses = job.has_started and not is_frozen
    return not loses or now + restart_of(job.spec) < want.run_ends_at


def _point_to_resume(job: JobSnapshot, want: Want | None) -> OperatingPointSpec:
    points = {point.name: point for point in job.spec.operating_points}
    present = points.get(job.point or "", job.spec.operating_points[0])
    wanted = None if want is None or want.site != job.site else points.get(want.point)
    if wanted is None:
        return present
    can_change = job.spec.suspend_by is SuspendBy.CHECKPOINT
    return wanted if can_change or wanted.setup == present.setup else present


def _follow_point(
    job: JobSnapshot, want: Want, seen: JobObservation | None, situation: Situation
) -> tuple[Command, ...]:
    """Bring a running job to the planned operating point, by its cap or by a pause."""
    points = {point.name: point for point in job.spec.operating_points}
    wanted, present = points.get(want.point), points.get(job.point or "")
    if wanted is None or present is None or seen is None or want.site != job.site:
        return ()
    if wanted.setup == present.setup:
        return _power_cap(job, wanted, seen)
    can_change = (
        job.spec.is_elastic and job.may_be_paused and job.spec.suspend_by is SuspendBy.CHECKPOINT
    )
    held = seen.gpus if seen.pool == wanted.pool else 0
    free = situation.free_gpus.get((want.site, wanted.pool), 0)
    if not can_change or free + held < wanted.gpus:
        return ()
    return (Command(CommandKind.SUSPEND, want.site, job.id, present.name),)


def _power_cap(
    job: JobSnapshot, wanted: OperatingPointSpec, seen: JobObservation
) -> tuple[Command, ...]:
    if job.site is None or wanted.power_cap_w == seen.power_cap_w:
        return ()
    return (
        Command(
            CommandKind.POWER_CAP,
            job.site,
            job.id,
            wanted.name,
            power_cap_w=wanted.power_cap_w,
        ),
    )
