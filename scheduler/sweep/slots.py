"""What happened at each site in each slot of the fleet: means over the steps of the world."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from optimizer import Plan, Problem, Site, SiteFlows, gpus_used
from scheduler.backtest.accounts import cost_by_slot
from scheduler.backtest.world import Scene

Floats = npt.NDArray[np.float64]


def gpu_hours(problem: Problem, plan: Plan) -> dict[str, tuple[float, float]]:
    """Return the GPU-hours that jobs held and those that were there, by site."""
    used, hours = gpus_used(problem, plan.placements), problem.horizon.slot_hours
    found = {}
    for site in problem.sites:
        held = sum(float(used[site.name, pool.name].sum()) for pool in site.pools)
        there = sum(float(np.sum(pool.gpus)) for pool in site.pools)
        found[site.name] = held * hours, there * hours
    return found


def slot_table(scene: Scene, problem: Problem, plan: Plan) -> pd.DataFrame:
    """Return one row per site and slot; ``cost_eur``: without what is paid once, as peaks are."""
    minutes = scene.fleet.planning.slot_minutes
    n_steps = round(timedelta(minutes=minutes) / timedelta(hours=problem.horizon.slot_hours))
    used = gpus_used(problem, plan.placements)
    frames = [
        _site_table(scene, problem, site, flows, used, n_steps)
        for site, flows in zip(problem.sites, plan.flows, strict=True)
    ]
    return pd.concat(frames, ignore_index=True)


def _site_table(
    scene: Scene,
    problem: Problem,
    site: Site,
    flows: SiteFlows,
    used: dict[tuple[str, str], Floats],
    n_steps: int,
) -> pd.DataFrame:
    n_slots = problem.horizon.n_slots
    starts = np.arange(0, n_slots, n_steps)
    lengths = np.diff([*starts.tolist(), n_slots])

    def mean(values: npt.ArrayLike) -> Floats:
        means: Floats = np.add.reduceat(np.asarray(values, dtype=np.float64), starts) / lengths
        return means

    def total(rows: Iterable[Sequence[float]]) -> Floats:
        return mean(np.sum([np.zeros(n_slots), *map(np.asarray, rows)], axis=0))

    eur, kg = cost_by_slot(site, flows, problem.horizon.slot_hours)
    load_kw = np.asarray(site.base_load_kw) + np.asarray(site.pue) * np.asarray(flows.it_load_kw)
    soc_kwh = np.sum([np.zeros(n_slots), *map(np.asarray, flows.soc_kwh)], axis=0)
    length = timedelta(hours=problem.horizon.slot_hours)
    return pd.DataFrame(
        {
            "site": site.name,
            "start_at": pd.to_datetime([scene.begin + int(at) * length for at in starts], utc=True),
            "load_kw": mean(load_kw),
            "it_load_kw": mean(flows.it_load_kw),
            "import_kw": mean(flows.import_kw),
            "export_kw": mean(flows.export_kw),
            "available_kw": total(plant.available_kw for plant in site.renewables),
            "renewable_kw": total(flows.renewable_kw),
            "charge_kw": total(flows.charge_kw),
            "discharge_kw": total(flows.discharge_kw),
            "generator_kw": total(flows.generator_kw),
            "shortfall_kw": mean(flows.shortfall_kw),
            "soc_kwh": soc_kwh[starts + lengths - 1],
            "gpus_used": total(used[site.name, pool.name].tolist() for pool in site.pools),
            "gpus_there": total(pool.gpus for pool in site.pools),
            "price_eur_per_mwh": mean(site.grid.import_price_eur_per_mwh),
            "carbon_g_per_kwh": mean(site.grid.carbon_g_per_kwh),
            "cost_eur": np.add.reduceat(eur, starts),
            "carbon_kg": np.add.reduceat(kg, starts),
        }
    )
