"""Jobs that change their operating point, priced at once, and their placements as columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from optimizer.pieces import work_tolerance
from optimizer.placements.columns import Columns
from optimizer.placements.options import Bools, Floats, Integers
from optimizer.placements.prices import Prices
from optimizer.placements.switching import (
    NOWHERE,
    SwitchCosts,
    cells_per_slot,
    cheapest_points,
    costs_to_go,
    points_within,
)
from optimizer.placements.tempo import Grain, Switching, Tempo
from optimizer.placements.window_costs import WindowCosts

MOST_CELLS, MOST_CELLS_OF_WAY = 1_500_000, 40_000_000
"""Numbers in tables worked on at once, and in that of one way: with more, it has a bound, but no
placement."""


def in_tables(windows: WindowCosts, ways: Switching) -> Iterator[Integers]:
    """Yield positions of ``ways``, alike in size, whose tables are worked on at once."""
    if not len(ways.options):
        return
    o = windows.options
    width = o.hi_slot[ways.options] - o.lo_slot[ways.options]
    order = np.lexsort((width, o.n_slots[ways.options]))
    n_each = max(1, MOST_CELLS // _cells(windows, ways))
    for begin in range(0, len(order), n_each):
        yield order[begin : begin + n_each]


def _cells(windows: WindowCosts, ways: Switching) -> int:
    """Return the numbers in the table of the largest way."""
    o = windows.options
    width = int((o.hi_slot[ways.options] - o.lo_slot[ways.options]).max())
    to_do = ways.tempo.strict.to_do(float(ways.work.max()))
    return cells_per_slot(ways.tempo, to_do) * width


def least_eur(windows: WindowCosts, ways: Switching, prices: Prices, run_eur: Floats) -> Floats:
    """Return what no placement of each way costs less than [way]; what the cheapest costs, mostly.

    ``run_eur`` is by ``ways.running`` [option, slot of its window]. Work that had to be rounded is
    rounded in favour of the job.
    """
    costs = _costs(windows, ways, ways.tempo.loose, prices, run_eur)
    table = costs_to_go(costs, ways.tempo, loosely=True, keeps_all=False)
    return np.asarray(table.first_eur.min(axis=(1, 2)))


def changing_each(
    windows: WindowCosts, ways: Switching, prices: Prices, run_eur: Floats
) -> tuple[Floats, Columns]:
    """Return the cheapest placement of each way that has one, and what it costs [column]."""
    by_way = run_eur.reshape(*ways.points.shape, run_eur.shape[1])
    found: list[tuple[Floats, Columns]] = [(np.zeros(0), Columns.none())]
    for some in in_tables(windows, ways):
        these = ways.take(some)
        if _cells(windows, these) <= MOST_CELLS_OF_WAY:
            costs = _costs(windows, these, ways.tempo.strict, prices, by_way[some])
            found.append(_cheapest_each(windows, these, costs))
    return np.concatenate([eur for eur, _ in found]), Columns.joined([one for _, one in found])


def _cheapest_each(
    windows: WindowCosts, ways: Switching, costs: SwitchCosts
) -> tuple[Floats, Columns]:
    eur, points = cheapest_points(costs, ways.tempo)
    kept = [_cut_when_done(ways.tempo, ways.work[k], row) for k, row in enumerate(points)]
    found = np.array([k for k, row in enumerate(kept) if row is not None], dtype=np.int64)
    rows = [row for row in kept if row is not None]
    if not ways.tempo.is_exact:
        pairs = zip(found.tolist(), rows, strict=True)
        eur = np.array([_eur(ways.tempo, costs, k, row) for k, row in pairs])
    else:
        eur = eur[found]
    return eur, _columns(windows, ways.take(found), rows)


def cheapest_changing(
    windows: WindowCosts, ways: Switching, prices: Prices, run_eur: Floats
) -> tuple[float, Columns]:
    """Return the cheapest placement of all ``ways`` and its cost; no column where none has one."""
    cost, columns = changing_each(windows, ways, prices, run_eur)
    if not len(columns):
        return np.inf, columns
    k = int(cost.argmin())
    return float(cost[k]), columns.take(np.array([k]))


def changing_within(
    windows: WindowCosts, ways: Switching, prices: Prices, most_eur: Floats
) -> Iterator[Columns | None]:
    """Yield the placements of ``ways`` that cost at most ``most_eur`` [job].

    Or ``None`` where there are some and they cannot be listed.
    """
    run = windows.run_eur(ways.running, prices, None)
    costs = _costs(windows, ways, ways.tempo.loose, prices, run)
    limit = most_eur[windows.options.job[ways.options]]
    is_listed = ways.tempo.is_listed and _cells(windows, ways) <= MOST_CELLS_OF_WAY
    table = costs_to_go(costs, ways.tempo, loosely=True, keeps_all=is_listed)
    near = np.flatnonzero(table.first_eur.min(axis=(1, 2)) <= limit).tolist()
    if near and not is_listed:
        yield None
        return
    for k in near:
        for row in points_within(costs, ways.tempo, table, k, float(limit[k])):
            yield _columns(windows, ways.take(np.array([k])), [row])


def _costs(
    windows: WindowCosts, ways: Switching, grain: Grain, prices: Prices, run_eur: Floats
) -> SwitchCosts:
    start, restart, end = windows.own_eur(ways.options, prices)
    run = run_eur.reshape(*ways.points.shape, run_eur.shape[-1])
    to_do = np.array([grain.to_do(work) for work in ways.work.tolist()], dtype=np.int64)
    costs = SwitchCosts(run, start, restart, end, np.zeros_like(start), to_do)
    jobs = windows.problem.jobs
    pinned = [k for k, job in enumerate(windows.options.job[ways.options]) if jobs[job].pin]
    return _pinned(windows, ways, costs, pinned) if pinned else costs


def _pinned(
    windows: WindowCosts, ways: Switching, costs: SwitchCosts, pinned: list[int]
) -> SwitchCosts:
    """Bar in the slots of a pin other points, pauses, restarts and the end.

    A job that is done within its pin has no way to change.
    """
    o, jobs = windows.options, windows.problem.jobs
    run, restart, end, idle = (
        one.copy() for one in (costs.run_eur, costs.restart_eur, costs.end_eur, costs.idle_eur)
    )
    for k in pinned:
        job, lo = jobs[o.job[ways.options[k]]], int(o.lo_slot[ways.options[k]])
        if job.pin is None:
            continue
        names = [job.points[number].name for number in o.point[ways.points[k]].tolist()]
        others = [p for p, name in enumerate(names) if name != job.pin.point]
        held = slice(max(0, job.pin.start_slot - lo), job.pin.start_slot + job.pin.n_slots - lo)
        run[k, others, held] = restart[k, held] = idle[k, held] = np.inf
        end[k, : held.stop] = np.inf
    return replace(costs, run_eur=run, restart_eur=restart, end_eur=end, idle_eur=idle)


def _columns(windows: WindowCosts, ways: Switching, rows: list[Integers]) -> Columns:
    """Return a column of each way, at the points of ``rows`` [slot of its window]."""
    slots = [np.flatnonzero(row != NOWHERE) for row in rows]
    begins = np.concatenate(([0], np.cumsum([len(one) for one in slots]))).astype(np.int64)
    lo = windows.options.lo_slot[ways.options]
    options = [points[row[at]] for points, row, at in zip(ways.points, rows, slots, strict=True)]
    none = Columns.none()
    return Columns(
        ways.options,
        begins,
        np.concatenate([none.slots, *(at + k for at, k in zip(slots, lo, strict=True))]).astype(
            np.int32
        ),
        np.concatenate([none.slot_option, *options]),
    )


def _cut_when_done(tempo: Tempo, work: float, row: Integers) -> Integers | None:
    """Leave out what comes after the work is done, as it may where work was rounded [slot].

    ``None`` where nothing is left, or the last piece would be too short without it.
    """
    slots = np.flatnonzero(row != NOWHERE)
    if not len(slots) or tempo.is_exact:
        return row if len(slots) else None
    configuration = np.array(tempo.configuration)[row[slots]]
    begins = _begins(tempo, row, slots)
    loses = begins.copy()
    loses[0] = tempo.is_resumed
    done = np.array(tempo.rates)[row[slots]] - loses * np.array(tempo.lost)[configuration]
    is_enough = np.cumsum(done) >= work - 0.5 * work_tolerance(work)
    if not is_enough.any():
        return None
    last = int(np.argmax(is_enough))
    first = int(np.flatnonzero(begins[: last + 1])[-1])
    if last + 1 - first < (tempo.first_slots if first == 0 else tempo.piece_slots):
        return None
    kept = row.copy()
    kept[slots[last + 1 :]] = NOWHERE
    return kept


def _begins(tempo: Tempo, row: Integers, slots: Integers) -> Bools:
    """Return in which of ``slots`` a piece begins."""
    configuration = np.array(tempo.configuration)[row[slots]]
    return np.append(True, (np.diff(slots) > 1) | (np.diff(configuration) != 0))


def _eur(tempo: Tempo, costs: SwitchCosts, way: int, row: Integers) -> float:
    """Return what a way costs at the points of ``row`` [slot]."""
    slots = np.flatnonzero(row != NOWHERE)
    again = slots[_begins(tempo, row, slots)][1:]
    run = costs.run_eur[way, row[slots], slots].sum() + costs.restart_eur[way, again].sum()
    return float(run + costs.start_eur[way, slots[0]] + costs.end_eur[way, slots[-1] + 1])
