"""Arrays of jobs: handed in at once, looked at and called off as a whole.

Each task is a job like any other; what an array is, is no more than what its jobs say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from scheduler.db.models import OPEN_STATUSES, Job, JobStatus
from scheduler.services.errors import Conflict, NotFound
from scheduler.services.job_admission import require_admissible
from scheduler.services.jobs import cancel_job, new_job, require_free_names, same_or_conflict
from scheduler.services.keys import Caller
from scheduler.specs import JobArraySpec, JobSpec


@dataclass(frozen=True, slots=True)
class ArrayStanding:
    """How many jobs of an array there are, by where they stand; only those there are any of."""

    array: str
    submitted_by: str
    jobs: int
    statuses: Mapping[JobStatus, int]


def submit_array(
    session: Session, spec: JobArraySpec, by: str, now: datetime, idempotency_key: str | None
) -> tuple[ArrayStanding, bool]:
    """Take in all jobs of an array unless the same request was before; says whether they are new.

    Raises
    ------
    Invalid
        No plan could ever honour them with this fleet.
    Conflict
        A name is taken, or the idempotency key was used for another array.
    """
    tasks = spec.jobs()
    keys = [_key_of(idempotency_key, number) for number in range(len(tasks))]
    before = _with_keys(session, by, keys)
    if before:
        return _same_array(session, tasks, keys, before), False
    require_admissible(session, tasks[0], now)  # they differ by nothing that it looks at
    require_free_names(session, tasks, by)
    jobs = [new_job(task, by, now, key) for task, key in zip(tasks, keys, strict=True)]
    try:
        with session.begin_nested():
            session.add_all(jobs)
    except IntegrityError as error:
        before = _with_keys(session, by, keys)
        if not before:
            taken = session.scalars(select(Job.name).where(Job.name.in_(t.name for t in tasks)))
            raise Conflict(f"array {spec.name}: the name {taken.first()} is taken") from error
        return _same_array(session, tasks, keys, before), False
    return find_array(session, spec.name), True


def find_array(session: Session, array: str) -> ArrayStanding:
    """Return where the jobs of an array stand."""
    rows = session.execute(
        select(Job.submitted_by, Job.status, func.count())
        .where(Job.array_name == array)
        .group_by(Job.submitted_by, Job.status)
    ).all()
    if not rows:
        raise NotFound("array", array)
    statuses = {status: n for _, status, n in rows}
    return ArrayStanding(array, rows[0][0], sum(statuses.values()), statuses)


def cancel_array(session: Session, array: str, caller: Caller, now: datetime) -> ArrayStanding:
    """Call off every job of an array that is not over; doing so twice changes nothing.

    Raises
    ------
    Forbidden
        A submitter cancels own jobs only.
    """
    find_array(session, array)
    open_jobs = select(Job.name).where(Job.array_name == array, Job.status.in_(OPEN_STATUSES))
    for name in session.scalars(open_jobs.order_by(Job.name)).all():
        with suppress(Conflict):  # it has ended meanwhile
            cancel_job(session, name, caller, now)
    return find_array(session, array)


def _key_of(idempotency_key: str | None, number: int) -> str | None:
    return None if idempotency_key is None else f"{idempotency_key}/{number}"


def _with_keys(session: Session, by: str, keys: Sequence[str | None]) -> dict[str | None, Job]:
    given = [key for key in keys if key is not None]
    of_keys = select(Job).where(Job.submitted_by == by, Job.idempotency_key.in_(given))
    return {job.idempotency_key: job for job in session.scalars(of_keys)} if given else {}


def _same_array(
    session: Session,
    tasks: Sequence[JobSpec],
    keys: Sequence[str | None],
    before: Mapping[str | None, Job],
) -> ArrayStanding:
    for task, key in zip(tasks, keys, strict=True):
        if key not in before:
            raise Conflict(f"idempotency key of job {task.name} was used with another array")
        same_or_conflict(before[key], task.model_dump(mode="json"))
    return find_array(session, next(iter(before.values())).array_name or "")
