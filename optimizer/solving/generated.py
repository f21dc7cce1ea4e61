"""Many jobs: prices first, then jobs put in at these prices, then what HiGHS can still improve.

The order of things: a first plan at what energy costs; the prices of the relaxation and the bound;
jobs put in one by one at these prices, taken out and put back; the LP of the columns, where it is
small enough to be worth it, for the last of the bound; in the end flows, and jobs that are not
generated, as one MILP around the jobs that stand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from pyomo.common.gc_manager import PauseGC

from optimizer.errors import SolverFailed
from optimizer.placements.columns import Columns, distinct
from optimizer.placements.options import Floats, Integers
from optimizer.placements.prices import Prices
from optimizer.plan import Placement, Plan, Rung
from optimizer.problem import Problem
from optimizer.progress import Clock, OnProgress, SolveLimits, relative_gap
from optimizer.reasons import reasons_left_out
from optimizer.settlement import gpus_used, it_load_kw, settle
from optimizer.solving.ascent import Ascent, ascend, import_prices
from optimizer.solving.closing import close
from optimizer.solving.column_master import ColumnMaster
from optimizer.solving.freeing import Found, SideBySide, search
from optimizer.solving.generation import generate
from optimizer.solving.greedy import greedy
from optimizer.solving.highs import StandardForm, run_highs
from optimizer.solving.insertion import Filling, gpus_of, insert, insertion_order
from optimizer.solving.older import columns_of, lawful_placements, prices_of, published
from optimizer.solving.squeezing import squeeze_in
from optimizer.solving.watch import Standing, Watch

MOST_SWEEPS = 6
"""Times that every job is taken out and put back."""
LEAST_GAIN = 1e-4
"""Relative improvement for which one more sweep is worth it."""
NEAR_GAP = 0.05
"""Gap beyond which an older plan is not only mended but set against one from scratch."""
MOVING, MOVING_FROM_OLDER = 1e-4, 1e-1
"""What moving a job must gain, as a share of what a job costs on average: nobody is moved for
nothing, and nobody for little who knows of an older plan."""
MOST_IDLE_ROUNDS = 12
"""Rounds of the search without a gain after which it ends."""
MOST_LP_COLUMNS = 60_000
"""The LP of the columns is solved up to this size: it lifts the bound by a few in ten thousand."""
PRICES_SHARE = 0.5
"""Share of the time left that prices may take."""
LEAST_FLOWS_S = 1.0
FLOWS_SHARE = 0.1
"""Share of the time limit that is left for the flows of the plan, where they need binaries."""


def solve_generated(
    problem: Problem,
    limits: SolveLimits,
    on_progress: OnProgress | None,
    clock: Clock,
    *,
    side_by_side: SideBySide = map,
    older: Plan | None = None,
) -> Plan:
    """Solve ``problem`` to the gap or time of ``limits``; ``side_by_side`` see ``SideBySide``.

    Parameters
    ----------
    older
        A plan told in the slots of this problem, to begin from: what of it breaks a limit now is
        left out. Jobs stay where it has them unless something is gained.

    Raises
    ------
    SolverFailed
        HiGHS gave no flows for the jobs that stand.
    """
    watch = Watch(limits, on_progress, clock, FLOWS_SHARE * limits.time_limit_s)
    watch.goes_on("build")
    with PauseGC():
        core = ColumnMaster.of(problem)
    if not core.form.is_integer.any():
        watch.flows_s = min(watch.flows_s, LEAST_FLOWS_S)
    still = () if older is None else lawful_placements(problem, older)
    known = None
    if older is not None and older.prices is not None:
        known = prices_of(core.pricing, older.prices)
    kept = _kept_placements(core, still)
    filling = _first(core, kept, still, known, watch.is_over)
    watch.keep(_settled(core, filling))
    begun: Ascent | None = None
    if watch.goes_on("insert"):
        begun = ascend(
            core,
            goes_on=watch.noting("price"),
            seed=limits.seed,
            start=known,
            share_used=watch.share_used(PRICES_SHARE),
        )
        _fill(core, kept, filling if still else None, begun.prices, watch)
    if begun is not None and not watch.is_good_enough() and watch.goes_on("columns"):
        begun = _proven(core, begun, watch)
    if begun is not None and len(core.pricing.jobs) and not watch.is_good_enough():
        moving = MOVING_FROM_OLDER if still else MOVING
        _search(core, filling, begun, watch, limits, moving, side_by_side)
    if begun is not None and watch.goes_on("prove"):
        close(core, begun.prices, watch, limits)
    return _finished(core, watch, begun, limits)


def _kept_placements(core: ColumnMaster, still: tuple[Placement, ...]) -> tuple[Placement, ...]:
    """Place the jobs that are not generated as if they were alone, and note it in the model.

    They stay where they ``still`` may if that can be said of all of them.
    """
    names = {terms.job for terms in core.master.jobs}
    if not names:
        return ()
    problem = core.problem
    alone = replace(problem, jobs=tuple(job for job in problem.jobs if job.name in names))
    placements = tuple(placed for placed in still if placed.job in names)
    used = np.array(list(gpus_used(problem, placements).values())).reshape(gpus_of(problem).shape)
    if len(placements) < len(names) or (used > gpus_of(problem)).any():
        placements = greedy(alone).placements
    placed = {placement.job: placement for placement in placements}
    for terms in core.master.jobs:
        terms.set_start(placed.get(terms.job))
    return placements


def _empty(core: ColumnMaster, kept: tuple[Placement, ...]) -> Filling:
    problem = core.problem
    used = np.array(list(gpus_used(problem, kept).values())).reshape(gpus_of(problem).shape)
    return Filling.of(core.pricing, gpus_of(problem) - used, it_load_kw(problem, kept))


def _first(
    core: ColumnMaster,
    kept: tuple[Placement, ...],
    still: tuple[Placement, ...],
    known: Prices | None,
    is_over: Callable[[], bool],
) -> Filling:
    """Put in what ``still`` stands, and the others at ``known`` prices or what energy costs."""
    filling, order = _empty(core, kept), insertion_order(core.pricing)
    for job, column in columns_of(core.pricing, still).items():
        if filling.fits(column):
            filling.put(job, column)
    filling.pay_peaks()
    prices = known or import_prices(core)
    left = _left_out(filling, order)
    insert(filling, left, core.left_out_eur, prices, known, is_over=is_over)
    squeeze_in(filling, _left_out(filling, order), core.left_out_eur, prices, is_over)
    return filling


def _moving_eur(watch: Watch, share: float) -> float:
    """Return ``share`` of what a job of the best plan costs on average [EUR]."""
    if watch.best is None:
        return 0.0
    return share * abs(watch.best.objective) / max(1, len(watch.best.columns))


def _left_out(filling: Filling, jobs: Integers) -> Integers:
    """Return those of ``jobs`` that do not stand."""
    return jobs[[job not in filling.placed for job in jobs.tolist()]]


def _fill(
    core: ColumnMaster,
    kept: tuple[Placement, ...],
    standing: Filling | None,
    prices: Prices,
    watch: Watch,
) -> None:
    """Improve what stands at ``prices``; fill anew where nothing does, or not well enough."""
    if standing is not None:
        _sweep(core, standing, prices, (prices,), watch, MOVING_FROM_OLDER)
        if watch.gap is None or watch.gap <= NEAR_GAP or watch.is_over():
            return
    guides: tuple[Prices | None, ...] = (prices, prices, *[None] * (MOST_SWEEPS - 2))
    _sweep(core, _empty(core, kept), prices, guides, watch)


def _sweep(
    core: ColumnMaster,
    filling: Filling,
    prices: Prices,
    guides: tuple[Prices | None, ...],
    watch: Watch,
    moving: float = MOVING,
) -> None:
    """Give every job its turn once for each of ``guides``, until little is gained or time is up."""
    order = insertion_order(core.pricing)
    last = np.inf
    for guide in guides:
        moving_eur = _moving_eur(watch, moving)
        if not insert(filling, order, core.left_out_eur, prices, guide, moving_eur, watch.is_over):
            return
        out = _left_out(filling, order)
        squeeze_in(filling, out, core.left_out_eur, prices, watch.is_over)
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
    return Standing(columns, flows.values, flows.objective)


def _around(core: ColumnMaster, columns: Columns) -> StandardForm:
    """Return the MILP of everything but the generated jobs, which stand at ``columns``."""
    return core.choice(np.zeros(0, np.int64), Columns.none(), columns)


def _search(
    core: ColumnMaster,
    filling: Filling,
    begun: Ascent,
    watch: Watch,
    limits: SolveLimits,
    moving: float,
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
        moving_eur=_moving_eur(watch, moving),
        side_by_side=side_by_side,
        seed=limits.seed,
        goes_on=goes_on,
        left_s=watch.search_s,
    )


def _standing(found: Found) -> Standing:
    columns = Columns.joined(list(found.filling.placed.values()))
    return Standing(columns, found.values, found.objective)


def _proven(core: ColumnMaster, begun: Ascent, watch: Watch) -> Ascent:
    """Lift the bound by the LP of the columns, if it is small enough."""
    if sum(len(columns) for columns in begun.columns) > MOST_LP_COLUMNS:
        return begun
    relaxation = generate(
        core,
        begun,
        watch.best.columns if watch.best is not None else Columns.none(),
        gap=1e-5,
        goes_on=lambda _lp, bound: watch.noting("columns")(bound),
    )
    watch.note_bound(relaxation.bound_eur)
    return Ascent(relaxation.prices, relaxation.bound_eur, (relaxation.columns,))


def _finished(core: ColumnMaster, watch: Watch, begun: Ascent | None, limits: SolveLimits) -> Plan:
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
    prices = None if begun is None else published(core.pricing, begun.prices)
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


def _flows(core: ColumnMaster, form: StandardForm, limits: SolveLimits, watch: Watch) -> Floats:
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
