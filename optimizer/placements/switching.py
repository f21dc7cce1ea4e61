r"""The cheapest way to change operating point, pause and go on, by a dynamic programme over slots.

Let ``h`` be the units of work still to do, ``k`` the restarts so far, ``c`` the configuration,
``o`` the slots its piece still owes of its least length, ``a_p`` the cost of a slot at point p,
``g_p`` what it does, ``l_c`` what a restart into c loses, and ``m`` the least length of a piece:

.. math::
    B_t(k, c, h) &= restart_t + \min_{p \in c}
        \{a_{pt} + R_{t+1}(k + 1, c, m - 1, h + l_c - g_p)\}                        \tag{S1}

    I_t(k, h) &= \min\{I_{t+1}(k, h),\; \min_c B_{t+1}(k, c, h)\}                   \tag{S2}

    R_t(k, c, o, h) &= \min\{\min_{p \in c} \{a_{pt} + R_{t+1}(k, c, o - 1, h - g_p)\},\;
        I_t(k, h),\; \min_{c' \ne c} B_t(k, c', h)\}, \quad R_t(k, c, 0, 0) = late_t \tag{S3}

``R`` is the cost from slot t on in a running piece, ``I`` with slot t idle, ``B`` with a restart in
slot t; the last two of (S3) are open only to a piece that owes nothing. A pause lasts a slot or
more. Where work is rounded, or a restart undoes what was done, a job that seems to be done may have
to go on: counted loosely it may do as it likes from then on, and counted strictly it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.placements.tempo import Grain, Tempo

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NOWHERE = -1
"""Stands for the point of a slot that a job does not run in."""


@dataclass(frozen=True, slots=True)
class SwitchCosts:
    """Jobs that change points, as costs by slot of their windows; infinite where they may not.

    Attributes
    ----------
    run_eur
        Cost of running [way, point, slot].
    start_eur, restart_eur
        Cost of a first start, and of a restart [way, slot].
    end_eur
        Cost of being done by the start of a slot [way, slot + 1].
    idle_eur
        Nothing, or infinite where a pin forbids a pause [way, slot].
    to_do
        Units to do [way].
    """

    run_eur: Floats
    start_eur: Floats
    restart_eur: Floats
    end_eur: Floats
    idle_eur: Floats
    to_do: Integers

    @property
    def n_slots(self) -> int:
        """Slots of the longest window."""
        return int(self.run_eur.shape[2])


@dataclass(frozen=True, slots=True)
class Table:
    """Costs to go, and what each first start costs in all.

    Attributes
    ----------
    running
        R, by slot + 1: [restarts, configuration, way, slots owed, units].
    idle
        I, by slot + 1: [restarts, way, units].
    first_eur
        [way, point, slot].
    """

    running: tuple[Floats, ...]
    idle: tuple[Floats, ...]
    first_eur: Floats


def cells_per_slot(tempo: Tempo, most_to_do: int) -> int:
    """Return the numbers that a slot of one way takes in a table."""
    layers = max(tempo.strict.n_layers, tempo.loose.n_layers)
    owed = max(tempo.first_slots, tempo.piece_slots)
    units = 1 + most_to_do + max((*tempo.strict.lost, *tempo.loose.lost))
    return layers * len(tempo.lost) * owed * units


def costs_to_go(costs: SwitchCosts, tempo: Tempo, *, loosely: bool, keeps_all: bool) -> Table:
    """Solve (S1) to (S3) backwards from the end of the window, for all ways at once.

    Without ``keeps_all`` the table holds nothing but the costs of first starts.
    """
    grain = tempo.loose if loosely else tempo.strict
    n_ways, n_points, n_slots = costs.run_eur.shape
    first_eur = np.full((n_ways, n_points, n_slots), np.inf)
    n_owed = max(tempo.first_slots, tempo.piece_slots)
    n_units = 1 + int(costs.to_do.max(initial=1)) + max(grain.lost)
    running = np.full((grain.n_layers, len(tempo.lost), n_ways, n_owed, n_units), np.inf)
    running[:, :, :, 0, 0] = costs.end_eur[:, n_slots]
    idle = np.full((grain.n_layers, n_ways, n_units), np.inf)
    kept_running, kept_idle = [running], [idle]
    may_go_on = loosely and not tempo.is_listed
    begins = np.full((grain.n_layers, len(tempo.lost), n_ways, n_units), np.inf)
    for slot in range(n_slots - 1, -1, -1):
        if tempo.is_free:
            idle = running[:, 0, :, 0] + costs.idle_eur[:, slot, None]
        elif grain.most_restarts != 0:
            idle = np.minimum(idle, begins.min(axis=1)) + costs.idle_eur[:, slot, None]
            begins = _begins(costs, tempo, grain, slot, running, may_go_on)
        first_eur[:, :, slot] = _first(costs, tempo, grain, slot, running)
        running = _running(costs, tempo, grain, slot, running)
        if grain.most_restarts != 0:
            _stop_or_change(running, idle, begins)
        ends = running[:, :, :, :, 0] if may_go_on else np.inf
        done = np.full(running.shape[:-1], np.inf)
        done[:, :, :, 0] = costs.end_eur[:, slot]
        running[:, :, :, :, 0] = np.minimum(ends, done)
        if keeps_all:
            kept_running.append(running)
            kept_idle.append(idle)
    return Table(tuple(reversed(kept_running)), tuple(reversed(kept_idle)), first_eur)


def _first(costs: SwitchCosts, tempo: Tempo, grain: Grain, slot: int, running: Floats) -> Floats:
    """Cost of a first start in ``slot`` [way, point]; ``running`` is R of the slot after it."""
    first = np.empty(costs.run_eur.shape[:2])
    every = np.arange(len(first))
    for p, c in enumerate(tempo.configuration):
        left = costs.to_do + tempo.is_resumed * grain.lost[c] - grain.gains[p]
        after = running[0, c, every, tempo.first_slots - 1, np.maximum(0, left)]
        first[:, p] = costs.start_eur[:, slot] + costs.run_eur[:, p, slot] + after
    return first


def _running(costs: SwitchCosts, tempo: Tempo, grain: Grain, slot: int, running: Floats) -> Floats:
    """Cost of going on in ``slot`` in the same piece; ``running`` is R of the slot after it."""
    less_owed = running
    if running.shape[3] > 1:
        less_owed = np.concatenate([running[:, :, :, :1], running[:, :, :, :-1]], axis=3)
    found = np.full_like(running, np.inf)
    for p, c in enumerate(tempo.configuration):
        run_eur = costs.run_eur[:, p, slot, None, None]
        _lower(found[:, c], less_owed[:, c], -grain.gains[p], run_eur, np.inf)
    return found


def _begins(
    costs: SwitchCosts,
    tempo: Tempo,
    grain: Grain,
    slot: int,
    running: Floats,
    may_go_on: bool,
) -> Floats:
    """B of (S1) [restarts, configuration, way, units]; ``running`` is R of the slot after."""
    is_limited = grain.most_restarts is not None
    n_layers = len(running) - is_limited
    found = np.full((len(running), *running.shape[1:3], running.shape[4]), np.inf)
    for p, c in enumerate(tempo.configuration):
        after = running[is_limited:, c, :, tempo.piece_slots - 1]
        units, run_eur = grain.lost[c] - grain.gains[p], costs.run_eur[:, p, slot, None]
        # More units to do than the table has are counted as its most, or given up.
        beyond = after[..., -1:] if may_go_on else np.inf
        _lower(found[:n_layers, c], after, units, run_eur, beyond)
        if may_go_on and units > 0:
            stays_done = found[:n_layers, c, :, :1]
            np.minimum(stays_done, after[..., :1] + run_eur, out=stays_done)
    found += costs.restart_eur[:, slot, None]
    return found


def _stop_or_change(running: Floats, idle: Floats, begins: Floats) -> None:
    """Lower R, where nothing is owed, to stopping or to going on in another configuration."""
    for c in range(running.shape[1]):
        free = running[:, c, :, 0]
        np.minimum(free, idle, out=free)
        for other in range(running.shape[1]):
            if other != c:
                np.minimum(free, begins[:, other], out=free)


def _lower(
    found: Floats, costs: Floats, units: int, run_eur: Floats, beyond: Floats | float
) -> None:
    """Lower ``found`` [..., unit] to ``run_eur`` and ``costs`` with so many ``units`` more to do.

    With fewer than none a job is done, and with too many it costs ``beyond``.
    """
    n = costs.shape[-1]
    if units >= 0:
        more = min(units, n)
        within, rest = found[..., : n - more], found[..., n - more :]
        moved, end = costs[..., more:], beyond
    else:
        less = min(-units, n)
        within, rest = found[..., less:], found[..., :less]
        moved, end = costs[..., : n - less], costs[..., :1]
    np.minimum(within, moved + run_eur, out=within)
    if units:
        np.minimum(rest, end + run_eur, out=rest)


def cheapest_points(costs: SwitchCosts, tempo: Tempo) -> tuple[Floats, Integers]:
    """Return what the cheapest placement of each way costs, and its points.

    The latter are [way, slot], ``NOWHERE`` where it does not run, and all of that for a way that
    has no placement, or that rounding left without one.
    """
    table = costs_to_go(costs, tempo, loosely=False, keeps_all=True)
    cost: Floats = table.first_eur.min(axis=(1, 2))
    return cost, _traced(costs, tempo, table)


@dataclass(slots=True)
class _State:
    """Where each way stands before a slot; arrays [way]."""

    layer: Integers
    configuration: Integers
    owed: Integers
    left: Integers
    is_on: NDArray[np.bool_]
    is_begun: NDArray[np.bool_]


def _traced(costs: SwitchCosts, tempo: Tempo, table: Table) -> Integers:
    """Follow ``table`` from the best first start to the end [way, slot]."""
    n_ways, n_points, n_slots = costs.run_eur.shape
    grain, every = tempo.strict, np.arange(n_ways)
    flat = table.first_eur.reshape(n_ways, -1)
    best = flat.argmin(axis=1)
    first_point, first_slot = np.divmod(best, n_slots)
    exists = np.isfinite(flat[every, best])
    points = np.full((n_ways, n_slots), NOWHERE)
    zero = np.zeros(n_ways, dtype=np.int64)
    state = _State(
        zero, zero.copy(), zero.copy(), costs.to_do.copy(), zero.astype(bool), zero.astype(bool)
    )
    configuration, gains, lost = (
        np.array(values) for values in (tempo.configuration, grain.gains, grain.lost)
    )
    if not exists.any():
        return points
    for slot in range(int(first_slot[exists].min()), n_slots):
        goes_on, begins, stays = _choices(costs, tempo, table, state, slot)
        options = np.concatenate([goes_on, begins, stays[None]])
        choice = options.argmin(axis=0)
        choice[~state.is_begun | (state.left <= 0)] = 2 * n_points
        starts = np.flatnonzero(exists & (first_slot == slot))
        is_start = np.zeros(n_ways, dtype=bool)
        is_start[starts] = True
        choice[starts] = first_point[starts]
        runs = np.flatnonzero(choice < 2 * n_points)
        again = runs[(choice[runs] >= n_points) & ~is_start[runs]]
        point = choice[runs] % n_points
        points[runs, slot] = point
        state.is_on[:] = False
        state.is_on[runs] = True
        state.owed = np.maximum(0, state.owed - 1)
        state.owed[again] = tempo.piece_slots - 1
        state.owed[starts] = tempo.first_slots - 1
        state.layer[again] += tempo.strict.most_restarts is not None
        state.configuration[runs] = configuration[point]
        state.is_begun[starts] = True
        loses = np.append(again, starts) if tempo.is_resumed else again
        state.left[loses] += lost[state.configuration[loses]]
        state.left[runs] = np.maximum(0, state.left[runs] - gains[point])
        if (~exists | (state.is_begun & (state.left <= 0))).all():
            break
    return points


def _choices(
    costs: SwitchCosts, tempo: Tempo, table: Table, state: _State, slot: int
) -> tuple[Floats, Floats, Floats]:
    """Costs of going on and of a restart [point, way], and of an idle slot [way]."""
    n_ways, n_points, _ = costs.run_eur.shape
    grain, every, after = tempo.strict, np.arange(n_ways), table.running[slot + 1]
    n_units, is_limited = after.shape[-1], tempo.strict.most_restarts is not None
    goes_on, begins = (np.full((n_points, n_ways), np.inf) for _ in range(2))
    owes_nothing = state.is_on & (state.owed == 0)
    layer = np.minimum(state.layer + is_limited, len(after) - 1)
    has_layer = state.layer + is_limited < len(after)
    for p, c in enumerate(tempo.configuration):
        same = state.is_on & (state.configuration == c)
        left = np.maximum(0, state.left - grain.gains[p])
        to_go = after[state.layer, c, every, np.maximum(0, state.owed - 1), left]
        goes_on[p, same] = (costs.run_eur[:, p, slot] + to_go)[same]
        left = np.maximum(0, state.left + grain.lost[c] - grain.gains[p])
        to_go = after[layer, c, every, tempo.piece_slots - 1, np.minimum(left, n_units - 1)]
        may = (~state.is_on | (owes_nothing & (state.configuration != c))) & has_layer
        may &= left < n_units
        cost = costs.restart_eur[:, slot] + costs.run_eur[:, p, slot] + to_go
        begins[p, may] = cost[may]
    stays = np.where(
        ~state.is_on | owes_nothing, table.idle[slot][state.layer, every, state.left], np.inf
    )
    return goes_on, begins, stays


def points_within(
    costs: SwitchCosts, tempo: Tempo, table: Table, way: int, most_eur: float
) -> Iterator[Integers]:
    """Yield the points [slot] of every placement of one way that costs ``most_eur`` at most.

    ``table`` is kept whole, and of a ``tempo`` that is listed, so no branch is followed in vain.
    """
    grain, run = tempo.strict, costs.run_eur[way]
    stack: list[_Branch] = []
    for p, slot in np.argwhere(table.first_eur[way] <= most_eur).tolist():
        c = tempo.configuration[p]
        left = int(costs.to_do[way]) + tempo.is_resumed * grain.lost[c] - grain.gains[p]
        cost = float(costs.start_eur[way, slot] + run[p, slot])
        taken = (NOWHERE,) * slot + (p,)
        stack.append(_Branch(cost, 0, c, tempo.first_slots - 1, max(0, left), True, taken))
    while stack:
        branch = stack.pop()
        if branch.left == 0:
            if branch.owed == 0 and branch.eur + costs.end_eur[way, branch.slot] <= most_eur:
                idle = costs.n_slots - branch.slot
                yield np.array(branch.points + (NOWHERE,) * idle)
        elif branch.slot < costs.n_slots:
            stack += _grown(branch, costs, tempo, table, way, most_eur)


@dataclass(frozen=True, slots=True)
class _Branch:
    """A placement up to a slot, and where it stands there."""

    eur: float
    layer: int
    configuration: int
    owed: int
    left: int
    is_on: bool
    points: tuple[int, ...]

    @property
    def slot(self) -> int:
        """The slot it has come to."""
        return len(self.points)


def _grown(
    branch: _Branch, costs: SwitchCosts, tempo: Tempo, table: Table, way: int, most_eur: float
) -> Iterator[_Branch]:
    """Yield ``branch`` with one slot more, where that can still end within ``most_eur``."""
    grain, slot = tempo.strict, branch.slot
    after, run = table.running[slot + 1], costs.run_eur[way, :, slot]
    owes_nothing = branch.is_on and branch.owed == 0
    layer = branch.layer + (tempo.strict.most_restarts is not None)
    if (not branch.is_on or owes_nothing) and (
        branch.eur + table.idle[slot][branch.layer, way, branch.left] <= most_eur
    ):
        yield _Branch(
            branch.eur,
            branch.layer,
            branch.configuration,
            0,
            branch.left,
            False,
            (*branch.points, NOWHERE),
        )
    for p, c in enumerate(tempo.configuration):
        if branch.is_on and c == branch.configuration:
            owed, left = max(0, branch.owed - 1), max(0, branch.left - grain.gains[p])
            step = (branch.layer, c, owed, left)
            eur = branch.eur + float(run[p])
        elif (not branch.is_on or owes_nothing) and layer < len(after):
            left = max(0, branch.left + grain.lost[c] - grain.gains[p])
            step = (layer, c, tempo.piece_slots - 1, left)
            eur = branch.eur + float(costs.restart_eur[way, slot] + run[p])
        else:
            continue
        layer_then, c_then, owed, left = step
        if left >= after.shape[-1]:
            continue
        if eur + after[layer_then, c_then, way, owed, left] <= most_eur:
            yield _Branch(eur, *step, True, (*branch.points, p))
