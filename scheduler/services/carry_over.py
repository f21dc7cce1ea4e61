"""The plan in force, carried over to a newer problem: what holding on to it would mean now.

Its placements move by the slots that have passed; what lies before the new window is done. Its
batteries do what they were told for as long as their charge lasts. The rest follows by rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from optimizer import (
    Job,
    Placement,
    Plan,
    Problem,
    Run,
    Rung,
    Site,
    SiteFlows,
    SlotPrices,
    StorageFlows,
    Unserved,
    dispatch,
    followed,
    settled_plan,
    verify,
)
from scheduler.services.plan_document import PlanDocument
from scheduler.services.window import PlanWindow


class Relation(StrEnum):
    """How the window of an older plan lies to that of a newer problem."""

    OVERLAPS = "overlaps"
    IS_OVER = "is over"
    BEGINS_LATER = "begins later"
    OTHER_SLOTS = "is in slots of another length"


def relation(old: PlanWindow, new: PlanWindow) -> Relation:
    """Say how ``old`` lies to ``new``; only where they overlap can a plan be carried over."""
    if old.end <= new.start:
        return Relation.IS_OVER
    if old.slot_minutes != new.slot_minutes or (new.start - old.start) % old.slot != timedelta(0):
        return Relation.OTHER_SLOTS
    return Relation.BEGINS_LATER if new.start < old.start else Relation.OVERLAPS


def carry_over(document: PlanDocument, problem: Problem, window: PlanWindow) -> Plan | None:
    """Return the older plan on the newer problem; ``None`` where it cannot be followed any more.

    It cannot where the windows do not go together (see ``relation``), or where verification
    finds that it would break a limit of the newer problem, for example of a job that takes longer
    than was thought.
    """
    plan = retell(document, problem, window)
    return None if plan is None or verify(problem, plan) else plan


def retell(document: PlanDocument, problem: Problem, window: PlanWindow) -> Plan | None:
    """Return the older plan in the slots of the newer problem, whether or not it still holds.

    A job the older plan does not know is unserved. ``None`` where the windows do not go together
    (see ``relation``).
    """
    if relation(document.window, window) is not Relation.OVERLAPS:
        return None
    offset = (window.start - document.window.start) // window.slot
    placements = []
    unserved = []
    known = document.plan.placements_by_job()
    for job in problem.jobs:
        placement = _moved(known.get(job.name), job, offset, window.n_slots)
        if placement is not None:
            placements.append(placement)
        else:
            unserved.append(Unserved(job.name, "the plan in force leaves it out", job.can_wait))
    flows = {flow.site: flow for flow in document.plan.flows}
    storage = {
        site.name: _storage(site, flows[site.name], offset, window.slot_hours)
        for site in problem.sites
        if site.name in flows and len(flows[site.name].charge_kw) == len(site.storage)
    }
    energy = dispatch(problem, placements, storage)
    plan = settled_plan(problem, Rung.LAST_PLAN, placements, unserved, energy)
    return replace(plan, prices=_prices(document, problem, offset, window.slot))


def _moved(placement: Placement | None, job: Job, offset: int, n_slots: int) -> Placement | None:
    if placement is None or placement.site not in job.sites:
        return None
    points = {point.name for point in job.points}
    runs = tuple(
        Run(run.point, max(0, run.start_slot - offset), min(n_slots, run.end_slot - offset))
        for run in placement.runs
        if run.end_slot > offset and run.start_slot - offset < n_slots
    )
    if not runs or any(run.point not in points for run in runs):
        return None
    return Placement(placement.job, placement.site, runs)


def _prices(
    document: PlanDocument, problem: Problem, offset: int, slot: timedelta
) -> SlotPrices | None:
    """Return the prices of the older plan; past its window those of its last day go on.

    ``None`` where it has none, or not of every pool.
    """
    old, prices = document.problem, document.plan.prices
    rows = {site.name: row for row, site in enumerate(old.sites)}
    pools = {site.name: [pool.name for pool in site.pools] for site in old.sites}
    if prices is None or any(
        pools.get(site.name) != [pool.name for pool in site.pools] for site in problem.sites
    ):
        return None
    n_old, n_slots = old.horizon.n_slots, problem.horizon.n_slots
    day = min(timedelta(days=1) // slot, n_old)
    slots = [
        t if t < n_old else n_old - day + (t - n_old) % day for t in range(offset, offset + n_slots)
    ]
    kept = [rows[site.name] for site in problem.sites]
    power, gpus = prices.it_eur_per_kwh, prices.gpu_eur_per_gpu_hour
    return SlotPrices(
        tuple(tuple(power[row][t] for t in slots) for row in kept),
        tuple(tuple(tuple(pool[t] for t in slots) for pool in gpus[row]) for row in kept),
    )


def _storage(site: Site, old: SiteFlows, offset: int, slot_hours: float) -> StorageFlows:
    """Let batteries go on as planned where their charge allows it; idle past the older window."""
    n_slots = len(site.pue)
    charge = _shifted(old.charge_kw, offset, n_slots)
    discharge = _shifted(old.discharge_kw, offset, n_slots)
    return followed(site.storage, charge, discharge, slot_hours)


def _shifted(rows: Sequence[Sequence[float]], offset: int, n_slots: int) -> npt.NDArray[np.float64]:
    shifted = np.zeros((len(rows), n_slots))
    for row, values in enumerate(rows):
        kept = values[offset : offset + n_slots]
        shifted[row, : len(kept)] = kept
    return shifted
