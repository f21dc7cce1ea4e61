"""Readings of what clusters draw: taken beside dispatch, kept for a while, summed honestly."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from connectors.types import PowerReading, Window
from optimizer import Placement, Run
from scheduler.db.models import ClusterIdentity, ClusterPower
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import power
from scheduler.services.outside import Outside
from scheduler.services.power import Reading, integrate
from scheduler.services.power_watch import PowerWatch
from scheduler.watches import run_power_watch
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.fakes import FakeCluster
from tests.services.scene import Scene, put_in_force

DAY = timedelta(days=1)
MEASURED = PowerReading(5.5, True, "prometheus")
MODELLED = PowerReading(4.0, False, reason="prometheus: away")


class Watched:
    """Two sites whose clusters say what the test tells them."""

    def __init__(self, sessions: SessionFactory) -> None:
        self.scene = Scene(sessions).set_up(fleet_spec(site_spec("DE"), site_spec("FR")))
        self.clusters = {site: FakeCluster(site) for site in ("DE", "FR")}
        self.sessions = sessions
        self.watch = PowerWatch(
            sessions, lambda _: Outside(self.clusters), self.scene.now, 30 * DAY, answer_s=5.0
        )

    def rows(self, site: str = "DE") -> list[ClusterPower]:
        """All readings of a site."""
        with transaction(self.sessions) as session:
            return power.readings(session, site, Window(START - 99 * DAY, START + 99 * DAY))


@pytest.fixture
def watched(sessions: SessionFactory) -> Watched:
    """On each kind of database."""
    return Watched(sessions)


def test_every_cluster_is_read_with_what_the_plan_wants(watched: Watched) -> None:
    """In the slot it is; before the plan begins there is nothing to compare with."""
    watched.clusters["DE"].reading = MEASURED
    watched.clusters["FR"].reading = MODELLED
    watched.scene.submit("train")
    put_in_force(watched.scene, Placement("train", "DE", (Run("DE/a100x1", 1, 3),)))
    for minutes in (0, 61, 62):
        watched.scene.at = START + timedelta(minutes=minutes - 1, seconds=40)
        watched.watch.look()
    (before, idle, running), (other, *_) = watched.rows(), watched.rows("FR")
    assert (before.at, before.planned_kw) == (START - timedelta(minutes=1), None)
    assert (idle.at, idle.planned_kw) == (START + timedelta(minutes=60), 1.0)
    assert running.planned_kw == 1.0
    assert running.plan_id is not None
    assert before.plan_id is None
    assert (running.kw, running.is_measured, running.source) == (5.5, True, "prometheus")
    assert (other.kw, other.is_measured, other.reason) == (4.0, False, "prometheus: away")


def test_a_minute_is_read_once_whoever_reads_it(watched: Watched) -> None:
    """Any number of dispatchers may run."""
    for kw in (1.0, 2.0):
        watched.clusters["DE"].reading = PowerReading(kw, True, "nvml")
        watched.watch.look()
    assert [row.kw for row in watched.rows()] == [1.0]
    watched.scene.wait(minutes=1)
    watched.watch.look()
    assert [row.kw for row in watched.rows()] == [1.0, 2.0]


def test_a_cluster_that_is_silent_has_no_reading(watched: Watched) -> None:
    """And no zero; the others have theirs."""
    watched.clusters["DE"].is_silent = True
    watched.watch.look()
    assert watched.rows() == []
    assert len(watched.rows("FR")) == 1


def test_a_cluster_that_is_not_the_one_with_the_jobs_has_none(watched: Watched) -> None:
    """Its power would be modelled from no jobs."""
    with transaction(watched.sessions) as session:
        session.add(ClusterIdentity(site="DE", identity="another", seen_at=START))
        session.add(ClusterIdentity(site="FR", identity="cluster FR", seen_at=START))
    watched.watch.look()
    assert (watched.rows(), len(watched.rows("FR"))) == ([], 1)


@pytest.mark.parametrize("kw", [float("nan"), float("inf"), -1.0])
def test_what_is_no_power_is_not_recorded(watched: Watched, kw: float) -> None:
    """A database would take some of it, and every sum after it be wrong."""
    watched.clusters["DE"].reading = PowerReading(kw, True, "nvml")
    watched.watch.look()
    assert (watched.rows(), len(watched.rows("FR"))) == ([], 1)


def test_readings_are_kept_for_a_while(watched: Watched) -> None:
    """Older ones go when new ones come."""
    first = watched.scene.at
    watched.watch.look()
    watched.scene.wait(days=30)
    watched.watch.look()
    assert [row.at for row in watched.rows()] == [first, first + 30 * DAY]
    watched.scene.wait(minutes=1)
    watched.watch.look()
    assert first not in [row.at for row in watched.rows()]


def test_the_loop_looks_until_it_is_told_to_stop(watched: Watched) -> None:
    """A look that fails is not the last; the next is at the next minute."""
    looks: list[int] = []
    stop = threading.Event()

    def look() -> None:
        looks.append(1)
        if len(looks) == 2:
            stop.set()
        raise RuntimeError("one bad look")

    watched.scene.at = START + timedelta(seconds=59, milliseconds=990)
    assert watched.watch.seconds_to_next() == pytest.approx(0.01)
    watched.watch.look = look  # type: ignore[method-assign]
    run_power_watch(watched.watch, stop)
    assert len(looks) == 2


def row(
    minute: float, kw: float, *, measured: bool = True, planned: float | None = None
) -> Reading:
    """A reading so many minutes after START."""
    at = START + timedelta(minutes=minute)
    return Reading(at, kw, measured, "nvml" if measured else "", planned)


def minutes(start: float, end: float) -> Window:
    """A window after START."""
    return Window(START + timedelta(minutes=start), START + timedelta(minutes=end))


def test_energy_is_the_area_under_the_readings() -> None:
    """A ramp from 0 to 60 kW in an hour is 30 kWh; half of its time is a quarter of it."""
    rows = [row(minute, minute) for minute in range(61)]
    whole = integrate("DE", minutes(0, 60), rows)
    assert whole.kwh == pytest.approx(30.0)
    assert (whole.covered_share, whole.measured_share, whole.gaps) == (1.0, 1.0, ())
    assert whole.sources == ("nvml",)
    assert integrate("DE", minutes(0, 30), rows).kwh == pytest.approx(7.5)
    between = integrate("DE", minutes(0.5, 1.5), rows)
    assert between.kwh == pytest.approx(1 / 60)
    assert between.covered_share == 1.0


def test_a_gap_is_named_and_not_filled() -> None:
    """Neither with zero nor with what was before; five minutes are still no gap."""
    rows = [row(0, 60.0), row(5, 60.0), row(15, 60.0), row(20, 60.0)]
    found = integrate("DE", minutes(-10, 30), rows)
    assert found.kwh == pytest.approx(10.0)
    assert found.covered_share == pytest.approx(0.25)
    assert found.gaps == (minutes(-10, 0), minutes(5, 15), minutes(20, 30))
    assert integrate("DE", minutes(6, 14), rows).gaps == (minutes(6, 14),)


def test_the_share_that_was_measured_is_of_the_energy() -> None:
    """What lies between a measured and a modelled reading is not measured."""
    rows = [row(0, 60.0), row(1, 60.0), row(2, 60.0, measured=False), row(3, 60.0, measured=False)]
    found = integrate("DE", minutes(0, 3), rows)
    assert found.measured_share == pytest.approx(1 / 3)
    nothing = integrate("DE", minutes(0, 3), [])
    assert (nothing.kwh, nothing.measured_share, nothing.covered_share) == (0.0, None, 0.0)
    assert nothing.gaps == (minutes(0, 3),)


def test_plan_and_power_are_compared_over_the_same_time() -> None:
    """Where no plan governed, what was drawn is not held against one."""
    rows = [row(0, 60.0, planned=50.0), row(1, 60.0), row(2, 60.0, planned=50.0)]
    found = integrate("DE", minutes(0, 2), rows)
    assert (found.kwh, found.compared_kwh) == (pytest.approx(2.0), pytest.approx(1.0))
    assert found.planned_kwh == pytest.approx(50 / 60)


def test_energy_reads_beyond_the_ends_of_its_window(watched: Watched) -> None:
    """Readings are seldom at the very ends."""
    start = watched.scene.at
    for _ in range(4):
        watched.clusters["DE"].reading = PowerReading(60.0, True, "nvml")
        watched.watch.look()
        watched.scene.wait(minutes=1)
    window = Window(start + timedelta(seconds=30), start + timedelta(seconds=150))
    with transaction(watched.sessions) as session:
        found = power.energy(session, "DE", window)
    assert (found.kwh, found.covered_share) == (pytest.approx(2.0), 1.0)
