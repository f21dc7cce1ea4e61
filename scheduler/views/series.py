"""What happens at a site slot by slot, as arrays, and what it adds up to.

Sources of a site (import, renewables, discharge, generators, shortfall) equal its uses (load,
charge, export) in every slot. The load is base load plus PUE times IT load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from optimizer import CapacityLimit, Plan, Problem, Site, SiteFlows, gpus_used, settle

Array = NDArray[np.float64]


def array(values: Sequence[float]) -> Array:
    """One value per slot, as an array."""
    return np.array(values, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class PoolUse:
    """GPUs of one pool held and available [slot]."""

    pool: str
    used: Array
    available: Array


@dataclass(frozen=True, slots=True, eq=False)
class SiteSeries:
    """One site of a plan, every array [slot]; power in kW, units of a kind added up."""

    site: Site
    slot_hours: float
    it_kw: Array
    load_kw: Array
    import_kw: Array
    export_kw: Array
    renewable_kw: Array
    available_kw: Array
    charge_kw: Array
    discharge_kw: Array
    generator_kw: Array
    shortfall_kw: Array
    soc_kwh: Array  # at slot end
    pools: tuple[PoolUse, ...]
    limits: tuple[CapacityLimit, ...]  # obligations to import less, of grid events it takes part in

    @property
    def price_eur_per_mwh(self) -> Array:
        """What one more imported MWh costs: energy price and network fee."""
        grid = self.site.grid
        return array(grid.import_price_eur_per_mwh) + array(grid.network_fee_eur_per_mwh)

    @property
    def carbon_g_per_kwh(self) -> Array:
        """Intensity of imported energy."""
        return array(self.site.grid.carbon_g_per_kwh)

    @property
    def soc_max_kwh(self) -> float:
        """Energy the site's batteries hold when full."""
        return sum(unit.capacity_kwh for unit in self.site.storage)

    @property
    def soc_floor_kwh(self) -> float:
        """Energy kept for backup."""
        return sum(unit.soc_floor_kwh for unit in self.site.storage)


@dataclass(frozen=True, slots=True)
class SiteTotals:
    """One site over the whole window. Money without what belongs to jobs (restarts, transfers)."""

    site: str
    it_kwh: float
    load_kwh: float
    import_kwh: float
    export_kwh: float
    renewable_kwh: float
    curtailed_kwh: float
    charge_kwh: float
    discharge_kwh: float
    generator_kwh: float
    shortfall_kwh: float
    highest_import_kw: float
    money_eur: float
    carbon_kg: float


def site_series(problem: Problem, plan: Plan) -> tuple[SiteSeries, ...]:
    """Every site of ``plan``, in the order of the problem."""
    in_use = gpus_used(problem, plan.placements)
    return tuple(
        SiteSeries(
            site=site,
            slot_hours=problem.horizon.slot_hours,
            it_kw=array(flows.it_load_kw),
            load_kw=array(site.base_load_kw) + array(site.pue) * array(flows.it_load_kw),
            import_kw=array(flows.import_kw),
            export_kw=array(flows.export_kw),
            renewable_kw=_added(flows.renewable_kw, problem),
            available_kw=_added([plant.available_kw for plant in site.renewables], problem),
            charge_kw=_added(flows.charge_kw, problem),
            discharge_kw=_added(flows.discharge_kw, problem),
            generator_kw=_added(flows.generator_kw, problem),
            shortfall_kw=array(flows.shortfall_kw),
            soc_kwh=_added(flows.soc_kwh, problem),
            pools=tuple(
                PoolUse(pool.name, in_use[site.name, pool.name], array(pool.gpus))
                for pool in site.pools
            ),
            limits=_limits(problem, site, flows),
        )
        for site, flows in zip(problem.sites, plan.flows, strict=True)
    )


def site_totals(problem: Problem, plan: Plan) -> tuple[SiteTotals, ...]:
    """Energy, money and carbon of every site over the whole window."""
    return tuple(
        _totals(series, flows, problem)
        for series, flows in zip(site_series(problem, plan), plan.flows, strict=True)
    )


def _added(units: Sequence[Sequence[float]], problem: Problem) -> Array:
    if not units:
        return np.zeros(problem.horizon.n_slots)
    total: Array = np.sum([array(unit) for unit in units], axis=0)
    return total


def _totals(series: SiteSeries, flows: SiteFlows, problem: Problem) -> SiteTotals:
    def kwh(power_kw: Array) -> float:
        return float(power_kw.sum() * series.slot_hours)

    # Settled alone and without jobs, a site owes what its flows cost and nothing else.
    alone = replace(
        problem, sites=(series.site,), jobs=(), links=(), capacity_limits=(), events=(), reserves=()
    )
    terms = settle(alone, (), (flows,)).terms
    return SiteTotals(
        site=series.site.name,
        it_kwh=kwh(series.it_kw),
        load_kwh=kwh(series.load_kw),
        import_kwh=kwh(series.import_kw),
        export_kwh=kwh(series.export_kw),
        renewable_kwh=kwh(series.renewable_kw),
        curtailed_kwh=kwh(series.available_kw - series.renewable_kw),
        charge_kwh=kwh(series.charge_kw),
        discharge_kwh=kwh(series.discharge_kw),
        generator_kwh=kwh(series.generator_kw),
        shortfall_kwh=kwh(series.shortfall_kw),
        highest_import_kw=float(series.import_kw.max()),
        money_eur=terms.money_eur,
        carbon_kg=terms.carbon_kg,
    )


def _limits(problem: Problem, site: Site, flows: SiteFlows) -> tuple[CapacityLimit, ...]:
    """Return limits of the site alone: imposed, and of the events it takes part in."""
    found = [limit for limit in problem.capacity_limits if limit.site == site.name]
    for event in problem.events:
        if event.sites != (site.name,) or event.name in flows.declined:
            continue
        for part in event.parts:
            for level_kw, same in groupby(
                part.limits(problem.horizon.n_slots).items(), key=lambda item: item[1]
            ):
                slots = [slot for slot, _ in same]
                found.append(
                    CapacityLimit(
                        f"{event.name} ({part.kind})",
                        site.name,
                        slots[0],
                        slots[-1] + 1,
                        level_kw,
                        part.eur_per_kwh,
                    )
                )
    return tuple(found)
