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

from optimizer.jobs import Job, OperatingPoint
from optimizer.pieces import (
    Links,
    begins_with_restart,
    lost_per_restart,
    min_run_slots,
    rate,
    slots_needed,
    work_tolerance,
)

MOST_UNITS, LEAST_PER_SLOT = 640, 16
"""Units a job is counted in, at most about, and units that the fastest point may do in a slot at
least: more cost time, fewer round more."""
SLOWEST = 0.05
"""Points slower than this share of the fastest one have no say in the size of a unit."""
MOST_RESTARTS = 8
"""Restarts that are counted; a job that may have more is not limited loosely."""
SAME = 1e-9
"""Relative difference from a whole number that is none."""

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Grain:
    """How work is counted.

    Attributes
    ----------
    unit
        Work of one unit.
    gains, lost
        Units done in a slot at each point, and lost by a restart into each configuration.
    most_restarts
        Restarts allowed after the first piece; ``None`` for any number.
    """

    unit: float
    gains: tuple[int, ...]
    lost: tuple[int, ...]
    most_restarts: int | None

    @property
    def n_layers(self) -> int:
        """Numbers of restarts to be told apart."""
        return 1 if self.most_restarts is None else 1 + self.most_restarts

    def to_do(self, work: float) -> int:
        """Units that are enough for ``work``, and no fewer are."""
        return max(1, math.ceil((work - 0.5 * work_tolerance(work)) / self.unit - SAME))


@dataclass(frozen=True, slots=True)
class Tempo:
    """What jobs that change points in the same way share.

    Attributes
    ----------
    rates, lost
        Work done in a slot at each point, and lost by a restart into each configuration.
    configuration
        Number of the configuration of each point.
    strict, loose
        Small units, and large ones.
    first_slots, piece_slots
        Least length of the first piece and of a later one.
    is_resumed
        Whether the first piece begins with a restart already.
    is_free
        Whether restarts cost nothing, and pieces may be of any length: then all points count as one
        configuration.
    """

    rates: tuple[float, ...]
    lost: tuple[float, ...]
    configuration: tuple[int, ...]
    strict: Grain
    loose: Grain
    first_slots: int
    piece_slots: int
    is_resumed: bool
    is_free: bool

    @property
    def is_exact(self) -> bool:
        """Whether nothing is rounded."""
        return self.strict == self.loose

    @property
    def is_listed(self) -> bool:
        """Whether every lawful placement ends where its work is first done.

        Where a restart loses work, what was done may be undone, and a job go on after it.
        """
        return self.is_exact and max(self.lost) == 0.0


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


def groups_of(
    job: Job, points: Iterable[OperatingPoint], links: Links, slot_hours: float
) -> list[tuple[OperatingPoint, ...]]:
    """Return the points an elastic job may change between while it runs: two or more each.

    Those of a site, or of a configuration where it cannot pause. With a pin only those around it,
    and none where it is done within its pin.
    """
    groups: dict[object, list[OperatingPoint]] = {}
    for point in points:
        key: object = point.site if job.pausing is not None else point.configuration
        groups.setdefault(key, []).append(point)
    several = [tuple(group) for group in groups.values() if len(group) > 1]
    if job.pin is None:
        return several
    pinned = job.point(job.pin.point)
    if slots_needed(job, pinned, 0, links, slot_hours) <= job.pin.n_slots:
        return []
    return [group for group in several if pinned in group]


def tempo_of(
    job: Job, points: Sequence[OperatingPoint], links: Links, n_slots: int, slot_hours: float
) -> Tempo:
    """Return how ``job`` runs if it changes between ``points`` in a horizon of ``n_slots``."""
    rates = tuple(rate(point, slot_hours) for point in points)
    configurations = list(dict.fromkeys(point.configuration for point in points))
    first, piece = _least_lengths(job, links, slot_hours)
    most = _most_restarts(job, max(0, n_slots - first) // piece)
    piece = first if most == 0 else piece
    is_resumed = begins_with_restart(job)
    lost = (0.0,) * len(configurations)
    if is_resumed or most != 0:
        lost = tuple(lost_per_restart(job, one, links, slot_hours) for one in configurations)
    is_free = first == piece == 1 and most is None and job.pausing is not None
    if job.pausing is not None:
        costs = (job.pausing.restart_kwh, job.pausing.restart_eur, *lost)
        is_free = is_free and max(costs) == 0.0
    if is_free:
        configurations, lost = configurations[:1], lost[:1]
    number = {one: k for k, one in enumerate(configurations)}
    strict, loose = _grains(rates, lost, max(1, math.ceil(job.work / max(rates))), most)
    return Tempo(
        rates=rates,
        lost=lost,
        configuration=tuple(number.get(point.configuration, 0) for point in points),
        strict=strict,
        loose=loose,
        first_slots=first,
        piece_slots=piece,
        is_resumed=is_resumed,
        is_free=is_free,
    )


def _grains(
    rates: Sequence[float], lost: Sequence[float], fewest_slots: int, most_restarts: int | None
) -> tuple[Grain, Grain]:
    """Return the strict and the loose way to count work."""
    regular = [one for one in rates if one >= SLOWEST * max(rates)]
    gains = dict(zip(regular, _gains(regular, fewest_slots), strict=True))
    units = [one / gain for one, gain in gains.items()]
    small, large = min(units), max(units)
    if math.isclose(small, large, rel_tol=SAME):
        large = small
    is_many = most_restarts is not None and most_restarts > MOST_RESTARTS
    strict = Grain(
        small,
        tuple(gains.get(one, math.floor(one / small + SAME)) for one in rates),
        tuple(math.ceil(one / small - SAME) for one in lost),
        MOST_RESTARTS if is_many else most_restarts,
    )
    loose = Grain(
        large,
        tuple(gains.get(one, math.ceil(one / large - SAME)) for one in rates),
        tuple(math.floor(one / large + SAME) for one in lost),
        None if is_many else most_restarts,
    )
    return strict, loose


def _gains(rates: Sequence[float], fewest_slots: int) -> tuple[int, ...]:
    """Return units done in a slot at each point, for jobs of up to twice as many slots alike.

    The fewest that round nothing, or those for which units differ least in size.
    """
    most = max(LEAST_PER_SLOT, MOST_UNITS >> max(0, (fewest_slots - 1).bit_length()))
    tried = [
        tuple(max(1, round(n * one / max(rates))) for one in rates) for n in range(1, most + 1)
    ]

    def spread(gains: tuple[int, ...]) -> float:
        units = [one / gain for one, gain in zip(rates, gains, strict=True)]
        return max(units) / min(units) - 1.0

    exact = next((gains for gains in tried if spread(gains) <= SAME), None)
    return exact or min(tried, key=spread)


def _most_restarts(job: Job, possible: int) -> int | None:
    """Return the restarts allowed after the first piece; ``None`` where nothing limits them."""
    if job.pausing is None or possible == 0:
        return 0
    most = job.pausing.max_pauses
    return None if most is None or most >= possible else most


def _least_lengths(job: Job, links: Links, slot_hours: float) -> tuple[int, int]:
    """Least length of the first and of a later piece; a piece that goes on has none."""
    least = min_run_slots(job, links, slot_hours)
    piece = max(least, 1 if job.pausing is None else job.pausing.restart_slots + 1)
    if job.pin is not None and job.pin.is_running:
        return 1, piece
    return (piece if begins_with_restart(job) else least), piece
