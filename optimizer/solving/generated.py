"""Many jobs: prices first, then jobs put in at these prices, then what HiGHS can still improve.

The order of things: a first plan at what energy costs; the prices of the relaxation and the bound;
jobs put in one by one at these prices, taken out and put back; the LP of the columns, where it is
small enough to be worth it, for the last of the bound; in the end flows, and jobs that are not
generated, as one MILP around the jobs that stand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from pyomo.common.gc_manager import PauseGC

from optimizer.errors import SolverFailed
from optimizer.placements.columns import Columns, distinct
from optimizer.placements.options import Floats
from optimizer.placements.prices import Prices
from optimizer.plan import Placement, Plan, Rung, SlotPrices
from optimizer.problem import Problem
from optimizer.progress import Clock, OnProgress, Progress, SolveLimits, relative_gap
from optimizer.reasons import reasons_left_out
from optimizer.settlement import gpus_used, it_load_kw, settle
from optimizer.solving.ascent import Ascent, ascend, import_prices
from optimizer.solving.column_master import ColumnMaster
from optimizer.solving.freeing import Found, SideBySide, search
from optimizer.solving.generation import generate
from optimizer.solving.greedy import greedy
from optimizer.solving.highs import StandardForm, run_highs
from optimizer.solving.insertion import Filling, gpus_of, insert, insertion_order

MOST_SWEEPS = 6
"""Times that every job is taken out and put back."""
LEAST_GAIN = 1e-4
"""Relative improvement for which one more sweep is worth it."""
MOST_IDLE_ROUNDS = 8
"""Rounds of the search without a gain after which it ends."""
MOST_LP_COLUMNS = 60_000
"""The LP of the columns is solved up to this size: it lifts the bound by a few in ten thousand."""
LEAST_FLOWS_S = 1.0
FLOWS_SHARE = 0.1
"""Share of the time limit that is left for the flows of the plan, where they need binaries."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A plan as columns: one of each served job, and what everything costs."""

    columns: Columns
    objective: float
    values: Floats


class _Watch:
    """What is known so far, told on as progress; says whether there is time left."""

    def __init__(self, limits: SolveLimits, on_progress: OnProgress | None, clock: Clock) -> None:
        self._limits, self._on_progress, self._clock = limits, on_progress, clock
        self._began = clock()
        self.flows_s = FLOWS_SHARE * limits.time_limit_s
        self.bound: float | None = None
        self.best: Standing | None = None
        self.was_stopped = False

    @property
    def seconds(self) -> float:
        """Seconds since the solve began."""
        return self._clock() - self._began

    @property
    def left_s(self) -> float:
        """Seconds of the limit that are left."""
        return self._limits.time_limit_s - self.seconds

    def keep(self, standing: Standing) -> None:
        """Keep ``standing`` if it is the best so far."""
        if self.best is None or standing.objective < self.best.objective:
            self.best = standing

    def is_good_enough(self) -> bool:
        """Whether the gap asked for is proven."""
        gap = None if self.best is None else relative_gap(self.best.objective, self.bound)
        return gap is not None and gap <= self._limits.mip_gap

    def is_over(self) -> bool:
        """Whether only the time for flows is left."""
        return self.left_s <= self.flows_s

    def goes_on(self, phase: str) -> bool:
        """Tell how far it is; False where it was stopped or only the time for flows is left."""
        best = None if self.best is None else self.best.objective
        if self._on_progress is not None and not self.was_stopped:
            progress = Progress(phase, self.seconds, best, self.bound)
            self.was_stopped = not self._on_progress(progress)
        return not self.was_stopped and not self.is_over()


def solve_generated(
    problem: Problem,
    limits: SolveLimits,
    on_progress: OnProgress | None,
    clock: Clock,
    side_by_side: SideBySide = map,
) -> Plan:
    """Solve ``problem`` to the gap or time of ``limits``; ``side_by_side`` see ``SideBySide``.

    Raises
    ------
    SolverFailed
        HiGHS gave no flows for the jobs that stand.
    """
    watch = _Watch(limits, on_progress, clock)
    watch.goes_on("build")
    with PauseGC():
        core = ColumnMaster.of(problem)
    if not core.form.is_integer.any():
        watch.flows_s = min(watch.flows_s, LEAST_FLOWS_S)
    kept = _kept_placements(core)
    nowhere = import_prices(core)
    filling = _empty(core, kept)
    insert(filling, insertion_order(core.pricing), core.left_out_eur, nowhere, None)
    watch.keep(_settled(core, filling))
    begun: Ascent | None = None
    if watch.goes_on("insert"):
        begun = ascend(core, goes_on=_noting(watch, "price"), seed=limits.seed)
        watch.bound = begun.bound_eur
        filling = _empty(core, kept)
        _fill(core, filling, begun.prices, watch)
    if begun is not None and not watch.is_good_enough() and watch.goes_on("columns"):
        begun = _proven(core, begun, watch)
    if begun is not None and len(core.pricing.jobs) and not watch.is_good_enough():
        _search(core, filling, begun, watch, limits, side_by_side)
    return _finished(core, watch, begun, limits)


def _noting(watch: _Watch, phase: str) -> Callable[[float], bool]:
    def goes_on(bound: float) -> bool:
        watch.bound = bound if watch.bound is None else max(bound, watch.bound)
        return watch.goes_on(phase)

    return goes_on


def _kept_placements(core: ColumnMaster) -> tuple[Placement, ...]:
    """Place the jobs that are not generated as if they were alone, and note it in the model."""
    names = {terms.job for terms in core.master.jobs}
    if not names:
        return ()
    problem = core.problem
    alone = replace(problem, jobs=tuple(job for job in problem.jobs if job.name in names))
    plan = greedy(alone)
    for terms in core.master.jobs:
        terms.set_start(plan.placement(terms.job))
    return plan.placements


def _empty(core: ColumnMaster, kept: tuple[Placement, ...]) -> Filling:
    problem = core.problem
    used = np.array(list(gpus_used(problem, kept).values())).reshape(gpus_of(problem).shape)
    return Filling.of(core.pricing, gpus_of(problem) - used, it_load_kw(problem, kept))


def _fill(core: ColumnMaster, filling: Filling, prices: Prices, watch: _Watch) -> None:
    """Put all jobs in at ``prices``, and sweep over them until little is gained or time is up."""
    order = insertion_order(core.pricing)
    guides: list[Prices | None] = [prices, prices, *[None] * (MOST_SWEEPS - 2)]
    last = np.inf
    for guide in guides:
        insert(filling, order, core.left_out_eur, prices, guide)
        standing = _settled(core, filling)
        filling.battery_kw = core.battery_kw(standing.values)
        filling.pay_peaks()
        watch.keep(standing)
        is_done = guide is None and standing.objective > last - LEAST_GAIN * abs(last)
        last = standing.objective
        if is_done or watch.is_good_enough() or not watch.goes_on("insert"):
            return


def _settled(core: ColumnMaster, filling: Filling) -> Standing:
    """Find the cheapest flows for what stands."""
    columns = Columns.joined(list(filling.placed.values()))
    flows = core.settled(columns)
    if flows.values is None:
        raise SolverFailed(f"no flows for the jobs that stand: {flows.status}")
    return Standing(columns, flows.objective, flows.values)


def _around(core: ColumnMaster, columns: Columns) -> StandardForm:
    """Return the MILP of everything but the generated jobs, which stand at ``columns``."""
    return core.choice(np.zeros(0, np.int64), Columns.none(), columns)


def _search(
    core: ColumnMaster,
    filling: Filling,
    begun: Ascent,
    watch: _Watch,
    limits: SolveLimits,
    side_by_side: SideBySide,
) -> None:
    """Free jobs and choose anew, until good enough, time is up, or many rounds found nothing."""
    if watch.best is None:
        raise AssertionError("a search has a plan to begin with")
    for job in list(filling.placed):
        filling.take_out(job)
    for k in range(len(watch.best.columns)):
        column = watch.best.columns.take(np.array([k]))
        filling.put(int(core.pricing.options.job[column.option[0]]), column)
    idle_rounds, last = 0, watch.best.objective

    def goes_on(found: Found) -> bool:
        nonlocal idle_rounds, last
        idle_rounds = 0 if found.objective < last else idle_rounds + 1
        last = found.objective
        watch.keep(_standing(found))
        is_done = watch.is_good_enough() or idle_rounds > MOST_IDLE_ROUNDS
        return not is_done and watch.goes_on("search")

    search(
        core,
        Found(filling, watch.best.values, watch.best.objective),
        distinct(Columns.joined(list(begun.columns))),
        begun.prices,
        side_by_side=side_by_side,
        seed=limits.seed,
        goes_on=goes_on,
        is_over=watch.is_over,
    )


def _standing(found: Found) -> Standing:
    columns = Columns.joined(list(found.filling.placed.values()))
    return Standing(columns, found.objective, found.values)


def _proven(core: ColumnMaster, begun: Ascent, watch: _Watch) -> Ascent:
    """Lift the bound by the LP of the columns, if it is small enough."""
    if sum(len(columns) for columns in begun.columns) > MOST_LP_COLUMNS:
        return begun
    relaxation = generate(
        core,
        begun,
        watch.best.columns if watch.best is not None else Columns.none(),
        gap=1e-5,
        goes_on=lambda _lp, bound: _noting(watch, "columns")(bound),
    )
    watch.bound = max(relaxation.bound_eur, begun.bound_eur)
    return replace(begun, prices=relaxation.prices, bound_eur=watch.bound)


def _finished(core: ColumnMaster, watch: _Watch, begun: Ascent | None, limits: SolveLimits) -> Plan:
    """Solve what is around the best columns as a MILP, and read the plan."""
    if watch.best is None:
        raise AssertionError("a first plan always stands")
    form = _around(core, watch.best.columns)
    solution = _flows(core, form, limits, watch)
    tidy = run_highs(form.fixed_at(solution), {"random_seed": limits.seed})
    values = tidy.values if tidy.values is not None and tidy.is_proven else solution
    core.form.load(values)
    found = [terms.read() for terms in core.master.jobs]
    columns = watch.best.columns
    placements = [core.pricing.placement(columns, k) for k in range(len(columns))]
    position = {job.name: row for row, job in enumerate(core.problem.jobs)}
    placements += [placement for placement in found if placement is not None]
    placed = tuple(sorted(placements, key=lambda placement: position[placement.job]))
    flows = tuple(site.read_flows() for site in core.master.sites)
    settlement = settle(core.problem, placed, flows)
    bound = watch.bound
    gap = relative_gap(settlement.objective, bound)
    prices = None if begun is None else _slot_prices(core, begun.prices)
    return Plan(
        rung=Rung.EXACT if gap is not None and gap <= limits.mip_gap else Rung.BEST_FOUND,
        placements=placed,
        unserved=reasons_left_out(core.problem, placed, prices),
        flows=flows,
        terms=settlement.terms,
        violations=settlement.violations,
        objective=settlement.objective,
        bound=None if bound is None else min(bound, settlement.objective),
        prices=prices,
    )


def _flows(core: ColumnMaster, form: StandardForm, limits: SolveLimits, watch: _Watch) -> Floats:
    """Solve ``form``; if that takes too long, with the jobs that are not generated as they stand.

    Raises
    ------
    SolverFailed
        There are no flows for the jobs.
    """
    watch.goes_on("flows")
    kept, held = core.kept_values()
    start = np.full(len(form.cost), np.nan)
    start[kept] = held
    options = {
        "time_limit": max(LEAST_FLOWS_S, watch.left_s),
        "mip_rel_gap": 0.1 * limits.mip_gap,
        "random_seed": limits.seed,
    }
    solution = run_highs(form, options, start=start[form.is_integer])
    if solution.values is None and len(kept):
        lower, upper = form.lower.copy(), form.upper.copy()
        lower[kept] = upper[kept] = start[kept]
        solution = run_highs(replace(form, lower=lower, upper=upper), options)
    if solution.values is None:
        raise SolverFailed(f"no flows for the jobs of the plan: {solution.status}")
    return solution.values


def _slot_prices(core: ColumnMaster, prices: Prices) -> SlotPrices:
    """Publish prices: of IT energy, and of GPUs beyond the energy they draw."""
    problem, rates = core.problem, core.pricing.options.rates
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
