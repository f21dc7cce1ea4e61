"""A cluster whose clock is ten minutes from ours: shown, warned about, and of no consequence."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from connectors.types import JobState
from scheduler.db.models import JobStatus, PoolState
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import observations
from scheduler.services.pool_states import list_pools
from tests.services.builders import START
from tests.services.play import HOUR
from tests.services.scene import put_in_force
from tests.services.staging import DATA, Staging, at, key

MINUTES_10 = timedelta(minutes=10)
BOTH_WAYS = pytest.mark.parametrize("ahead", [MINUTES_10, -MINUTES_10], ids=["ahead", "behind"])
TOLD_OR_NOT = pytest.mark.parametrize("is_told", [True, False], ids=["told", "not told"])


class Apart(Staging):
    """Data is to be moved to FR from hour 3 on, whose clock is apart and may tell it."""

    def __init__(self, sessions: SessionFactory, ahead: timedelta, *, is_told: bool = True) -> None:
        super().__init__(sessions)
        self._ahead = ahead
        self.fr.clock_ahead = ahead.total_seconds() if is_told else None
        self.job: UUID = self.scene.submit(data=DATA)
        put_in_force(self.scene, at("FR", 5))
        self.at(3)

    def moves_since(self, begin: datetime, end: datetime | None = None) -> None:
        """Let FR say by its clock when the transfer began, and ended where it has."""
        if end is not None:
            self.fr.end(key(self.job))
        ended_at = None if end is None else end + self._ahead
        seen = self.fr.jobs[key(self.job)]
        times = {"started_at": begin + self._ahead, "ended_at": ended_at}
        self.fr.jobs[key(self.job)] = replace(seen, **times)


@BOTH_WAYS
@TOLD_OR_NOT
def test_a_transfer_took_as_long_as_it_took(
    sessions: SessionFactory, ahead: timedelta, *, is_told: bool
) -> None:
    """Six minutes that nobody saw begin or end; the rate of its link follows from them."""
    play = Apart(sessions, ahead, is_told=is_told)
    began = START + 3.01 * HOUR
    play.moves_since(began, began + 0.1 * HOUR)
    play.at(3.5)
    row = play.transfer(play.job)
    assert (row.status, row.hours) == (JobStatus.SUCCEEDED, pytest.approx(0.1))
    if is_told:
        assert (row.started_at, row.ended_at) == (began, began + 0.1 * HOUR)
    play.at(5)
    assert play.status(play.job) is JobStatus.RUNNING


@BOTH_WAYS
@TOLD_OR_NOT
def test_what_is_left_to_move_is_reckoned_by_our_clock(
    sessions: SessionFactory, ahead: timedelta, *, is_told: bool
) -> None:
    """An hour of two is over: half of it is left, whatever the time there, and none moves twice."""
    play = Apart(sessions, ahead, is_told=is_told)
    play.moves_since(START + 3.01 * HOUR)
    play.at(3.02)
    play.at(4)
    row = play.transfer(play.job)
    assert row.moving_since is not None
    assert START + 3 * HOUR <= row.moving_since <= START + 3.02 * HOUR
    assert play.left_gb(4) == {"FR": pytest.approx(10.0, abs=0.5)}
    assert play.fr.starts == [key(play.job)]


@BOTH_WAYS
def test_clocks_that_are_apart_are_shown_and_warned_about_once(
    sessions: SessionFactory, ahead: timedelta, caplog: pytest.LogCaptureFixture
) -> None:
    """With the site, how far, and how far they may be; those that agree are shown too."""
    with caplog.at_level(logging.WARNING):
        play = Apart(sessions, ahead)
        play.cluster.clock_ahead = 1.5
        play.at(3.5)
        play.at(4)
    warned = [record.getMessage() for record in caplog.records if "clock" in record.getMessage()]
    assert len(warned) == 1
    assert f"site FR: the clock of its cluster is {ahead.total_seconds():+.0f} s apart" in warned[0]
    assert "must be within 30 s" in warned[0]
    with transaction(sessions) as session:
        shown = {row.site: row.clock_ahead_s for row in list_pools(session)}
        watched = observations.observe(session, play.scene.now()).clocks
    assert shown == {"DE": 1.5, "FR": ahead.total_seconds(), "NO": None}
    assert watched == {"DE": 1.5, "FR": ahead.total_seconds()}


@BOTH_WAYS
def test_a_clock_that_is_set_while_nothing_else_changes_is_warned_about_once(
    sessions: SessionFactory, ahead: timedelta, caplog: pytest.LogCaptureFixture
) -> None:
    """Though a tick of a quiet cluster is no news, and a pool is remembered that is gone."""
    play = Apart(sessions, timedelta())
    with transaction(sessions) as session:
        session.add(
            PoolState(
                site="FR",
                pool="gone",
                gpus_total=1,
                gpus_available=1,
                gpus_in_use=0,
                gpus_of_others=0,
                clock_ahead_s=0.0,
                seen_at=START,
            )
        )
    with caplog.at_level(logging.WARNING):
        for tick in range(10):
            play.at(3 + tick / 3600)
            play.fr.clock_ahead = ahead.total_seconds()
    assert sum("clock of its cluster" in record.getMessage() for record in caplog.records) == 1
    with transaction(sessions) as session:
        assert observations.observe(session, play.scene.now()).clocks["FR"] == (
            ahead.total_seconds()
        )


@BOTH_WAYS
def test_a_job_began_and_ended_when_it_was_seen_to(
    sessions: SessionFactory, ahead: timedelta
) -> None:
    """Not when its cluster says: what it did is counted by one clock."""
    play = Staging(sessions)
    play.cluster.clock_ahead = ahead.total_seconds()
    job = play.scene.submit()
    put_in_force(play.scene, at("DE", 5))
    play.at(5)
    its_key = str(job)
    there = START + 5 * HOUR + ahead
    play.cluster.jobs[its_key] = replace(play.cluster.jobs[its_key], started_at=there)
    play.at(6)
    play.cluster.end(its_key, JobState.SUCCEEDED)
    play.at(7)
    row = play.scene.job(job)
    assert (row.started_at, row.ended_at) == (START + 5 * HOUR, START + 7 * HOUR)
    assert row.work_done_hours == pytest.approx(2.0)
