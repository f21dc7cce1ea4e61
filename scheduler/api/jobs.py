"""Jobs: submit, list, look at, cancel."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response, status
from pydantic import Field
from sqlalchemy.orm import Session

from connectors.types import PowerScope
from scheduler.api.auth import SubmitterDep
from scheduler.api.context import NowDep, PageDep, SessionDep
from scheduler.api.views import PageView, SiteQuery, View, page_view, seen_before
from scheduler.db.models import DataTransfer, Job, JobEnergy, JobStatus, Role
from scheduler.services import jobs
from scheduler.services.job_energy import energy_of, total_of
from scheduler.services.jobs import JobFilter
from scheduler.services.keys import Caller
from scheduler.services.transfers import transfers_of
from scheduler.specs import JobSpec
from scheduler.specs.base import Instant

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

HIDDEN = "(hidden)"


class DataTransferView(View):
    """The transfer of a job's data to one site, through all its retries."""

    site: str
    from_site: str
    size_gb: float
    status: JobStatus = Field(
        description="Of the order that moves it; `failed` also before a retry."
    )
    reason: str
    exit_code: int | None
    starts: int
    failures: int
    ordered_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    gb_per_hour: float | None = Field(description="Mean while it moved, once it is done.")
    link_gb_per_hour: float = Field(description="What the fleet said of its link.")
    eur: float | None = Field(description="Paid by the price of its link, once it is done.")


class StartEnergyView(View):
    """Energy that one start of a job used, as its cluster keeps account of it."""

    start: int = Field(description="Which of its starts, from 1.")
    site: str
    started_at: datetime
    ended_at: datetime | None = Field(description="None: not on record.")
    kwh: float | None = Field(description="Measured; None: never to be known, see `reason`.")
    source: str = Field(description="Who keeps account.")
    scope: PowerScope
    reason: str


class JobEnergyView(View):
    """Energy that a job used and somebody measured: never an estimate, before PUE.

    Starts that go on, are not on record yet, or whose energy nobody can tell are not in it:
    it is of the whole job where `starts_measured` is `starts`, and the job is over.
    """

    kwh: float | None = Field(
        description="Sum of the starts that were measured; None: none was, or in two scopes."
    )
    scope: PowerScope | None = Field(description="Of whole servers, or of GPUs alone.")
    starts_measured: int
    starts: int
    runs: list[StartEnergyView]


class JobView(View):
    """A job and where it stands."""

    id: UUID
    name: str
    tenant: str
    array: str | None = Field(
        validation_alias="array_name", description="Of which it is a task; see `spec.array_task`."
    )
    status: JobStatus
    reason: str = Field(description="Why it stands so, where there is anything to say.")
    submitted_by: str
    submitted_at: datetime
    release_at: datetime
    deadline_at: datetime
    cancel_requested_at: datetime | None
    site: str | None = Field(description="Where it was handed to a cluster; None: not yet.")
    point: str | None = Field(description="Operating point it was last told to run at.")
    starts: int = Field(description="Times its command was started; 1 + restarts.")
    crashes: int = Field(description="Times it crashed and went on, of the `retries` it has.")
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None
    power_cap_in_force_w: float | None = Field(
        description="Read back from its GPUs, per GPU, while it runs; None: nobody says."
    )
    power_cap_problem: str = Field(
        description="Why its cap is not in force on all of its GPUs, where somebody says."
    )
    failed_checkpoints: int = Field(
        description="Pauses it left without having saved, and continuations that crashed at once."
    )
    checkpoint_problem: str = Field(description="What was wrong with the last of them.")
    work_done_hours: float
    energy: JobEnergyView | None = Field(
        default=None, description="Measured; None where nobody has kept account of it so far."
    )
    transfers: list[DataTransferView] = Field(
        default=[], description="Of its data to where it runs or was to run, in order."
    )
    spec: JobSpec = Field(
        description=f"Values of its environment are shown as {HIDDEN!r} to other submitters."
    )


IdempotencyKey = Annotated[
    str | None,
    Header(
        max_length=200,
        description="Any text of yours. The same key again is the same request, not a second one.",
    ),
]


@router.post("", status_code=status.HTTP_201_CREATED, responses=seen_before(JobView))
def submit_job(
    *,
    body: JobSpec,
    session: SessionDep,
    caller: SubmitterDep,
    now: NowDep,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> JobView:
    """Submit a job. The same request with the same `Idempotency-Key` is the same job (200).

    Refused is only what no plan could ever do: an unknown site, pool, predecessor, or too little
    time. Whether it fits beside the other jobs, the next plan says.
    """
    job, created = jobs.submit_job(session, body, caller.name, now, idempotency_key)
    response.headers["Location"] = f"{router.prefix}/{job.id}"
    if not created:
        response.status_code = status.HTTP_200_OK
    return _view(session, job, caller)


@router.get("")
def list_jobs(
    *,
    session: SessionDep,
    caller: SubmitterDep,
    page: PageDep,
    status: JobStatus | None = None,
    tenant: str | None = None,
    site: SiteQuery = None,
    name_prefix: Annotated[str | None, Query(description="How the name begins.")] = None,
    array: Annotated[str | None, Query(description="Of which they are tasks.")] = None,
    deadline_before: Instant | None = None,
) -> PageView[JobView]:
    """List jobs, the one submitted last first."""
    wanted = JobFilter(status, tenant, site, name_prefix, array, deadline_before)
    found = jobs.list_jobs(session, wanted, page)
    beside = _read_beside(session, [job.id for job in found.items])
    return page_view(found, lambda job: _shown(job, beside, caller))


@router.get("/{job}")
def get_job(job: str, session: SessionDep, caller: SubmitterDep) -> JobView:
    """Show one job, by id or name."""
    return _view(session, jobs.find_job(session, job), caller)


@router.post("/{job}/cancel")
def cancel_job(job: str, session: SessionDep, caller: SubmitterDep, now: NowDep) -> JobView:
    """Cancel a job that has not ended. Submitters cancel their own, operators any.

    A job that runs is ended by the next dispatch, within seconds.
    """
    return _view(session, jobs.cancel_job(session, job, caller, now), caller)


@dataclass(frozen=True, slots=True)
class _Beside:
    """What is on record of jobs beside themselves, by job."""

    transfers: Mapping[UUID, Sequence[DataTransfer]]
    energy: Mapping[UUID, Sequence[JobEnergy]]


def _read_beside(session: Session, jobs: Collection[UUID]) -> _Beside:
    return _Beside(transfers_of(session, jobs), energy_of(session, jobs))


def _view(session: Session, job: Job, caller: Caller) -> JobView:
    return _shown(job, _read_beside(session, [job.id]), caller)


def _energy(job: Job, rows: Sequence[JobEnergy]) -> JobEnergyView | None:
    if not rows:
        return None
    runs = [StartEnergyView.model_validate(row) for row in rows]
    return JobEnergyView(**asdict(total_of(job.starts, rows)), runs=runs)


def _shown(job: Job, beside: _Beside, caller: Caller) -> JobView:
    """Show ``job``; the values of its variables only to who submitted it and to operators."""
    transfers = beside.transfers.get(job.id, ())
    update: dict[str, object] = {
        "transfers": [DataTransferView.model_validate(transfer) for transfer in transfers],
        "energy": _energy(job, beside.energy.get(job.id, ())),
    }
    view = JobView.model_validate(job).model_copy(update=update)
    if job.submitted_by == caller.name or caller.role.includes(Role.OPERATOR):
        return view
    hidden: dict[str, object] = {"environment": dict.fromkeys(view.spec.environment, HIDDEN)}
    if (data := view.spec.data) is not None:
        values = dict.fromkeys(data.environment, HIDDEN)
        hidden["data"] = data.model_copy(update={"environment": values})
    return view.model_copy(update={"spec": view.spec.model_copy(update=hidden)})
