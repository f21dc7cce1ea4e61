"""What the clusters and batteries report, gathered at once, and what it says about the jobs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from connectors.errors import ConnectorError
from connectors.protocols import Battery, Cluster
from connectors.types import JobObservation, JobState, StorageTelemetry
from scheduler.db.models import Job, JobStatus
from scheduler.services.outside import Outside
from scheduler.services.work import work_done_hours
from scheduler.specs import JobSpec

log = logging.getLogger(__name__)

ANSWER_S = 30.0  # a cluster that takes longer counts as not reachable


@dataclass(frozen=True, slots=True)
class ClusterReport:
    """What one cluster says: who it is, its jobs by key, and the GPUs free in each pool."""

    identity: str
    jobs: Mapping[str, JobObservation]
    free_gpus: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Observed:
    """Reports of those that answered: clusters by site, batteries by site and name."""

    clusters: Mapping[str, ClusterReport]
    batteries: Mapping[tuple[str, str], StorageTelemetry]

    def site_of(self, key: str) -> str | None:
        """Site whose cluster has a job that is not over under this key; ``None``: no such site."""
        for site, report in self.clusters.items():
            if key in report.jobs and not report.jobs[key].state.is_final:
                return site
        return None

    def free_gpus(self) -> dict[tuple[str, str], int]:
        """GPUs free now by site and pool."""
        return {
            (site, pool): free
            for site, report in self.clusters.items()
            for pool, free in report.free_gpus.items()
        }


async def observe(outside: Outside) -> Observed:
    """Ask everything at once; who does not answer is left out, and nothing is assumed of it."""
    clusters = await asyncio.gather(
        *(_report(site, cluster) for site, cluster in outside.clusters.items())
    )
    batteries = await asyncio.gather(
        *(_telemetry(name, battery) for name, battery in outside.batteries.items())
    )
    return Observed(
        {site: report for site, report in clusters if report is not None},
        {name: telemetry for name, telemetry in batteries if telemetry is not None},
    )


def changes(row: Job, spec: JobSpec, seen: JobObservation | None, now: datetime) -> dict[str, Any]:
    """Return the columns of a job that its cluster's report changes; none where all is known.

    ``seen`` is ``None`` where the cluster that has the job answered and does not know it.
    """
    was_there = row.status in {JobStatus.RUNNING, JobStatus.SUSPENDED}
    if seen is None:
        if not was_there:
            return {}
        reason = f"cluster {row.site} does not know it any more"
        return _ended(row, spec, now) | {"status": JobStatus.FAILED, "reason": reason}
    status = JobStatus(seen.state.value)
    if (status, seen.starts) == (row.status, row.starts):
        return {}
    found: dict[str, Any] = {"status": status, "starts": seen.starts, "reason": seen.reason}
    if row.started_at is None and seen.starts > 0:
        found["started_at"] = now
    if seen.state.is_final:
        return _ended(row, spec, now) | found | {"exit_code": seen.exit_code}
    found["work_done_hours"] = work_done_hours(row, spec, now)
    is_restart = seen.state is JobState.RUNNING and seen.starts > max(1, row.starts)
    found["work_seen_at"] = now + _restart(spec) if is_restart else now
    return found


def _ended(row: Job, spec: JobSpec, now: datetime) -> dict[str, Any]:
    return {
        "ended_at": now,
        "work_done_hours": work_done_hours(row, spec, now),
        "work_seen_at": now,
    }


def _restart(spec: JobSpec) -> timedelta:
    """Time after a restart in which nothing is done."""
    return timedelta(minutes=0.0 if spec.pausing is None else spec.pausing.restart_minutes)


async def _report(site: str, cluster: Cluster) -> tuple[str, ClusterReport | None]:
    try:
        async with asyncio.timeout(ANSWER_S):
            identity = await cluster.identity()
            jobs = await cluster.observe()
            pools = await cluster.capacity()
    except (ConnectorError, TimeoutError) as error:
        log.warning("cluster of %s does not answer: %s", site, error or "timed out")
        return site, None
    free = {pool.pool: max(0, pool.gpus_available - pool.gpus_in_use) for pool in pools}
    return site, ClusterReport(identity, {job.key: job for job in jobs}, free)


async def _telemetry(
    name: tuple[str, str], battery: Battery
) -> tuple[tuple[str, str], StorageTelemetry | None]:
    try:
        async with asyncio.timeout(ANSWER_S):
            return name, await battery.telemetry()
    except (ConnectorError, TimeoutError) as error:
        log.warning("battery %s/%s does not answer: %s", *name, error or "timed out")
        return name, None
