"""Jobs that change their operating point on the way: which may be priced together, and their work.

Work is counted in whole units, so that a dynamic programme can run over what is left to do. Where
rates are no multiples of a unit, each point does a whole number of units of its own size. Taking
the smallest of these sizes for all, *strictly*, enough is done whatever the rounding; taking the
largest, *loosely*, no placement is missed, and the cheapest one bounds all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.jobs import Job, OperatingPoint, slots_to_do
from optimizer.pieces import (
    Links,
    begins_with_restart,
    lost_per_restart,
    min_run_slots,
    rate,
    work_tolerance,
)

MOST_UNITS = 640
"""Units a job is counted in, at most about: more cost time, fewer round more."""
SAME = 1e-9
"""Relative difference from a whole number that is none."""

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Grain:
    """How work is counted: work of one unit, and units lost by a restart by configuration."""

    unit: float
    lost: tuple[int, ...]

    def to_do(self, work: float) -> int:
        """Units that are enough for ``work``, and no fewer are."""
        return max(1, math.ceil((work - 0.5 * work_tolerance(work)) / self.unit - SAME))


@dataclass(frozen=True, slots=True)
class Tempo:
    """What jobs that change points in the same way share.

    Attributes
    ----------
    gains
        Units done in a slot at each point.
    rates, lost
        Work done in a slot at each point, and lost by a restart into each configuration.
    configuration
        Number of the configuration of each point.
    strict, loose
        Small units, and large ones.
    first_slots, piece_slots
        Least length of the first piece and of a later one.
    most_restarts
        Restarts allowed after the first piece; ``None`` for any number.
    is_resumed
        Whether the first piece begins with a restart already.
    is_free
        Whether restarts cost nothing, and pieces may be of any length: then all points count as one
        configuration.
    """

    gains: tuple[int, ...]
    rates: tuple[float, ...]
    lost: tuple[float, ...]
    configuration: tuple[int, ...]
    strict: Grain
    loose: Grain
    first_slots: int
    piece_slots: int
    most_restarts: int | None
    is_resumed: bool
    is_free: bool

    @property
    def is_exact(self) -> bool:
        """Whether nothing is rounded."""
        is_same = math.isclose(self.strict.unit, self.loose.unit, rel_tol=SAME)
        return is_same and self.strict.lost == self.loose.lost


@dataclass(frozen=True, slots=True)
class Switching:
    """Options that change between others, and are priced together.

    Attributes
    ----------
    options
        The option each way is [way]; its slots are those of ``points``.
    points
        Options whose slots it may take [way, point of ``tempo``].
    work
        Work to do [way].
    """

    tempo: Tempo
    options: Integers
    points: Integers
    work: NDArray[np.float64]

    def take(self, ways: Integers) -> Switching:
        """Return these ways alone."""
        return Switching(self.tempo, self.options[ways], self.points[ways], self.work[ways])

    @property
    def running(self) -> Integers:
        """Options whose slots its ways take, way by way."""
        return self.points.ravel()


def groups_of(job: Job, points: Iterable[OperatingPoint]) -> list[tuple[OperatingPoint, ...]]:
    """Return the points an elastic job may change between while it runs: two or more each.

    Those of a site, or of a configuration where it cannot pause; with a pin only those around it.
    """
    groups: dict[object, list[OperatingPoint]] = {}
    for point in points:
        key: object = point.site if job.pausing is not None else point.configuration
        groups.setdefault(key, []).append(point)
    return [
        tuple(group)
        for group in groups.values()
        if len(group) > 1 and (job.pin is None or job.pin.point in {p.name for p in group})
    ]


def tempo_of(
    job: Job, points: Sequence[OperatingPoint], links: Links, n_slots: int, slot_hours: float
) -> Tempo:
    """Return how ``job`` runs if it changes between ``points`` in a horizon of ``n_slots``."""
    rates = tuple(rate(point, slot_hours) for point in points)
    configurations = list(dict.fromkeys(point.configuration for point in points))
    lost = tuple(lost_per_restart(job, one, links, slot_hours) for one in configurations)
    gains = _gains(rates, max(1, math.ceil(job.work / max(rates))))
    units = [r / gain for r, gain in zip(rates, gains, strict=True)]
    first, piece = _least_lengths(job, links, slot_hours)
    most: int | None = 0
    is_free = False
    if job.pausing is not None:
        most = job.pausing.max_pauses
        most = None if most is not None and most >= n_slots // piece else most
        costs_nothing = job.pausing.restart_kwh == job.pausing.restart_eur == max(lost) == 0.0
        is_free = costs_nothing and most is None and first == piece == 1
    if is_free:
        configurations, lost = configurations[:1], lost[:1]
    number = {one: k for k, one in enumerate(configurations)}
    return Tempo(
        gains=gains,
        rates=rates,
        lost=lost,
        configuration=tuple(number.get(point.configuration, 0) for point in points),
        strict=Grain(min(units), tuple(math.ceil(work / min(units) - SAME) for work in lost)),
        loose=Grain(max(units), tuple(math.floor(work / max(units) + SAME) for work in lost)),
        first_slots=first,
        piece_slots=piece,
        most_restarts=most,
        is_resumed=begins_with_restart(job),
        is_free=is_free,
    )


def fewest_slots(job: Job, points: Sequence[OperatingPoint], links: Links, hours: float) -> int:
    """Fewest slots ``job`` runs in if it changes between ``points`` without a pause."""
    restart = begins_with_restart(job)
    return min(
        slots_to_do(
            job.work + restart * lost_per_restart(job, point.configuration, links, hours),
            point,
            hours,
        )
        for point in points
    )


def _gains(rates: Sequence[float], fewest_slots: int) -> tuple[int, ...]:
    """Return units done in a slot at each point, for jobs of up to twice as many slots alike.

    The fewest that round nothing, or those for which units differ least in size.
    """
    most = max(1, MOST_UNITS >> max(0, (fewest_slots - 1).bit_length()))
    tried = [
        tuple(max(1, round(n * one / max(rates))) for one in rates) for n in range(1, most + 1)
    ]

    def spread(gains: tuple[int, ...]) -> float:
        units = [one / gain for one, gain in zip(rates, gains, strict=True)]
        return max(units) / min(units) - 1.0

    exact = next((gains for gains in tried if spread(gains) <= SAME), None)
    return exact or min(tried, key=spread)


def _least_lengths(job: Job, links: Links, slot_hours: float) -> tuple[int, int]:
    """Least length of the first and of a later piece; a pin makes the first one longer."""
    least = min_run_slots(job, links, slot_hours)
    piece = max(least, 1 if job.pausing is None else job.pausing.restart_slots + 1)
    first = piece if begins_with_restart(job) else least
    if job.pin is not None:
        pinned = min(
            job.pin.n_slots, fewest_slots(job, [job.point(job.pin.point)], links, slot_hours)
        )
        first = pinned if job.pin.is_running else max(first, pinned)
    return first, piece
