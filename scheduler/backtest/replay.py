"""The replay: plan, carry out, plan anew, until the scene is over. Every round is one pure step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from optimizer import OptimizerError, baselines
from scheduler.backtest.carrying_out import carry_out
from scheduler.backtest.policy import Policy
from scheduler.backtest.world import JobInWorld, Past, Scene, World, gpus_down, joined
from scheduler.db.models import JobStatus
from scheduler.doubt import doubt_of
from scheduler.services.assemble import FleetState, InputRefused, JobToPlan
from scheduler.services.assemble_pools import PoolSeen
from scheduler.services.carried_meter import energy_so_far, peak_so_far
from scheduler.services.carried_state import announced_starts, soc_expected
from scheduler.services.documents import make_document
from scheduler.services.plan_document import PlanDocument
from scheduler.services.planning import prepare, review
from scheduler.services.planning_inputs import Inputs
from scheduler.services.plans import InForce
from scheduler.services.window import PlanWindow
from scheduler.specs import FleetSpec


@dataclass(frozen=True, slots=True)
class ReplayState:
    """Where a replay stands before its round ``n_rounds``: all it takes to go on."""

    world: World
    in_force: PlanDocument | None = None
    n_rounds: int = 0


@dataclass(frozen=True, slots=True)
class Round:
    """What came of planning once.

    Attributes
    ----------
    refusal
        Why the plan in force stayed; empty where it was superseded.
    rung, objective_eur, bound_eur
        Of the plan made; empty and 0 where none was.
    n_jobs, n_left_out, n_deferred
        Jobs of its problem, and those it leaves out: for good, and for a later plan.
    n_churned
        Jobs moved from what was announced.
    """

    window: PlanWindow
    refusal: str = ""
    rung: str = ""
    objective_eur: float = 0.0
    bound_eur: float | None = None
    n_jobs: int = 0
    n_left_out: int = 0
    n_deferred: int = 0
    n_churned: int = 0


def first_state(scene: Scene, policy: Policy) -> ReplayState:
    """Return the state before the first round."""
    now = scene.begin - policy.lead
    world, _ = carry_out(scene.first_world(now), None, now, scene)
    return ReplayState(world)


def is_over(state: ReplayState, scene: Scene, policy: Policy) -> bool:
    """Whether there is no round left."""
    return window_of(scene, policy, state.n_rounds) is None


def play_round(state: ReplayState, scene: Scene, policy: Policy) -> tuple[ReplayState, Past, Round]:
    """Plan once, and carry out what holds until it is time for the next round."""
    window = window_of(scene, policy, state.n_rounds)
    if window is None:
        raise ValueError(f"round {state.n_rounds}: the scene is over at {scene.end.isoformat()}")
    world, before = state.world, state.in_force
    document, told = _plan(state, scene, policy, window)
    # Until its window begins, the plan that it supersedes goes on.
    world, under_old = carry_out(world, before, window.start, scene)
    following = window_of(scene, policy, state.n_rounds + 1)
    until = scene.end if following is None else following.start - policy.lead
    world, under_new = carry_out(world, document, until, scene)
    after = ReplayState(world, document, state.n_rounds + 1)
    return after, joined((under_old, under_new)), told


def play(
    scene: Scene, policy: Policy, state: ReplayState | None = None
) -> Iterator[tuple[ReplayState, Past, Round]]:
    """Play every round that is left from ``state`` on, or all."""
    state = state or first_state(scene, policy)
    while not is_over(state, scene, policy):
        state, past, told = play_round(state, scene, policy)
        yield state, past, told


def window_of(scene: Scene, policy: Policy, number: int) -> PlanWindow | None:
    """Return the window planned in this round; it ends with the scene at the latest."""
    planning = scene.fleet.planning
    start = scene.begin + number * policy.every
    end = min(start + timedelta(hours=planning.horizon_hours), scene.end)
    n_slots = (end - start) // timedelta(minutes=planning.slot_minutes)
    return PlanWindow(start, planning.slot_minutes, n_slots) if n_slots > 0 else None


def _plan(
    state: ReplayState, scene: Scene, policy: Policy, window: PlanWindow
) -> tuple[PlanDocument | None, Round]:
    """Make a plan; return the one in force afterwards, and what came of it."""
    inputs = inputs_at(state, scene, policy, window)
    try:
        prepared = prepare(inputs, scene.fleet.planning.time_limit_s)
        doubt = doubt_of(inputs.fleet.planning, prepared.assembled)
        plan = policy.solver(prepared, doubt)
    except (InputRefused, OptimizerError) as error:
        return state.in_force, Round(window, refusal=f"{type(error).__name__}: {error}")
    problem = prepared.assembled.problem
    baseline = baselines.run_now(problem)
    document = make_document(inputs.fleet, prepared.assembled, plan, baseline, inputs.now)
    reviewed = review(document, InForce(document=state.in_force))
    refusal = ""
    if reviewed.approval is None:
        refusal = "; ".join(map(str, reviewed.breaches[:3])) or "the policy did not approve it"
    told = Round(
        window,
        refusal=refusal,
        rung=plan.rung.value,
        objective_eur=plan.objective,
        bound_eur=plan.bound,
        n_jobs=len(problem.jobs),
        n_left_out=sum(not left.is_deferred for left in plan.unserved),
        n_deferred=sum(left.is_deferred for left in plan.unserved),
        n_churned=plan.terms.churned_jobs,
    )
    return state.in_force if refusal else document, told


def inputs_at(state: ReplayState, scene: Scene, policy: Policy, window: PlanWindow) -> Inputs:
    """Return what production would read from its database now."""
    world, in_force = state.world, state.in_force
    now = world.now
    announced = {} if in_force is None else announced_starts(in_force)
    read = {(it.site, it.battery): (now, it.kwh) for it in world.charges}
    jobs = [_job_to_plan(job, policy, now) for job in world.jobs]
    return Inputs(
        now=now,
        fleet_version=0,
        fleet=_fleet(scene, policy),
        window=window,
        jobs=tuple(replace(job, announced=announced.get(job.spec.name)) for job in jobs),
        signals=policy.knows(window, now),
        events=tuple(call.notice for call in scene.calls if call.known_at <= now),
        state=FleetState(
            pools=_pools_seen(scene, now),
            soc_kwh=soc_expected(read, in_force, window.start),
            peak_so_far_kw=peak_so_far(scene.fleet, in_force, window),
            energy_so_far_kwh=energy_so_far(scene.fleet, in_force, window),
            succeeded=world.succeeded,
            failed=world.failed,
        ),
        in_force=in_force,
        history=None if policy.history is None else policy.history(window, now),
    )


def _pools_seen(scene: Scene, now: datetime) -> dict[tuple[str, str], PoolSeen]:
    """Return what clusters say of pools of which GPUs are gone; nobody says for how long."""
    down = gpus_down(scene.failures, now)
    return {
        (site.name, pool.name): PoolSeen(pool.gpus - down[site.name, pool.name], 0, now)
        for site in scene.fleet.sites
        for pool in site.pools
        if (site.name, pool.name) in down
    }


def _fleet(scene: Scene, policy: Policy) -> FleetSpec:
    """Return the fleet as the policy plans for it."""
    planning = scene.fleet.planning.model_copy(update={"uncertainty": policy.uncertainty})
    return scene.fleet.model_copy(update={"planning": planning})


def _job_to_plan(job: JobInWorld, policy: Policy, now: datetime) -> JobToPlan:
    spec = job.true.spec
    if policy.knows_lengths:
        spec = spec.model_copy(update={"work_hours": job.true.true_work_hours})
    return JobToPlan(
        spec=spec,
        work_left_hours=max(0.0, spec.work_hours - job.done_at(now)),
        site=job.site,
        point=job.point,
        is_running=job.status is JobStatus.RUNNING,
        had_started=job.starts > 0,
        running_since=job.running_since,
        pauses_made=max(0, job.starts - 1),
    )
