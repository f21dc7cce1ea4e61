"""The world a plan meets: jobs that take as long as they truly take, and batteries. Frozen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self
from uuid import NAMESPACE_OID, UUID, uuid5

from connectors.types import GridEventNotice, SuspendBy
from scheduler.db.models import JobStatus
from scheduler.services.dispatch_types import restart_of
from scheduler.services.work import speed_of
from scheduler.specs import FleetSpec, JobSpec

STEP = timedelta(minutes=5)
"""Length of a step of the world; everything in it happens at the start of one."""
_ROUNDING = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class TrueJob:
    """A job as it was submitted at ``spec.release_at``, and the work it truly is [h at speed 1]."""

    spec: JobSpec
    true_work_hours: float

    def __post_init__(self) -> None:
        owner = f"job {self.spec.name}"
        if not self.true_work_hours > 0.0:
            raise ValueError(f"{owner}: true_work_hours = {self.true_work_hours:g}, must be > 0")
        if self.spec.data is not None:
            raise ValueError(f"{owner}: data is given, must not be: nothing moves data here")
        if self.spec.suspend_by is not SuspendBy.CHECKPOINT:
            raise ValueError(f"{owner}: suspend_by is not {SuspendBy.CHECKPOINT.value}")

    @property
    def restart(self) -> timedelta:
        """Time after each resumption in which nothing is done: whole steps."""
        return whole_steps(restart_of(self.spec))


@dataclass(frozen=True, slots=True)
class JobInWorld:
    """One job that has arrived, as it stands.

    Attributes
    ----------
    done_hours
        Work done up to ``works_from`` [h at speed 1].
    begun_at
        Begin of its present run at one operating point; ``None`` unless it runs.
    works_from
        It does work from then on, which is later than ``begun_at`` after a restart.
    running_since
        When it was last started or resumed, at whichever point.
    saved_hours
        Work that is not lost with the GPUs it runs on: done by its last pause [h at speed 1].
    """

    true: TrueJob
    id: UUID
    status: JobStatus = JobStatus.WAITING
    site: str | None = None
    point: str | None = None
    starts: int = 0
    done_hours: float = 0.0
    begun_at: datetime | None = None
    works_from: datetime | None = None
    running_since: datetime | None = None
    saved_hours: float = 0.0

    @classmethod
    def arrived(cls, job: TrueJob) -> Self:
        """Return a job nothing was done of."""
        return cls(job, uuid5(NAMESPACE_OID, job.spec.name))

    @property
    def speed(self) -> float:
        """Work per hour at its operating point."""
        return speed_of(self.true.spec, self.point)

    def done_at(self, now: datetime) -> float:
        """Work done by ``now`` [h at speed 1]."""
        if self.works_from is None:
            return self.done_hours
        hours = max(0.0, (now - self.works_from) / timedelta(hours=1))
        return self.done_hours + hours * self.speed

    @property
    def ends_at(self) -> datetime | None:
        """When it will be done if it runs on as it does; ``None`` unless it runs."""
        if self.works_from is None:
            return None
        left = max(0.0, self.true.true_work_hours - self.done_hours) / self.speed
        return self.works_from + whole_steps(timedelta(hours=left))


@dataclass(frozen=True, slots=True)
class Charge:
    """Energy in one battery [kWh]."""

    site: str
    battery: str
    kwh: float


@dataclass(frozen=True, slots=True)
class World:
    """Everything that is so at ``now``.

    Attributes
    ----------
    jobs
        Those that have arrived and are not over, in the order they came.
    n_arrived
        How many of the scene's jobs have arrived.
    succeeded, failed
        Names of jobs that are over.
    n_failures
        How many of the scene's failures have begun.
    """

    now: datetime
    charges: tuple[Charge, ...]
    jobs: tuple[JobInWorld, ...] = ()
    n_arrived: int = 0
    succeeded: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    n_failures: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """GPUs ``first_gpu`` and following of a pool are gone in [start_at, end_at): whole steps.

    GPUs are numbered from 0; jobs hold the lowest that are there, in the order they
    began. Who holds one that fails loses what it has not saved.
    """

    site: str
    pool: str
    gpus: int
    start_at: datetime
    end_at: datetime
    first_gpu: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A call from the grid side, and when it became known."""

    known_at: datetime
    notice: GridEventNotice


@dataclass(frozen=True, slots=True)
class Scene:
    """What does not change: the fleet, every job that will come, and when it is over.

    Attributes
    ----------
    jobs, failures
        In the order they come.
    begin, end
        On slots of the fleet.
    calls
        What the grid side called for.
    save_every_hours
        Jobs that may pause save what they did whenever they have done so much more since they
        began [h at speed 1]; ``None``: as they pause alone.
    """

    fleet: FleetSpec
    jobs: tuple[TrueJob, ...]
    begin: datetime
    end: datetime
    failures: tuple[Failure, ...] = ()
    calls: tuple[Call, ...] = ()
    save_every_hours: float | None = None

    @classmethod
    def of(
        cls,
        fleet: FleetSpec,
        jobs: Sequence[TrueJob],
        begin: datetime,
        end: datetime,
        *,
        failures: Sequence[Failure] = (),
        calls: Sequence[Call] = (),
        save_every_hours: float | None = None,
    ) -> Self:
        """Put jobs in order: of submission, then name, as the database gives them.

        Raises
        ------
        ValueError
            A job comes before the begin, or may end after the end.
        """
        for job in jobs:
            spec = job.spec
            if spec.release_at < begin or spec.deadline_at > end:
                raise ValueError(
                    f"job {spec.name}: may run in {spec.release_at.isoformat()} .."
                    f" {spec.deadline_at.isoformat()}, must be within"
                    f" {begin.isoformat()} .. {end.isoformat()}"
                )
        ordered = sorted(jobs, key=lambda job: (job.spec.release_at, job.spec.name))
        by_start = sorted(failures, key=lambda one: one.start_at)
        return cls(
            fleet, tuple(ordered), begin, end, tuple(by_start), tuple(calls), save_every_hours
        )

    def first_world(self, now: datetime) -> World:
        """Return the world before anything has arrived, at ``now``."""
        charges = tuple(
            Charge(site.name, unit.name, unit.soc_initial_kwh)
            for site in self.fleet.sites
            for unit in site.batteries
        )
        return World(now, charges)


@dataclass(frozen=True, slots=True)
class PastRun:
    """A job ran at ``point`` in [start_at, end_at)."""

    job: str
    site: str
    point: str
    start_at: datetime
    end_at: datetime


@dataclass(frozen=True, slots=True)
class PastEnd:
    """A job was over at ``at``."""

    job: str
    at: datetime
    status: JobStatus


@dataclass(frozen=True, slots=True)
class PastLoss:
    """A job lost the GPUs it ran on at ``at``, and so many hours of its work [h at speed 1]."""

    job: str
    at: datetime
    lost_hours: float


@dataclass(frozen=True, slots=True)
class PastPower:
    """What one battery did in each step from ``start_at`` on [kW]."""

    site: str
    battery: str
    start_at: datetime
    charge_kw: tuple[float, ...]
    discharge_kw: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Past:
    """What happened: runs and jobs that are over, what batteries did, and what failures cost."""

    runs: tuple[PastRun, ...] = ()
    ends: tuple[PastEnd, ...] = ()
    powers: tuple[PastPower, ...] = ()
    losses: tuple[PastLoss, ...] = ()


def joined(pasts: Sequence[Past]) -> Past:
    """Return what happened in all of ``pasts``, which follow each other."""
    return Past(
        tuple(run for past in pasts for run in past.runs),
        tuple(end for past in pasts for end in past.ends),
        tuple(power for past in pasts for power in past.powers),
        tuple(loss for past in pasts for loss in past.losses),
    )


def gpus_down(failures: Sequence[Failure], now: datetime) -> dict[tuple[str, str], int]:
    """Count the GPUs that are gone at ``now``, by site and pool; pools that miss none are left out.

    What several failures hit at once counts once.
    """
    return {key: len(gone) for key, gone in numbers_down(failures, now).items()}


def numbers_down(failures: Iterable[Failure], now: datetime) -> dict[tuple[str, str], set[int]]:
    """Return the numbers of the GPUs that are gone at ``now``, by site and pool."""
    down: dict[tuple[str, str], set[int]] = {}
    for one in failures:
        if one.start_at <= now < one.end_at:
            gone = down.setdefault((one.site, one.pool), set())
            gone.update(range(one.first_gpu, one.first_gpu + one.gpus))
    return down


def whole_steps(length: timedelta) -> timedelta:
    """Return ``length``, or the next longer one of whole steps; a second more is rounding."""
    return -((_ROUNDING - length) // STEP) * STEP if length > timedelta(0) else timedelta(0)
