"""Events, reserves and positions: what sites promise together, beside the blocks of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyomo.environ as pyo

from optimizer.energy.demand_events import EventVars, add_demand_events
from optimizer.energy.positions import add_positions
from optimizer.energy.reserves import Headroom, ReserveVars, add_reserves
from optimizer.exclusivity import import_most_kw
from optimizer.placements.interface import JobTerms, LinearSum
from optimizer.plan import SiteFlows
from optimizer.pledges import lots_held
from optimizer.problem import Problem
from optimizer.site_model import SiteModel

COMMITMENT_TERMS = ("commitment_earned_eur", "commitment_paid_eur")


@dataclass(frozen=True, slots=True)
class CommitmentsModel:
    """Events and reserves of all sites; ``terms`` by field of ``ObjectiveTerms``."""

    problem: Problem
    events: EventVars
    reserves: ReserveVars
    terms: Mapping[str, Any]

    def reading(self, site: SiteModel) -> SiteModel:
        """Return ``site`` as one that reads its answers and the reserves it holds."""
        name, declined = site.site.name, self.events.is_declined
        asking = [event.name for event in self.problem.events if name in event.sites]
        held: dict[tuple[str, str], tuple[dict[int, Any], dict[int, Any]]] = {}
        for direction, shares in enumerate((self.reserves.up_kw, self.reserves.down_kw)):
            for (product, at, source, t), share in shares.items():
                if at == name:
                    held.setdefault((product, source), ({}, {}))[direction][t] = share
        binaries = {event: declined[event] for event in asking if event in declined}
        return replace(site, is_declined=binaries, reserve_kw=held)

    def set_start(self, flows: Sequence[SiteFlows]) -> None:
        """Give the whole lots the values that ``flows`` imply."""
        held = {product.name: lots_held(product, flows) for product in self.problem.reserves}
        for (block, product), lots in self.reserves.lots.items():
            lots.set_value(held[product][block])


def add_commitments(
    block: pyo.Block,
    problem: Problem,
    sites: Sequence[SiteModel],
    jobs: Sequence[JobTerms],
) -> CommitmentsModel:
    """Add what ``problem`` has promised; ``jobs`` are those that have variables."""
    n_slots, hours = problem.horizon.n_slots, problem.horizon.slot_hours
    block.events, block.reserves, block.positions = pyo.Block(), pyo.Block(), pyo.Block()
    import_kw = {built.site.name: built.grid.import_kw for built in sites}
    export_kw = {built.site.name: built.grid.export_kw for built in sites}
    deviation_eur = add_positions(block.positions, problem.positions, import_kw, export_kw, hours)
    asked = {name for event in problem.events for name in event.sites}
    events = add_demand_events(
        block.events,
        problem.events,
        import_kw,
        {site.name: import_most_kw(problem, site) for site in problem.sites if site.name in asked},
        n_slots,
        hours,
    )
    holding = {name for product in problem.reserves for name in product.sites}
    rooms = {
        built.site.name: _headroom(built, jobs) for built in sites if built.site.name in holding
    }
    reserves = add_reserves(block.reserves, problem.reserves, rooms, n_slots, hours)
    terms = {
        "commitment_earned_eur": events.earned_eur + reserves.earned_eur,
        "commitment_paid_eur": events.fees_eur + deviation_eur,
        "violations_eur": events.missed_eur + reserves.missed_eur,
    }
    return CommitmentsModel(problem, events, reserves, terms)


def _headroom(built: SiteModel, jobs: Sequence[JobTerms]) -> Headroom:
    site = built.site
    shed: dict[int, list[tuple[float, LinearSum]]] = {}
    for job in jobs:
        for (name, within_s, t), power_kw in job.shed_kw.items():
            if name == site.name:
                shed.setdefault(t, []).append((within_s, power_kw))

    def shed_kw(in_time_s: float, t: int) -> Any:
        total = LinearSum(site.shed_kw(in_time_s, t))
        for within_s, power_kw in shed.get(t, ()):
            if within_s <= in_time_s:
                total.add_sum(power_kw, site.pue[t])
        return total.expression()

    return Headroom(
        site,
        built.grid.import_kw,
        built.grid.export_kw,
        built.storage.charge_kw,
        built.storage.discharge_kw,
        built.storage.soc_kwh,
        built.storage.floor_short_kwh,
        shed_kw,
    )
