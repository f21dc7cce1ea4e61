"""GAIA's week as its simulator has it: 1,000 jobs of Alibaba PAI in South Australia, by ticks.

* A tick is 5 s; submission and length of a job are cut to whole ticks. A job of less than 2 h may
  wait 6 h, others 24 h.
* Carbon intensity is that of AU-SA from hour 7000 of 2022 on, constant within an hour. A CPU at
  work draws 1 kW. There is room for all.
* Policies take a job for as long as the mean of its class, and consider starts every hour.

The shortest slot of a ``Horizon`` is 5 minutes. So a tick is told as 5 minutes at a 60th of the
power: all lasts 60 times as long and comes to the same energy. ``HOUR`` is an hour told so.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from optimizer import (
    GridConnection,
    Horizon,
    Job,
    OperatingPoint,
    Pausing,
    Pool,
    Problem,
    Site,
    Weights,
    baselines,
)

TICK_S = 5
TICKS_PER_HOUR = 3600 // TICK_S
SLOT_HOURS = 1 / 12
HOUR = TICKS_PER_HOUR * SLOT_HOURS
FIRST_HOUR = 7000
ZONE = "AU-SA"
SHORT_S, SHORT_WAIT_HOURS, LONG_WAIT_HOURS = 7200, 6, 24
AMPLE = 1e6
CARBON_ONLY = Weights(
    energy=0.0,
    network=0.0,
    carbon_eur_per_t=1000.0,  # so that costs are of the size the optimiser is made for
)
PUBLISHED_KG = 562.171
PUBLISHED = {
    "run_now": 1.0,
    "lowest_slot": 0.780037,
    "carbon_time": 0.724888,
    "lowest_window": 0.683704,
    "suspend_resume": 0.639105,
    "lowest_window, true lengths": 0.614376,
    "wait_awhile": 0.546196,
}
"""Carbon relative to ``PUBLISHED_KG`` of running at once."""


@dataclass(frozen=True, slots=True)
class GaiaJob:
    """A job of the week; times in ticks from its begin."""

    name: str
    submit: int
    length: int
    cpus: int

    @property
    def is_short(self) -> bool:
        """Whether it is of the class that may wait less."""
        return self.length < SHORT_S // TICK_S

    @property
    def wait_hours(self) -> int:
        """How long it may wait."""
        return SHORT_WAIT_HOURS if self.is_short else LONG_WAIT_HOURS


def read_jobs(data: Path) -> list[GaiaJob]:
    """Read the jobs."""
    table = pd.read_csv(data / "jobs" / "gaia_pai_1k.csv")
    return [
        GaiaJob(f"pai-{row:04d}", int(submit) // TICK_S, int(length) // TICK_S, int(cpus))
        for row, (submit, length, cpus) in enumerate(
            zip(table.submit_time_s, table.duration_s, table.cpus, strict=True)
        )
    ]


def read_carbon(data: Path, zone: str = ZONE) -> npt.NDArray[np.float64]:
    """Carbon intensity from the begin of the week on [g/kWh], by hour."""
    table = pd.read_csv(data / "carbon" / "ci_lca_2022_hourly.csv.gz")
    return table[zone].to_numpy(dtype=np.float64)[FIRST_HOUR:]


def expected_work(data: Path, jobs: list[GaiaJob]) -> dict[str, float]:
    """Return what GAIA takes each job for: the mean of its class, in whole ticks."""
    length_s = pd.read_csv(data / "jobs" / "gaia_pai_1k.csv").duration_s
    short = int(length_s[length_s <= SHORT_S].mean() / TICK_S)
    long = int(length_s[length_s >= SHORT_S].mean() / TICK_S)
    return {job.name: float(short if job.is_short else long) for job in jobs}


def week(data: Path, jobs: list[GaiaJob], pausing: Pausing | None) -> Problem:
    """Return the week in ticks; work is counted in them."""
    last = max(job.submit + job.length + job.wait_hours * TICKS_PER_HOUR for job in jobs)
    n_hours = -(-last // TICKS_PER_HOUR)
    n_slots = n_hours * TICKS_PER_HOUR
    carbon = np.repeat(read_carbon(data)[:n_hours], TICKS_PER_HOUR)
    nothing, ample = (0.0,) * n_slots, (AMPLE,) * n_slots
    grid = GridConnection(ample, nothing, nothing, nothing, nothing, tuple(carbon.tolist()))
    site = Site(ZONE, (Pool("cpu", ample),), grid, (1.0,) * n_slots, nothing)
    told = tuple(_job(job, pausing) for job in jobs)
    return Problem(Horizon(n_slots, SLOT_HOURS), (site,), told, weights=CARBON_ONLY)


def _job(job: GaiaJob, pausing: Pausing | None) -> Job:
    kw = job.cpus / (TICKS_PER_HOUR * SLOT_HOURS)
    point = OperatingPoint("run", ZONE, "cpu", job.cpus, kw, work_per_hour=1.0 / SLOT_HOURS)
    return Job(
        job.name,
        work=float(job.length),
        points=(point,),
        release_slot=job.submit,
        deadline_slot=job.submit + job.length + job.wait_hours * TICKS_PER_HOUR,
        unserved_eur=1e4,
        pausing=pausing,
    )


def policies(expected: dict[str, float]) -> dict[str, baselines.Policy]:
    """Return the published policies as GAIA sets them."""
    carbon_time = partial(baselines.carbon_time, start_every_hours=HOUR)
    lowest_window = partial(baselines.lowest_window, start_every_hours=HOUR)
    return {
        "run_now": baselines.run_now,
        "lowest_slot": baselines.lowest_slot,
        "carbon_time": partial(carbon_time, expected_work=expected),
        "lowest_window": partial(lowest_window, expected_work=expected),
        "suspend_resume": partial(baselines.suspend_resume, look_ahead_hours=24 * HOUR),
        "lowest_window, true lengths": lowest_window,
        "wait_awhile": baselines.wait_awhile,
    }
