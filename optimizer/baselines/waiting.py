r"""Policies that wait once and then run a job without a pause.

Of C(s), the cost of running from slot s on for as long as the policy takes the job to be, r the
slot it came in and w the slots it is taken to run:

.. math::
    \text{lowest slot: } & \min_s \text{price}_s                                     \tag{B1}

    \text{lowest window: } & \min_s C(s)                                             \tag{B2}

    \text{carbon-time: } & \max_s \frac{C(r) - C(s)}{(s - r) + w}                    \tag{B3}

A tie goes to the earliest start, then to the site listed first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from optimizer.baselines.chances import Chance, Ints, chances, prices_of
from optimizer.baselines.queueing import place_in_order
from optimizer.jobs import Job
from optimizer.placements.priced import Window
from optimizer.plan import Placement, Plan
from optimizer.problem import Problem
from optimizer.room import Room

Floats = NDArray[np.float64]
Score = Callable[[Chance, Chance, Ints], Floats]
"""How bad each start is, of one chance and the first one listed."""

_NOTHING: Mapping[str, float] = {}


def lowest_slot(problem: Problem) -> Plan:
    """Return the plan of a queue in which every job starts in the cheapest slot it may start in.

    How long it will run does not count (B1): Lowest Carbon Slot of Hanafy et al., "Going Green for
    Less Green" (GAIA), ASPLOS 2024.
    """
    prices = prices_of(problem)
    row_of = {site.name: row for row, site in enumerate(problem.sites)}

    def score(chance: Chance, _: Chance, starts: Ints) -> Floats:
        price: Floats = prices.it_eur_per_kwh[row_of[chance.point.site], starts]
        return price

    return _by_score(problem, score, start_every_hours=None)


def lowest_window(
    problem: Problem,
    *,
    expected_work: Mapping[str, float] = _NOTHING,
    start_every_hours: float | None = None,
) -> Plan:
    """Return the plan of a queue in which every job waits for its cheapest window (B2).

    Lowest Carbon Window of GAIA (see ``lowest_slot``), and, with the true work of jobs known, the
    non-interruptible optimum of Wiesner et al., "Let's Wait Awhile", Middleware 2021.

    Parameters
    ----------
    expected_work
        By job, what the policy takes its work for [work]; of jobs that are not there, what it is.
    start_every_hours
        Time between the starts that are considered, counted from when a job came [h]; ``None``:
        every slot.
    """
    hours = problem.horizon.slot_hours

    def score(chance: Chance, _: Chance, starts: Ints) -> Floats:
        expected = chance.expected_slots(expected_work.get(chance.job.name), hours)
        return chance.cost_eur(starts, expected)

    return _by_score(problem, score, start_every_hours)


def carbon_time(
    problem: Problem,
    *,
    expected_work: Mapping[str, float] = _NOTHING,
    start_every_hours: float | None = None,
) -> Plan:
    """Return the plan of a queue that weighs what waiting saves against when the job is done (B3).

    Carbon-Time of GAIA (see ``lowest_slot``): the saving per hour until the job is done, where the
    saving is against running at once, at the site listed first. Parameters as of ``lowest_window``.
    """
    hours = problem.horizon.slot_hours

    def score(chance: Chance, first: Chance, starts: Ints) -> Floats:
        work = expected_work.get(chance.job.name)
        came = np.array([first.first_slot])
        now_eur = first.eur_from(came, first.expected_slots(work, hours))
        expected = chance.expected_slots(work, hours)
        saving = now_eur - chance.cost_eur(starts, expected)
        ratio: Floats = -saving / (starts - first.first_slot + expected)
        return ratio

    return _by_score(problem, score, start_every_hours)


def _by_score(problem: Problem, score: Score, start_every_hours: float | None) -> Plan:
    """Put every job where it scores least."""
    prices = prices_of(problem)
    step = 1
    if start_every_hours is not None:
        step = max(1, round(start_every_hours / problem.horizon.slot_hours))

    def place(room: Room, job: Job, window: Window) -> Placement | None:
        found = list(chances(room, job, window, prices))
        best: tuple[float, int, int] | None = None
        for order, chance in enumerate(found):
            starts = _considered(chance, step)
            if len(starts):
                scores = score(chance, found[0], starts)
                pick = int(scores.argmin())
                key = (float(scores[pick]), int(starts[pick]), order)
                best = key if best is None else min(best, key)
        return None if best is None else found[best[2]].unbroken(best[1])

    return place_in_order(problem, place)


def _considered(chance: Chance, step: int) -> Ints:
    """Return starts every ``step`` slots; where none of those is possible, all that are."""
    starts = chance.starts()
    some = starts[(starts - chance.first_slot) % step == 0]
    return some if len(some) else starts
