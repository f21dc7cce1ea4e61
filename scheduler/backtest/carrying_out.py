"""A plan is carried out in the world, step by step, by the decisions of production's dispatch.

At the start of every step jobs whose true work is done end; then dispatch looks at everything, as
often as its commands change something. A job that ends early frees its GPUs at once, for whom the
plan wants to run there then; what the plan wants later is moved up by the next plan only.

A step in which nothing can be decided anew is passed over: see ``quiet.next_look``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from connectors.types import JobObservation, JobState
from scheduler.backtest.batteries import follow_setpoints
from scheduler.backtest.quiet import next_look
from scheduler.backtest.struck import saved_hours, struck
from scheduler.backtest.world import (
    Charge,
    JobInWorld,
    Past,
    PastEnd,
    PastLoss,
    PastRun,
    Scene,
    World,
    gpus_down,
    numbers_down,
)
from scheduler.db.models import CommandKind, JobStatus
from scheduler.services.dispatch_decide import decide
from scheduler.services.dispatch_types import Command, JobSnapshot, Situation
from scheduler.services.dispatch_wants import Want, wants_at
from scheduler.services.plan_document import PlanDocument

MOST_LOOKS = 20
"""Looks in one step after which commands that follow each other count as a fault."""

_STATES = {JobStatus.RUNNING: JobState.RUNNING, JobStatus.SUSPENDED: JobState.SUSPENDED}


def carry_out(
    world: World, document: PlanDocument | None, until: datetime, scene: Scene
) -> tuple[World, Past]:
    """Let time pass to ``until`` under the plan of ``document``; ``None``: there is none.

    What begins at ``until`` itself is left to whoever goes on from there.
    """
    play = _Play.of(world, scene)
    now = world.now
    while now < until:
        play.begin_step(now)
        holds = document is not None and document.window.start <= now < document.window.end
        play.dispatch(wants_at(document, now) if document is not None and holds else {}, now)
        window = None if document is None else document.window
        now = min(until, next_look(now, play.jobs.values(), play.n_arrived, scene, window))
    play.begin_step(until)
    charges, powers = follow_setpoints(world, document, until)
    past = Past(tuple(play.runs), tuple(play.ends), powers, tuple(play.losses))
    return play.world(until, charges), past


@dataclass(slots=True)
class _Play:
    """One stretch of time while it passes; what it holds changes with the clock."""

    scene: Scene
    jobs: dict[str, JobInWorld]
    free_gpus: dict[tuple[str, str], int]
    n_arrived: int
    succeeded: set[str]
    failed: set[str]
    n_failures: int
    runs: list[PastRun] = field(default_factory=list)
    ends: list[PastEnd] = field(default_factory=list)
    losses: list[PastLoss] = field(default_factory=list)

    @classmethod
    def of(cls, world: World, scene: Scene) -> _Play:
        jobs = {job.true.spec.name: job for job in world.jobs}
        over = set(world.succeeded), set(world.failed)
        play = cls(scene, jobs, {}, world.n_arrived, *over, world.n_failures)
        play._count_free(world.now)
        return play

    def _count_free(self, now: datetime) -> None:
        """Count the GPUs that are there and that nobody holds."""
        down = gpus_down(self.scene.failures, now)
        self.free_gpus = {
            (site.name, pool.name): pool.gpus - down.get((site.name, pool.name), 0)
            for site in self.scene.fleet.sites
            for pool in site.pools
        }
        for job in self.jobs.values():
            if job.status is JobStatus.RUNNING and job.site is not None:
                pool, gpus = _held(job)
                self.free_gpus[job.site, pool] -= gpus

    def world(self, now: datetime, charges: tuple[Charge, ...]) -> World:
        return World(
            now,
            charges,
            tuple(self.jobs.values()),
            self.n_arrived,
            frozenset(self.succeeded),
            frozenset(self.failed),
            self.n_failures,
        )

    def begin_step(self, now: datetime) -> None:
        """End what is done, let in what has come, and take from jobs the GPUs that are gone."""
        for job in [*self.jobs.values()]:
            ends_at = job.ends_at
            if ends_at is not None and ends_at <= now:
                self._end_run(job, now)
                self._over(job, JobStatus.SUCCEEDED, now)
        coming = self.scene.jobs
        while self.n_arrived < len(coming) and coming[self.n_arrived].spec.release_at <= now:
            new = JobInWorld.arrived(coming[self.n_arrived])
            self.jobs[new.true.spec.name] = new
            self.n_arrived += 1
        if self.scene.failures:
            self._fail(now)

    def _fail(self, now: datetime) -> None:
        self._count_free(now)
        failures, n_before = self.scene.failures, self.n_failures
        while self.n_failures < len(failures) and failures[self.n_failures].start_at <= now:
            self.n_failures += 1
        begun = failures[n_before : self.n_failures]
        gone = numbers_down(failures[:n_before], now) if begun else {}
        for job in struck([*self.jobs.values()], begun, gone, self.free_gpus):
            self._lose(job, now)

    def _lose(self, job: JobInWorld, now: datetime) -> None:
        """Let ``job`` stand where it last saved, without GPUs."""
        self._end_run(job, now)
        saved = saved_hours(job, now, self.scene.save_every_hours)
        self.losses.append(PastLoss(job.true.spec.name, now, job.done_at(now) - saved))
        self._keep(_stopped(job, saved))

    def dispatch(self, wants: Mapping[str, Want], now: datetime) -> None:
        """Look and send until nothing is left to send."""
        for _ in range(MOST_LOOKS):
            if not self._look(wants, now):
                return
        raise AssertionError(f"{now.isoformat()}: commands follow each other without an end")

    def _look(self, wants: Mapping[str, Want], now: datetime) -> bool:
        sites = tuple(site.name for site in self.scene.fleet.sites)
        free = dict(self.free_gpus)
        situation = Situation(now, sites, free)
        commands = []
        for name, job in [*self.jobs.items()]:
            snapshot = self._snapshot(job, now)
            decision = decide(snapshot, wants.get(name), _observation(job), situation)
            for command in decision.commands:
                commands.append((name, command))
                if command.gpus_to_take is not None:
                    pool, gpus = command.gpus_to_take
                    free[command.site, pool] -= gpus
            if decision.ending is not None:
                self._over(job, decision.ending.status, now)
        for name, command in commands:
            self._obey(self.jobs[name], command, now)
        return bool(commands)

    def _snapshot(self, job: JobInWorld, now: datetime) -> JobSnapshot:
        spec = job.true.spec
        return JobSnapshot(
            id=job.id,
            spec=spec,
            status=job.status,
            site=job.site,
            point=job.point,
            is_cancel_requested=False,
            is_ready=self.succeeded.issuperset(spec.after),
            work_left_hours=max(0.0, spec.work_hours - job.done_at(now)),
            starts=job.starts,
        )

    def _obey(self, job: JobInWorld, command: Command, now: datetime) -> None:
        """Do what a cluster does that is told this."""
        match command.kind:
            case CommandKind.SUBMIT | CommandKind.RESUME:
                self._begin_run(job, command, now)
            case CommandKind.SUSPEND:
                self._end_run(job, now)
                self._keep(_stopped(job, job.done_at(now)))
            case CommandKind.POWER_CAP:
                self._end_run(job, now)
                works_from = None if job.works_from is None else max(job.works_from, now)
                done = job.done_at(now)
                self._begin_run(replace(job, done_hours=done, works_from=works_from), command, now)
            case _:
                raise AssertionError(f"job {job.true.spec.name}: no cluster here takes {command}")

    def _begin_run(self, job: JobInWorld, command: Command, now: datetime) -> None:
        is_capped = command.kind is CommandKind.POWER_CAP
        is_resumed = command.kind is CommandKind.RESUME
        begun = replace(
            job,
            status=JobStatus.RUNNING,
            site=command.site,
            point=command.point,
            starts=job.starts + (not is_capped),
            begun_at=now,
            works_from=job.works_from if is_capped else now + is_resumed * job.true.restart,
            running_since=job.running_since if is_capped else now,
        )
        pool, gpus = _held(begun)
        self.free_gpus[command.site, pool] -= gpus
        self._keep(begun)

    def _end_run(self, job: JobInWorld, now: datetime) -> None:
        if job.site is None or job.point is None or job.begun_at is None:
            raise AssertionError(f"job {job.true.spec.name} does not run")
        if now > job.begun_at:
            name = job.true.spec.name
            self.runs.append(PastRun(name, job.site, job.point, job.begun_at, now))
        pool, gpus = _held(job)
        self.free_gpus[job.site, pool] += gpus

    def _keep(self, job: JobInWorld) -> None:
        self.jobs[job.true.spec.name] = job

    def _over(self, job: JobInWorld, status: JobStatus, now: datetime) -> None:
        name = job.true.spec.name
        del self.jobs[name]
        (self.succeeded if status is JobStatus.SUCCEEDED else self.failed).add(name)
        self.ends.append(PastEnd(name, now, status))


def _stopped(job: JobInWorld, saved_hours: float) -> JobInWorld:
    """Return a job that has stopped with so much of its work saved."""
    return replace(
        job,
        status=JobStatus.SUSPENDED,
        done_hours=saved_hours,
        saved_hours=saved_hours,
        begun_at=None,
        works_from=None,
        running_since=None,
    )


def _held(job: JobInWorld) -> tuple[str, int]:
    """Pool and GPUs that a job holds at its operating point."""
    points = job.true.spec.operating_points
    point = next(point for point in points if point.name == job.point)
    return point.pool, point.gpus


def _observation(job: JobInWorld) -> JobObservation | None:
    """Return what its cluster reports of a job; ``None`` where no cluster has it."""
    if job.status not in _STATES or job.point is None:
        return None
    points = job.true.spec.operating_points
    point = next(point for point in points if point.name == job.point)
    return JobObservation(
        key=str(job.id),
        state=_STATES[job.status],
        pool=point.pool,
        gpus=point.gpus if job.status is JobStatus.RUNNING else 0,
        power_cap_w=point.power_cap_w,
        started_at=None,
        ended_at=None,
        exit_code=None,
        starts=job.starts,
    )
