"""Where a binary must keep import and export, or charge and discharge, from being both positive.

A binary is left out only where the cheapest flows cannot both be positive, for a reason given here;
the last step of every exact solve is an LP at fixed integers, so its flows are the cheapest.
"""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.energy.generators import has_commitment
from optimizer.problem import Problem
from optimizer.sites import Site

MARGIN_EUR_PER_MWH = 0.1
"""What doing both at once must at least cost to be left to the LP, well above its tolerance."""


ROOM = 1.1
"""Above the highest load, so that the big-M of import never sets the price of a kW."""


@dataclass(frozen=True, slots=True)
class Exclusivity:
    """What the model needs to keep flows of one site apart.

    Attributes
    ----------
    import_most_kw, export_most_kw
        No more than this can flow while the other does not [slot].
    import_or_export_slots
        Slots that need a binary between import and export.
    charge_or_discharge_slots
        Slots that need one between charging and discharging, for every unit.
    """

    import_most_kw: tuple[float, ...]
    export_most_kw: tuple[float, ...]
    import_or_export_slots: tuple[int, ...]
    charge_or_discharge_slots: tuple[int, ...]


def exclusivity(problem: Problem, site: Site) -> Exclusivity:
    """Decide for ``site`` where binaries are needed.

    *Import and export* in slot t. Lower both by the smaller: the balance holds, import (and with it
    peak, breaches and carbon) does not rise, and cost falls by the margin between the price paid,
    with fees and carbon, and the price earned. Where that margin is positive, and so is the same
    margin in plain money if there is a cost ceiling, the cheapest flows never have both. Where
    either cannot flow at all there is nothing to decide.

    *Charge and discharge* of a unit in slot t. Lower charge by a and discharge by a times the
    round-trip efficiency: the energy in the unit is unchanged, wear falls, and power is left over.
    If something else feeds the slot, lower that: import (not paid to import: price >= 0), a
    renewable (free), an uncommitted generator, a shortfall; nothing gets dearer. Otherwise only
    storage feeds the slot: lower the discharge of a unit that does. That unit then holds more
    energy from here on, which hurts no reserve and is worth no less at the end, until the first
    slot in which it would be overfull; there it was charging, so lower that charge and use the same
    argument again. Each step lowers wear and leads to a later slot or another unit, so it ends.
    Hence, with wear that costs something, no generator held at its minimum load and no price below
    zero in this slot or a later one, the cheapest flows never have both. Otherwise the binary
    stays.
    """
    slots = range(problem.horizon.n_slots)
    own_kw = [_own_supply_kw(site, t) for t in slots]
    export_most = tuple(
        min(site.grid.export_limit_kw[t], max(0.0, own_kw[t] - site.base_load_kw[t])) for t in slots
    )
    charge_kw = sum(unit.charge_max_kw for unit in site.storage)
    import_most = tuple(
        min(
            site.grid.import_limit_kw[t],
            ROOM * (site.base_load_kw[t] + site.pue[t] * _most_it_kw(problem, site, t) + charge_kw)
            + 1.0,
        )
        for t in slots
    )
    both = tuple(
        t
        for t in slots
        if min(import_most[t], export_most[t]) > 0 and _both_may_pay(problem, site, t)
    )
    return Exclusivity(import_most, export_most, both, _slots_that_may_burn(problem, site))


def _own_supply_kw(site: Site, slot: int) -> float:
    return (
        sum(plant.available_kw[slot] for plant in site.renewables)
        + sum(unit.discharge_max_kw for unit in site.storage)
        + sum(generator.max_kw for generator in site.generators)
    )


def _most_it_kw(problem: Problem, site: Site, slot: int) -> float:
    """Bound the IT load of a slot: all jobs that may be there, however little they share."""
    idle = sum(pool.idle_kw_per_gpu * pool.gpus[slot] for pool in site.pools)
    links = [link for link in problem.links if link.to_site == site.name]
    most = idle
    for job in problem.jobs:
        if not job.release_slot <= slot < job.deadline_slot:
            continue
        restart_kwh = job.pausing.restart_kwh if job.pausing is not None else 0.0
        running = max((p.power_kw for p in job.points if p.site == site.name), default=0.0)
        moving = max(
            (
                job.data.size_gb * link.kwh_per_gb
                for link in links
                if job.data is not None and job.data.site == link.from_site
            ),
            default=0.0,
        )
        most += running + (restart_kwh + moving) / problem.horizon.slot_hours
    return most


def _import_eur_per_mwh(problem: Problem, site: Site, slot: int) -> float:
    """Return the weighted cost of importing, carbon included."""
    weights, grid = problem.weights, site.grid
    return (
        weights.energy * grid.import_price_eur_per_mwh[slot]
        + weights.network * grid.network_fee_eur_per_mwh[slot]
        + weights.carbon_eur_per_t * grid.carbon_g_per_kwh[slot] / 1000.0
    )


def _both_may_pay(problem: Problem, site: Site, slot: int) -> bool:
    grid = site.grid
    export = grid.export_price_eur_per_mwh[slot]
    margin = _import_eur_per_mwh(problem, site, slot) - problem.weights.energy * export
    money = grid.import_price_eur_per_mwh[slot] + grid.network_fee_eur_per_mwh[slot] - export
    has_ceiling = problem.ceilings.cost_ceiling_eur is not None
    return margin < MARGIN_EUR_PER_MWH or (has_ceiling and money < 0)


def _slots_that_may_burn(problem: Problem, site: Site) -> tuple[int, ...]:
    if not site.storage:
        return ()
    slots = tuple(range(problem.horizon.n_slots))
    wear = [problem.weights.storage_wear * unit.wear_eur_per_kwh * 1000.0 for unit in site.storage]
    is_held_on = any(has_commitment(generator) for generator in site.generators)
    if min(wear) < MARGIN_EUR_PER_MWH or is_held_on:
        return slots
    paid = [t for t in slots if _is_paid_to_import(problem, site, t)]
    return slots[: paid[-1] + 1] if paid else ()


def _is_paid_to_import(problem: Problem, site: Site, slot: int) -> bool:
    grid = site.grid
    money = grid.import_price_eur_per_mwh[slot] + grid.network_fee_eur_per_mwh[slot]
    has_ceiling = problem.ceilings.cost_ceiling_eur is not None
    return _import_eur_per_mwh(problem, site, slot) < 0 or (has_ceiling and money < 0)
