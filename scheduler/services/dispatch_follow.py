"""One job at a time: what was seen of it, and what follows; and jobs that run but must not."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.db.models import CommandKind, JobStatus
from scheduler.services.dispatch_decide import decide
from scheduler.services.dispatch_observe import Observed, changes
from scheduler.services.dispatch_orders import job_of_transfer, transfer_key
from scheduler.services.dispatch_recent import Recent, read_recent
from scheduler.services.dispatch_records import (
    OpenJob,
    record_changes,
    record_ending,
    snapshot,
    standing_of,
)
from scheduler.services.dispatch_types import (
    NOTHING,
    Command,
    Decision,
    JobSnapshot,
    Situation,
    TransferSnapshot,
)
from scheduler.services.dispatch_wants import Want
from scheduler.services.transfers import OpenTransfer, closed, record_transfer, transfer_changes

log = logging.getLogger(__name__)

# The grace of a job that is over is not looked up.
_GRACE_OF_STRAYS = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Followed:
    """What was seen of a job, as columns that change, where it stands with them, what to do."""

    changed: Mapping[str, Any]
    standing: JobSnapshot
    decision: Decision


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What following all jobs shares."""

    observed: Observed
    situation: Situation
    recent: Recent
    succeeded: frozenset[str]
    wants: Mapping[str, Want]
    transfers: Mapping[UUID, Mapping[str, TransferSnapshot]]


def follow(job: OpenJob, around: Surroundings) -> Followed | None:
    """Say what becomes of one job; ``None`` where its cluster does not answer.

    An error is the trouble of this job alone: it is logged, and the job left as it is.
    """
    try:
        return _follow(job, around)
    except Exception:
        log.exception("job %s: left as it is", job.spec.name)
        return None


def record_followed(session: Session, job: OpenJob, followed: Followed, now: datetime) -> None:
    """Write down what was seen of a job, and its end where it has ended."""
    if followed.changed:
        record_changes(session, job, followed.changed, now)
    if followed.decision.ending is not None:
        record_ending(session, followed.standing, followed.decision.ending, now)


def follow_transfers(
    session: Session,
    transfers: Sequence[OpenTransfer],
    observed: Observed,
    situation: Situation,
) -> dict[UUID, dict[str, TransferSnapshot]]:
    """Write down what was seen of transfers; return where they stand, by job and site."""
    now = situation.now
    standing: dict[UUID, dict[str, TransferSnapshot]] = {}
    for transfer in transfers:
        row = transfer.row
        report = observed.clusters.get(row.site)
        seen = None if report is None else report.jobs.get(transfer_key(row.job_id, row.site))
        changed: Mapping[str, Any] = {}
        if report is not None:  # nothing is assumed of a cluster that does not answer
            changed = transfer_changes(row, seen, now, is_job_over=transfer.is_job_over)
        elif transfer.is_job_over and row.site not in situation.sites:
            changed = closed(now)  # nobody will ever answer for it
        record_transfer(session, row, changed)
        standing.setdefault(row.job_id, {})[row.site] = TransferSnapshot(
            status=changed.get("status", row.status),
            is_known=seen is not None,
            starts=changed.get("starts", row.starts),
            failures=changed.get("failures", row.failures),
            seen_at=changed.get("seen_at", row.seen_at or row.ordered_at),
            reason=changed.get("reason", row.reason),
        )
    return standing


def end_strays(
    session: Session, jobs: Sequence[OpenJob], observed: Observed, now: datetime
) -> tuple[Command, ...]:
    """Cancel jobs that run though they are over, or at another site than they were handed to.

    An order that came late starts such a job. So are transfers of its data. Jobs of somebody else
    on the same cluster are left.
    """
    sites = {job.row.id: job.row.site for job in jobs}
    suspects = [
        Command(kind, site, job_id)
        for site, report in observed.clusters.items()
        for key, seen in report.jobs.items()
        if not seen.state.is_final
        for kind, job_id in _ours(key)
        if sites.get(job_id) != site
    ]
    if not suspects:
        return ()
    ids = [each.job_id for each in suspects if each.job_id is not None]
    standing = standing_of(session, ids)
    recent = read_recent(session, ids, now)
    return tuple(
        each
        for each in suspects
        if each.job_id in standing
        and _must_not_run(each, *standing[each.job_id])
        and not recent.is_repeat(each, _GRACE_OF_STRAYS, now)
    )


def _follow(job: OpenJob, around: Surroundings) -> Followed | None:
    now, observed = around.situation.now, around.observed
    key = str(job.row.id)
    site = job.row.site or observed.site_of(key)
    report = None if site is None else observed.clusters.get(site)
    if site is not None and report is None:
        # Nothing is assumed of a cluster that does not answer; one that is no more starts nothing.
        is_gone = site not in around.situation.sites
        if not is_gone or job.row.status is not JobStatus.WAITING:
            return None
    seen = None if report is None else report.jobs.get(key)
    changed = changes(job.row, job.spec, seen, now)
    if site != job.row.site:
        changed["site"] = site
    standing = snapshot(
        job,
        changed,
        now,
        ready=around.succeeded.issuperset(job.spec.after),
        under_way=job.row.id in around.recent.unsettled,
    )
    standing = replace(standing, transfers=around.transfers.get(job.row.id, {}))
    if standing.status.is_final:
        return Followed(changed, standing, NOTHING)
    decision = decide(standing, around.wants.get(job.spec.name), seen, around.situation)
    grace = timedelta(seconds=job.spec.checkpoint_grace_s)
    new = tuple(each for each in decision.commands if not around.recent.is_repeat(each, grace, now))
    return Followed(changed, standing, Decision(new, decision.ending))


def _must_not_run(stray: Command, status: JobStatus, site: str | None) -> bool:
    """Whether what runs under an order must not, as the job stands so.

    A job that waits may yet be sent elsewhere, where its data is then needed after all.
    """
    may_come_back = stray.kind is CommandKind.STAGE_CANCEL and status is JobStatus.WAITING
    return status.is_final or (site not in {None, stray.site} and not may_come_back)


def _ours(key: str) -> Iterator[tuple[CommandKind, UUID]]:
    """Say how an order of ours is cancelled, and whose it is; nothing where it is not ours."""
    owner = job_of_transfer(key)
    if owner is not None:
        yield CommandKind.STAGE_CANCEL, owner
        return
    with suppress(ValueError):
        yield CommandKind.CANCEL, UUID(key)
