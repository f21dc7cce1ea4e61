"""Energy flows by rule, without a solver: what a site does when nobody optimises it.

Own renewables first, then the grid up to its rating, then generators, then a shortfall. A surplus
is exported where that pays, else curtailed. Batteries do what they are told, by default nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.answers import answered
from optimizer.holding import holding
from optimizer.plan import Placement, Plan, Rung, SiteFlows, Unserved
from optimizer.problem import Problem
from optimizer.settlement import it_load_kw, settle
from optimizer.sites import Site, StorageUnit

Floats = NDArray[np.float64]

_NEGLIGIBLE_KW = 1e-9


@dataclass(frozen=True, slots=True)
class StorageFlows:
    """What the batteries of one site do: powers [unit, slot] in kW, state of charge in kWh."""

    charge_kw: Floats
    discharge_kw: Floats
    soc_kwh: Floats


def idle(site: Site) -> StorageFlows:
    """Batteries that neither charge nor discharge."""
    none = np.zeros((len(site.storage), len(site.pue)))
    initial = np.array([unit.soc_initial_kwh for unit in site.storage])
    return StorageFlows(none, none, none + initial[:, None])


def followed(
    units: Sequence[StorageUnit], charge_kw: Floats, discharge_kw: Floats, slot_hours: float
) -> StorageFlows:
    """Return what batteries do that are told these powers [unit, slot], as far as charge allows.

    Each begins at its ``soc_initial_kwh``; a slot holds as much of its power as keeps the state of
    charge between empty and full.
    """
    charge, discharge = charge_kw.copy(), discharge_kw.copy()
    soc = np.zeros_like(charge)
    for row, unit in enumerate(units):
        energy = unit.soc_initial_kwh
        inflow = slot_hours * unit.charge_efficiency
        outflow = slot_hours / unit.discharge_efficiency
        for slot in range(charge.shape[1]):
            room_kw = max(0.0, (unit.capacity_kwh - energy) / inflow)
            charge[row, slot] = min(charge[row, slot], unit.charge_max_kw, room_kw)
            left_kw = max(0.0, energy / outflow)
            discharge[row, slot] = min(discharge[row, slot], unit.discharge_max_kw, left_kw)
            energy += inflow * charge[row, slot] - outflow * discharge[row, slot]
            soc[row, slot] = energy
    return StorageFlows(charge, discharge, soc)


def idle_dispatch(problem: Problem, placements: Sequence[Placement]) -> tuple[SiteFlows, ...]:
    """Flows that carry ``placements`` with all batteries idle, in the order of the sites."""
    return dispatch(problem, placements, {})


def dispatch(
    problem: Problem, placements: Sequence[Placement], storage: Mapping[str, StorageFlows]
) -> tuple[SiteFlows, ...]:
    """Flows that carry ``placements`` with the batteries of each site as in ``storage``.

    A site that is not in ``storage`` leaves its batteries idle. Events are answered
    afterwards, and reserves that are sold held where there is room.
    """
    load_kw = it_load_kw(problem, placements)
    flows = [
        _site_flows(site, load_kw[row], storage.get(site.name) or idle(site))
        for row, site in enumerate(problem.sites)
    ]
    return holding(problem, placements, answered(problem, flows))


def _site_flows(site: Site, it_kw: Floats, storage: StorageFlows) -> SiteFlows:
    """Serve one site's load; what batteries discharge beyond it must be exported."""
    grid = site.grid
    demand = np.asarray(site.base_load_kw) + np.asarray(site.pue) * it_kw
    demand = demand + storage.charge_kw.sum(axis=0) - storage.discharge_kw.sum(axis=0)
    available = np.array([plant.available_kw for plant in site.renewables])
    renewable = available.sum(axis=0) if len(available) else np.zeros_like(demand)
    limit = np.asarray(grid.import_limit_kw)
    generated = _generate(site, demand - renewable - limit, demand)
    residual = demand - generated.sum(axis=0)
    used = np.minimum(renewable, np.maximum(residual, 0.0))
    missing = np.maximum(residual - used, 0.0)
    imported = np.minimum(missing, limit)
    surplus = renewable - used
    pays = np.asarray(grid.export_price_eur_per_mwh) > 0.0
    forced = np.maximum(-residual, 0.0)
    room = np.maximum(np.asarray(grid.export_limit_kw) - forced, 0.0)
    sold = np.where(pays & (imported <= 0.0), np.minimum(surplus, room), 0.0)
    return SiteFlows(
        site=site.name,
        it_load_kw=tuple(it_kw.tolist()),
        import_kw=tuple(imported.tolist()),
        export_kw=tuple((forced + sold).tolist()),
        shortfall_kw=tuple((missing - imported).tolist()),
        renewable_kw=_in_order(available, used + sold),
        charge_kw=_rows(storage.charge_kw),
        discharge_kw=_rows(storage.discharge_kw),
        soc_kwh=_rows(storage.soc_kwh),
        generator_kw=_rows(generated),
    )


def _generate(site: Site, deficit_kw: Floats, demand_kw: Floats) -> Floats:
    """Output of the generators [unit, slot]: in listed order, only where ``deficit_kw`` > 0.

    One that would have to give more than the whole demand at its minimum load stays off.
    """
    output = np.zeros((len(site.generators), len(deficit_kw)))
    left = deficit_kw.copy()
    for row, generator in enumerate(site.generators):
        needed = left > _NEGLIGIBLE_KW
        fits = output.sum(axis=0) + generator.min_kw <= demand_kw
        output[row] = np.where(
            needed & fits, np.clip(left, generator.min_kw, generator.max_kw), 0.0
        )
        left = left - output[row]
    return output


def _in_order(available_kw: Floats, used_kw: Floats) -> tuple[tuple[float, ...], ...]:
    """Share ``used_kw`` [slot] out to plants in listed order."""
    rows = []
    left = used_kw
    for plant in available_kw:
        taken = np.minimum(plant, left)
        left = left - taken
        rows.append(tuple(taken.tolist()))
    return tuple(rows)


def _rows(values: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row.tolist()) for row in values)


def settled_plan(
    problem: Problem,
    rung: Rung,
    placements: Sequence[Placement],
    unserved: Sequence[Unserved],
    flows: Sequence[SiteFlows],
) -> Plan:
    """Return a plan of these decisions, settled; nothing is proven about it."""
    settled = settle(problem, placements, flows)
    position = {job.name: row for row, job in enumerate(problem.jobs)}
    return Plan(
        rung=rung,
        placements=tuple(sorted(placements, key=lambda placement: position[placement.job])),
        unserved=tuple(sorted(unserved, key=lambda left_out: position[left_out.job])),
        flows=tuple(flows),
        terms=settled.terms,
        violations=settled.violations,
        objective=settled.objective,
        bound=None,
    )
