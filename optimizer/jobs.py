"""What a job is to the optimiser: work, a window, and the ways it may run.

Work is counted in any unit the caller likes (reference hours, steps, tokens), as long as
``OperatingPoint.work_per_hour`` uses the same. A job occupies whole slots.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from optimizer.checks import require_above, require_at_least, require_unique, require_within
from optimizer.errors import InvalidProblem


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """One way to run a job: some GPUs of one pool at one power cap or batch size.

    Attributes
    ----------
    name
        Unique within the job.
    site, pool
        The pool it uses, e.g. ``"DE"``, ``"a100"``.
    gpus
        GPUs held in every slot it runs in.
    power_kw
        IT power of these GPUs and their share of the hosts while running [kW], idle part included,
        before PUE.
    work_per_hour
        Work done per hour [work/h].
    shed_kw, shed_within_s
        IT power that can be shed for a reserve while it runs so, by pausing it or by a lower cap
        [kW], and how long that takes [s]. Where there are too many jobs to list their
        placements, that of jobs without GPUs is not counted on.
    """

    name: str
    site: str
    pool: str
    gpus: int
    power_kw: float
    work_per_hour: float
    shed_kw: float = 0.0
    shed_within_s: float = 0.0

    def __post_init__(self) -> None:
        owner = f"operating point {self.name}"
        require_within(owner, "shed_kw", self.shed_kw, 0.0, self.power_kw)
        require_at_least(owner, "shed_within_s", self.shed_within_s, 0.0)
        require_at_least(owner, "gpus", self.gpus, 0)
        require_at_least(owner, "power_kw", self.power_kw, 0.0)
        require_above(owner, "work_per_hour", self.work_per_hour, 0.0)

    @property
    def configuration(self) -> tuple[str, str, int]:
        """Site, pool and GPUs: changing it is a restart; changing cap or batch size is not."""
        return self.site, self.pool, self.gpus


@dataclass(frozen=True, slots=True)
class Pausing:
    """What stopping and going on again costs a job that may be paused.

    Attributes
    ----------
    min_run_slots
        Every uninterrupted run lasts at least this long; a job shorter than this runs in one piece.
    restart_slots
        Slots after each restart that hold GPUs and draw power but do no work (reload, lost steps).
    restart_kwh
        IT energy of one restart [kWh], drawn in its first slot, on top of running.
    restart_eur
        Other cost of one restart [EUR].
    max_pauses
        Pauses allowed; ``None`` for any number.
    """

    min_run_slots: int = 1
    restart_slots: int = 0
    restart_kwh: float = 0.0
    restart_eur: float = 0.0
    max_pauses: int | None = None

    def __post_init__(self) -> None:
        require_at_least("pausing", "min_run_slots", self.min_run_slots, 1)
        require_at_least("pausing", "restart_slots", self.restart_slots, 0)
        require_at_least("pausing", "restart_kwh", self.restart_kwh, 0.0)
        require_at_least("pausing", "restart_eur", self.restart_eur, 0.0)
        if self.max_pauses is not None:
            require_at_least("pausing", "max_pauses", self.max_pauses, 0)


@dataclass(frozen=True, slots=True)
class InputData:
    """Where a job's input lies. Running elsewhere moves it first, over a ``Link``.

    ``left_gb``: what is still to be moved to sites that have some of it, at most ``size_gb``; to a
    site that has all of it, 0 [GB].
    """

    site: str
    size_gb: float
    left_gb: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        require_at_least("input data", "size_gb", self.size_gb, 0.0)
        for site, left_gb in self.left_gb:
            require_within("input data", f"left_gb of {site}", left_gb, 0.0, self.size_gb)

    def is_at(self, site: str) -> bool:
        """Whether ``site`` has all of it."""
        return site == self.site or (site, 0.0) in self.left_gb

    def to_move_gb(self, site: str) -> float:
        """Return what must be moved before a job can start at ``site`` [GB]."""
        return 0.0 if self.is_at(site) else dict(self.left_gb).get(site, self.size_gb)


@dataclass(frozen=True, slots=True)
class Pin:
    """Slots a job is already committed to: it is running, or its start is frozen.

    Attributes
    ----------
    point
        Name of the operating point it runs at.
    start_slot, n_slots
        It runs at this point in [start_slot, start_slot + n_slots), and not before start_slot.
    is_running
        It ran in the slot before the horizon: ``start_slot`` is 0 and is not a start (no data
        transfer, no restart).
    """

    point: str
    start_slot: int
    n_slots: int
    is_running: bool = False

    def __post_init__(self) -> None:
        require_at_least("pin", "start_slot", self.start_slot, 0)
        require_at_least("pin", "n_slots", self.n_slots, 1)
        if self.is_running and self.start_slot != 0:
            raise InvalidProblem("pin of a running job", "start_slot", self.start_slot, "0")


@dataclass(frozen=True, slots=True)
class Announced:
    """Site and first slot the plan in force promised; departing from them is churn.

    The site may be one the problem no longer has: then there is no way to keep the promise.
    """

    site: str
    start_slot: int

    def __post_init__(self) -> None:
        require_at_least("announced", "start_slot", self.start_slot, 0)


@dataclass(frozen=True, slots=True)
class Job:
    """One deferrable piece of compute work.

    Attributes
    ----------
    name
        Unique in the problem.
    work
        Work left to do [work].
    points
        Ways to run it. Order matters to baselines only: the first of a site is its default.
    release_slot, deadline_slot
        It may run in [release_slot, deadline_slot); the deadline is hard.
    due_slot
        Soft deadline: finishing after the start of this slot costs ``lateness_eur_per_slot`` for
        every slot begun. ``None``: no lateness.
    unserved_eur
        Value lost when it is not done by its deadline [EUR]; with ``can_wait``, what doing it after
        the horizon is expected to cost.
    can_wait
        Its true deadline lies beyond the horizon: leaving it out defers it, nothing is lost.
    pausing
        ``None``: it runs in one piece.
    is_elastic
        It may change operating point from slot to slot, within one site. Between points of one
        ``configuration`` this is free; otherwise it is a restart and needs ``pausing``.
    data
        Input data; ``None``: nothing to move.
    after
        Names of jobs that must be done before it starts.
    priority
        Multiplies value and lateness; 1 is normal. Run-now breaks ties of release by it.
    pin, announced
        What already holds; see there.
    had_started
        It ran at some time before the horizon and stands paused: its first start is a restart.
    """

    name: str
    work: float
    points: tuple[OperatingPoint, ...]
    release_slot: int
    deadline_slot: int
    unserved_eur: float
    can_wait: bool = False
    due_slot: int | None = None
    lateness_eur_per_slot: float = 0.0
    pausing: Pausing | None = None
    is_elastic: bool = False
    data: InputData | None = None
    after: tuple[str, ...] = ()
    priority: float = 1.0
    pin: Pin | None = None
    announced: Announced | None = None
    had_started: bool = False

    def __post_init__(self) -> None:
        owner = f"job {self.name}"
        require_above(owner, "work", self.work, 0.0)
        require_at_least(owner, "release_slot", self.release_slot, 0)
        require_at_least(owner, "deadline_slot", self.deadline_slot, 0)
        require_at_least(owner, "unserved_eur", self.unserved_eur, 0.0)
        require_at_least(owner, "lateness_eur_per_slot", self.lateness_eur_per_slot, 0.0)
        require_above(owner, "priority", self.priority, 0.0)
        if not self.points:
            raise InvalidProblem(owner, "points", (), "at least one operating point")
        require_unique(owner, "operating point", (point.name for point in self.points))
        if self.name in self.after:
            raise InvalidProblem(owner, "after", self.name, "another job")
        if self.had_started and self.pausing is None:
            raise InvalidProblem(owner, "had_started", True, "False for a job that cannot pause")
        if self.pin is not None and self.pin.point not in {point.name for point in self.points}:
            raise InvalidProblem(owner, "pin.point", self.pin.point, "one of its operating points")

    @property
    def may_pause(self) -> bool:
        """Whether it may be stopped, once it runs, before it is done."""
        return self.pausing is not None and self.pausing.max_pauses != 0

    def point(self, name: str) -> OperatingPoint:
        """Return the operating point called ``name``."""
        return next(point for point in self.points if point.name == name)

    @property
    def sites(self) -> tuple[str, ...]:
        """Sites it may run at, in the order of its points."""
        return tuple(dict.fromkeys(point.site for point in self.points))


def slots_to_do(work: float, point: OperatingPoint, slot_hours: float) -> int:
    """Whole slots that ``work`` takes at ``point``; a hair above a whole number rounds down."""
    return max(1, math.ceil(work / (point.work_per_hour * slot_hours) - 1e-9))
