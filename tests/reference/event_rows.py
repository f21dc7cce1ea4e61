"""Calls to import less, written the naive way: two copies of every row, for yes and for no."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyomo.environ as pyo

from optimizer.problem import Problem

FAR_KW = 10_000.0
"""No site of the tests imports as much."""


@dataclass(slots=True)
class EventRows:
    """Terms of the objective [EUR], and the answer to each event: 1 takes part."""

    missed_eur: Any
    earned_eur: Any
    paid_eur: Any
    takes_part: Any


def add_events(problem: Problem, model: Any) -> EventRows:
    """Let each event be answered, and pay for what is imported above it by those who take part."""
    slots, hours = range(problem.horizon.n_slots), problem.horizon.slot_hours
    names = [event.name for event in problem.events]
    model.takes_part = pyo.Var(names, within=pyo.Binary)
    model.over = pyo.Var(names, slots, within=pyo.NonNegativeReals)
    rows = EventRows(0.0, 0.0, 0.0, model.takes_part)
    for event in problem.events:
        takes_part = model.takes_part[event.name]
        if event.decline_eur is None:
            model.rows.add(takes_part == 1)
        else:
            rows.paid_eur += event.decline_eur * (1 - takes_part)
        rows.earned_eur += event.pay_eur * takes_part
        for t in slots:
            k, after = t - event.start_slot, t - event.start_slot - len(event.level_kw)
            imported = sum(model.site[name].bought[t] for name in event.sites)
            if 0 <= k < len(event.level_kw):
                limit, price = event.level_kw[k], event.missed_eur_per_kwh
            elif 0 <= after < len(event.rebound_kw):
                limit, price = event.rebound_kw[after], event.rebound_eur_per_kwh
            else:
                continue
            over = model.over[event.name, t]
            model.rows.add(imported - limit <= over + FAR_KW * (1 - takes_part))
            rows.missed_eur += price * hours * over
    rows.paid_eur += _deviations(problem, model)
    return rows


def _deviations(problem: Problem, model: Any) -> Any:
    """Price of what is drawn beside each position."""
    index = [(position.name, t) for position in problem.positions for t in position.agreed]
    model.more = pyo.Var(index, within=pyo.NonNegativeReals)
    model.less = pyo.Var(index, within=pyo.NonNegativeReals)
    cost: Any = 0.0
    for position in problem.positions:
        for t, agreed in position.agreed.items():
            sites = [model.site[name] for name in position.sites]
            net = sum(block.bought[t] - block.sold[t] for block in sites)
            more, less = model.more[position.name, t], model.less[position.name, t]
            model.rows.add(net <= agreed + more)
            model.rows.add(net >= agreed - less)
            cost += position.over_eur_per_kwh[t] * more + position.under_eur_per_kwh[t] * less
    return cost * problem.horizon.slot_hours
