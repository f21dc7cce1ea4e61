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

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.placements.slot_costs import WayCosts, window_sums

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CostsToGo:
    """R and P of (D1, D2), and where a restart leads; arrays [slot + 1, layer k, slots to run]."""

    running: Floats
    paused: Floats
    next_layer: NDArray[np.int64]
    next_to_run: NDArray[np.int64]


def costs_to_go(way: WayCosts) -> CostsToGo:
    """Solve (D1, D2) backwards from the end of the window."""
    n_window, piece = len(way.run_eur), way.piece_slots
    added = np.array(way.pause_slots)
    # A restart that adds more than a piece works off leaves more to run than before.
    most = way.n_slots if added.max() <= piece else n_window
    to_run = np.arange(most + 1)
    n_layers = len(added) + way.is_limited
    following = np.arange(1, n_layers + 1) if way.is_limited else np.roll(np.arange(n_layers), -1)
    step = np.append(added, 0)[:n_layers]
    next_layer = np.broadcast_to(following[:, None], (n_layers, most + 1))
    next_to_run = to_run[None, :] + step[:, None] - piece
    impossible = (next_layer >= n_layers) | (next_to_run < 0) | (next_to_run > most)
    barred = np.where(impossible, np.inf, 0.0)
    next_layer = np.minimum(next_layer, n_layers - 1)
    next_to_run = np.clip(next_to_run, 0, most)
    begin = window_sums(way.run_eur, piece)
    begin = begin + way.restart_eur[: len(begin)]

    running = np.full((n_window + 1, n_layers, most + 1), np.inf)
    paused = np.full_like(running, np.inf)
    for slot in range(n_window, -1, -1):
        if slot < len(begin):
            after = running[slot + piece][next_layer, next_to_run] + barred
            paused[slot] = np.minimum(paused[slot + 1], begin[slot] + after)
        if slot < n_window:
            go_on = way.run_eur[slot] + running[slot + 1, :, :-1]
            running[slot, :, 1:] = np.minimum(go_on, paused[slot + 1, :, 1:])
        running[slot, :, 0] = way.end_eur[slot]
    return CostsToGo(running, paused, next_layer, next_to_run)


def cheapest_pieces(way: WayCosts, table: CostsToGo, start: int) -> list[tuple[int, int]]:
    """Follow ``table`` from a first start to the end: pieces as (start, end) in the window."""
    pieces = [(start, start + way.first_slots)]
    slot, layer = start + way.first_slots, 0
    left = way.n_slots - way.first_slots
    while left > 0:
        go_on = way.run_eur[slot] + table.running[slot + 1, layer, left - 1]
        if go_on <= table.paused[slot + 1, layer, left]:
            slot, left = slot + 1, left - 1
            pieces[-1] = (pieces[-1][0], slot)
            continue
        begin = slot + 1
        while table.paused[begin + 1, layer, left] <= table.paused[begin, layer, left]:
            begin += 1
        slot = begin + way.piece_slots
        pieces.append((begin, slot))
        layer, left = table.next_layer[layer, left], table.next_to_run[layer, left]
    return pieces
