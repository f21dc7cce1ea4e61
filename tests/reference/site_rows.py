"""One site's energy, slot by slot, written the naive way: a binary for every either-or."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyomo.environ as pyo

from optimizer.problem import CapacityLimit, Problem
from optimizer.sites import Generator, Site, StorageUnit
from tests.reference.job_rows import JobRows

GENERATOR_LEAST_KW = 1e-3
"""A generator that is on gives at least this: one that gives nothing counts as off."""


@dataclass(slots=True)
class SiteRows:
    """Variables of one site and its terms of the objective, in EUR before weights."""

    it_load: list[Any]
    terms: dict[str, Any]
    violations_eur: Any


def add_site(problem: Problem, site: Site, jobs: Sequence[JobRows], block: Any) -> SiteRows:
    """Write capacity, balance and everything behind the connection of ``site``."""
    block.rows = pyo.ConstraintList()
    it_load = _it_load(problem, site, jobs, block)
    _add_connection(problem, site, block)
    for u, unit in enumerate(site.storage):
        _add_storage(problem, unit, u, block)
    for g, generator in enumerate(site.generators):
        _add_generator(problem, generator, g, block)
    for t in range(problem.horizon.n_slots):
        sources = block.bought[t] - block.sold[t] + block.short[t]
        sources += sum(block.renewable[r, t] for r in range(len(site.renewables)))
        sources += sum(block.discharge[u, t] for u in range(len(site.storage)))
        sources += sum(block.generated[g, t] for g in range(len(site.generators)))
        load = site.base_load_kw[t] + site.pue[t] * it_load[t]
        load += sum(block.charge[u, t] for u in range(len(site.storage)))
        block.rows.add(sources == load)
    _add_peak(problem, site, block)
    violations = _limit_violations(problem, site, block) + _storage_violations(problem, site, block)
    return SiteRows(it_load, _terms(problem, site, block), violations)


def _it_load(problem: Problem, site: Site, jobs: Sequence[JobRows], block: Any) -> list[Any]:
    """IT power by slot; GPUs held never exceed those there are."""
    load: list[Any] = []
    for t in range(problem.horizon.n_slots):
        kw = sum(sum(rows.it_kw.get((site.name, t), ())) for rows in jobs)
        for pool in site.pools:
            held = sum(
                point.gpus * rows.run[point.name, t]
                for rows in jobs
                for point in rows.job.points
                if (point.site, point.pool) == (site.name, pool.name)
                and (point.name, t) in rows.run
            )
            kw += pool.idle_kw_per_gpu * (pool.gpus[t] - held)
            if not isinstance(held, int):  # some job can use this pool
                block.rows.add(held <= pool.gpus[t])
        load.append(kw)
    return load


def _add_connection(problem: Problem, site: Site, block: Any) -> None:
    """Buy or sell, never both, within the rating; use of PV and wind up to what there is."""
    slots = range(problem.horizon.n_slots)
    block.bought = pyo.Var(slots, within=pyo.NonNegativeReals)
    block.sold = pyo.Var(slots, within=pyo.NonNegativeReals)
    block.short = pyo.Var(slots, within=pyo.NonNegativeReals)
    block.buys = pyo.Var(slots, within=pyo.Binary)
    block.renewable = pyo.Var(range(len(site.renewables)), slots, within=pyo.NonNegativeReals)
    for t in slots:
        block.rows.add(block.bought[t] <= site.grid.import_limit_kw[t] * block.buys[t])
        block.rows.add(block.sold[t] <= site.grid.export_limit_kw[t] * (1 - block.buys[t]))
        for r, plant in enumerate(site.renewables):
            block.rows.add(block.renewable[r, t] <= plant.available_kw[t])
    units, generators = range(len(site.storage)), range(len(site.generators))
    block.charge = pyo.Var(units, slots, within=pyo.NonNegativeReals)
    block.discharge = pyo.Var(units, slots, within=pyo.NonNegativeReals)
    block.charges = pyo.Var(units, slots, within=pyo.Binary)
    block.energy = pyo.Var(units, slots, within=pyo.NonNegativeReals)
    block.floor_short = pyo.Var(units, slots, within=pyo.NonNegativeReals)
    block.final_short = pyo.Var(units, within=pyo.NonNegativeReals)
    block.generated = pyo.Var(generators, slots, within=pyo.NonNegativeReals)
    block.is_on = pyo.Var(generators, slots, within=pyo.Binary)
    block.starts = pyo.Var(generators, slots, within=pyo.Binary)


def _add_storage(problem: Problem, unit: StorageUnit, u: int, block: Any) -> None:
    """Energy in, energy out, never both; shortfalls against floor and final minimum are soft."""
    n_slots, slot_hours = problem.horizon.n_slots, problem.horizon.slot_hours
    for t in range(n_slots):
        before = block.energy[u, t - 1] if t > 0 else unit.soc_initial_kwh
        stored = slot_hours * unit.charge_efficiency * block.charge[u, t]
        drawn = slot_hours * block.discharge[u, t] / unit.discharge_efficiency
        block.rows.add(block.energy[u, t] == before + stored - drawn)
        block.rows.add(block.energy[u, t] <= unit.capacity_kwh)
        block.rows.add(block.charge[u, t] <= unit.charge_max_kw * block.charges[u, t])
        block.rows.add(block.discharge[u, t] <= unit.discharge_max_kw * (1 - block.charges[u, t]))
        block.rows.add(block.energy[u, t] + block.floor_short[u, t] >= unit.soc_floor_kwh)
    last = block.energy[u, n_slots - 1]
    block.rows.add(last + block.final_short[u] >= unit.soc_final_min_kwh)


def _add_generator(problem: Problem, generator: Generator, g: int, block: Any) -> None:
    """Off, or between minimum load and rating; every change from off to on is a start."""
    least = min(max(generator.min_kw, GENERATOR_LEAST_KW), generator.max_kw)
    for t in range(problem.horizon.n_slots):
        before = block.is_on[g, t - 1] if t > 0 else int(generator.is_on_initially)
        block.rows.add(block.generated[g, t] >= least * block.is_on[g, t])
        block.rows.add(block.generated[g, t] <= generator.max_kw * block.is_on[g, t])
        block.rows.add(block.starts[g, t] >= block.is_on[g, t] - before)


def _add_peak(problem: Problem, site: Site, block: Any) -> None:
    """Each charge has a demand that is billed: no less than was, must be, and is imported."""
    names = [peak.name for peak in site.peaks]
    block.billed = pyo.Var(names, within=pyo.NonNegativeReals)
    for peak in site.peaks:
        block.rows.add(block.billed[peak.name] >= peak.so_far_kw)
        block.rows.add(block.billed[peak.name] >= peak.floor_kw)
        for t in range(problem.horizon.n_slots):
            if peak.counts[t] == 1:
                block.rows.add(block.billed[peak.name] >= block.bought[t])


def _limit_violations(problem: Problem, site: Site, block: Any) -> Any:
    """Price of shortfalls and of what is imported above each capacity limit of the site."""
    slot_hours = problem.horizon.slot_hours
    limits: Mapping[str, CapacityLimit] = {
        limit.name: limit for limit in problem.capacity_limits if limit.site == site.name
    }
    slots = range(problem.horizon.n_slots)
    block.above = pyo.Var(list(limits), slots, within=pyo.NonNegativeReals)
    price = problem.penalties.shortfall_eur_per_kwh
    cost = sum(price * slot_hours * block.short[t] for t in slots)
    for name, limit in limits.items():
        for t in slots:
            if limit.start_slot <= t < limit.end_slot:
                block.rows.add(block.bought[t] <= limit.limit_kw + block.above[name, t])
                cost += limit.breach_eur_per_kwh * slot_hours * block.above[name, t]
    return cost


def _storage_violations(problem: Problem, site: Site, block: Any) -> Any:
    price = problem.penalties.soc_short_eur_per_kwh
    units = range(len(site.storage))
    return price * (
        sum(block.floor_short[u, t] for u in units for t in range(problem.horizon.n_slots))
        + sum(block.final_short[u] for u in units)
    )


def _terms(problem: Problem, site: Site, block: Any) -> dict[str, Any]:
    grid, n_slots = site.grid, problem.horizon.n_slots
    hours, slots, last = problem.horizon.slot_hours, range(n_slots), n_slots - 1
    units, generators = list(enumerate(site.storage)), list(enumerate(site.generators))
    mwh = hours / 1000

    def imported(price: Sequence[float]) -> Any:
        return sum(mwh * price[t] * block.bought[t] for t in slots)

    return {
        "energy_bought": imported(grid.import_price_eur_per_mwh),
        "energy_sold": sum(mwh * grid.export_price_eur_per_mwh[t] * block.sold[t] for t in slots),
        "network": imported(grid.network_fee_eur_per_mwh),
        "peak": sum(
            peak.charge_eur_per_kw * (block.billed[peak.name] - max(peak.so_far_kw, peak.floor_kw))
            for peak in site.peaks
        )
        + sum(
            peak.charge_eur_per_kw * peak.probability[t] * block.bought[t]
            for peak in site.coincident_peaks
            for t in slots
        ),
        "generation": sum(
            g.fuel_eur_per_kwh * hours * block.generated[k, t] + g.start_eur * block.starts[k, t]
            for k, g in generators
            for t in slots
        ),
        "storage_wear": sum(
            unit.wear_eur_per_kwh * hours * (block.charge[u, t] + block.discharge[u, t])
            for u, unit in units
            for t in slots
        ),
        "storage_value": sum(
            unit.terminal_value_eur_per_kwh * block.energy[u, last] for u, unit in units
        ),
        "carbon_kg": imported(grid.carbon_g_per_kwh)
        + sum(
            mwh * g.emissions_g_per_kwh * block.generated[k, t]
            for k, g in generators
            for t in slots
        ),
    }
