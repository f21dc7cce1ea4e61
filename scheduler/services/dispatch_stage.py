"""What to tell the clusters about the input data of a job that waits. Pure.

The rules, for a job whose data lies at another site than it is to run at, and that says by what
command it comes:

- its transfer is begun when the plan has it begin, and no sooner than the job is released; where
  the start of the job was missed, as long as the job can still make its deadline;
- without a plan it goes to the site that the fastest link leads to, in time for the latest safe
  start there, unless a site where the job may run has the data;
- a job that was handed to a cluster has it brought there, whatever the plan says of other sites;
- the job is started once the transfer has succeeded, and only there;
- a transfer that failed is tried again, a little later each time, while it has retries left; after
  that the job has failed;
- a transfer to a site where the job is not to run any more is paused, and goes on if the job is to
  run there after all. Once the job has begun elsewhere or is over, it is cancelled as a stray.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from scheduler.db.models import CommandKind, JobStatus
from scheduler.services.dispatch_orders import transfer_order
from scheduler.services.dispatch_types import (
    NOTHING,
    SAFETY,
    Command,
    Decision,
    Ending,
    JobSnapshot,
    Situation,
    TransferSnapshot,
    latest_safe_start,
)
from scheduler.services.dispatch_wants import Aim, Want
from scheduler.specs.job import DataSpec

# How much longer is waited after each failure.
RETRY_AFTER = timedelta(minutes=1)


def stage(job: JobSnapshot, want: Want | None, situation: Situation) -> Decision:
    """Decide about the transfers of a job that waits to be started."""
    data = job.spec.data
    if data is None or not data.command:
        return NOTHING
    site = _destination(job, data, want, situation)
    paused: tuple[Command, ...] = ()
    if want is not None:
        paused = tuple(_pause_elsewhere(job, job.site or want.site, situation))
    if site is None or job.has_data_at(site):
        return Decision(paused)
    transfer = job.transfers.get(site)
    if transfer is not None and transfer.is_given_up(data.retries):
        reason = f"its data could not be brought to {site}: {transfer.reason}"
        return Decision(paused, Ending(JobStatus.FAILED, reason))
    return Decision((*paused, *_bring(job, data, site, transfer, situation)))


def _bring(
    job: JobSnapshot,
    data: DataSpec,
    site: str,
    transfer: TransferSnapshot | None,
    situation: Situation,
) -> Iterator[Command]:
    """Begin a transfer, or go on with one that stopped."""
    pool = _pool_at(job, site, situation)
    if pool is None or (data.site, site) not in situation.links:
        return
    after_starts = None
    if transfer is not None and transfer.is_known:
        is_due = situation.now >= transfer.seen_at + transfer.failures * RETRY_AFTER
        is_stopped = transfer.status is JobStatus.SUSPENDED or (
            transfer.status is JobStatus.FAILED and is_due
        )
        if not is_stopped:
            return
        after_starts = transfer.starts
    order = transfer_order(job, data, site, pool, after_starts)
    link = situation.links[data.site, site]
    what = {
        "from_site": data.site,
        "size_gb": data.size_gb,
        "link_gb_per_hour": link.gb_per_hour,
        "link_eur_per_gb": link.eur_per_gb,
    }
    yield Command(CommandKind.STAGE, site, job.id, order=order, detail=what)


def _pause_elsewhere(job: JobSnapshot, site: str, situation: Situation) -> Iterator[Command]:
    for other, transfer in job.transfers.items():
        is_moving = transfer.status in {JobStatus.QUEUED, JobStatus.RUNNING}
        if other != site and is_moving and other in situation.answering:
            yield Command(CommandKind.STAGE_PAUSE, other, job.id)


def _destination(
    job: JobSnapshot, data: DataSpec, want: Want | None, situation: Situation
) -> str | None:
    """Where the data is to be on its way to now."""
    now = situation.now
    if want is None:
        site = _refuge(job, data, situation)
        if site is None:
            return None
        takes = timedelta(hours=data.size_gb / situation.links[data.site, site].gb_per_hour)
        return site if now >= latest_safe_start(job) - SAFETY - takes else None
    if want.aim is Aim.WAIT:
        return None
    is_missed = want.aim in {Aim.PAUSE, Aim.OVER} and now > latest_safe_start(job)
    return None if is_missed else job.site or want.site


def _refuge(job: JobSnapshot, data: DataSpec, situation: Situation) -> str | None:
    """Where to bring the data without a plan; ``None`` where it need not or cannot be brought."""
    allowed = job.spec.sites or situation.sites if job.site is None else (job.site,)
    sites = [site for site in allowed if _pool_at(job, site, situation) is not None]
    if any(job.has_data_at(site) for site in sites):
        return None
    linked = [site for site in sites if (data.site, site) in situation.links]
    return max(
        linked,
        key=lambda site: (site in job.transfers, situation.links[data.site, site].gb_per_hour),
        default=None,
    )


def _pool_at(job: JobSnapshot, site: str, situation: Situation) -> str | None:
    """Return a pool of the job where the cluster answers; its GPUs need not be free."""
    pools = (point.pool for point in job.spec.operating_points)
    return next((pool for pool in pools if (site, pool) in situation.free_gpus), None)
