"""Jobs that change their operating point, priced at once, and their placements as columns."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from optimizer.pieces import work_tolerance
from optimizer.placements.columns import Columns
from optimizer.placements.options import Floats, Integers
from optimizer.placements.prices import Prices
from optimizer.placements.switching import (
    NOWHERE,
    SwitchCosts,
    cheapest_points,
    costs_to_go,
    points_within,
)
from optimizer.placements.tempo import Grain, Switching, Tempo
from optimizer.placements.window_costs import WindowCosts


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
    costs = _costs(windows, ways, ways.tempo.strict, prices, run_eur)
    cost, points = cheapest_points(costs, ways.tempo)
    kept = [_cut_when_done(ways.tempo, ways.work[k], row) for k, row in enumerate(points)]
    found = np.array([k for k, row in enumerate(kept) if row is not None], dtype=np.int64)
    rows = [row for row in kept if row is not None]
    return cost[found], _columns(windows, ways.take(found), rows)


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

    And ``None`` where rounding does not let them be listed.
    """
    run = windows.run_eur(ways.running, prices, None)
    costs = _costs(windows, ways, ways.tempo.loose, prices, run)
    limit = most_eur[windows.options.job[ways.options]]
    table = costs_to_go(costs, ways.tempo, loosely=True, keeps_all=ways.tempo.is_exact)
    for k in np.flatnonzero(table.first_eur.min(axis=(1, 2)) <= limit).tolist():
        if not ways.tempo.is_exact:
            yield None
        for row in points_within(costs, ways.tempo, table, k, float(limit[k])):
            yield _columns(windows, ways.take(np.array([k])), [row])


def _costs(
    windows: WindowCosts, ways: Switching, grain: Grain, prices: Prices, run_eur: Floats
) -> SwitchCosts:
    start, restart, end = windows.own_eur(ways.options, prices)
    run = run_eur.reshape(*ways.points.shape, run_eur.shape[1])
    _bar_all_but_pinned(windows, ways, run)
    to_do = [grain.to_do(work) for work in ways.work.tolist()]
    return SwitchCosts(run, start, restart, end, np.array(to_do, dtype=np.int64))


def _bar_all_but_pinned(windows: WindowCosts, ways: Switching, run: Floats) -> None:
    """Bar all points but the pinned one in the slots of a pin [way, point, slot]."""
    o, jobs = windows.options, windows.problem.jobs
    for k, option in enumerate(ways.options.tolist()):
        job = jobs[o.job[option]]
        if job.pin is None:
            continue
        names = [job.points[number].name for number in o.point[ways.points[k]].tolist()]
        others = [p for p, name in enumerate(names) if name != job.pin.point]
        first = job.pin.start_slot - int(o.lo_slot[option])
        run[k, others, max(0, first) : max(0, first + job.pin.n_slots)] = np.inf


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
    begins = np.append(True, (np.diff(slots) > 1) | (np.diff(configuration) != 0))
    loses = begins.copy()
    loses[0] = tempo.is_resumed
    done = np.array(tempo.rates)[row[slots]] - loses * np.array(tempo.lost)[configuration]
    last = int(np.argmax(np.cumsum(done) >= work - 0.5 * work_tolerance(work)))
    first = int(np.flatnonzero(begins[: last + 1])[-1])
    if last + 1 - first < (tempo.first_slots if first == 0 else tempo.piece_slots):
        return None
    kept = row.copy()
    kept[slots[last + 1 :]] = NOWHERE
    return kept
