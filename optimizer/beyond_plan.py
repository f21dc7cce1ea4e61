r"""What a site could draw less and more than its plan has it, for the length of one slot.

.. math::
    \text{discharge} = c + \min(\bar p^d - d - r^-, \;
        \eta^d \max(0, e - \Delta \eta^c c - \underline{e} - k^-) / \Delta)      \tag{H1}

.. math::
    \text{charge} = d + \min(\bar p^c - c - r^+, \;
        \max(0, \bar e - e - \Delta d / \eta^d - k^+) / (\Delta \eta^c))         \tag{H2}

``c`` and ``d`` are what the plan charges and discharges [kW], ``e`` the energy at the end of the
slot, ``r`` what is held for reserves [kW] and ``k`` the energy and the room they need: both are
sold already. So is their part of the rating of the connection, which nothing passes. What batteries
give passes it on top of the load that is shed. That later slots would then have to be planned anew
is not looked at, nor what it costs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.checks import Series
from optimizer.plan import Plan, SiteFlows
from optimizer.pledges import kept_kwh, room_kept_kwh, shed_by_jobs
from optimizer.problem import Problem
from optimizer.sites import Site

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Headroom:
    """By slot, each >= 0 [kW]: load that can be shed, what batteries can give and take more.

    What they can give is on top of the load that is shed: both at once pass the connection.
    """

    shed_kw: Series
    more_discharge_kw: Series
    more_charge_kw: Series


def headroom(problem: Problem, plan: Plan, site_name: str) -> Headroom:
    """Return what ``site_name`` could do beyond ``plan`` in each slot by itself.

    Raises
    ------
    KeyError
        The plan has no such site.
    """
    flows = {flow.site: flow for flow in plan.flows}[site_name]
    site = problem.site(site_name)
    net_kw = np.asarray(flows.import_kw) - np.asarray(flows.export_kw)
    shed = [*site.sheddable, *shed_by_jobs(problem, plan.placements)[site_name]]
    shed_kw = np.sum([part.kw for part in shed], axis=0) if shed else np.zeros(len(net_kw))
    export_room = net_kw + np.asarray(site.grid.export_limit_kw) - _sold(flows, "up")
    import_room = np.asarray(site.grid.import_limit_kw) - net_kw - _sold(flows, "down")
    shed_kw = np.maximum(0.0, np.minimum(shed_kw - _sold(flows, "up", source=""), export_room))
    discharge_kw = _more_discharge_kw(problem, site, flows)
    charge_kw = _more_charge_kw(problem, site, flows)
    return Headroom(
        _series(shed_kw),
        _series(np.minimum(discharge_kw, export_room - shed_kw)),
        _series(np.minimum(charge_kw, import_room)),
    )


def _more_discharge_kw(problem: Problem, site: Site, flows: SiteFlows) -> Floats:
    """Return (H1) of all units, less what is sold."""
    hours = problem.horizon.slot_hours
    total = np.zeros(len(flows.import_kw))
    for unit, charge, discharge, soc in zip(
        site.storage, flows.charge_kw, flows.discharge_kw, flows.soc_kwh, strict=True
    ):
        c, d, e = np.asarray(charge), np.asarray(discharge), np.asarray(soc)
        floor_kwh = unit.soc_floor_kwh + kept_kwh(problem, unit, flows)
        left_kwh = np.maximum(0.0, e - hours * unit.charge_efficiency * c - floor_kwh)
        by_energy = unit.discharge_efficiency * left_kwh / hours
        by_power = unit.discharge_max_kw - d - _sold(flows, "up", source=unit.name)
        total += np.maximum(0.0, c + np.minimum(by_power, by_energy))
    return total


def _more_charge_kw(problem: Problem, site: Site, flows: SiteFlows) -> Floats:
    """Return (H2) of all units, less what is sold."""
    hours = problem.horizon.slot_hours
    total = np.zeros(len(flows.import_kw))
    for unit, charge, discharge, soc in zip(
        site.storage, flows.charge_kw, flows.discharge_kw, flows.soc_kwh, strict=True
    ):
        c, d, e = np.asarray(charge), np.asarray(discharge), np.asarray(soc)
        most_kwh = unit.capacity_kwh - room_kept_kwh(problem, unit, flows)
        room_kwh = np.maximum(0.0, most_kwh - e - hours * d / unit.discharge_efficiency)
        by_energy = room_kwh / (hours * unit.charge_efficiency)
        by_power = unit.charge_max_kw - c - _sold(flows, "down", source=unit.name)
        total += np.maximum(0.0, d + np.minimum(by_power, by_energy))
    return total


def _sold(flows: SiteFlows, direction: str, source: str | None = None) -> Floats:
    """Return what ``source`` holds for reserves [kW]; ``None``: what all of them do."""
    held = [
        share.up_kw if direction == "up" else share.down_kw
        for share in flows.reserves
        if source in {None, share.source}
    ]
    total: Floats = np.sum(held, axis=0) if held else np.zeros(len(flows.import_kw))
    return total


def _series(kw: Floats) -> Series:
    return tuple(np.maximum(0.0, kw).tolist())
