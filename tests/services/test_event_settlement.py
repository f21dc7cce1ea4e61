"""Events that are over are settled by what is on record, and again when more of it comes."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from connectors.types import GridEventNotice, PowerScope, Window
from optimizer import Placement, Run
from scheduler.db.models import (
    ClusterPower,
    EventSettlement,
    GridEvent,
    StoredPlan,
    TelemetryValue,
)
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import events
from scheduler.services.errors import Conflict, NotFound
from scheduler.services.event_report import report_of
from scheduler.services.event_settlement import read_report, read_settlements
from scheduler.services.settlement_watch import SettlementWatch
from scheduler.settlement.report import EventReport
from scheduler.specs.message import TelemetrySeries
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.scene import Scene, put_in_force

HOUR = timedelta(hours=1)
QUARTER = timedelta(minutes=15)
CALLED = Window(START + 6 * HOUR, START + 8 * HOUR)
EVENT = GridEventNotice(
    "dr-1", "DE", CALLED, limit_kw=6.0, breach_eur_per_kwh=2.0, payment_eur_per_kwh=0.5
)
# The last five workdays before Monday 5 July 2021.
WORKDAYS = [datetime(2021, *day, tzinfo=UTC) for day in ((7, 2), (7, 1), (6, 30), (6, 29), (6, 28))]


@pytest.fixture
def scene(sessions: SessionFactory) -> Scene:
    """One site whose event of two hours is known an hour before the first slot."""
    scene = Scene(sessions).set_up()
    call(scene, EVENT)
    return scene


def call(scene: Scene, notice: GridEventNotice) -> None:
    """Let an event be taken in."""
    with transaction(scene.sessions) as session:
        events.create_event(session, notice, "vpp", scene.at)


def meter(scene: Scene, start: datetime, kw: float, hours: float = 1.0) -> None:
    """Readings of the site's meter every quarter of an hour, both ends included."""
    with transaction(scene.sessions) as session:
        for k in range(round(hours * 4) + 1):
            at = start + k * QUARTER
            key = {"site": "DE", "series": TelemetrySeries.SITE_POWER, "device": "", "at": at}
            found = session.get(TelemetryValue, tuple(key.values()))
            if found is None:
                row = TelemetryValue(**key, value=kw, source="meter", received_at=scene.at)
                session.add(row)


def usual_days(scene: Scene, *kw: float) -> None:
    """What was drawn on the workdays before, from four hours before the event to its end."""
    for day, value in zip(WORKDAYS, kw, strict=False):
        meter(scene, day + 2 * HOUR, value, hours=6)


def settle(scene: Scene) -> int:
    """Let the watch look once; how many settlements are new."""
    return SettlementWatch(scene.sessions, scene.now).look()


def report(scene: Scene, name: str = "dr-1", revision: int | None = None) -> EventReport:
    """What an event came to."""
    with transaction(scene.sessions) as session:
        return read_report(session, name, scene.at, revision)[1]


def test_an_event_is_settled_from_the_meter_by_the_rule_of_the_contract(scene: Scene) -> None:
    """Four highest of five days: (12 + 10 + 10 + 8) / 4 = 10 kW, and 1 kW more for the morning.

    Drawn are 5 kW in the first hour and 7 in the second, of 11 with a level of 6: asked 5 and 5,
    delivered 6 and 4. The line between the two hours' readings is within the first quarter.
    """
    usual_days(scene, 10.0, 12.0, 8.0, 4.0, 10.0)
    meter(scene, START + 2 * HOUR, 11.0, hours=3)
    scene.at = CALLED.start
    meter(scene, CALLED.start, 5.0)
    meter(scene, CALLED.start + HOUR + timedelta(seconds=1), 7.0)
    scene.at = CALLED.end + HOUR + timedelta(minutes=10)
    assert settle(scene) == 1
    found = report(scene)
    assert [one.interval.baseline_kw for one in found.intervals] == pytest.approx([11.0, 11.0])
    assert [one.delivered_kw for one in found.intervals] == pytest.approx([6.0, 4.0], abs=1e-3)
    assert found.result.payment_eur == pytest.approx(0.5 * (5.0 + 4.0), abs=1e-3)
    assert found.result.penalty_eur == pytest.approx(2.0, abs=2e-3)
    assert found.result.score == pytest.approx(0.9, abs=1e-3)
    assert found.result.is_whole
    assert [day.day for day in found.baseline.days] == [2, 1, 30, 28]


def test_days_of_other_events_make_no_baseline(scene: Scene) -> None:
    """Of the five workdays one had a call, so the one before them comes in; it is 20 kW."""
    other = Window(WORKDAYS[0] + 6 * HOUR, WORKDAYS[0] + 8 * HOUR)
    scene.at, now = other.start - HOUR, scene.at
    call(scene, replace(EVENT, event_id="dr-0", window=other))
    scene.at = now
    usual_days(scene, 1.0, 10.0, 10.0, 10.0, 10.0)
    meter(scene, datetime(2021, 6, 25, 2, tzinfo=UTC), 20.0, hours=6)
    scene.at = CALLED.end + 2 * HOUR
    settle(scene)
    assert report(scene).baseline.kw == pytest.approx((12.5, 12.5))


def test_what_was_planned_before_the_call_and_during_it_is_told(scene: Scene) -> None:
    """The plan that did not know of it runs a job of 1 kW then; the one that did runs none."""
    scene.submit("train")
    put_in_force(scene, Placement("train", "DE", (Run("DE/a100x1", 6, 8),)))
    scene.wait(minutes=30)
    put_in_force(scene, Placement("train", "DE", (Run("DE/a100x1", 8, 10),)), key="anew")
    scene.at = CALLED.end + 2 * HOUR
    settle(scene)
    found = report(scene)
    told = [(one.interval.plan_baseline_kw, one.interval.planned_kw) for one in found.intervals]
    assert told == [(1.0, 0.0), (1.0, 0.0)]
    after = [one.planned_kw for one in found.around if one.window.start >= CALLED.end]
    assert after == [1.0]


def test_without_a_meter_the_cluster_tells_how_far_from_the_plan_it_was(scene: Scene) -> None:
    """Planned are 1 kW, its GPUs drew 3 kW more than that, at a PUE of 1.2: 1.2 + 3.6."""
    scene.set_up(fleet_spec(site_spec(pue=1.2, settlement={"baseline": "plan"})))
    scene.submit("train")
    put_in_force(scene, Placement("train", "DE", (Run("DE/a100x1", 6, 8),)))
    scene.at = CALLED.end + 2 * HOUR
    fields: dict[str, Any] = {
        "site": "DE",
        "kw": 4.0,
        "is_measured": True,
        "source": "nvml",
        "scope": PowerScope.GPUS,
        "reason": "",
        "planned_kw": 1.0,
    }
    with transaction(scene.sessions) as session:
        for minute in range(61):
            session.add(ClusterPower(**fields, at=CALLED.start + timedelta(minutes=minute)))
    settle(scene)
    found = report(scene)
    first, second = found.intervals
    assert first.interval.metered_kw == pytest.approx(4.8)
    assert (first.interval.is_metered, second.interval.metered_kw) == (False, None)
    assert found.baseline.kw == pytest.approx((1.2, 1.2))
    assert len(found.notes) == 2


def test_late_readings_settle_it_again_and_the_first_is_kept(scene: Scene) -> None:
    """What says the same as before is not written twice."""
    scene.at = CALLED.end + 2 * HOUR
    assert settle(scene) == 1
    assert report(scene).result.metered_share == 0.0
    scene.wait(minutes=1)
    assert settle(scene) == 0
    scene.wait(minutes=1)
    meter(scene, CALLED.start, 5.0, hours=2)
    scene.wait(minutes=1)
    assert settle(scene) == 1
    assert settle(scene) == 0
    assert report(scene).result.metered_share == 1.0
    assert report(scene, revision=0).result.metered_share == 0.0
    with transaction(scene.sessions) as session:
        assert [one.revision for one in read_settlements(session, "dr-1")] == [1, 0]
        with pytest.raises(NotFound, match="7"):
            read_report(session, "dr-1", scene.at, 7)


def test_nothing_is_settled_before_its_readings_can_be_in(scene: Scene) -> None:
    """The refusal says from when on."""
    scene.at = CALLED.end + HOUR
    assert settle(scene) == 0
    with pytest.raises(Conflict, match="from 2021-07-05T09:10:00"):
        report(scene)


def test_an_event_called_off_midway_is_settled_until_then(scene: Scene) -> None:
    """And one that was called off before it began is none."""
    call(scene, replace(EVENT, event_id="dr-2"))
    with transaction(scene.sessions) as session:
        events.cancel_event(session, "dr-2", scene.at)
        events.cancel_event(session, "dr-1", CALLED.start + HOUR)
    scene.at = CALLED.end + 2 * HOUR
    assert settle(scene) == 1
    found = report(scene)
    assert found.terms.window.end == CALLED.start + HOUR
    assert "called off" in found.notes[-1]
    with pytest.raises(Conflict, match="before it began"):
        report(scene, "dr-2")


def test_a_call_that_the_plan_declined_is_settled_to_its_fee(scene: Scene) -> None:
    """By the plan that held as it began; what was drawn above the level is no breach then."""
    terms = {"name": "aggregator", "sites": ["DE"], "decline_eur": 4.0}
    scene.set_up(fleet_spec(site_spec(), commitments={"calls": [terms]}), hours=0)
    put_in_force(scene)
    with transaction(scene.sessions) as session:
        stored = session.scalars(select(StoredPlan)).one()
        stored.document = stored.document | {"declined_before": ["dr-1"]}
    usual_days(scene, 10.0, 10.0, 10.0, 10.0, 10.0)
    meter(scene, CALLED.start, 9.0, hours=2)
    scene.at = CALLED.end + 2 * HOUR
    assert settle(scene) == 1
    found = report(scene)
    assert found.terms.declined_eur == 4.0
    assert (found.result.payment_eur, found.result.penalty_eur) == (0.0, 4.0)
    assert "declined" in found.notes[0]


def test_taking_part_is_paid_as_the_terms_of_the_site_say(scene: Scene) -> None:
    """3 EUR more than without such terms."""
    usual_days(scene, 10.0, 10.0, 10.0, 10.0, 10.0)
    meter(scene, CALLED.start, 9.0, hours=2)
    scene.at = CALLED.end + 2 * HOUR

    def payment_eur(**more: float) -> float:
        terms = {"name": "aggregator", "sites": ["DE"]} | more
        scene.set_up(fleet_spec(site_spec(), commitments={"calls": [terms]}), hours=0)
        with transaction(scene.sessions) as session:
            event = session.scalars(select(GridEvent)).one()
            return report_of(session, event).result.payment_eur or 0.0

    assert payment_eur(pay_eur=3.0) == pytest.approx(payment_eur() + 3.0)


def test_a_standing_limit_is_not_settled(scene: Scene) -> None:
    """It has no hours to compare with those of other days."""
    long = Window(START - 10 * 24 * HOUR, START)
    scene.at = long.start
    call(scene, replace(EVENT, event_id="cap", window=long))
    scene.at = CALLED.end + 2 * HOUR
    assert settle(scene) == 1
    with pytest.raises(Conflict, match="longer than 7 days"):
        report(scene, "cap")


def test_an_event_that_cannot_be_settled_holds_no_other_up(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """Here the plan that held then cannot be read; of another event none is needed."""
    early = Window(START - 4 * HOUR, START - 3 * HOUR)
    now, scene.at = scene.at, early.start
    call(scene, replace(EVENT, event_id="dr-2", window=early))
    scene.at = now
    put_in_force(scene)
    with transaction(scene.sessions) as session:
        session.scalars(select(StoredPlan)).one().document = {}
    scene.at = CALLED.end + 2 * HOUR
    with caplog.at_level(logging.ERROR):
        assert settle(scene) == 1
    assert "not settled" in caplog.text
    assert report(scene, "dr-2").event == "dr-2"


def test_events_of_a_site_that_left_the_fleet_are_left_alone(scene: Scene) -> None:
    """Nobody knows any more by what rule they were to be settled."""
    scene.set_up(fleet_spec(site_spec("FR")))
    scene.at = CALLED.end + 2 * HOUR
    assert settle(scene) == 0


def test_of_any_number_of_clocks_one_settles(scene: Scene) -> None:
    """The database keeps one settlement of each number."""
    scene.at = CALLED.end + 2 * HOUR
    with ThreadPoolExecutor(4) as pool:
        new = list(pool.map(settle, [scene] * 4))
    assert sum(new) == 1
    with transaction(scene.sessions) as session:
        assert len(session.scalars(select(EventSettlement)).all()) == 1


def test_an_hour_that_comes_twice_is_settled_as_two(sessions: SessionFactory) -> None:
    """From 02:00 to 03:00 on 31 October 2021 in Berlin are two hours, each compared with one."""
    scene = Scene(sessions).set_up(fleet_spec(site_spec(time_zone="Europe/Berlin")))
    start = datetime(2021, 10, 31, 0, tzinfo=UTC)
    scene.at = start - HOUR
    call(scene, replace(EVENT, window=Window(start, start + 2 * HOUR)))
    for days_back in (7, 14, 21):
        day = start - timedelta(days=days_back)
        meter(scene, day - 5 * HOUR, 10.0, hours=5)
        meter(scene, day + QUARTER, 10.0, hours=1)
    meter(scene, start - 4 * HOUR, 10.0, hours=7)
    scene.at = start + 4 * HOUR
    settle(scene)
    found = report(scene)
    assert found.baseline.kw == pytest.approx((10.0, 10.0))
    assert [one.delivered_kw for one in found.intervals] == pytest.approx([0.0, 0.0])
