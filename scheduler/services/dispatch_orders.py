"""What clusters are asked to run for a job: the job itself, and what brings its data."""

from __future__ import annotations

import re
from uuid import UUID

from connectors.types import JobOrder
from scheduler.services.dispatch_types import JobSnapshot
from scheduler.specs.job import DataSpec, JobSpec, OperatingPointSpec

_TRANSFER_KEY = re.compile(r"data-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-.+")


def order_of(job: JobSnapshot, point: OperatingPointSpec, site: str) -> JobOrder:
    """Say what a cluster is asked to run."""
    data = job.spec.data
    about = _about_itself(job.spec) | {"GRIDTIDE_CRASHES": str(job.crashes)}
    environment = job.spec.environment | about
    if data is not None:
        environment |= _about(data)
        if data.path is not None and site == data.site:
            environment["GRIDTIDE_DATA_DIR"] = data.path
    if point.batch_size is not None:
        environment["GRIDTIDE_BATCH_SIZE"] = str(point.batch_size)
    return JobOrder(
        key=job.key,
        command=job.spec.command,
        pool=point.pool,
        gpus=point.gpus,
        environment=environment,
        power_cap_w=point.power_cap_w,
        tenant=job.spec.tenant,
        image=job.spec.image,
        suspend_by=job.spec.suspend_by,
        checkpoint_grace_s=job.spec.checkpoint_grace_s,
        is_restartable=job.spec.keeps_checkpoints,
        data=job.key if job.needs_data_moved_to(site) else None,
    )


def transfer_order(
    job: JobSnapshot, data: DataSpec, site: str, pool: str, after_starts: int | None
) -> JobOrder:
    """Say what brings the data of a job to ``site``: an order for no GPU.

    ``after_starts``: it was started so often, and is to go on; ``None``: it is to be begun.
    """
    return JobOrder(
        key=transfer_key(job.id, site),
        command=data.command,
        pool=pool,
        gpus=0,
        environment=data.environment | _about_itself(job.spec) | _about(data),
        tenant=job.spec.tenant,
        image=data.image or job.spec.image,
        after_starts=after_starts,
        is_restartable=True,
        data=job.key,
    )


def transfer_key(job_id: UUID, site: str) -> str:
    """Return the key of the order that brings the data of a job to ``site``."""
    return f"data-{job_id}-{site}"


def job_of_transfer(key: str) -> UUID | None:
    """Return whose data an order of this key brings; ``None`` where it brings nobody's."""
    found = _TRANSFER_KEY.fullmatch(key)
    return None if found is None else UUID(found[1])


def _about_itself(spec: JobSpec) -> dict[str, str]:
    """Return what a job and the transfer of its data are told of the job."""
    task = {} if spec.array_task is None else spec.array_task.environment
    return {"GRIDTIDE_JOB": spec.name} | task


def _about(data: DataSpec) -> dict[str, str]:
    """Return what a job and the transfer of its data are told of it."""
    path = {} if data.path is None else {"GRIDTIDE_DATA_PATH": data.path}
    size_gb = f"{data.size_gb:g}"
    return {"GRIDTIDE_DATA_SITE": data.site, "GRIDTIDE_DATA_SIZE_GB": size_gb} | path
