"""What one battery best does against a given load: a dynamic programme over states of charge.

States are a grid through the initial charge, plus the levels that matter: empty, full, the backup
floor and the final minimum; then finer grids around the best course found. On a grid it is exact,
negative prices and efficiencies included; each step is either a charge or a discharge, so the two
are never mixed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.dispatch import StorageFlows
from optimizer.problem import Problem
from optimizer.sites import Site, StorageUnit
from optimizer.tariffs import SiteTariff

Floats = NDArray[np.float64]

_FEWEST_STEPS, _MOST_STEPS = 20, 60
_REFINEMENTS, _NEARBY = 2, 5


def operate_storage(
    problem: Problem, site: Site, tariff: SiteTariff, load_kw: Floats, peaks_kw: Floats
) -> StorageFlows:
    """Operate the batteries of ``site`` one after another against ``load_kw`` [slot].

    ``load_kw`` is the facility load without batteries; imports above ``peaks_kw`` [charge, 1] are
    avoided more than they need be: every slot bears the whole charge, though it is paid once.
    """
    charges, discharges, levels = [], [], []
    load = load_kw
    for unit in site.storage:
        soc = _cheapest_course(_Task(problem, unit, tariff, load, peaks_kw))
        change = np.diff(soc, prepend=unit.soc_initial_kwh) / problem.horizon.slot_hours
        charge = np.maximum(change, 0.0) / unit.charge_efficiency
        discharge = np.maximum(-change, 0.0) * unit.discharge_efficiency
        charges.append(charge)
        discharges.append(discharge)
        levels.append(soc)
        load = load + charge - discharge
    shape = (len(site.storage), problem.horizon.n_slots)
    return StorageFlows(*(np.reshape(rows, shape) for rows in (charges, discharges, levels)))


@dataclass(frozen=True, slots=True)
class _Task:
    """One battery against a load [slot]; imports above ``peaks_kw`` bear peak charges."""

    problem: Problem
    unit: StorageUnit
    tariff: SiteTariff
    load_kw: Floats
    peaks_kw: Floats


def _cheapest_course(task: _Task) -> Floats:
    """State of charge at the end of each slot: on a coarse grid, then on finer ones around it."""
    step, grid = _grid(task.unit, task.problem.horizon.slot_hours)
    course = _best_course(task, [grid] * task.problem.horizon.n_slots)
    for _ in range(_REFINEMENTS):
        nearby = np.arange(-_NEARBY, _NEARBY + 1) * (step / _NEARBY)
        levels = [np.clip(soc + nearby, 0.0, task.unit.capacity_kwh) for soc in course]
        course = _best_course(task, levels)
        step /= _NEARBY
    return course


def _best_course(task: _Task, levels: list[Floats]) -> Floats:
    """Choose one of ``levels[t]`` at the end of each slot t so that the horizon costs least."""
    problem, unit = task.problem, task.unit
    n_slots = problem.horizon.n_slots
    before = [np.array([unit.soc_initial_kwh]), *levels[:-1]]
    best_next: list[NDArray[np.int64]] = []
    to_go = -problem.weights.storage_value * unit.terminal_value_eur_per_kwh * levels[-1]
    for slot in range(n_slots - 1, -1, -1):
        power, wear = _moves(problem, unit, before[slot], levels[slot])
        to_go = to_go + _short_eur(problem, unit, levels[slot], is_last=slot == n_slots - 1)
        flows = task.tariff.at(slot).eur(task.load_kw[slot] + power, task.peaks_kw, 1)
        cost = flows + wear + to_go
        best_next.append(np.argmin(cost, axis=1))
        to_go = cost.min(axis=1)
    state, course = 0, np.empty(n_slots)
    for slot, choices in enumerate(reversed(best_next)):
        state = int(choices[state])
        course[slot] = levels[slot][state]
    return course


def _grid(unit: StorageUnit, slot_hours: float) -> tuple[float, Floats]:
    """Step and states of charge to consider, fine enough for a slot at full power to move."""
    per_slot = slot_hours * min(
        unit.charge_max_kw * unit.charge_efficiency,
        unit.discharge_max_kw / unit.discharge_efficiency,
    )
    n_steps = _MOST_STEPS if per_slot <= 0.0 else math.ceil(2.0 * unit.capacity_kwh / per_slot)
    n_steps = min(max(n_steps, _FEWEST_STEPS), _MOST_STEPS)
    step = unit.capacity_kwh / n_steps
    grid = unit.soc_initial_kwh + step * np.arange(-n_steps, n_steps + 1)
    grid = grid[(grid >= 0.0) & (grid <= unit.capacity_kwh)]
    marks = [0.0, unit.capacity_kwh, unit.soc_floor_kwh, unit.soc_final_min_kwh]
    return step, np.unique(np.concatenate((grid, marks, [unit.soc_initial_kwh])))


def _moves(
    problem: Problem, unit: StorageUnit, before_kwh: Floats, after_kwh: Floats
) -> tuple[Floats, Floats]:
    """Grid-side power [kW] and wear [EUR] of going from one level to another [from, to]."""
    hours = problem.horizon.slot_hours
    change = (after_kwh[None, :] - before_kwh[:, None]) / hours
    power = np.where(
        change > 0.0, change / unit.charge_efficiency, change * unit.discharge_efficiency
    )
    wear = problem.weights.storage_wear * unit.wear_eur_per_kwh * np.abs(power) * hours
    too_fast = (power > unit.charge_max_kw + 1e-9) | (-power > unit.discharge_max_kw + 1e-9)
    return power, np.where(too_fast, np.inf, wear)


def _short_eur(problem: Problem, unit: StorageUnit, levels: Floats, *, is_last: bool) -> Floats:
    """Penalty of ending a slot at each level: backup floor, and at the end the final minimum."""
    short: Floats = np.maximum(unit.soc_floor_kwh - levels, 0.0)
    if is_last:
        short = short + np.maximum(unit.soc_final_min_kwh - levels, 0.0)
    return problem.penalties.soc_short_eur_per_kwh * short
