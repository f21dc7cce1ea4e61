"""Policies that suspend jobs and resume them. What may not pause waits once and runs through.

What a job's ``Pausing`` asks for is kept: least lengths of pieces, slots that a restart takes, the
number of pauses. A job for which a rule leaves no time, GPUs or power runs as early as it can.
"""

from __future__ import annotations

import numpy as np

from optimizer.baselines.chances import Chance, chances, prices_of
from optimizer.baselines.queueing import cheapest_by, earliest, place_in_order
from optimizer.baselines.walking import Rules, walk
from optimizer.jobs import Job
from optimizer.placements.priced import EnergyAtPrices, Priced, Window
from optimizer.plan import Placement, Plan
from optimizer.problem import Problem
from optimizer.room import Room


def suspend_resume(
    problem: Problem, *, quantile: float = 0.3, look_ahead_hours: float = 24.0
) -> Plan:
    """Return the plan of a queue that runs jobs while energy is cheap, and suspends them else.

    When a job comes, a quantile of the prices of the next hours becomes its threshold. It runs in
    slots below that, and in all slots once it has no time left to wait. Souza et al., "Ecovisor: A
    Virtual Energy System for Carbon-Efficient Applications", ASPLOS 2023, with the threshold that
    GAIA (see ``waiting.lowest_slot``) compares itself with. Of several sites it takes the one where
    that is cheapest.
    """
    ahead = max(1, round(look_ahead_hours / problem.horizon.slot_hours))
    prices = prices_of(problem)

    def place(room: Room, job: Job, window: Window) -> Placement | None:
        best: tuple[float, Placement] | None = None
        for chance in chances(room, job, window, prices):
            first = chance.first_slot
            price = prices.it_eur_per_kwh[room.row(chance.point.site), first:]
            threshold = np.quantile(price[:ahead], quantile)
            pieces = walk(Rules.of(room, chance, price < threshold))
            if pieces is not None:
                eur = float(sum(chance.eur[begin:end].sum() for begin, end in pieces))
                if best is None or eur < best[0]:
                    best = eur, chance.placement(*pieces)
        return earliest(room, job, window) if best is None else best[1]

    return place_in_order(problem, place)


def wait_awhile(problem: Problem) -> Plan:
    """Return the plan of a queue in which every job runs in its own cheapest slots.

    The interruptible optimum of Wiesner et al., "Let's Wait Awhile", Middleware 2021, with true
    lengths known. Where a job's restarts cost something, or its pieces have a least length, these
    are the cheapest pieces with the restarts counted, which the paper does not do.
    """
    prices = prices_of(problem)

    def place(room: Room, job: Job, window: Window) -> Placement | None:
        return cheapest_pieces_of(room, job, window, prices)

    return place_in_order(problem, place)


def cheapest_pieces_of(
    room: Room, job: Job, window: Window, prices: EnergyAtPrices
) -> Placement | None:
    """Return the cheapest placement of ``job`` at one of its default points, pauses and all."""
    found = None
    if _pauses_freely(room, job):
        ordered = [_cheapest_slots(chance) for chance in chances(room, job, window, prices)]
        found = None if None in ordered else [one for one in ordered if one is not None]
    if found is None:
        found = cheapest_by(room, job, window, prices)
    best = min(found, key=lambda priced: priced.cost_eur, default=None)
    return None if best is None else best.placement


def _pauses_freely(room: Room, job: Job) -> bool:
    """Whether it costs ``job`` nothing to be paused, in any slot, as often as one likes."""
    pausing = job.pausing
    if pausing is None or job.pin is not None or job.had_started:
        return False
    restart_eur = room.problem.weights.restarts * pausing.restart_eur
    is_free = pausing.restart_slots == 0 and pausing.restart_kwh == 0.0 and restart_eur == 0.0
    return is_free and pausing.min_run_slots <= 1 and pausing.max_pauses is None


def _cheapest_slots(chance: Chance) -> Priced | None:
    """Return the job in its cheapest slots, the earlier of equal ones; ``None``: not so simple."""
    way = chance.way
    possible = np.flatnonzero(chance.is_free)
    begin_at = np.flatnonzero(chance.may_begin)
    if not len(begin_at) or np.any(way.end_eur != 0.0):
        return None
    possible = possible[possible >= begin_at[0]]
    if len(possible) < chance.n_slots:
        return None
    order = np.argsort(way.run_eur[0, possible], kind="stable")
    chosen = np.sort(possible[order[: chance.n_slots]])
    if not chance.may_begin[chosen[0]]:
        return None
    eur = float(way.run_eur[0, chosen].sum() + way.start_eur[0, chosen[0]])
    breaks = np.flatnonzero(np.diff(chosen) > 1) + 1
    pieces = [(part[0], part[-1] + 1) for part in np.split(chosen + chance.first_slot, breaks)]
    return Priced(chance.placement(*pieces), eur)
