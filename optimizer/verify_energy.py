"""Verification, third part: balance, connection, renewables, storage and generators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optimizer.breach import Breach
from optimizer.plan import Plan, SiteFlows
from optimizer.problem import Problem
from optimizer.settlement import ON_ABOVE_KW
from optimizer.sites import Site
from optimizer.verify_walk import it_load_and_gpus

Floats = NDArray[np.float64]


def energy_breaches(problem: Problem, plan: Plan, tolerance: float) -> tuple[Breach, ...]:
    """Physical limits of ``plan``'s flows that are broken; the plan is known to be well formed."""
    load_kw, _ = it_load_and_gpus(problem, plan.placements)
    broken: list[Breach] = []
    for row, (site, flow) in enumerate(zip(problem.sites, plan.flows, strict=True)):
        check = _Check(tolerance, problem.horizon.slot_hours)
        broken += check.near(f"site {site.name}", "it_load", flow.it_load_kw, load_kw[row])
        broken += _balance(check, site, flow)
        broken += _connection(check, site, flow)
        broken += _renewables(check, site, flow)
        broken += _storage(check, site, flow)
        broken += _generators(check, site, flow)
    return tuple(broken)


@dataclass(frozen=True, slots=True)
class _Check:
    """Comparisons of series [slot] up to rounding: absolute up to 1, relative beyond."""

    tolerance: float
    slot_hours: float

    def at_most(
        self, owner: str, name: str, values: ArrayLike, limit: ArrayLike, unit: str = "kW"
    ) -> Iterator[Breach]:
        limits = np.asarray(limit, dtype=np.float64)
        excess = np.asarray(values, dtype=np.float64) - limits
        allowed = self.tolerance * np.maximum(1.0, np.abs(limits))
        for slot in np.flatnonzero(excess > allowed):
            yield Breach(owner, name, int(slot), float(excess[slot]), unit)

    def near(
        self, owner: str, name: str, values: ArrayLike, expected: ArrayLike, unit: str = "kW"
    ) -> Iterator[Breach]:
        right = np.asarray(expected, dtype=np.float64)
        off = np.abs(np.asarray(values, dtype=np.float64) - right)
        for slot in np.flatnonzero(off > self.tolerance * np.maximum(1.0, np.abs(right))):
            yield Breach(owner, name, int(slot), float(off[slot]), unit)

    def not_negative(
        self, owner: str, name: str, values: ArrayLike, unit: str = "kW"
    ) -> Iterator[Breach]:
        yield from self.at_most(
            owner, f"{name}_not_negative", -np.asarray(values), 0.0 * np.asarray(values), unit
        )

    def exclusive(
        self, owner: str, name: str, one: Sequence[float], other: Sequence[float]
    ) -> Iterator[Breach]:
        both = np.minimum(one, other)
        for slot in np.flatnonzero(both > self.tolerance * np.maximum(1.0, np.maximum(one, other))):
            yield Breach(owner, name, int(slot), float(both[slot]), "kW")


def _total(units: Sequence[Sequence[float]], n_slots: int) -> Floats:
    return np.sum(units, axis=0) if units else np.zeros(n_slots)


def _balance(check: _Check, site: Site, flow: SiteFlows) -> Iterator[Breach]:
    """Compare sources and sinks: import + own sources + shortfall = load + charge + export."""
    n_slots = len(flow.import_kw)
    sinks = (
        np.asarray(site.base_load_kw)
        + np.asarray(site.pue) * np.asarray(flow.it_load_kw)
        + np.asarray(flow.export_kw)
        + _total(flow.charge_kw, n_slots)
    )
    sources = np.asarray(flow.import_kw) + np.asarray(flow.shortfall_kw)
    for units in (flow.renewable_kw, flow.discharge_kw, flow.generator_kw):
        sources = sources + _total(units, n_slots)
    yield from check.near(f"site {site.name}", "balance", sources, sinks)


def _connection(check: _Check, site: Site, flow: SiteFlows) -> Iterator[Breach]:
    owner, grid = f"site {site.name}", site.grid
    for name in ("import", "export", "shortfall"):
        yield from check.not_negative(owner, name, getattr(flow, f"{name}_kw"))
    yield from check.at_most(owner, "import_limit", flow.import_kw, grid.import_limit_kw)
    yield from check.at_most(owner, "export_limit", flow.export_kw, grid.export_limit_kw)
    yield from check.exclusive(owner, "import_or_export", flow.import_kw, flow.export_kw)


def _renewables(check: _Check, site: Site, flow: SiteFlows) -> Iterator[Breach]:
    for plant, used in zip(site.renewables, flow.renewable_kw, strict=True):
        owner = f"renewable {site.name}/{plant.name}"
        yield from check.not_negative(owner, "output", used)
        yield from check.at_most(owner, "available", used, plant.available_kw)


def _storage(check: _Check, site: Site, flow: SiteFlows) -> Iterator[Breach]:
    for unit, charge, discharge, soc in zip(
        site.storage, flow.charge_kw, flow.discharge_kw, flow.soc_kwh, strict=True
    ):
        owner = f"storage {site.name}/{unit.name}"
        ones = np.ones(len(soc))
        yield from check.not_negative(owner, "charge", charge)
        yield from check.not_negative(owner, "discharge", discharge)
        yield from check.at_most(owner, "charge_max", charge, unit.charge_max_kw * ones)
        yield from check.at_most(owner, "discharge_max", discharge, unit.discharge_max_kw * ones)
        yield from check.exclusive(owner, "charge_or_discharge", charge, discharge)
        yield from check.not_negative(owner, "soc", soc, "kWh")
        yield from check.at_most(owner, "capacity", soc, unit.capacity_kwh * ones, "kWh")
        before = np.concatenate(([unit.soc_initial_kwh], soc[:-1]))
        stored = unit.charge_efficiency * np.asarray(charge)
        drawn = np.asarray(discharge) / unit.discharge_efficiency
        expected = before + check.slot_hours * (stored - drawn)
        yield from check.near(owner, "soc_balance", soc, expected, "kWh")


def _generators(check: _Check, site: Site, flow: SiteFlows) -> Iterator[Breach]:
    for generator, output in zip(site.generators, flow.generator_kw, strict=True):
        owner = f"generator {site.name}/{generator.name}"
        kw = np.asarray(output)
        yield from check.not_negative(owner, "output", kw)
        yield from check.at_most(owner, "max", kw, np.full(len(kw), generator.max_kw))
        least = np.where(kw > ON_ABOVE_KW, generator.min_kw, 0.0)
        yield from check.at_most(owner, "min_load", least - kw, np.zeros(len(kw)))
