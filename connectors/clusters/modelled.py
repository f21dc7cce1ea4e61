"""Power of GPUs where nobody measures it: from those at work and their caps."""

from __future__ import annotations

import math
from collections.abc import Iterable

from connectors.types import JobObservation, JobState


def pool_power_kw(
    pool: str,
    gpus: int,
    kw_per_gpu: float,
    idle_kw_per_gpu: float,
    jobs: Iterable[JobObservation],
) -> float:
    """Return what ``gpus`` GPUs of ``pool`` are taken to draw together [kW].

    One at work draws its power cap, the one read back where somebody does, at most ``kw_per_gpu``;
    one that is free or held by a frozen job ``idle_kw_per_gpu``.
    """
    running = [job for job in jobs if job.pool == pool and job.state is JobState.RUNNING]
    at_work = sum(job.gpus for job in running)
    total_kw = idle_kw_per_gpu * max(0, gpus - at_work)
    for job in running:
        asked_w = math.inf if job.power_cap_w is None else job.power_cap_w
        cap_w = asked_w if job.power_cap_in_force_w is None else job.power_cap_in_force_w
        total_kw += job.gpus * min(cap_w / 1000, kw_per_gpu)
    return total_kw
