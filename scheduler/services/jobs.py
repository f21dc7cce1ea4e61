"""Jobs: submitted once, listed, called off. What becomes of them is recorded by dispatch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from scheduler.db.models import Job, JobStatus, Role
from scheduler.services.errors import Conflict, Forbidden, NotFound
from scheduler.services.job_admission import require_admissible
from scheduler.services.keys import Caller
from scheduler.services.paging import Page, PageRequest, read_page
from scheduler.specs import JobSpec


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs; ``None`` leaves a field out."""

    status: JobStatus | None = None
    tenant: str | None = None
    site: str | None = None  # where it was handed to a cluster
    name_prefix: str | None = None
    array: str | None = None  # of which it is a task
    deadline_before: datetime | None = None


def submit_job(
    session: Session, spec: JobSpec, by: str, now: datetime, idempotency_key: str | None = None
) -> tuple[Job, bool]:
    """Take in a job unless the same request was taken in before; says whether it is new.

    Raises
    ------
    Invalid
        No plan could ever honour it with this fleet.
    Conflict
        The name is taken, or the idempotency key was used for another job.
    """
    document = spec.model_dump(mode="json")
    before = _by_idempotency_key(session, by, idempotency_key)
    if before is not None:
        return same_or_conflict(before, document), False
    require_admissible(session, spec, now)
    require_free_names(session, [spec], by)
    job = new_job(spec, by, now, idempotency_key)
    try:
        with session.begin_nested():
            session.add(job)
    except IntegrityError as error:
        before = _by_idempotency_key(session, by, idempotency_key)
        if before is None:
            raise Conflict(f"job {spec.name}: the name is taken") from error
        return same_or_conflict(before, document), False
    return job, True


def new_job(spec: JobSpec, by: str, now: datetime, idempotency_key: str | None) -> Job:
    """Return the row of a job that is taken in."""
    return Job(
        name=spec.name,
        tenant=spec.tenant,
        array_name=None if spec.array_task is None else spec.array_task.array,
        spec=spec.model_dump(mode="json"),
        submitted_by=by,
        submitted_at=now,
        idempotency_key=idempotency_key,
        release_at=spec.release_at,
        deadline_at=spec.deadline_at,
    )


def require_free_names(session: Session, specs: Sequence[JobSpec], by: str) -> None:
    """Refuse a job called like an array, and a task of what is a job or another's array.

    ``specs`` are one job, or all tasks of an array.

    Raises
    ------
    Conflict
        With the name.
    """
    names = [spec.name for spec in specs]
    taken = session.scalar(select(Job.array_name).where(Job.array_name.in_(names)).limit(1))
    if taken is not None:
        raise Conflict(f"job {taken}: the name is taken by an array")
    task = specs[0].array_task
    if task is None:
        return
    array = task.array
    other = session.scalar(select(Job).where(Job.array_name == array).limit(1))
    if session.scalar(select(Job.id).where(Job.name == array)) is not None:
        raise Conflict(f"array {array}: the name is taken by a job")
    if other is None:
        return
    if other.submitted_by != by:
        raise Conflict(f"array {array}: was submitted by {other.submitted_by}, not {by}")
    known = JobSpec.model_validate(other.spec).array_task
    if known is None or known.model_copy(update={"index": task.index}) != task:
        raise Conflict(f"array {array}: job {other.name} is a task of another array of this name")


def find_job(session: Session, id_or_name: str) -> Job:
    """Return the job with this id or, failing that, this name."""
    try:
        by_id = session.get(Job, UUID(id_or_name))
    except ValueError:
        by_id = None
    job = by_id or session.scalar(select(Job).where(Job.name == id_or_name))
    if job is None:
        raise NotFound("job", id_or_name)
    return job


def list_jobs(session: Session, wanted: JobFilter, page: PageRequest) -> Page[Job]:
    """Return jobs, the one submitted last first."""
    statement = select(Job)
    if wanted.status is not None:
        statement = statement.where(Job.status == wanted.status)
    if wanted.tenant is not None:
        statement = statement.where(Job.tenant == wanted.tenant)
    if wanted.site is not None:
        statement = statement.where(Job.site == wanted.site)
    if wanted.name_prefix is not None:
        # LIKE would ignore case on SQLite and not on PostgreSQL.
        beginning = func.substr(Job.name, 1, len(wanted.name_prefix))
        statement = statement.where(beginning == wanted.name_prefix)
    if wanted.array is not None:
        statement = statement.where(Job.array_name == wanted.array)
    if wanted.deadline_before is not None:
        statement = statement.where(Job.deadline_at < wanted.deadline_before)
    return read_page(session, statement, Job.submitted_at, Job.id, page)


def cancel_job(session: Session, id_or_name: str, caller: Caller, now: datetime) -> Job:
    """Call a job off; doing so twice changes nothing.

    A job that no cluster has is cancelled at once, one that a cluster has by the next dispatch.

    Raises
    ------
    Forbidden
        A submitter cancels own jobs only.
    Conflict
        It has ended already.
    """
    job = find_job(session, id_or_name)
    if job.submitted_by != caller.name and not caller.role.includes(Role.OPERATOR):
        raise Forbidden(f"job {job.name} was submitted by {job.submitted_by}, not {caller.name}")
    if job.status is JobStatus.CANCELLED:
        return job
    if job.status.is_final:
        raise Conflict(f"job {job.name} has already {job.status.value}")
    if job.cancel_requested_at is None:
        job.cancel_requested_at = now
    session.flush()
    # Conditional, because dispatch may be handing it to a cluster at this moment.
    session.execute(
        update(Job)
        .where(Job.id == job.id, Job.status == JobStatus.WAITING, Job.site.is_(None))
        .values(status=JobStatus.CANCELLED, ended_at=now, reason=f"cancelled by {caller.name}")
        .execution_options(synchronize_session=False)
    )
    session.refresh(job)
    return job


def _by_idempotency_key(session: Session, by: str, key: str | None) -> Job | None:
    if key is None:
        return None
    return session.scalar(select(Job).where(Job.submitted_by == by, Job.idempotency_key == key))


def same_or_conflict(job: Job, document: dict[str, Any]) -> Job:
    """Return ``job`` where it was submitted so, else raise ``Conflict``."""
    if JobSpec.model_validate(job.spec).model_dump(mode="json") != document:
        raise Conflict(
            f"idempotency key {job.idempotency_key!r} was used for job {job.name} with another body"
        )
    return job
