"""GAIA's week without GAIA's assumptions, one after the other, in slots of a quarter of an hour.

* *room for all*: as GAIA has it, but for the slots.
* *95, 85, 70 % used*: as many CPUs as make the week's work so much of what they could do in it.
* *restarts*: each takes a quarter of an hour in which nothing is done, and a piece lasts an hour.
* *elastic*: a job may take twice its CPUs, for 1.8 times the speed, and change while it runs.
* *three sites*: a third of the CPUs each in South Australia, Germany and California.
* *prices*: Germany, California and New York, which publish them; money counts, and carbon at
  80 EUR/t, and a restart takes its time.

Where nothing else is said, only carbon counts, 85 % are used from *restarts* on, and jobs may pause
at will. A job must be done by its wait and its length, rounded up to slots, after it came.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.gaia.week import (
    AMPLE,
    CARBON_ONLY,
    FIRST_HOUR,
    TICK_S,
    ZONE,
    GaiaJob,
    read_carbon,
)
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
)

Floats = npt.NDArray[np.float64]

SLOTS_PER_HOUR = 4
SLOT_S = 3600 // SLOTS_PER_HOUR
WEEK_HOURS = 168
DE, CISO, NYISO = "DE", "US-CAL-CISO", "US-NY-NYIS"
EUR_PER_USD = 1 / 1.0530  # European Central Bank, average of 2022
CARBON_AND_MONEY = Weights(carbon_eur_per_t=80.0)
AT_WILL = Pausing()
WITH_RESTARTS = Pausing(min_run_slots=SLOTS_PER_HOUR, restart_slots=1)
WIDER_CPUS, WIDER_SPEED = 2, 1.8
UNSERVED_EUR_PER_CPU_HOUR = 3.0  # several times what any hour costs


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under what the week is planned; ``used`` is a share of the CPUs, ``None``: room for all."""

    name: str
    used: float | None = None
    sites: tuple[str, ...] = (ZONE,)
    pausing: Pausing = AT_WILL
    is_elastic: bool = False
    weights: Weights = CARBON_ONLY

    @property
    def has_prices(self) -> bool:
        """Whether money counts."""
        return self.weights.energy > 0.0


PRICED = "prices"
ALL = (
    Conditions("85 % used", 0.85),
    Conditions("70 % used", 0.70),
    Conditions("95 % used", 0.95),
    Conditions("restarts", 0.85, pausing=WITH_RESTARTS),
    Conditions("three sites", 0.85, (ZONE, DE, CISO)),
    Conditions(PRICED, 0.85, (DE, CISO, NYISO), WITH_RESTARTS, weights=CARBON_AND_MONEY),
    Conditions("room for all"),
    Conditions("elastic", 0.85, is_elastic=True),
)


def under(conditions: Conditions, data: Path, jobs: Sequence[GaiaJob]) -> Problem:
    """Return the week as a problem."""
    told = tuple(_job(job, conditions) for job in jobs)
    n_slots = max(job.deadline_slot for job in told)
    cpus = AMPLE
    if conditions.used is not None:
        cpu_hours = sum(job.length * job.cpus for job in jobs) * TICK_S / 3600
        cpus = math.ceil(cpu_hours / WEEK_HOURS / conditions.used / len(conditions.sites))
    sites = tuple(_site(name, data, cpus, n_slots, conditions) for name in conditions.sites)
    return Problem(Horizon(n_slots, 1 / SLOTS_PER_HOUR), sites, told, weights=conditions.weights)


def _job(job: GaiaJob, conditions: Conditions) -> Job:
    release = -(-job.submit * TICK_S // SLOT_S)
    n_slots = -(-job.length * TICK_S // SLOT_S)
    points = [_point(site, job, 1, 1.0) for site in conditions.sites]
    if conditions.is_elastic:
        points += [_point(site, job, WIDER_CPUS, WIDER_SPEED) for site in conditions.sites]
    return Job(
        job.name,
        work=n_slots / SLOTS_PER_HOUR,
        points=tuple(points),
        release_slot=release,
        deadline_slot=release + n_slots + job.wait_hours * SLOTS_PER_HOUR,
        unserved_eur=UNSERVED_EUR_PER_CPU_HOUR * job.cpus * n_slots / SLOTS_PER_HOUR,
        pausing=conditions.pausing,
        is_elastic=conditions.is_elastic,
    )


def _point(site: str, job: GaiaJob, times: int, speed: float) -> OperatingPoint:
    cpus = job.cpus * times
    return OperatingPoint(f"{site}/{times}", site, "cpu", cpus, float(cpus), speed)


def _site(name: str, data: Path, cpus: float, n_slots: int, conditions: Conditions) -> Site:
    nothing, ample = (0.0,) * n_slots, (AMPLE,) * n_slots
    price = _in_slots(read_prices(data, name), n_slots) if conditions.has_prices else nothing
    carbon = _in_slots(read_carbon(data, name), n_slots)
    grid = GridConnection(ample, nothing, price, nothing, nothing, carbon)
    return Site(name, (Pool("cpu", (float(cpus),) * n_slots),), grid, (1.0,) * n_slots, nothing)


def read_prices(data: Path, zone: str) -> Floats:
    """Day-ahead prices from the begin of the week on [EUR/MWh], by hour; a gap as the hour before.

    Raises
    ------
    ValueError
        The first one is missing.
    """
    table = pd.read_csv(data / "sites" / "dev_sites_ci_price_weather.csv.gz")
    of_zone = table[(table.site == zone) & (table.time_utc >= "2022-01-01")]
    prices = of_zone.price.to_numpy(dtype=np.float64)[FIRST_HOUR:]
    if not np.isfinite(prices[0]):
        raise ValueError(f"{zone}: the price of hour {FIRST_HOUR} of 2022 is missing")
    filled = pd.Series(prices).ffill().to_numpy(dtype=np.float64)
    in_euro = (of_zone.currency == "eur").all()
    return filled if in_euro else filled * EUR_PER_USD


def _in_slots(hourly: Floats, n_slots: int) -> tuple[float, ...]:
    series: list[float] = np.repeat(hourly, SLOTS_PER_HOUR)[:n_slots].tolist()
    return tuple(series)
