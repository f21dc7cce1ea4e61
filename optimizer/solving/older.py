"""What of an older plan, told in the slots of a newer problem, is of use to it."""

from __future__ import annotations

import numpy as np

from optimizer.placements.batch import Pricing
from optimizer.placements.columns import Columns
from optimizer.placements.prices import Prices
from optimizer.placements.tempo import Switching
from optimizer.plan import Placement, Plan, SlotPrices
from optimizer.problem import Problem
from optimizer.verify import verify


def lawful_placements(problem: Problem, plan: Plan) -> tuple[Placement, ...]:
    """Return the placements of ``plan`` that break no rule of their job.

    Whether there are GPUs for all of them is not asked.
    """
    breakers = {breach.owner for breach in verify(problem, plan)}
    return tuple(placed for placed in plan.placements if f"job {placed.job}" not in breakers)


def columns_of(pricing: Pricing, placements: tuple[Placement, ...]) -> dict[int, Columns]:
    """Return placements as columns, by job; those that are no option of theirs are left out."""
    problem, o = pricing.problem, pricing.options
    numbers = {job.name: number for number, job in enumerate(problem.jobs)}
    columns: dict[int, Columns] = {}
    for placed in placements:
        number = numbers[placed.job]
        names = [point.name for point in problem.jobs[number].points]
        points = [names.index(name) for _, name in placed.slots()]
        slots = np.array([slot for slot, _ in placed.slots()], dtype=np.int32)
        for part in pricing.parts_of(number):
            for row, option in enumerate(part.options.tolist()):
                its = part.points[row] if isinstance(part, Switching) else part.options[[row]]
                option_at = {int(o.point[one]): int(one) for one in its}
                if option_at.keys() >= set(points):
                    at = np.array([option_at[point] for point in points])
                    ends = np.array([0, len(slots)])
                    columns[number] = Columns(np.array([option]), ends, slots, at)
    return columns


def prices_of(pricing: Pricing, published: SlotPrices) -> Prices:
    """Return published prices as those of rates: a GPU's own and that of the power it draws."""
    rates, hours = pricing.options.rates, pricing.problem.horizon.slot_hours
    power = np.array(published.it_eur_per_kwh) * hours
    n_slots = power.shape[1]
    own = [row for pools in published.gpu_eur_per_gpu_hour for row in pools]
    gpus = np.array(own, dtype=np.float64).reshape(len(own), n_slots) * hours
    return Prices(power, gpus[rates.pool] + rates.kw_per_gpu[:, None] * power[rates.site])


def published(pricing: Pricing, prices: Prices) -> SlotPrices:
    """Publish prices: of IT energy, and of GPUs beyond the energy they draw."""
    problem, rates = pricing.problem, pricing.options.rates
    hours = problem.horizon.slot_hours
    own = prices.gpu_eur - rates.kw_per_gpu[:, None] * prices.power_eur_per_kw[rates.site]
    pools = np.zeros((sum(len(site.pools) for site in problem.sites), problem.horizon.n_slots))
    np.maximum.at(pools, rates.pool, own)
    rows = iter((pools / hours).tolist())
    return SlotPrices(
        it_eur_per_kwh=tuple(tuple(row) for row in (prices.power_eur_per_kw / hours).tolist()),
        gpu_eur_per_gpu_hour=tuple(
            tuple(tuple(next(rows)) for _ in site.pools) for site in problem.sites
        ),
    )
