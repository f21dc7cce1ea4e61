"""Many small jobs that compete for GPUs."""

from __future__ import annotations

import numpy as np

from optimizer.problem import Problem
from tests.optimizer import build


def crowd(n_jobs: int = 60) -> Problem:
    """Jobs of all sizes at two sites, for whose GPUs they compete at swinging prices."""
    rng = np.random.default_rng(3)
    n_slots = 24
    points = {
        gpus: tuple(
            build.point(f"{site}/{gpus}", gpus=gpus, power_kw=0.5 * gpus) for site in ("A", "B")
        )
        for gpus in (1, 2, 4)
    }
    jobs = []
    for k in range(n_jobs):
        release, work = int(rng.integers(0, 12)), float(rng.integers(1, 5))
        deadline = min(n_slots, release + int(work) + int(rng.integers(3, 10)))
        gpus = (1, 2, 4)[int(rng.integers(0, 3))]
        jobs.append(
            build.job(
                f"j{k}", work, points=points[gpus], release_slot=release, deadline_slot=deadline
            )
        )
    swing = 60.0 + 40.0 * np.sin(np.arange(n_slots) / 3.0)
    sites = [
        build.site(
            name,
            n_slots=n_slots,
            grid=build.grid(np.roll(swing, 6 * k).tolist(), n_slots=n_slots),
            pools=(build.pool(gpus=12, n_slots=n_slots),),
        )
        for k, name in enumerate("AB")
    ]
    return build.problem(*jobs, sites=sites, slots=build.horizon(n_slots))
