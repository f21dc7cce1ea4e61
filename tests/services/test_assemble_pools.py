"""GPUs by slot: what clusters said of their pools goes into the plan, with a mark."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import select

from connectors.types import JobState, PoolCapacity, SignalKind
from optimizer import Pin
from scheduler.db.models import PlanningRun, PoolState
from scheduler.db.session import SessionFactory, transaction
from scheduler.services.assemble import Assembled, FleetState, JobToPlan, assemble
from scheduler.services.assemble_jobs import AnnouncedStart
from scheduler.services.assemble_pools import PoolSeen
from scheduler.services.planning_inputs import read_inputs
from tests.services.builders import (
    START,
    flat_signals,
    fleet_spec,
    job_spec,
    signal_rows,
    site_spec,
    window,
)
from tests.services.fakes import FakeCluster
from tests.services.play import HOUR, Play, runs
from tests.services.scene import Scene, put_in_force


def assembled(
    seen: tuple[int, int] | None = None,
    seen_at: datetime = START,
    jobs: tuple[JobToPlan, ...] = (),
    signals: tuple[pd.DataFrame, ...] = (),
    n_slots: int = 4,
    **planning: Any,
) -> Assembled:
    """One pool of eight GPUs of 0.5 kW, PUE 1.2, of which so many are there, and others'."""
    pool = {"name": "a100", "gpus": 8, "kw_per_gpu": 0.5}
    fleet = fleet_spec(site_spec(pools=[pool], pue=1.2, base_load_kw=10), planning=planning)
    pools = {} if seen is None else {("DE", "a100"): PoolSeen(*seen, seen_at)}
    return assemble(
        fleet,
        jobs,
        pd.concat([flat_signals("DE"), *signals]),
        (),
        window(n_slots),
        now=START,
        state=FleetState(pools=pools),
    )


def gpus(made: Assembled) -> tuple[float, ...]:
    """GPUs of the pool by slot."""
    return made.problem.sites[0].pools[0].gpus


def test_without_a_word_of_the_cluster_the_spec_holds() -> None:
    """It was never heard."""
    made = assembled()
    assert gpus(made) == (8, 8, 8, 8)
    assert made.marks == ()


def test_drained_gpus_are_not_planned_for() -> None:
    """Five of eight are there, in every slot; the plan says so."""
    made = assembled((5, 0))
    assert gpus(made) == (5, 5, 5, 5)
    assert made.marks == ("DE pool a100: 5 of 8 GPUs are there",)


def test_the_spec_is_the_most_there_is() -> None:
    """A cluster that has more does not get more of our jobs."""
    assert gpus(assembled((32, 0))) == (8, 8, 8, 8)
    assert gpus(assembled((32, 26))) == (6, 6, 6, 6)


def test_what_others_have_is_theirs_for_a_while_and_draws_power() -> None:
    """Three GPUs for two hours: 1.5 kW of IT load on top of the base load, times PUE."""
    made = assembled((8, 3), others_stay_hours=2)
    assert gpus(made) == (5, 5, 8, 8)
    assert made.problem.sites[0].base_load_kw == pytest.approx((11.8, 11.8, 10, 10))
    assert made.marks == ("DE pool a100: others have 3 GPUs, taken to last 2 h",)


def test_a_meter_has_what_others_draw_in_it() -> None:
    """Where the base load is measured nothing is added to it."""
    made = assembled((8, 3), signals=(signal_rows("DE", SignalKind.BASE_LOAD, [20] * 4),))
    assert made.problem.sites[0].base_load_kw == (20, 20, 20, 20)
    assert gpus(made) == (5, 5, 5, 5)


def test_news_that_is_old_is_marked() -> None:
    """The last word holds, and its age is told."""
    made = assembled((5, 0), seen_at=START - timedelta(hours=3))
    assert gpus(made) == (5, 5, 5, 5)
    assert made.marks[-1] == "DE pool a100: its cluster was last heard 3.0 h ago"


def test_a_cluster_that_stays_silent_gets_nothing_new(play: Play) -> None:
    """Half an hour after it last answered a plan has no GPUs there; they are back when it is."""
    play.at(0)
    play.cluster.is_silent = True
    play.at(0.1)
    play.at(0.5)
    assert planned_gpus(play, "soon") == {8.0}
    play.at(0.7)
    assert planned_gpus(play, "late") == {0.0}
    play.cluster.is_silent = False
    play.at(0.8)
    assert planned_gpus(play, "back") == {8.0}


def test_a_cluster_that_was_never_heard_gets_nothing_for_long(play: Play) -> None:
    """It is taken to have what the fleet says, for half an hour."""
    play.cluster.is_silent = True
    play.at(0)
    assert planned_gpus(play, "first") == {8.0}
    play.at(0.6)
    assert planned_gpus(play, "late") == {0.0}


def planned_gpus(play: Play, key: str) -> set[float]:
    """GPUs of the only pool in a plan made now."""
    run = play.scene.queue(key)
    with transaction(play.scene.sessions) as session:
        inputs = read_inputs(session, session.get_one(PlanningRun, run), play.scene.now())
    return set(inputs.assemble().problem.sites[0].pools[0].gpus)


def test_what_runs_has_room_whatever_the_cluster_says() -> None:
    """Its node is on its way out: the plan stays one that can be verified, with a mark."""
    point = {"pool": "a100", "gpus": 4, "kw": 2.0}
    spec = job_spec(work_hours=2, operating_points=[point])
    job = JobToPlan(spec, 2.0, "DE", "a100x4", is_running=True, had_started=True)
    made = assembled((1, 0), jobs=(job,))
    assert gpus(made) == (4, 4, 1, 1)
    assert "2 slots with fewer GPUs than jobs that run" in made.marks[-1]


def test_a_frozen_start_does_not_hold_where_its_gpus_are_gone() -> None:
    """Four are promised in an hour, and one is left: another plan may be made of it."""
    spec = job_spec(work_hours=2, operating_points=[{"pool": "a100", "gpus": 4, "kw": 2.0}])
    promise = AnnouncedStart("DE", START + HOUR, "a100x4")
    job = JobToPlan(spec, 2.0, announced=promise)
    kept = assembled((4, 0), jobs=(job,), freeze_minutes=90)
    assert kept.problem.jobs[0].pin == Pin("DE/a100x4", 1, 1)
    lost = assembled((1, 0), jobs=(job,), freeze_minutes=90)
    assert lost.problem.jobs[0].pin is None
    assert gpus(lost) == (1, 1, 1, 1)


@pytest.fixture
def play(sessions: SessionFactory) -> Play:
    """One site with eight GPUs."""
    return Play(Scene(sessions).set_up(), FakeCluster())


def test_what_the_cluster_says_at_a_tick_is_in_the_next_plan(play: Play) -> None:
    """Kept with its time; written again when it changes, or after a minute."""
    said = [PoolCapacity("a100", 8, 6, 2, 2)]

    async def capacity() -> tuple[PoolCapacity, ...]:
        return tuple(said)

    play.cluster.capacity = capacity  # type: ignore[method-assign]
    play.at(0)
    play.at(0.001)
    assert rows_of(play) == [("DE", "a100", 8, 6, 2, 2, START)]
    said[0] = PoolCapacity("a100", 8, 8, 0, 0)
    play.at(0.002)
    assert rows_of(play) == [("DE", "a100", 8, 8, 0, 0, START + 0.002 * HOUR)]
    play.at(0.1)
    assert rows_of(play)[0][-1] == START + 0.1 * HOUR
    play.cluster.is_silent = True
    play.at(2)
    assert rows_of(play)[0][-1] == START + 0.1 * HOUR
    run = play.scene.queue()
    with transaction(play.scene.sessions) as session:
        inputs = read_inputs(session, session.get_one(PlanningRun, run), play.scene.now())
    assert inputs.state.pools["DE", "a100"] == PoolSeen(
        8, 0, START + 0.1 * HOUR, silent_since=START + 2 * HOUR
    )


def test_a_plan_made_while_gpus_are_away_keeps_to_those_that_are_there(play: Play) -> None:
    """The job that runs is followed; the problem it is planned in has the GPUs that are left."""
    job = play.scene.submit()
    put_in_force(play.scene, runs("train", (0, 2)))
    play.at(0)
    assert play.cluster.jobs[str(job)].state is JobState.RUNNING
    play.cluster.gpus = 1
    play.at(0.1)
    assert planned_gpus(play, "again") == {1.0}


def rows_of(play: Play) -> list[tuple[Any, ...]]:
    """What is kept of pools."""
    with transaction(play.scene.sessions) as session:
        return [
            (
                row.site,
                row.pool,
                row.gpus_total,
                row.gpus_available,
                row.gpus_in_use,
                row.gpus_of_others,
                row.seen_at,
            )
            for row in session.scalars(select(PoolState))
        ]
