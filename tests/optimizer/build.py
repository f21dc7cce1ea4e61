"""Tiny problems to check by hand: every builder has a default for what a test does not care about.

A number where a series is asked for means that value in every slot; ``N_SLOTS`` is the default
horizon, of whole hours so that kW and kWh per slot are the same number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optimizer.dispatch import idle_dispatch, settled_plan
from optimizer.horizon import Horizon
from optimizer.jobs import Job, OperatingPoint
from optimizer.plan import Placement, Plan, Run, Rung, SiteFlows, Unserved
from optimizer.problem import Problem
from optimizer.sites import (
    CoincidentPeak,
    Generator,
    GridConnection,
    PeakDemand,
    Pool,
    Renewable,
    Site,
    StorageUnit,
)

N_SLOTS = 8

Level = float | Sequence[float]


def series(level: Level, n_slots: int = N_SLOTS) -> tuple[float, ...]:
    """A series of ``n_slots``: the given values, or one value everywhere."""
    if isinstance(level, int | float):
        return (float(level),) * n_slots
    return tuple(float(value) for value in level)


def horizon(n_slots: int = N_SLOTS, slot_hours: float = 1.0) -> Horizon:
    """Eight slots of an hour."""
    return Horizon(n_slots, slot_hours)


def pool(
    name: str = "gpu", gpus: Level = 4, idle_kw_per_gpu: float = 0.0, n_slots: int = N_SLOTS
) -> Pool:
    """Four GPUs that draw nothing when idle."""
    return Pool(name, series(gpus, n_slots), idle_kw_per_gpu)


def grid(
    price: Level = 100.0,
    *,
    sell: Level = 0.0,
    fee: Level = 0.0,
    carbon: Level = 0.0,
    import_kw: Level = 1000.0,
    export_kw: Level = 1000.0,
    n_slots: int = N_SLOTS,
) -> GridConnection:
    """A wide connection at 100 EUR/MWh, nothing paid for exports, no fee, no carbon."""
    levels = (import_kw, export_kw, price, sell, fee, carbon)
    return GridConnection(*(series(level, n_slots) for level in levels))


def battery(name: str = "battery", **changes: Any) -> StorageUnit:
    """10 kW / 20 kWh, half full, free of loss and wear."""
    defaults: dict[str, Any] = {
        "charge_max_kw": 10.0,
        "discharge_max_kw": 10.0,
        "capacity_kwh": 20.0,
        "soc_initial_kwh": 10.0,
    }
    return StorageUnit(name, **(defaults | changes))


def solar(available_kw: Level, name: str = "pv", n_slots: int = N_SLOTS) -> Renewable:
    """A PV plant."""
    return Renewable(name, series(available_kw, n_slots))


def generator(name: str = "diesel", **changes: Any) -> Generator:
    """Off, or between 2 and 10 kW at 0.5 EUR/kWh."""
    defaults: dict[str, Any] = {"min_kw": 2.0, "max_kw": 10.0, "fuel_eur_per_kwh": 0.5}
    return Generator(name, **(defaults | changes))


def peak(
    charge_eur_per_kw: float = 10.0,
    so_far_kw: float = 0.0,
    counts: Level = 1.0,
    n_slots: int = N_SLOTS,
    **changes: Any,
) -> PeakDemand:
    """10 EUR/kW on every slot."""
    return PeakDemand(charge_eur_per_kw, so_far_kw, series(counts, n_slots), **changes)


def coincident(
    probability: Level = 1.0 / N_SLOTS, charge_eur_per_kw: float = 10.0, n_slots: int = N_SLOTS
) -> CoincidentPeak:
    """10 EUR/kW at a grid's peak that is as likely in every slot."""
    return CoincidentPeak("4CP", charge_eur_per_kw, series(probability, n_slots))


def site(
    name: str = "A",
    *,
    price: Level = 100.0,
    pue: Level = 1.0,
    base_kw: Level = 0.0,
    n_slots: int = N_SLOTS,
    **changes: Any,
) -> Site:
    """One pool of four GPUs behind a wide connection; PUE 1, no base load, no assets."""
    defaults: dict[str, Any] = {
        "pools": (pool(n_slots=n_slots),),
        "grid": grid(price, n_slots=n_slots),
    }
    return Site(
        name,
        pue=series(pue, n_slots),
        base_load_kw=series(base_kw, n_slots),
        **(defaults | changes),
    )


def point(name: str = "A/full", **changes: Any) -> OperatingPoint:
    """One GPU of pool ``gpu`` at the site before the slash: 1 kW, 1 work per hour."""
    defaults: dict[str, Any] = {
        "site": name.split("/", maxsplit=1)[0],
        "pool": "gpu",
        "gpus": 1,
        "power_kw": 1.0,
        "work_per_hour": 1.0,
    }
    return OperatingPoint(name, **(defaults | changes))


def job(name: str = "job", work: float = 2.0, **changes: Any) -> Job:
    """Two hours of work at A at any time of the default horizon, worth 100 EUR."""
    defaults: dict[str, Any] = {
        "points": (point(),),
        "release_slot": 0,
        "deadline_slot": N_SLOTS,
        "unserved_eur": 100.0,
    }
    return Job(name, work, **(defaults | changes))


def problem(
    *jobs: Job, sites: Sequence[Site] = (), slots: Horizon | None = None, **changes: Any
) -> Problem:
    """One default site over the default horizon, with these jobs."""
    return Problem(slots or horizon(), tuple(sites) or (site(),), tuple(jobs), **changes)


def placed(name: str = "job", *runs: tuple[str, int, int]) -> Placement:
    """A placement from (point, start, end); the site is the one before the point's slash."""
    where = runs[0][0].split("/", maxsplit=1)[0]
    return Placement(name, where, tuple(Run(*run) for run in runs))


def flows(name: str = "A", n_slots: int = N_SLOTS, **levels: Any) -> SiteFlows:
    """Flows of a site, zero where not given; units' flows are given as lists of levels."""
    per_site = ("it_load_kw", "import_kw", "export_kw", "shortfall_kw")
    per_unit = ("renewable_kw", "charge_kw", "discharge_kw", "soc_kwh", "generator_kw")
    values: dict[str, Any] = {field: series(levels.get(field, 0.0), n_slots) for field in per_site}
    values |= {
        field: tuple(series(level, n_slots) for level in levels.get(field, ()))
        for field in per_unit
    }
    return SiteFlows(site=name, **values)


def plan_of(problem: Problem, *placements: Placement) -> Plan:
    """A plan of these placements, the other jobs unserved, dispatched and settled as by rule."""
    placed = {placement.job for placement in placements}
    left_out = [
        Unserved(job.name, "left out by the test", is_deferred=job.can_wait)
        for job in problem.jobs
        if job.name not in placed
    ]
    flows = idle_dispatch(problem, placements)
    return settled_plan(problem, Rung.GREEDY, placements, left_out, flows)
