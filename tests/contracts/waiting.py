"""Waiting for something to become true, never for time to pass."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable

from connectors.protocols import Cluster
from connectors.types import JobObservation, JobState

DEADLINE_S = 30.0
ENDS_WITHIN_S = 120.0  # clearing up proves nothing: on a busy machine it may take its time
LOOK_EVERY_S = 0.02


async def seen(cluster: Cluster, key: str) -> JobObservation:
    """Return the observation of one job."""
    return next(job for job in await cluster.observe() if job.key == key)


async def seen_as(
    cluster: Cluster, key: str, *states: JobState, within_s: float = DEADLINE_S
) -> JobObservation:
    """Return the observation of one job as soon as it is in one of ``states``."""
    give_up_at = time.monotonic() + within_s
    while True:
        job = await seen(cluster, key)
        if job.state in states:
            return job
        if time.monotonic() > give_up_at:
            raise AssertionError(f"never {states} within {within_s:g} s: {job}")
        await asyncio.sleep(LOOK_EVERY_S)


async def seen_for(cluster: Cluster, key: str, reason: str) -> JobObservation:
    """Return the observation of one job as soon as its reason matches ``reason``."""
    give_up_at = time.monotonic() + DEADLINE_S
    while True:
        job = await seen(cluster, key)
        if re.search(reason, job.reason):
            return job
        if time.monotonic() > give_up_at:
            raise AssertionError(f"never {reason!r} within {DEADLINE_S:g} s: {job}")
        await asyncio.sleep(LOOK_EVERY_S)


async def printed(cluster: Cluster, key: str, text: str) -> None:
    """Wait until a job has printed this line."""
    async with asyncio.timeout(DEADLINE_S):
        async for line in cluster.logs(key, follow=True):
            if line == text:
                return
    raise AssertionError(f"{key} ended without printing {text!r}")


async def seen_capped(
    cluster: Cluster, key: str, watts: float | None, problem: str = ""
) -> JobObservation:
    """Return the observation of one job once this cap is in force, or known not to be."""
    give_up_at = time.monotonic() + DEADLINE_S
    while True:
        job = await seen(cluster, key)
        if job.power_cap_in_force_w == watts and problem in job.power_cap_problem:
            return job
        if time.monotonic() > give_up_at:
            raise AssertionError(f"never {watts} W {problem!r} within {DEADLINE_S:g} s: {job}")
        await asyncio.sleep(LOOK_EVERY_S)


async def gpus_in_use(cluster: Cluster, gpus: int) -> None:
    """Wait until so many GPUs of the only pool are in use: nodes may say so a little late."""
    give_up_at = time.monotonic() + DEADLINE_S
    while (pools := await cluster.capacity())[0].gpus_in_use != gpus:
        if time.monotonic() > give_up_at:
            raise AssertionError(f"not within {DEADLINE_S:g} s: {gpus} GPUs in use, but {pools}")
        await asyncio.sleep(LOOK_EVERY_S)


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for ``condition``, described by ``what``."""
    give_up_at = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > give_up_at:
            raise AssertionError(f"not within {DEADLINE_S:g} s: {what}")
        await asyncio.sleep(LOOK_EVERY_S)


async def end_everything(cluster: Cluster) -> None:
    """Cancel what still runs and wait for it: a test leaves no process behind."""
    for job in await cluster.observe():
        if not job.state.is_final:
            await cluster.cancel(job.key)
    over = (JobState.CANCELLED, JobState.SUCCEEDED, JobState.FAILED)
    for job in await cluster.observe():
        await seen_as(cluster, job.key, *over, within_s=ENDS_WITHIN_S)
