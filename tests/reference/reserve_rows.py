"""Reserves, written the naive way: a share for every product, source and slot, offered or not."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from optimizer.plan import ReserveShare
from optimizer.problem import Problem
from optimizer.reserves import ReserveProduct
from optimizer.sites import Site
from tests.reference.job_rows import JobRows

LOAD = ""


def sources(site: Site) -> tuple[str, ...]:
    """Batteries and load."""
    return (*(unit.name for unit in site.storage), LOAD)


def add_reserves(problem: Problem, jobs: dict[str, JobRows], model: Any) -> tuple[Any, Any]:
    """Let lots be held by what is free at both ends of every slot; return earned and penalties."""
    slots = range(problem.horizon.n_slots)
    index = [
        (product.name, name, source, t)
        for product in problem.reserves
        for name in product.sites
        for source in sources(problem.site(name))
        for t in slots
    ]
    model.up = pyo.Var(index, within=pyo.NonNegativeReals)
    model.down = pyo.Var(index, within=pyo.NonNegativeReals)
    numbers = [(p.name, b) for p in problem.reserves for b in range(len(p.blocks))]
    model.lots = pyo.Var(numbers, within=pyo.NonNegativeIntegers)
    model.unheld = pyo.Var(
        [(p.name, d, t) for p in problem.reserves for d in ("up", "down") for t in slots],
        within=pyo.NonNegativeReals,
    )
    earned: Any = 0.0
    missed: Any = 0.0
    for product in problem.reserves:
        one, two = _product(problem, product, model)
        earned, missed = earned + one, missed + two
    for site in problem.sites:
        if any(site.name in product.sites for product in problem.reserves):
            for t in slots:
                _batteries(problem, site, t, model)
                _connection(problem, site, t, model)
                _load(problem, site, t, jobs, model)
    return earned, missed


def _product(problem: Problem, product: ReserveProduct, model: Any) -> tuple[Any, Any]:
    """Whole lots in each block, nothing outside them, and nothing in a direction not asked for."""
    name, rows, hours = product.name, model.rows, problem.horizon.slot_hours
    earned: Any = 0.0
    missed: Any = 0.0
    in_block = set()
    for b, block in enumerate(product.blocks):
        lots = model.lots[name, b]
        rows.add(lots >= block.sold_lots)
        rows.add(lots <= (block.sold_lots if block.is_closed else product.most_lots))
        if block.start_slot < problem.horizon.n_slots:
            earned += block.eur_per_kw * product.lot_kw * lots
        for t in range(block.start_slot, min(block.end_slot, problem.horizon.n_slots)):
            in_block.add(t)
            for direction in product.directions:
                held = sum(_shares(problem, product, direction, t, model))
                short = model.unheld[name, direction, t]
                rows.add(short <= block.sold_lots * product.lot_kw)
                rows.add(held + short == lots * product.lot_kw)
                missed += product.missed_eur_per_kwh * hours * short
    for t in range(problem.horizon.n_slots):
        for direction in ("up", "down"):
            if t not in in_block or direction not in product.directions:
                for share in _shares(problem, product, direction, t, model):
                    rows.add(share == 0)
        for site in product.sites:
            rows.add(model.down[name, site, LOAD, t] == 0)
    return earned, missed


def _shares(
    problem: Problem, product: ReserveProduct, direction: str, t: int, model: Any
) -> list[Any]:
    shares = model.up if direction == "up" else model.down
    return [
        shares[product.name, site, source, t]
        for site in product.sites
        for source in sources(problem.site(site))
    ]


def _batteries(problem: Problem, site: Site, t: int, model: Any) -> None:
    block, rows = model.site[site.name], model.rows
    products = [p for p in problem.reserves if site.name in p.sites]
    for u, unit in enumerate(site.storage):
        up = [model.up[p.name, site.name, unit.name, t] for p in products]
        down = [model.down[p.name, site.name, unit.name, t] for p in products]
        net = block.charge[u, t] - block.discharge[u, t]
        rows.add(sum(up) <= unit.discharge_max_kw + net)
        rows.add(sum(down) <= unit.charge_max_kw - net)
        give = sum(p.hours * kw for p, kw in zip(products, up, strict=True))
        take = sum(p.hours * kw for p, kw in zip(products, down, strict=True))
        give, take = give / unit.discharge_efficiency, take * unit.charge_efficiency
        for end in (t - 1, t):
            energy = block.energy[u, end] if end >= 0 else unit.soc_initial_kwh
            rows.add(take <= unit.capacity_kwh - energy)
            if end < 0:
                rows.add(give <= max(0.0, energy - unit.soc_floor_kwh))
            elif unit.soc_floor_kwh > 0:
                rows.add(give + unit.soc_floor_kwh <= energy + block.floor_short[u, end])
            else:
                rows.add(give <= energy)


def _connection(problem: Problem, site: Site, t: int, model: Any) -> None:
    block = model.site[site.name]
    products = [p for p in problem.reserves if site.name in p.sites]
    net = block.bought[t] - block.sold[t]
    up = [model.up[p.name, site.name, s, t] for p in products for s in sources(site)]
    down = [model.down[p.name, site.name, s, t] for p in products for s in sources(site)]
    in_slot = [p for p in products if t in p.slots(problem.horizon.n_slots)]
    if any(p.is_down for p in in_slot):
        model.rows.add(net + sum(down) <= site.grid.import_limit_kw[t])
    if any(p.is_up for p in in_slot):
        model.rows.add(sum(up) - net <= site.grid.export_limit_kw[t])


def _load(problem: Problem, site: Site, t: int, jobs: dict[str, JobRows], model: Any) -> None:
    products = [p for p in problem.reserves if site.name in p.sites]
    for product in products:
        shed = sum(part.kw[t] for part in site.sheddable if part.within_s <= product.activation_s)
        shed += site.pue[t] * sum(
            point.shed_kw * rows.run[point.name, t]
            for rows in jobs.values()
            for point in rows.job.points
            if point.site == site.name
            and (point.name, t) in rows.run
            and point.shed_within_s <= product.activation_s
        )
        sharing = [p for p in products if p.activation_s <= product.activation_s]
        model.rows.add(sum(model.up[p.name, site.name, LOAD, t] for p in sharing) <= shed)


def read_shares(problem: Problem, site: Site, model: Any) -> tuple[ReserveShare, ...]:
    """What the site holds, source by source."""

    def series(shares: Any, product: str, source: str) -> tuple[float, ...]:
        slots = range(problem.horizon.n_slots)
        return tuple(max(0.0, pyo.value(shares[product, site.name, source, t])) for t in slots)

    return tuple(
        ReserveShare(
            product.name,
            source,
            series(model.up, product.name, source),
            series(model.down, product.name, source),
        )
        for product in problem.reserves
        if site.name in product.sites
        for source in sources(site)
    )
