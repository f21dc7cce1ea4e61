"""What sites hold for reserves, read from their flows: lots, load that can be shed, energy kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from optimizer.plan import Placement, SiteFlows
from optimizer.problem import Problem
from optimizer.reserves import ReserveProduct
from optimizer.sites import Sheddable, Site, StorageUnit

Floats = NDArray[np.float64]

ROUNDING = 1e-5
"""Share of a lot by which what is held may fall short of it."""


def held_kw(product: ReserveProduct, flows: Sequence[SiteFlows], direction: str) -> Floats:
    """Return what all sites hold of ``product`` in ``direction`` [slot]."""
    total = np.zeros(len(flows[0].import_kw))
    for flow in flows:
        for share in flow.reserves:
            if share.product == product.name and flow.site in product.sites:
                total += np.asarray(share.up_kw if direction == "up" else share.down_kw)
    return total


def lots_held(product: ReserveProduct, flows: Sequence[SiteFlows]) -> tuple[int, ...]:
    """Return the lots of each block: whole ones held in all its slots, and those sold already."""
    least = np.min([held_kw(product, flows, one) for one in product.directions], axis=0)
    lots = []
    for block in product.blocks:
        here = least[block.start_slot : block.end_slot]
        whole = here.min() / product.lot_kw + ROUNDING if len(here) else 0.0
        lots.append(max(block.sold_lots, min(math.floor(whole), product.most_lots_in(block))))
    return tuple(lots)


def kept_kwh(problem: Problem, unit: StorageUnit, flow: SiteFlows) -> Floats:
    """Return the energy in ``unit`` that reserves need at the end of each slot [slot]."""
    return _at_ends(_called_kwh(problem, unit, flow, "up") / unit.discharge_efficiency)


def room_kept_kwh(problem: Problem, unit: StorageUnit, flow: SiteFlows) -> Floats:
    """Return the room in ``unit`` that reserves need at the end of each slot [slot] in kWh."""
    return _at_ends(_called_kwh(problem, unit, flow, "down") * unit.charge_efficiency)


def _called_kwh(problem: Problem, unit: StorageUnit, flow: SiteFlows, direction: str) -> Floats:
    """Return what ``unit`` gives or takes at the meter where all it holds is called [slot]."""
    hours = {product.name: product.hours for product in problem.reserves}
    total = np.zeros(problem.horizon.n_slots)
    for share in flow.reserves:
        if share.source == unit.name:
            held = share.up_kw if direction == "up" else share.down_kw
            total += hours.get(share.product, 0.0) * np.asarray(held)
    return total


def _at_ends(kwh: Floats) -> Floats:
    """Return the more of both slots: the end of one is the start of the next."""
    most: Floats = np.maximum(kwh, np.append(kwh[1:], 0.0))
    return most


def shed_by_jobs(problem: Problem, placements: Sequence[Placement]) -> dict[str, list[Sheddable]]:
    """Return the facility load of ``placements`` that can be shed, by site."""
    jobs = {job.name: job for job in problem.jobs}
    found: dict[tuple[str, float], Floats] = {}
    for placement in placements:
        for run in placement.runs:
            point = jobs[placement.job].point(run.point)
            if point.shed_kw > 0:
                key = point.site, point.shed_within_s
                series = found.setdefault(key, np.zeros(problem.horizon.n_slots))
                series[run.start_slot : run.end_slot] += point.shed_kw
    by_site: dict[str, list[Sheddable]] = {site.name: [] for site in problem.sites}
    for (name, within_s), series in sorted(found.items()):
        kw = series * np.asarray(problem.site(name).pue)
        by_site[name].append(Sheddable(tuple(kw.tolist()), within_s))
    return by_site


def with_shed_load(site: Site, more: Sequence[Sheddable]) -> Site:
    """Return ``site`` with load of jobs that is now part of its base load, and can be shed."""
    return replace(site, sheddable=(*site.sheddable, *more)) if more else site
