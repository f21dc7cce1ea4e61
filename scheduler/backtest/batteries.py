"""Batteries follow the setpoints of a plan, as far as their charge allows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import numpy as np

from optimizer import StorageUnit, followed
from scheduler.backtest.world import STEP, Charge, PastPower, World
from scheduler.services.plan_document import PlanDocument

_STEP_HOURS = STEP.total_seconds() / 3600


def follow_setpoints(
    world: World, document: PlanDocument | None, until: datetime
) -> tuple[tuple[Charge, ...], tuple[PastPower, ...]]:
    """Let each battery follow its setpoints, as far as its charge allows; else it rests."""
    n_steps = (until - world.now) // STEP
    if not n_steps:
        return world.charges, ()
    told = {} if document is None else dict(_setpoints(document, world.now, n_steps))
    charges, powers = [], []
    for charge in world.charges:
        key = charge.site, charge.battery
        kwh, charge_kw, discharge_kw = charge.kwh, np.zeros(n_steps), np.zeros(n_steps)
        if key in told:
            unit, power_kw = told[key]
            flows = followed(
                [replace(unit, soc_initial_kwh=min(max(kwh, 0.0), unit.capacity_kwh))],
                np.maximum(power_kw, 0.0)[None],
                np.maximum(-power_kw, 0.0)[None],
                _STEP_HOURS,
            )
            charge_kw, discharge_kw = flows.charge_kw[0], flows.discharge_kw[0]
            kwh = float(flows.soc_kwh[0, -1])
        charges.append(replace(charge, kwh=kwh))
        row = tuple(charge_kw.tolist()), tuple(discharge_kw.tolist())
        powers.append(PastPower(charge.site, charge.battery, world.now, *row))
    return tuple(charges), tuple(powers)


def _setpoints(
    document: PlanDocument, start: datetime, n_steps: int
) -> Iterator[tuple[tuple[str, str], tuple[StorageUnit, np.ndarray]]]:
    """Yield every battery of the plan with its power in each step [kW], positive for charging."""
    window = document.window
    slots = np.array([window.slot_of(start + step * STEP) for step in range(n_steps)])
    holds = (slots >= 0) & (slots < window.n_slots)
    for site, flows in zip(document.problem.sites, document.plan.flows, strict=True):
        for unit, charge, discharge in zip(
            site.storage, flows.charge_kw, flows.discharge_kw, strict=True
        ):
            power = np.asarray(charge) - np.asarray(discharge)
            yield (
                (site.name, unit.name),
                (unit, np.where(holds, power[np.clip(slots, 0, window.n_slots - 1)], 0.0)),
            )
