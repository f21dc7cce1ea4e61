"""What the clusters and batteries report, gathered at once, and what it says about the jobs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Coroutine, Hashable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from connectors.errors import ConnectorError
from connectors.protocols import Cluster
from connectors.types import JobObservation, JobState, PoolCapacity, StorageTelemetry
from scheduler.db.models import Job, JobStatus
from scheduler.services.checkpoints import crash_changes, pause_changes
from scheduler.services.dispatch_lines import Lines
from scheduler.services.dispatch_types import restart_of
from scheduler.services.outside import Outside
from scheduler.services.work import work_done_hours
from scheduler.specs import FleetSpec, JobSpec

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

log = logging.getLogger(__name__)

_CLOCKS_AGREE_WITHIN_S = 2.0  # as well as it can be told

ANSWER_S = 30.0  # who takes longer counts as not reachable


@dataclass(frozen=True, slots=True)
class ClusterReport:
    """What one cluster says: who it is, its jobs by key, its pools, and how far its clock is ahead.

    The instants of its jobs are by our clock, where it tells its own.
    """

    identity: str
    jobs: Mapping[str, JobObservation]
    pools: tuple[PoolCapacity, ...]
    clock_ahead_s: float | None


@dataclass(frozen=True, slots=True)
class Observed:
    """Reports of those that answered: clusters by site, batteries by site and name.

    ``silent`` says by site why its cluster is not among them.
    """

    clusters: Mapping[str, ClusterReport]
    batteries: Mapping[tuple[str, str], StorageTelemetry]
    silent: Mapping[str, str] = field(default_factory=dict)

    def site_of(self, key: str) -> str | None:
        """Site whose cluster has a job that is not over under this key; ``None``: no such site."""
        for site, report in self.clusters.items():
            if key in report.jobs and not report.jobs[key].state.is_final:
                return site
        return None

    def free_gpus(self, fleet: FleetSpec) -> dict[tuple[str, str], int]:
        """GPUs free now by site and pool, of those that the fleet may have there."""
        allowed = {(site.name, pool.name): pool.gpus for site in fleet.sites for pool in site.pools}
        return {
            (site, pool.pool): max(
                0,
                min(
                    pool.gpus_available - pool.gpus_in_use,
                    allowed.get((site, pool.pool), 0) - (pool.gpus_in_use - pool.gpus_of_others),
                ),
            )
            for site, report in self.clusters.items()
            for pool in report.pools
        }


def observe(lines: Lines, outside: Outside, answer_s: float = ANSWER_S) -> Observed:
    """Ask everything at once; who does not answer is left out, and nothing is assumed of it."""
    until = time.monotonic() + answer_s
    calls = {site: partial(_report, cluster) for site, cluster in outside.clusters.items()}
    clusters = {site: _begin(lines, site, call) for site, call in calls.items()}
    batteries = {
        name: _begin(lines, name, battery.telemetry) for name, battery in outside.batteries.items()
    }
    reports, silent = _answers(clusters, until)
    return Observed(reports, _answers(batteries, until)[0], silent)


def ask_all(
    lines: Lines, calls: Mapping[K, Callable[[], Coroutine[Any, Any, T]]], answer_s: float
) -> dict[K, T]:
    """Make calls at once, each on a line of its own; return the answers that come in time."""
    until = time.monotonic() + answer_s
    return _answers({name: _begin(lines, name, call) for name, call in calls.items()}, until)[0]


def changes(row: Job, spec: JobSpec, seen: JobObservation | None, now: datetime) -> dict[str, Any]:
    """Return the columns of a job that its cluster's report changes; none where all is known.

    ``seen`` is ``None`` where the cluster that has the job answered and does not know it.
    """
    was_there = row.status in {JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.SUSPENDED}
    if seen is None:
        if not was_there:
            return {}
        reason = f"cluster {row.site} does not know it any more"
        return _ended(row, spec, now) | {"status": JobStatus.FAILED, "reason": reason}
    return _cap(row, seen) | _standing(row, spec, seen, now)


def _cap(row: Job, seen: JobObservation) -> dict[str, Any]:
    """Return what is new of the power cap that is in force."""
    said = {
        "power_cap_in_force_w": seen.power_cap_in_force_w,
        "power_cap_problem": seen.power_cap_problem,
    }
    return {name: value for name, value in said.items() if value != getattr(row, name)}


def _standing(row: Job, spec: JobSpec, seen: JobObservation, now: datetime) -> dict[str, Any]:
    status = JobStatus(seen.state.value)
    if (status, seen.starts) == (row.status, row.starts):
        is_other_reason = status is JobStatus.QUEUED and seen.reason != row.reason
        return {"reason": seen.reason} if is_other_reason else {}
    if _is_to_retry(row, spec, seen, now):
        return _crashed(row, spec, seen, now)
    if _is_expired(row, seen, now):
        status = JobStatus.EXPIRED
    found: dict[str, Any] = {"status": status, "starts": seen.starts, "reason": seen.reason}
    if row.started_at is None and seen.starts > 0:
        found["started_at"] = now
    if seen.state.is_final:
        found |= _failed_at_last(row, spec, seen, now) | {"exit_code": seen.exit_code}
        return _ended(row, spec, now) | found
    found["work_done_hours"] = done = work_done_hours(row, spec, now)
    if seen.state is JobState.SUSPENDED:
        found |= pause_changes(row, spec, seen, done)
    is_restart = seen.state is JobState.RUNNING and seen.starts > max(1, row.starts)
    found["work_seen_at"] = now + restart_of(spec) if is_restart else now
    return found


def _is_to_retry(row: Job, spec: JobSpec, seen: JobObservation, now: datetime) -> bool:
    """Whether a job that failed goes on; it stands paused until it is resumed."""
    left = spec.retries - row.crashes + _is_counted(row, seen)
    may_go_on = row.cancel_requested_at is None and now < row.deadline_at
    return seen.state is JobState.FAILED and seen.starts > 0 and may_go_on and left > 0


def _is_counted(row: Job, seen: JobObservation) -> bool:
    """Whether this crash is known, and the job waits to go on."""
    return row.status is JobStatus.SUSPENDED and row.starts == seen.starts


def _crashed(row: Job, spec: JobSpec, seen: JobObservation, now: datetime) -> dict[str, Any]:
    """Return what a crash changes; without checkpoints all that was done is lost."""
    if _is_counted(row, seen):
        return {}
    found = crash_changes(row, spec, seen, now)
    done = work_done_hours(row, spec, now) if spec.keeps_checkpoints else 0.0
    if found:  # what it began with is of no use, and what it did with that neither
        done = row.work_saved_hours
    also = f"; {found['checkpoint_problem']}" if found else ""
    return found | {
        "status": JobStatus.SUSPENDED,
        "starts": seen.starts,
        "crashes": row.crashes + 1,
        "exit_code": seen.exit_code,
        "reason": f"{seen.reason}: retry {row.crashes + 1} of {spec.retries}{also}",
        "work_done_hours": done,
        "work_seen_at": now,
        "started_at": row.started_at or now,
    }


def _failed_at_last(row: Job, spec: JobSpec, seen: JobObservation, now: datetime) -> dict[str, Any]:
    """Return what else is to be said of a job that is over and failed."""
    is_new = seen.state is JobState.FAILED and not _is_counted(row, seen)
    found = crash_changes(row, spec, seen, now) if is_new else {}
    also = f"; {found['checkpoint_problem']}" if found else ""
    return found | {"reason": f"{seen.reason}{also}"}


def _is_expired(row: Job, seen: JobObservation, now: datetime) -> bool:
    """Whether it was taken out of a queue because its deadline had passed."""
    is_taken_out = seen.state is JobState.CANCELLED and seen.starts == 0
    return is_taken_out and row.cancel_requested_at is None and now >= row.deadline_at


def _ended(row: Job, spec: JobSpec, now: datetime) -> dict[str, Any]:
    return {
        "ended_at": now,
        "work_done_hours": work_done_hours(row, spec, now),
        "work_seen_at": now,
    }


async def _report(cluster: Cluster) -> ClusterReport:
    identity = await cluster.identity()
    jobs = await cluster.observe()
    pools = await cluster.capacity()
    ahead_s = await cluster.clock_ahead_s()
    by_key = {job.key: _by_our_clock(job, ahead_s or 0.0) for job in jobs}
    return ClusterReport(identity, by_key, pools, ahead_s)


def _by_our_clock(job: JobObservation, ahead_s: float) -> JobObservation:
    """Put the instants of an observation on our clock."""
    if abs(ahead_s) < _CLOCKS_AGREE_WITHIN_S:
        return job
    ahead = timedelta(seconds=ahead_s)
    return replace(
        job,
        started_at=None if job.started_at is None else job.started_at - ahead,
        ended_at=None if job.ended_at is None else job.ended_at - ahead,
    )


def _begin(
    lines: Lines, line: Hashable, call: Callable[[], Coroutine[Any, Any, T]]
) -> Future[T] | None:
    """Ask, unless who is asked is still at the last call."""
    return None if lines.is_busy(line) else lines.start(line, call)


def _answers(asked: Mapping[K, Future[T] | None], until: float) -> tuple[dict[K, T], dict[K, str]]:
    """Answers that come until then, by who gave them; and why the others gave none, logged too."""
    answers, silent = {}, {}
    for name, future in asked.items():
        try:
            if future is None:
                silent[name] = "it is still at the last call"
            else:
                answers[name] = future.result(max(0.0, until - time.monotonic()))
        except TimeoutError:
            silent[name] = "timed out"
        except ConnectorError as error:
            silent[name] = str(error)
        except Exception as error:  # a fault of one connector is not the trouble of the others
            log.exception("%s failed", name)
            silent[name] = f"unexpected error: {error!r}"
        if name in silent:
            log.warning("%s does not answer: %s", name, silent[name])
    return answers, silent
