"""Who puts a plan in force, and what holding on to the one in force would mean."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from optimizer import Placement, Run, SlotPrices
from scheduler.db.models import Job, JobStatus, PlanningRun, PlanStatus, RunStatus, StoredPlan
from scheduler.db.session import SessionFactory, make_engine, make_session_factory, transaction
from scheduler.services.carry_over import carry_over, retell
from scheduler.services.dispatch_records import governing_plan
from scheduler.services.errors import Conflict
from scheduler.services.plan_document import PlanDocument
from scheduler.services.planning_inputs import Inputs, read_inputs
from scheduler.services.plans import InForce, approve_plan, find_in_force, read_in_force
from scheduler.specs import FleetSpec
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.scene import Scene, propose, put_in_force


@pytest.fixture
def sessions(sqlite_url: str) -> SessionFactory:
    """Nothing here differs between databases."""
    return make_session_factory(make_engine(sqlite_url))


def at(first: int, last: int, job: str = "train") -> Placement:
    """Run at DE in these hours."""
    return Placement(job, "DE", (Run("DE/a100x1", first, last),))


def in_force(scene: Scene) -> UUID | None:
    """The plan in force."""
    with transaction(scene.sessions) as session:
        stored = find_in_force(session)
        return None if stored is None else stored.id


def scene_with(sessions: SessionFactory, policy: str, **changes: object) -> Scene:
    """A site with this policy and one job of two hours."""
    fleet: FleetSpec = fleet_spec(site_spec(**changes), planning={"approval": policy})
    scene = Scene(sessions).set_up(fleet)
    scene.submit()
    return scene


def test_manually_a_person_decides(sessions: SessionFactory) -> None:
    """The plan waits, also where none is in force."""
    scene = scene_with(sessions, "manual")
    plan = propose(scene, at(6, 8))
    assert scene.plan(plan).status is PlanStatus.PROPOSED


def test_always_means_always(sessions: SessionFactory) -> None:
    """A dearer plan supersedes the cheaper one."""
    scene = scene_with(sessions, "always")
    first = propose(scene, at(6, 8))
    second = propose(scene, at(0, 2), key="second")
    assert in_force(scene) == second
    assert scene.plan(first).status is PlanStatus.SUPERSEDED
    assert scene.plan(second).decided_by == "policy always"


def test_if_not_worse_takes_the_first_and_the_better_but_not_the_worse(
    sessions: SessionFactory,
) -> None:
    """Two hours at 50 cost 0.10 EUR, one of them at 10 costs 0.06, both 0.02."""
    scene = scene_with(sessions, "if_not_worse")
    first = propose(scene, at(5, 7))
    assert in_force(scene) == first
    worse = propose(scene, at(0, 2), key="worse")
    assert in_force(scene) == first
    assert scene.plan(worse).status is PlanStatus.PROPOSED
    same = propose(scene, at(9, 11), key="same")
    assert in_force(scene) == same
    better = propose(scene, at(6, 8), key="better")
    assert in_force(scene) == better
    note = scene.plan(better).decision_note
    assert note == "objective 0.02 EUR, against 0.06 EUR for holding on to the plan in force"


def test_a_plan_that_can_no_longer_be_followed_is_replaced(sessions: SessionFactory) -> None:
    """The job is done half and would need one hour only: the old plan runs it for two."""
    scene = scene_with(sessions, "if_not_worse")
    propose(scene, at(6, 8))
    with transaction(sessions) as session:
        job = session.query(Job).one()
        job.work_done_hours = 1.0
    dearer = propose(scene, at(0, 1), key="dearer")
    assert in_force(scene) == dearer
    note = scene.plan(dearer).decision_note
    assert note == "the plan in force can no longer be followed"


def test_a_future_plan_somebody_approved_is_not_replaced_unseen(sessions: SessionFactory) -> None:
    """In force from hour 6 on; a plan from hour 0 cannot be compared with it, at any price."""
    scene = scene_with(sessions, "if_not_worse")
    tomorrow = propose(scene, at(0, 2), start_h=6, key="tomorrow")
    assert in_force(scene) == tomorrow
    dear = propose(scene, at(2, 4), key="dear")
    assert in_force(scene) == tomorrow
    assert scene.plan(dear).status is PlanStatus.PROPOSED


def test_in_slots_of_another_length_a_person_decides(sessions: SessionFactory) -> None:
    """Nothing says which of the two is cheaper."""
    scene = scene_with(sessions, "if_not_worse")
    hourly = propose(scene, at(6, 8))
    planning = {"approval": "if_not_worse", "slot_minutes": 15}
    quarters = Scene(sessions, at=scene.at).set_up(fleet_spec(planning=planning))
    propose(quarters, at(0, 8), key="quarters")
    assert in_force(scene) == hourly


def test_a_plan_that_is_over_is_replaced(sessions: SessionFactory) -> None:
    """Its window ended; the new one says so."""
    scene = scene_with(sessions, "if_not_worse")
    propose(scene, at(6, 8))
    scene.at = START + timedelta(hours=24)
    scene.submit("other", release_at=scene.at, deadline_at=START + timedelta(hours=48))
    following = propose(scene, at(0, 2, "other"), start_h=24, key="following")
    assert in_force(scene) == following
    assert scene.plan(following).decision_note == "the plan in force is over"


def test_a_comparison_that_is_out_of_date_approves_nothing(sessions: SessionFactory) -> None:
    """Cheaper than the plan in force it was compared with, dearer than the one put in its place."""
    scene = scene_with(sessions, "manual")
    put_in_force(scene, at(0, 2), key="dear")
    with transaction(sessions) as session:
        compared_with = read_in_force(session)
    middling = propose(scene, at(5, 7), key="middling")
    put_in_force(scene, at(6, 8), key="cheap")
    before = in_force(scene)
    for seen in (compared_with, InForce()):
        with pytest.raises(Conflict), transaction(sessions) as session:
            approve_plan(session, middling, "policy", scene.at, compared_with=seen)
    assert in_force(scene) == before
    assert scene.plan(middling).status is PlanStatus.PROPOSED


def test_a_plan_in_force_supersedes_older_proposals(sessions: SessionFactory) -> None:
    """They know less, and cannot be approved any more; they never come to govern anything."""
    scene = scene_with(sessions, "manual")
    older = propose(scene, at(6, 8), key="older")
    scene.wait(minutes=5)
    put_in_force(scene, at(0, 2), start_h=2, key="newer")
    assert scene.plan(older).status is PlanStatus.SUPERSEDED
    with transaction(sessions) as session:
        assert governing_plan(session, START + timedelta(hours=1)) is None
    with pytest.raises(Conflict, match="it is superseded"):
        scene.approve(older)


def newer(scene: Scene, start_h: float) -> Inputs:
    """Inputs of a window that begins so many hours after START, read then."""
    scene.at = START + timedelta(hours=start_h)
    run_id = scene.queue(f"newer/{start_h}", window_start=scene.at)
    with transaction(scene.sessions) as session:
        run = session.get_one(PlanningRun, run_id)
        run.status = RunStatus.CANCELLED
        return read_inputs(session, run, scene.at)


def carried(scene: Scene, start_h: float) -> tuple[PlanDocument, object]:
    """The plan in force and what it is on the newer problem."""
    inputs = newer(scene, start_h)
    assert inputs.in_force is not None
    made = inputs.assemble()
    return inputs.in_force, carry_over(inputs.in_force, made.problem, made.window)


def test_placements_move_by_the_slots_that_have_passed(sessions: SessionFactory) -> None:
    """Hours 6 to 8 are slots 4 to 6 of a window two hours later; a new job is unserved."""
    scene = scene_with(sessions, "manual")
    put_in_force(scene, at(6, 8))
    scene.submit("new", value_eur=3.0)
    inputs = newer(scene, 2)
    made = inputs.assemble()
    assert inputs.in_force is not None
    plan = carry_over(inputs.in_force, made.problem, made.window)
    assert plan is not None
    assert plan.placements == (at(4, 6),)
    assert [left.job for left in plan.unserved] == ["new"]
    assert plan.rung == "last_plan"
    assert plan.objective == pytest.approx(0.02 + 3.0)


def test_what_runs_is_cut_to_what_is_left_of_it(sessions: SessionFactory) -> None:
    """Begun at hour 6, carried over at hour 7: one slot more."""
    scene = scene_with(sessions, "manual")
    put_in_force(scene, at(6, 8))
    with transaction(sessions) as session:
        job = session.query(Job).one()
        job.status, job.site, job.point, job.starts = JobStatus.RUNNING, "DE", "a100x1", 1
        job.work_seen_at = START + timedelta(hours=6)
    _, plan = carried(scene, 7)
    assert plan is not None
    assert plan.placements == (at(0, 1),)  # type: ignore[attr-defined]


def test_batteries_go_on_as_planned_while_their_charge_lasts(sessions: SessionFactory) -> None:
    """Planned idle: the charge they stand at stays."""
    battery = {"power_kw": 2, "capacity_kwh": 4, "soc_initial_kwh": 1}
    scene = scene_with(sessions, "manual", batteries=[battery])
    put_in_force(scene, at(6, 8))
    _, plan = carried(scene, 2)
    assert plan is not None
    assert set(plan.flows[0].soc_kwh[0]) == {1.0}  # type: ignore[attr-defined]


def test_a_plan_that_breaks_a_limit_can_be_told_but_not_followed(
    sessions: SessionFactory,
) -> None:
    """The site lost its only GPU: what was planned is a start for a better plan, no more."""
    scene = scene_with(sessions, "manual")
    put_in_force(scene, at(6, 8))
    inputs = newer(scene, 2)
    assert inputs.in_force is not None
    made = inputs.assemble()
    site = made.problem.sites[0]
    gone = replace(site.pools[0], gpus=(0.0,) * made.window.n_slots)
    problem = replace(made.problem, sites=(replace(site, pools=(gone,)),))
    assert carry_over(inputs.in_force, problem, made.window) is None
    told = retell(inputs.in_force, problem, made.window)
    assert told is not None
    assert told.placements == (at(4, 6),)


def test_prices_move_with_the_window_and_the_last_day_goes_on(sessions: SessionFactory) -> None:
    """Two hours later, the last two of 24 slots are hours 0 and 1 of the older window."""
    scene = scene_with(sessions, "manual")
    put_in_force(scene, at(6, 8))
    inputs = newer(scene, 2)
    made = inputs.assemble()
    assert inputs.in_force is not None
    hours = tuple(float(hour) for hour in range(24))
    plan = replace(inputs.in_force.plan, prices=SlotPrices((hours,), ((hours,),)))
    told = retell(inputs.in_force.model_copy(update={"plan": plan}), made.problem, made.window)
    assert told is not None
    assert told.prices is not None
    assert told.prices.it_eur_per_kwh == ((*hours[2:], 0.0, 1.0),)
    assert told.prices.gpu_eur_per_gpu_hour == (((*hours[2:], 0.0, 1.0),),)


def test_windows_that_do_not_go_together_are_not_compared(sessions: SessionFactory) -> None:
    """One that is over, and one in slots of another length."""
    scene = scene_with(sessions, "manual")
    put_in_force(scene, at(6, 8))
    assert carried(scene, 24)[1] is None
    quarters = fleet_spec(planning={"slot_minutes": 15})
    Scene(sessions, at=scene.at).set_up(quarters)
    assert carried(scene, 2)[1] is None


def test_a_plan_whose_window_is_over_cannot_be_approved_by_policy(
    sessions: SessionFactory,
) -> None:
    """It took too long; it stays for people to look at."""
    scene = scene_with(sessions, "always")
    scene.at = START + timedelta(hours=25)
    plan = propose(scene)
    with transaction(sessions) as session:
        assert session.get_one(StoredPlan, plan).status is PlanStatus.PROPOSED
