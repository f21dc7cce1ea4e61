"""Where a binary must keep import and export, or charge and discharge, from being both positive.

A binary is left out only where the cheapest flows cannot both be positive, for a reason given here;
the last step of every exact solve is an LP at fixed integers, so its flows are the cheapest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.checks import Series
from optimizer.energy.generators import has_commitment
from optimizer.problem import Problem
from optimizer.sites import Site
from optimizer.tariffs import site_import_eur_per_kwh

Bools = NDArray[np.bool_]

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
        No more than this can flow while the other does not [slot]; import by its limit alone
        where no slot needs a binary.
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

    Reserves, events and positions see import less export, which stays, or import, which falls.

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
    stays. It does where the site holds reserves, as lowering both takes headroom to discharge,
    and where it has a position, as importing less may cost more.
    """
    slots = range(problem.horizon.n_slots)
    own_kw = [_own_supply_kw(site, t) for t in slots]
    export_most = tuple(
        min(site.grid.export_limit_kw[t], max(0.0, own_kw[t] - site.base_load_kw[t])) for t in slots
    )
    can_flow = (np.array(site.grid.import_limit_kw) > 0) & (np.array(export_most) > 0)
    both = _slots_where(can_flow & _both_may_pay(problem, site))
    import_most = import_most_kw(problem, site) if both else site.grid.import_limit_kw
    return Exclusivity(import_most, export_most, both, _slots_that_may_burn(problem, site))


def _own_supply_kw(site: Site, slot: int) -> float:
    return (
        sum(plant.available_kw[slot] for plant in site.renewables)
        + sum(unit.discharge_max_kw for unit in site.storage)
        + sum(generator.max_kw for generator in site.generators)
    )


def import_most_kw(problem: Problem, site: Site) -> Series:
    """Bound what is imported and not exported again [slot]: by the limit, and by what is drawn."""
    charge_kw = sum(unit.charge_max_kw for unit in site.storage)
    drawn_kw = np.array(site.base_load_kw) + np.array(site.pue) * _most_it_kw(problem, site)
    most = np.minimum(site.grid.import_limit_kw, ROOM * (drawn_kw + charge_kw) + 1.0)
    return tuple(most.tolist())


def _most_it_kw(problem: Problem, site: Site) -> NDArray[np.float64]:
    """Bound the IT load [slot]: all jobs that may be there, however little they share."""
    hours = problem.horizon.slot_hours
    most = np.zeros(problem.horizon.n_slots)
    for pool in site.pools:
        most += pool.idle_kw_per_gpu * np.array(pool.gpus)
    moving_kwh_per_gb: dict[str, float] = {
        link.from_site: link.kwh_per_gb for link in problem.links if link.to_site == site.name
    }
    for job in problem.jobs:
        restart_kwh = job.pausing.restart_kwh if job.pausing is not None else 0.0
        running = max((p.power_kw for p in job.points if p.site == site.name), default=0.0)
        moving = 0.0
        if job.data is not None:
            moving = job.data.size_gb * moving_kwh_per_gb.get(job.data.site, 0.0)
        most[job.release_slot : job.deadline_slot] += running + (restart_kwh + moving) / hours
    return most


def _both_may_pay(problem: Problem, site: Site) -> Bools:
    """Where importing and exporting at once may be worth it [slot]."""
    grid, weight = site.grid, problem.weights.energy
    export = np.array(grid.export_price_eur_per_mwh)
    margin = 1000.0 * site_import_eur_per_kwh(problem, site) - weight * export
    pays: Bools = margin < MARGIN_EUR_PER_MWH
    if problem.ceilings.cost_ceiling_eur is not None:
        pays |= _money_eur_per_mwh(site) < export
    return pays


def _paid_to_import(problem: Problem, site: Site) -> Bools:
    """Where importing more makes a plan cheaper, or eases a cost ceiling [slot]."""
    is_paid: Bools = site_import_eur_per_kwh(problem, site) < 0
    if problem.ceilings.cost_ceiling_eur is not None:
        is_paid |= _money_eur_per_mwh(site) < 0
    return is_paid


def _money_eur_per_mwh(site: Site) -> NDArray[np.float64]:
    money: NDArray[np.float64] = np.array(site.grid.import_price_eur_per_mwh) + np.array(
        site.grid.network_fee_eur_per_mwh
    )
    return money


def _slots_where(is_there: Bools) -> tuple[int, ...]:
    return tuple(np.flatnonzero(is_there).tolist())


def _slots_that_may_burn(problem: Problem, site: Site) -> tuple[int, ...]:
    if not site.storage:
        return ()
    slots = tuple(range(problem.horizon.n_slots))
    wear = [problem.weights.storage_wear * unit.wear_eur_per_kwh * 1000.0 for unit in site.storage]
    is_held_on = any(has_commitment(generator) for generator in site.generators)
    promised = {name for product in problem.reserves for name in product.sites}
    promised |= {name for position in problem.positions for name in position.sites}
    if min(wear) < MARGIN_EUR_PER_MWH or is_held_on or site.name in promised:
        return slots
    paid = _slots_where(_paid_to_import(problem, site))
    return slots[: paid[-1] + 1] if paid else ()
