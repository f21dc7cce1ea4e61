"""What one battery best does against a given load: a dynamic programme over states of charge.

States are a grid through the initial charge, plus the levels that matter: empty, full, the backup
floor and the final minimum. On the grid it is exact, negative prices and efficiencies included;
each step is either a charge or a discharge, so the two are never mixed.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from optimizer.dispatch import StorageFlows
from optimizer.problem import Problem
from optimizer.sites import Site, StorageUnit
from optimizer.tariffs import SiteTariff

Floats = NDArray[np.float64]

_FEWEST_STEPS, _MOST_STEPS = 20, 60


def operate_storage(
    problem: Problem, site: Site, tariff: SiteTariff, load_kw: Floats, peak_kw: float
) -> StorageFlows:
    """Operate the batteries of ``site`` one after another against ``load_kw`` [slot].

    ``load_kw`` is the facility load without batteries; imports above ``peak_kw`` are avoided.
    """
    charges, discharges, levels = [], [], []
    load = load_kw
    for unit in site.storage:
        soc = _cheapest_course(problem, unit, tariff, load, peak_kw)
        change = np.diff(soc, prepend=unit.soc_initial_kwh) / problem.horizon.slot_hours
        charge = np.maximum(change, 0.0) / unit.charge_efficiency
        discharge = np.maximum(-change, 0.0) * unit.discharge_efficiency
        charges.append(charge)
        discharges.append(discharge)
        levels.append(soc)
        load = load + charge - discharge
    shape = (len(site.storage), problem.horizon.n_slots)
    return StorageFlows(*(np.reshape(rows, shape) for rows in (charges, discharges, levels)))


def _cheapest_course(
    problem: Problem, unit: StorageUnit, tariff: SiteTariff, load_kw: Floats, peak_kw: float
) -> Floats:
    """State of charge at the end of each slot."""
    levels = _levels(unit, problem.horizon.slot_hours)
    power, wear = _moves(problem, unit, levels)
    held = _holding_costs(problem, unit, levels)
    n_slots = problem.horizon.n_slots
    best_next = np.zeros((n_slots, len(levels)), dtype=np.int64)
    to_go = held[n_slots - 1] - _final_value(problem, unit, levels)
    for slot in range(n_slots - 1, -1, -1):
        cost = tariff.at(slot).eur(load_kw[slot] + power, peak_kw, 1) + wear + to_go[None, :]
        best_next[slot] = np.argmin(cost, axis=1)
        to_go = np.take_along_axis(cost, best_next[slot][:, None], axis=1)[:, 0]
        if slot > 0:
            to_go = to_go + held[slot - 1]
    state = int(np.argmin(np.abs(levels - unit.soc_initial_kwh)))
    course = np.empty(n_slots)
    for slot in range(n_slots):
        state = int(best_next[slot, state])
        course[slot] = levels[state]
    return course


def _levels(unit: StorageUnit, slot_hours: float) -> Floats:
    """States of charge to consider, fine enough for a slot at full power to move."""
    per_slot = slot_hours * min(
        unit.charge_max_kw * unit.charge_efficiency,
        unit.discharge_max_kw / unit.discharge_efficiency,
    )
    steps = _MOST_STEPS if per_slot <= 0.0 else math.ceil(2.0 * unit.capacity_kwh / per_slot)
    steps = min(max(steps, _FEWEST_STEPS), _MOST_STEPS)
    grid = unit.soc_initial_kwh + unit.capacity_kwh / steps * np.arange(-steps, steps + 1)
    grid = grid[(grid >= 0.0) & (grid <= unit.capacity_kwh)]
    marks = [0.0, unit.capacity_kwh, unit.soc_floor_kwh, unit.soc_final_min_kwh]
    return np.unique(np.concatenate((grid, marks, [unit.soc_initial_kwh])))


def _moves(problem: Problem, unit: StorageUnit, levels: Floats) -> tuple[Floats, Floats]:
    """Grid-side power [kW] and wear [EUR] of going from one level to another [from, to]."""
    hours = problem.horizon.slot_hours
    change = (levels[None, :] - levels[:, None]) / hours
    power = np.where(
        change > 0.0, change / unit.charge_efficiency, change * unit.discharge_efficiency
    )
    wear = problem.weights.storage_wear * unit.wear_eur_per_kwh * np.abs(power) * hours
    too_fast = (power > unit.charge_max_kw + 1e-9) | (-power > unit.discharge_max_kw + 1e-9)
    return power, np.where(too_fast, np.inf, wear)


def _holding_costs(problem: Problem, unit: StorageUnit, levels: Floats) -> Floats:
    """Penalty of a level at the end of each slot [slot, level]: backup floor, final minimum."""
    price = problem.penalties.soc_short_eur_per_kwh
    floor = price * np.maximum(unit.soc_floor_kwh - levels, 0.0)
    held = np.tile(floor, (problem.horizon.n_slots, 1))
    held[-1] += price * np.maximum(unit.soc_final_min_kwh - levels, 0.0)
    return held


def _final_value(problem: Problem, unit: StorageUnit, levels: Floats) -> Floats:
    value: Floats = problem.weights.storage_value * unit.terminal_value_eur_per_kwh * levels
    return value
