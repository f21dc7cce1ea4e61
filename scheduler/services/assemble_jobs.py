"""Jobs as submitted, with where they stand, become ``optimizer.Job`` in slots of the window.

A release rounds up to a slot, a deadline down: a job never runs outside what was asked for. What to
do about a deadline past the window's end is decided in ``assemble_deadlines``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from optimizer import (
    Announced,
    InputData,
    Job,
    OperatingPoint,
    Pausing,
    Pin,
    slots_to_do,
    transfer_to,
)
from scheduler.services.assemble_deadlines import Outlook, fit_deadline
from scheduler.services.assemble_points import open_points, shed_kw
from scheduler.services.assemble_precedence import Sorting, apply_precedence
from scheduler.services.assemble_sites import FleetState
from scheduler.services.window import PlanWindow
from scheduler.specs import FleetSpec, JobSpec

# A running job whose estimate is used up still runs: it is given this much more.
LEAST_WORK_HOURS = 1 / 60


@dataclass(frozen=True, slots=True)
class AnnouncedStart:
    """Where and when the plan in force lets a job start first, and at which operating point."""

    site: str
    start_at: datetime
    point: str


@dataclass(frozen=True, slots=True)
class JobToPlan:
    """A job that is not over, and where it stands now.

    Attributes
    ----------
    work_left_hours
        Work left now [h at speed 1].
    site
        Site it was handed to: it stays there. ``None``: not handed to any.
    point
        ``OperatingPointSpec.name`` it runs at; needed where ``is_running``.
    is_running
        It runs now.
    had_started
        It ran before, and stands paused unless ``is_running``.
    running_since
        Begin of the present run; with it the rest of the minimum run is known.
    pauses_made
        Pauses it had already.
    failed_checkpoints
        How many of its checkpoints failed: of too many it is not paused any more.
    announced
        What the plan in force promised for its first start.
    expected_left_hours
        Work that is expected to be left, where its stated hours are not taken as they are [h].
    data_left_gb
        What of its data is still to be moved when the window begins, to sites that have some [GB].
    """

    spec: JobSpec
    work_left_hours: float
    site: str | None = None
    point: str | None = None
    is_running: bool = False
    had_started: bool = False
    running_since: datetime | None = None
    pauses_made: int = 0
    failed_checkpoints: int = 0
    announced: AnnouncedStart | None = None
    expected_left_hours: float | None = None
    data_left_gb: Mapping[str, float] = field(default_factory=dict)

    @property
    def may_pause(self) -> bool:
        """Whether it may be paused, and its checkpoints have not failed too often."""
        return self.spec.pausing is not None and not self.has_given_up_pausing

    @property
    def has_given_up_pausing(self) -> bool:
        """Whether it could be paused, if not so many of its checkpoints had failed."""
        return self.spec.pausing is not None and not self.spec.may_be_paused(
            self.failed_checkpoints
        )


@dataclass(frozen=True, slots=True)
class AssembledJobs:
    """Jobs of the problem, those of them cut short, and a sentence for every one left out."""

    jobs: tuple[Job, ...]
    cut_jobs: tuple[str, ...]
    marks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the assembly of all jobs shares."""

    fleet: FleetSpec
    window: PlanWindow
    now: datetime
    outlook: Outlook


class NotPlannableError(Exception):
    """A job no plan can hold now; the text says why."""


def assemble_jobs(
    jobs: Sequence[JobToPlan], around: Surroundings, state: FleetState
) -> AssembledJobs:
    """Return the jobs that the window can hold.

    A job is left out, with a mark, where no allowed site has its pools, where a predecessor failed
    or is left out itself, where it is released after the window, or where it can wait and does not
    fit.
    """
    sorting = Sorting(done=set(state.succeeded), failed=set(state.failed))
    for job in jobs:
        name = job.spec.name
        try:
            in_slots = _job(job, around)
        except NotPlannableError as error:
            sorting.left_out[name] = str(error)
            continue
        if in_slots is None:
            sorting.done.add(name)
            sorting.left_out[name] = "it is expected to be done before the window begins"
            continue
        fitted = fit_deadline(in_slots, around.outlook)
        if fitted.job is None:
            sorting.left_out[name] = fitted.note
            continue
        sorting.kept[name] = fitted.job
        if fitted.note:
            sorting.marks.append(f"job {name}: {fitted.note}")
        if job.has_given_up_pausing:
            sorting.marks.append(f"job {name}: {_not_paused(job)}")
        if fitted.is_cut:
            sorting.cut.add(name)
    ready = apply_precedence(sorting)
    left_out = [f"job {name}: left out, {why}" for name, why in sorting.left_out.items()]
    cut_jobs = tuple(job.name for job in ready if job.name in sorting.cut)
    return AssembledJobs(ready, cut_jobs, (*sorting.marks, *left_out))


def new_job(spec: JobSpec, fleet: FleetSpec, window: PlanWindow, begin: datetime) -> Job:
    """Return a job nobody has submitted yet, in slots of ``window``, from ``begin`` on.

    Its deadline is counted past the window's end.

    Raises
    ------
    NotPlannableError
        The window cannot hold it; says why.
    """
    standing = JobToPlan(spec.model_copy(update={"release_at": begin}), spec.work_hours)
    return _in_slots(standing, _points(fleet, standing), fleet, window)


def _job(standing: JobToPlan, around: Surroundings) -> Job | None:
    """Return the job in slots, its deadline as if the window had no end; ``None`` if soon done."""
    fleet, window, spec = around.fleet, around.window, standing.spec
    points = _points(fleet, standing)
    # A job that cannot pause and once began goes on, whatever the cluster says of it now.
    is_running = standing.is_running or (standing.had_started and spec.pausing is None)
    work = standing.work_left_hours
    current = None
    if is_running:
        current = _current_point(standing, points)
        work -= current.work_per_hour * max(0.0, (window.start - around.now) / timedelta(hours=1))
        if work <= 0.0 < standing.work_left_hours and window.start > around.now:
            return None
    job = _in_slots(standing, points, fleet, window, is_running=is_running)
    job = replace(job, work=max(work, LEAST_WORK_HOURS))
    if current is not None:
        return _pin_running(job, current, standing, window)
    return _announce(job, standing, around)


def _in_slots(
    standing: JobToPlan,
    points: tuple[OperatingPoint, ...],
    fleet: FleetSpec,
    window: PlanWindow,
    *,
    is_running: bool = False,
) -> Job:
    """Return the job with all the work it has left, neither pinned nor announced."""
    spec = standing.spec
    release_slot = max(0, window.slot_not_before(spec.release_at))
    if release_slot >= window.n_slots and not is_running:
        raise NotPlannableError("it is released after the window's end")
    return Job(
        name=spec.name,
        work=max(standing.work_left_hours, LEAST_WORK_HOURS),
        points=points,
        release_slot=release_slot,
        deadline_slot=max(0, window.slot_of(spec.deadline_at)),
        unserved_eur=_value_eur(fleet, spec),
        due_slot=None if spec.due_at is None else max(0, window.slot_of(spec.due_at)),
        lateness_eur_per_slot=spec.lateness_eur_per_hour * window.slot_hours,
        pausing=_pausing(standing, window),
        is_elastic=spec.is_elastic,
        data=_data(fleet, standing),
        after=spec.after,
        priority=spec.priority.weight,
        had_started=standing.had_started and not is_running,
    )


def _value_eur(fleet: FleetSpec, spec: JobSpec) -> float:
    """Value as stated, else by the GPU-hours at its first operating point; one GPU at least."""
    if spec.value_eur is not None:
        return spec.value_eur
    first = spec.operating_points[0]
    gpu_hours = spec.work_hours / first.speed * max(1, first.gpus)
    return fleet.planning.unserved_eur_per_gpu_hour * gpu_hours


def _data(fleet: FleetSpec, standing: JobToPlan) -> InputData | None:
    data = standing.spec.data
    if data is None:
        return None
    sites = {site.name for site in fleet.sites}
    if data.site not in sites:
        raise NotPlannableError(f"its data lies at {data.site}, which is no site of the fleet")
    left_gb = [(site, gb) for site, gb in standing.data_left_gb.items() if site in sites]
    return InputData(data.site, data.size_gb, tuple(sorted(left_gb)))


def _points(fleet: FleetSpec, job: JobToPlan) -> tuple[OperatingPoint, ...]:
    spec = job.spec
    begun_at = job.point if job.had_started or job.is_running else None
    allowed = spec.sites if job.site is None else (job.site,)
    sites = [site for site in fleet.sites if allowed is None or site.name in allowed]
    points = tuple(
        OperatingPoint(
            name=f"{site.name}/{point.name}",
            site=site.name,
            pool=point.pool,
            gpus=point.gpus,
            power_kw=point.kw,
            work_per_hour=point.speed,
            shed_kw=shed_kw(job.spec, point, site, may_pause=job.may_pause),
            shed_within_s=spec.sheds_within_s or 0.0,
        )
        for site in sites
        for point in open_points(spec, begun_at, is_fixed=job.has_given_up_pausing)
        if point.pool in {pool.name for pool in site.pools}
    )
    if not points:
        pools = ", ".join(sorted({point.pool for point in spec.operating_points}))
        where = "any site" if allowed is None else ", ".join(allowed)
        raise NotPlannableError(f"no pool {pools} at {where}")
    return points


def _current_point(job: JobToPlan, points: tuple[OperatingPoint, ...]) -> OperatingPoint:
    name = f"{job.site}/{job.point}"
    for point in points:
        if point.name == name:
            return point
    raise NotPlannableError(f"it runs at {name}, which is none of its operating points")


def _pausing(job: JobToPlan, window: PlanWindow) -> Pausing | None:
    spec = job.spec.pausing
    if spec is None:
        return None
    left = None if spec.max_pauses is None else max(0, spec.max_pauses - job.pauses_made)
    if job.has_given_up_pausing:
        left = 0
    return Pausing(
        min_run_slots=max(1, _slots(spec.min_run_minutes, window)),
        restart_slots=_slots(spec.restart_minutes, window),
        restart_kwh=spec.restart_kwh,
        restart_eur=spec.restart_eur,
        max_pauses=left,
    )


def _not_paused(job: JobToPlan) -> str:
    return f"it is not paused any more, {job.failed_checkpoints} of its checkpoints failed"


def _slots(minutes: float, window: PlanWindow) -> int:
    """Whole slots that cover so many minutes."""
    return math.ceil(minutes / window.slot_minutes - 1e-9)


def _pin_running(job: Job, point: OperatingPoint, standing: JobToPlan, window: PlanWindow) -> Job:
    """Pin a running job to slot 0: as a whole, or for the rest of its minimum run.

    One that may not pause but be told other power caps is pinned in its first slot alone, where it
    is done within the window: it runs on from there whatever its caps are. A job once begun is
    finished: its deadline moves where the work left takes longer.
    """
    needed = slots_to_do(job.work, point, window.slot_hours)
    n_pinned = needed
    if job.may_pause:
        spec = standing.spec.pausing
        n_pinned = 1
        if spec is not None and standing.running_since is not None:
            until = standing.running_since + timedelta(minutes=spec.min_run_minutes)
            n_pinned = min(needed, max(1, window.slot_not_before(until)))
    elif _has_other_caps(job, point) and needed <= window.n_slots:
        n_pinned = 1
    return replace(
        job,
        release_slot=0,
        deadline_slot=max(job.deadline_slot, needed),
        pin=Pin(point.name, 0, n_pinned, is_running=True),
    )


def _has_other_caps(job: Job, point: OperatingPoint) -> bool:
    """Whether it may change between points on the same GPUs."""
    alike = (other for other in job.points if other.configuration == point.configuration)
    return job.is_elastic and any(other != point for other in alike)


def _announce(job: Job, standing: JobToPlan, around: Surroundings) -> Job:
    """Note what was promised; a start within the freeze is pinned to it while it can be kept."""
    promise = standing.announced
    if promise is None or job.had_started:
        return job
    slot = around.window.slot_of(promise.start_at)
    if not job.release_slot <= slot < around.window.n_slots:
        return job
    announced = replace(job, announced=Announced(promise.site, slot))
    frozen_until = around.now + timedelta(minutes=around.fleet.planning.freeze_minutes)
    name = f"{promise.site}/{promise.point}"
    point = next((point for point in job.points if point.name == name), None)
    if promise.start_at >= frozen_until or point is None:
        return announced
    if point.gpus > around.outlook.gpus[point.site, point.pool][slot]:
        return announced  # they were lost since
    pinned = replace(announced, pin=Pin(name, slot, 1))
    if _can_be_moved_by(slot, job, promise.site, around):
        return pinned
    # What moves it is followed, and is late; what nobody follows is taken to be under way.
    is_followed = standing.spec.data is not None and bool(standing.spec.data.command)
    return announced if is_followed else replace(pinned, data=None)


def _can_be_moved_by(slot: int, job: Job, site: str, around: Surroundings) -> bool:
    """Whether the input data of a job, or what is left of it, can be at ``site`` by ``slot``."""
    outlook = around.outlook
    transfer = transfer_to(job, site, outlook.links, outlook.slot_hours)
    return transfer is None or job.release_slot + transfer.n_slots <= slot
