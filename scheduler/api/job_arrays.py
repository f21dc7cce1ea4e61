"""Arrays of jobs: hand in, look at, cancel as a whole. Their jobs are under ``/v1/jobs?array=``."""

from __future__ import annotations

from fastapi import APIRouter, Response, status
from pydantic import Field

from scheduler.api.auth import SubmitterDep
from scheduler.api.context import NowDep, SessionDep
from scheduler.api.jobs import IdempotencyKey
from scheduler.api.views import View, seen_before
from scheduler.db.models import JobStatus
from scheduler.services import job_arrays
from scheduler.specs import JobArraySpec

router = APIRouter(prefix="/v1/job-arrays", tags=["jobs"])


class JobArrayView(View):
    """An array and where its jobs stand."""

    array: str
    submitted_by: str
    jobs: int
    statuses: dict[JobStatus, int] = Field(description="Jobs by status; only those there are.")


@router.post("", status_code=status.HTTP_201_CREATED, responses=seen_before(JobArrayView))
def submit_array(
    *,
    body: JobArraySpec,
    session: SessionDep,
    caller: SubmitterDep,
    now: NowDep,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> JobArrayView:
    """Submit a job for each task of `array`, all of them or none.

    They are called `NAME-INDEX` and are jobs like any other. The same request with the same
    `Idempotency-Key` is the same array (200).
    """
    found, created = job_arrays.submit_array(session, body, caller.name, now, idempotency_key)
    response.headers["Location"] = f"{router.prefix}/{found.array}"
    if not created:
        response.status_code = status.HTTP_200_OK
    return JobArrayView.model_validate(found)


@router.get("/{array}")
def get_array(array: str, session: SessionDep, _: SubmitterDep) -> JobArrayView:
    """Show where the jobs of an array stand."""
    return JobArrayView.model_validate(job_arrays.find_array(session, array))


@router.post("/{array}/cancel")
def cancel_array(
    array: str, session: SessionDep, caller: SubmitterDep, now: NowDep
) -> JobArrayView:
    """Cancel every job of an array that has not ended. Submitters cancel their own."""
    return JobArrayView.model_validate(job_arrays.cancel_array(session, array, caller, now))
