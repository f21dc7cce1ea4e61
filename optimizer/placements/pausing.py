r"""The cheapest way to pause and go on, by a dynamic programme over slots.

Let ``h`` be the slots a job still has to run, ``k`` its pauses so far, ``a`` the cost of running in
a slot, ``m`` the least length of a piece and ``q`` the slots a restart adds:

.. math::
    R_t(k, h) &= \min\{a_t + R_{t+1}(k, h - 1),\; P_{t+1}(k, h)\}, \quad R_t(k, 0) = late_t \tag{D1}

    P_t(k, h) &= \min\{P_{t+1}(k, h),\;
        restart_t + a_t + \dots + a_{t+m-1} + R_{t+m}(k + 1, h + q_k - m)\}               \tag{D2}

``R`` is the cost from slot t on in a piece that is long enough to stop, ``P`` while paused. A pause
lasts a slot or more, so a piece is never restarted without a gap where prices are negative. Where
what each pause adds repeats with a period, k counts within the period: few layers instead of many.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.placements.slot_costs import WayCosts, window_sums

Floats = NDArray[np.float64]
Pieces = tuple[tuple[int, int], ...]
"""Pieces in order of time: first slot, and the slot after the last."""


@dataclass(frozen=True, slots=True)
class CostsToGo:
    """R and P of (D1, D2) [slot + 1, way, layer k, slots to run], and where a restart leads.

    The latter are [layer k, slots to run].
    """

    running: Floats
    paused: Floats
    next_layer: NDArray[np.int64]
    next_to_run: NDArray[np.int64]


def costs_to_go(ways: WayCosts) -> CostsToGo:
    """Solve (D1, D2) backwards from the end of the window, for all ``ways`` at once."""
    rhythm, (n_ways, n_window) = ways.rhythm, ways.run_eur.shape
    piece = rhythm.piece_slots
    added = np.array(rhythm.pause_slots)
    # A restart that adds more than a piece works off leaves more to run than before.
    most = rhythm.n_slots if added.max() <= piece else n_window
    to_run = np.arange(most + 1)
    n_layers = len(added) + rhythm.is_limited
    layers = np.arange(n_layers)
    following = layers + 1 if rhythm.is_limited else np.roll(layers, -1)
    step = np.append(added, 0)[:n_layers]
    next_layer = np.broadcast_to(following[:, None], (n_layers, most + 1))
    next_to_run = to_run[None, :] + step[:, None] - piece
    impossible = (next_layer >= n_layers) | (next_to_run < 0) | (next_to_run > most)
    barred = np.where(impossible, np.inf, 0.0)
    next_layer = np.minimum(next_layer, n_layers - 1)
    next_to_run = np.clip(next_to_run, 0, most)
    begin = window_sums(ways.run_eur, piece)
    begin = begin + ways.restart_eur[:, : begin.shape[1]]

    running = np.full((n_window + 1, n_ways, n_layers, most + 1), np.inf)
    paused = np.full_like(running, np.inf)
    for slot in range(n_window, -1, -1):
        if slot < begin.shape[1]:
            after = running[slot + piece][:, next_layer, next_to_run] + barred
            paused[slot] = np.minimum(paused[slot + 1], begin[:, slot, None, None] + after)
        if slot < n_window:
            go_on = ways.run_eur[:, slot, None, None] + running[slot + 1, :, :, :-1]
            running[slot, :, :, 1:] = np.minimum(go_on, paused[slot + 1, :, :, 1:])
        running[slot, :, :, 0] = ways.end_eur[:, slot, None]
    return CostsToGo(running, paused, next_layer, next_to_run)


def cheapest_pieces(
    ways: WayCosts, table: CostsToGo, way: int, start: int
) -> list[tuple[int, int]]:
    """Follow ``table`` for one way from a first start to its end: pieces in its window."""
    rhythm = ways.rhythm
    pieces = [(start, start + rhythm.first_slots)]
    slot, layer = start + rhythm.first_slots, 0
    left = int(ways.n_slots[way]) - rhythm.first_slots
    while left > 0:
        go_on = ways.run_eur[way, slot] + table.running[slot + 1, way, layer, left - 1]
        if go_on <= table.paused[slot + 1, way, layer, left]:
            slot, left = slot + 1, left - 1
            pieces[-1] = (pieces[-1][0], slot)
            continue
        begin = slot + 1
        while table.paused[begin + 1, way, layer, left] <= table.paused[begin, way, layer, left]:
            begin += 1
        slot = begin + rhythm.piece_slots
        pieces.append((begin, slot))
        layer, left = table.next_layer[layer, left], table.next_to_run[layer, left]
    return pieces


def costs_by_start(ways: WayCosts) -> tuple[Floats, CostsToGo | None]:
    """Cost of the cheapest placement by first start [way, slot], and the table that finds it.

    No table where the rhythm has no pauses.
    """
    rhythm = ways.rhythm
    if not rhythm.pause_slots:
        first, table = rhythm.n_slots, None
        rest = ways.end_eur
    else:
        table = costs_to_go(ways)
        first = rhythm.first_slots
        rest = table.running[:, np.arange(len(ways.n_slots)), 0, ways.n_slots - first].T
    total = window_sums(ways.run_eur, first)
    total = total + ways.start_eur[:, : total.shape[1]] + rest[:, first : first + total.shape[1]]
    return total, table


def pieces_within(
    ways: WayCosts, table: CostsToGo, way: int, start: int, most_eur: float
) -> Iterator[Pieces]:
    """Yield every way to go on from a first start that costs ``most_eur`` at most in all.

    ``table`` knows what each step leads to at best, so no branch is followed in vain.
    """
    rhythm, run = ways.rhythm, ways.run_eur[way]
    first_end = start + rhythm.first_slots
    begun = ways.start_eur[way, start] + run[start:first_end].sum()
    to_do = int(ways.n_slots[way]) - rhythm.first_slots
    stack: list[tuple[float, int, int, int, Pieces]] = [
        (float(begun), first_end, 0, to_do, ((start, first_end),))
    ]
    while stack:
        cost, slot, layer, left, pieces = stack.pop()
        if left == 0:
            if cost + ways.end_eur[way, slot] <= most_eur:
                yield pieces
            continue
        if slot < len(run) and cost + run[slot] + table.running[slot + 1, way, layer, left - 1] <= (
            most_eur
        ):
            longer = (*pieces[:-1], (pieces[-1][0], slot + 1))
            stack.append((cost + run[slot], slot + 1, layer, left - 1, longer))
        next_layer, next_left = table.next_layer[layer, left], table.next_to_run[layer, left]
        if table.paused[min(slot + 1, len(run)), way, layer, left] + cost > most_eur:
            continue
        for begin in range(slot + 1, len(run) - rhythm.piece_slots + 1):
            end = begin + rhythm.piece_slots
            costs = cost + ways.restart_eur[way, begin] + run[begin:end].sum()
            if costs + table.running[end, way, next_layer, next_left] <= most_eur:
                stack.append((costs, end, next_layer, next_left, (*pieces, (begin, end))))
