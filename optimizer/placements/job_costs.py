"""A job's own cost terms, as every kind of placement counts them."""

from __future__ import annotations

from collections.abc import Mapping

from optimizer.jobs import Job
from optimizer.placements.interface import JobTerms, LinearSum
from optimizer.placements.ways import Way
from optimizer.plan import Placement
from optimizer.settlement import is_churned, left_out_term

JOB_TERMS = (
    "restarts_eur",
    "data_transfer_eur",
    "lateness_eur",
    "unserved_eur",
    "deferred_eur",
    "churned_jobs",
)


def cost_if_left_out(job: Job) -> dict[str, LinearSum]:
    """Return the terms of a job that is left out; what serving changes is added to them."""
    costs = {term: LinearSum() for term in JOB_TERMS}
    term, cost = left_out_term(job)
    costs[term].constant = cost
    costs["churned_jobs"].constant = float(is_churned(job, None))
    return costs


def fixed_costs(job: Job, way: Way) -> Mapping[str, float]:
    """Return what serving ``job`` in this way changes in its terms, whenever it runs."""
    term, cost = left_out_term(job)
    return {term: -cost, "data_transfer_eur": way.transfer.eur}


def left_out(job: Job) -> JobTerms:
    """Return the terms of a job no way of which is possible."""

    def nothing(_: int) -> LinearSum:
        return LinearSum()

    def set_start(_: Placement | None) -> None:
        return None

    def read() -> None:
        return None

    return JobTerms(
        job=job.name,
        it_power_kw={},
        gpus={},
        shed_kw={},
        costs=cost_if_left_out(job),
        start_slots=range(0),
        started_by=nothing,
        finished_by=nothing,
        set_start=set_start,
        read=read,
    )
