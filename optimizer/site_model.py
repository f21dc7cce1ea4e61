"""The energy blocks of one site, put together; reads flows back and sets them for a MIP start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyomo.environ as pyo

from optimizer.energy.coincident_peak import coincident_eur
from optimizer.energy.commitments import add_capacity_limits
from optimizer.energy.generators import GeneratorVars, add_generators
from optimizer.energy.grid_connection import GridVars, add_grid_connection
from optimizer.energy.peak_demand import add_peak_demand
from optimizer.energy.power_balance import BalanceVars, add_power_balance
from optimizer.energy.renewables import RenewableVars, add_renewables
from optimizer.energy.storage import StorageVars, add_storage
from optimizer.exclusivity import exclusivity
from optimizer.plan import ReserveShare, SiteFlows
from optimizer.problem import Problem
from optimizer.sites import Site

SITE_TERMS = (
    "energy_bought_eur",
    "energy_sold_eur",
    "network_eur",
    "peak_eur",
    "generation_eur",
    "storage_wear_eur",
    "storage_value_eur",
    "carbon_kg",
    "violations_eur",
)


@dataclass(frozen=True, slots=True)
class SiteModel:
    """The blocks of one site, and its terms by field of ``ObjectiveTerms``, before weights.

    ``is_declined`` are the binaries of the events that ask the site and may be declined, by name;
    ``reserve_kw`` the reserves held up and down [slot], by product and source.
    """

    site: Site
    n_slots: int
    grid: GridVars
    storage: StorageVars
    renewables: RenewableVars
    generators: GeneratorVars
    balance: BalanceVars
    terms: Mapping[str, Any]
    is_declined: Mapping[str, Any] = field(default_factory=dict)
    reserve_kw: Mapping[tuple[str, str], tuple[Mapping[int, Any], ...]] = field(
        default_factory=dict
    )

    def read_flows(self) -> SiteFlows:
        """Read the flows from the values of the variables."""
        site = self.site
        return SiteFlows(
            site=site.name,
            it_load_kw=self._series(self.balance.it_load_kw),
            import_kw=self._series(self.grid.import_kw),
            export_kw=self._series(self.grid.export_kw),
            shortfall_kw=self._series(self.balance.shortfall_kw),
            renewable_kw=self._by_unit(self.renewables.used_kw, len(site.renewables)),
            charge_kw=self._by_unit(self.storage.charge_kw, len(site.storage)),
            discharge_kw=self._by_unit(self.storage.discharge_kw, len(site.storage)),
            soc_kwh=self._by_unit(self.storage.soc_kwh, len(site.storage)),
            generator_kw=self._by_unit(self.generators.output_kw, len(site.generators)),
            declined=tuple(
                name for name, declined in self.is_declined.items() if (declined.value or 0.0) > 0.5
            ),
            reserves=tuple(self._shares()),
        )

    def _shares(self) -> Iterator[ReserveShare]:
        for (product, source), shares in self.reserve_kw.items():
            up, down = (
                tuple(_clean(held[t]) if t in held else 0.0 for t in range(self.n_slots))
                for held in shares
            )
            if any(up) or any(down):
                yield ReserveShare(product, source, up, down)

    def set_start(self, flows: SiteFlows) -> None:
        """Give the binaries the values that ``flows`` imply."""
        for t, is_importing in self.grid.is_importing.items():
            is_importing.set_value(int(flows.export_kw[t] <= 0.0))
        for (u, t), is_charging in self.storage.is_charging.items():
            is_charging.set_value(int(flows.charge_kw[u][t] > 0.0))
        for (k, t), is_on in self.generators.is_on.items():
            is_on.set_value(int(flows.generator_kw[k][t] > 0.0))
        for name, declined in self.is_declined.items():
            declined.set_value(int(name in flows.declined))

    def _series(self, variable: Any) -> tuple[float, ...]:
        return tuple(_clean(variable[t]) for t in range(self.n_slots))

    def _by_unit(self, variable: Any, n_units: int) -> tuple[tuple[float, ...], ...]:
        return tuple(
            tuple(_clean(variable[u, t]) for t in range(self.n_slots)) for u in range(n_units)
        )


def _clean(variable: Any) -> float:
    """Return a value within its bounds: the solver keeps them to a tolerance only."""
    value = float(variable.value or 0.0)
    value = max(value, variable.lb)
    value = value if variable.ub is None else min(value, variable.ub)
    return value if value > 1e-9 else 0.0


def add_site(block: pyo.Block, problem: Problem, site: Site) -> SiteModel:
    """Add every energy block of ``site`` and its power balance to ``block``."""
    n_slots, hours = problem.horizon.n_slots, problem.horizon.slot_hours
    apart = exclusivity(problem, site)
    for name in ("grid", "storage", "renewables", "generators", "commitments", "peaks", "balance"):
        block.add_component(name, pyo.Block())
    grid = add_grid_connection(
        block.grid,
        site.grid,
        hours,
        import_most_kw=apart.import_most_kw,
        export_most_kw=apart.export_most_kw,
        exclusive_slots=apart.import_or_export_slots,
    )
    storage = add_storage(
        block.storage,
        site.storage,
        n_slots,
        hours,
        exclusive_slots=apart.charge_or_discharge_slots,
    )
    renewables = add_renewables(block.renewables, site.renewables, n_slots)
    generators = add_generators(block.generators, site.generators, n_slots, hours)
    limits = [limit for limit in problem.capacity_limits if limit.site == site.name]
    commitments = add_capacity_limits(block.commitments, limits, grid.import_kw, n_slots, hours)
    peaks = add_peak_demand(block.peaks, site.peaks, grid.import_kw)

    def supply_kw(t: int) -> Any:
        own = [renewables.used_kw[k, t] for k in range(len(site.renewables))]
        own += [storage.discharge_kw[u, t] for u in range(len(site.storage))]
        own += [generators.output_kw[k, t] for k in range(len(site.generators))]
        return grid.import_kw[t] - grid.export_kw[t] + pyo.quicksum(own)

    def drawn_kw(t: int) -> Any:
        return pyo.quicksum(storage.charge_kw[u, t] for u in range(len(site.storage)))

    balance = add_power_balance(block.balance, site, hours, supply_kw, drawn_kw)
    penalties = problem.penalties
    terms = {
        "energy_bought_eur": grid.bought_eur,
        "energy_sold_eur": grid.sold_eur,
        "network_eur": grid.network_eur,
        "peak_eur": peaks.peak_eur + coincident_eur(site.coincident_peaks, grid.import_kw),
        "generation_eur": generators.generation_eur,
        "storage_wear_eur": storage.wear_eur,
        "storage_value_eur": storage.value_eur,
        "carbon_kg": grid.carbon_kg + generators.carbon_kg,
        "violations_eur": commitments.breach_eur
        + penalties.shortfall_eur_per_kwh * balance.shortfall_kwh
        + penalties.soc_short_eur_per_kwh * storage.short_kwh,
    }
    return SiteModel(site, n_slots, grid, storage, renewables, generators, balance, terms)
