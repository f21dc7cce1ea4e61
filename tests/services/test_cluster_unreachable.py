"""A cluster that cannot be reached: its schedule stands, what has not started goes elsewhere.

What it may be running is never started a second time, however long that takes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from uuid import UUID

import pytest

from connectors.types import JobState
from scheduler.db.models import JobStatus
from scheduler.db.session import make_engine, make_session_factory, transaction
from scheduler.services.outside import Outside
from scheduler.services.pool_states import list_pools
from scheduler.worker import Worker
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.fakes import FakeCluster
from tests.services.play import HOUR, Play, runs
from tests.services.scene import Scene, put_in_force

SILENT_MINUTES = 30


class TwoSites(Play):
    """DE, where all is planned, and FR, which could run it as well."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene, FakeCluster())
        self.fr = FakeCluster("FR")
        self.outside = Outside({"DE": self.cluster, "FR": self.fr})
        self.running = scene.submit("running", work_hours=6)
        self.waiting = scene.submit("waiting", work_hours=2)
        put_in_force(scene, runs("running", (0, 6)), runs("waiting", (2, 4)))

    def plan_anew(self, hours: float, key: str) -> None:
        """Make a plan at so many hours from START, and put it in force."""
        self.scene.at = START + hours * HOUR
        self.scene.queue(key, window_start=self.scene.at)
        made = Worker(self.scene.sessions, self.scene.now, threading.Event()).work_once()
        assert made is not None
        plan = self.scene.run(made).plan_id
        assert plan is not None
        self.scene.approve(plan)

    @property
    def silence(self) -> dict[str, str]:
        """Why each cluster does not answer, by site."""
        with transaction(self.scene.sessions) as session:
            return {pool.site: pool.silence for pool in list_pools(session)}

    def stands(self, job: UUID) -> tuple[JobStatus, str | None, int]:
        """Where a job stands: its status, its site, and how often it was started."""
        row = self.scene.job(job)
        return row.status, row.site, row.starts


@pytest.fixture
def play(sqlite_url: str) -> Iterator[TwoSites]:
    """One job runs at DE when that falls silent, another is to start there in two hours."""
    engine = make_engine(sqlite_url)
    fleet = fleet_spec(
        site_spec(), site_spec("FR"), planning={"silent_minutes": float(SILENT_MINUTES)}
    )
    play = TwoSites(Scene(make_session_factory(engine)).set_up(fleet))
    play.at(0)
    play.at(0.1)
    assert play.stands(play.running) == (JobStatus.RUNNING, "DE", 1)
    play.cluster.is_silent = True
    play.at(0.2)
    yield play
    engine.dispose()


def test_why_it_does_not_answer_is_on_record_until_it_does(play: TwoSites) -> None:
    """In the words of the last try, for people to see; who answers has nothing to explain."""
    assert play.silence == {"DE": "cluster DE is silent", "FR": ""}
    play.cluster.is_silent = False
    play.cluster.memory = "a folder that is not mounted"
    play.at(0.3)
    assert "but a folder that is not mounted answers" in play.silence["DE"]
    play.cluster.memory = "cluster DE"
    play.at(0.4)
    assert play.silence == {"DE": "", "FR": ""}


def test_its_last_schedule_stands(play: TwoSites) -> None:
    """Nothing is decided about it, whatever comes due; what it runs counts as running."""
    play.at(2)
    assert play.stands(play.running) == (JobStatus.RUNNING, "DE", 1)
    assert play.stands(play.waiting) == (JobStatus.WAITING, None, 0)
    assert play.fr.starts == []
    play.cluster.is_silent = False
    play.at(2.1)
    assert play.stands(play.waiting) == (JobStatus.RUNNING, "DE", 1)


def test_what_has_not_started_goes_elsewhere_after_the_time_that_is_configured(
    play: TwoSites,
) -> None:
    """The next plan has it run at the other site; what runs here keeps its place here."""
    play.plan_anew(1, "after")
    play.at(3)
    play.at(11)  # the cheap hours are among these
    assert play.stands(play.waiting)[1] == "FR"
    assert play.fr.starts == [str(play.waiting)]
    assert play.stands(play.running) == (JobStatus.RUNNING, "DE", 1)


def test_what_it_may_still_run_is_never_started_twice(play: TwoSites) -> None:
    """Not while it is silent, not after: it was running all the time, and has ended there."""
    play.plan_anew(1, "after")
    for hours in (3, 11, 23):
        play.at(hours)
    assert str(play.running) not in play.fr.starts
    play.cluster.is_silent = False
    play.cluster.end(str(play.running), JobState.SUCCEEDED)
    play.at(23.5)
    assert play.stands(play.running) == (JobStatus.SUCCEEDED, "DE", 1)
    assert play.cluster.starts == [str(play.running)]
