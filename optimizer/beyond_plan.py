r"""What a site could draw less and more than its plan has it, for the length of one slot.

.. math::
    \text{discharge} = c + \min(\bar p^d - d, \;
        \eta^d \max(0, e - \Delta \eta^c c - \underline{e}) / \Delta)            \tag{H1}

.. math::
    \text{charge} = d + \min(\bar p^c - c, \;
        \max(0, \bar e - e - \Delta d / \eta^d) / (\Delta \eta^c))               \tag{H2}

``c`` and ``d`` are what the plan charges and discharges [kW], ``e`` the energy at the end of the
slot. What is held for reserves is sold already, and is in neither; nothing passes the rating of the
connection. That later slots would then have to be planned anew is not looked at, nor what it costs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.checks import Series
from optimizer.plan import Plan, SiteFlows
from optimizer.pledges import shed_by_jobs
from optimizer.problem import Problem
from optimizer.sites import Site

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Headroom:
    """By slot, each >= 0 [kW]: load that can be shed, what batteries can give and take more."""

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
    shed_kw = shed_kw - _sold(flows, "", "up")
    hours = problem.horizon.slot_hours
    discharge_kw = _more_discharge_kw(site, flows, hours)
    charge_kw = _more_charge_kw(site, flows, hours)
    export_room = net_kw + np.asarray(site.grid.export_limit_kw)
    import_room = np.asarray(site.grid.import_limit_kw) - net_kw
    return Headroom(
        _series(shed_kw),
        _series(np.minimum(discharge_kw, export_room)),
        _series(np.minimum(charge_kw, import_room)),
    )


def _more_discharge_kw(site: Site, flows: SiteFlows, hours: float) -> Floats:
    """Return (H1) of all units, less what is sold."""
    total = np.zeros(len(flows.import_kw))
    for unit, charge, discharge, soc in zip(
        site.storage, flows.charge_kw, flows.discharge_kw, flows.soc_kwh, strict=True
    ):
        c, d, e = np.asarray(charge), np.asarray(discharge), np.asarray(soc)
        left_kwh = np.maximum(0.0, e - hours * unit.charge_efficiency * c - unit.soc_floor_kwh)
        by_energy = unit.discharge_efficiency * left_kwh / hours
        more = c + np.minimum(unit.discharge_max_kw - d, by_energy)
        total += np.maximum(0.0, more - _sold(flows, unit.name, "up"))
    return total


def _more_charge_kw(site: Site, flows: SiteFlows, hours: float) -> Floats:
    """Return (H2) of all units, less what is sold."""
    total = np.zeros(len(flows.import_kw))
    for unit, charge, discharge, soc in zip(
        site.storage, flows.charge_kw, flows.discharge_kw, flows.soc_kwh, strict=True
    ):
        c, d, e = np.asarray(charge), np.asarray(discharge), np.asarray(soc)
        room_kwh = np.maximum(0.0, unit.capacity_kwh - e - hours * d / unit.discharge_efficiency)
        by_energy = room_kwh / (hours * unit.charge_efficiency)
        more = d + np.minimum(unit.charge_max_kw - c, by_energy)
        total += np.maximum(0.0, more - _sold(flows, unit.name, "down"))
    return total


def _sold(flows: SiteFlows, source: str, direction: str) -> Floats:
    """Return what ``source`` holds for reserves [kW]."""
    held = [
        share.up_kw if direction == "up" else share.down_kw
        for share in flows.reserves
        if share.source == source
    ]
    total: Floats = np.sum(held, axis=0) if held else np.zeros(len(flows.import_kw))
    return total


def _series(kw: Floats) -> Series:
    return tuple(np.maximum(0.0, kw).tolist())
