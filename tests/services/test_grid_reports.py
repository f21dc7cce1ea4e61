"""What is told of sites in reports: by the meter, by plans, by baselines and by batteries."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from connectors.errors import Unavailable
from connectors.types import (
    GridEventNotice,
    Measure,
    Report,
    ReportRequest,
    SiteFigures,
    Window,
)
from optimizer import Placement, Run
from scheduler.db.models import GridReport, TelemetryValue
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import events
from scheduler.services.grid_reports import KEPT_FOR, MOST_FAILED, recent_reports, send_reports
from scheduler.services.report_figures import TooMuch, figures_of
from scheduler.specs.message import TelemetrySeries
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.scene import Scene, put_in_force

HOUR = timedelta(hours=1)
CALLED = Window(START + 6 * HOUR, START + 8 * HOUR)
EVENT = GridEventNotice("dr-1", "DE", CALLED, 0.5, 5.0)
BATTERY = {"name": "bess", "power_kw": 2, "capacity_kwh": 8, "soc_initial_kwh": 4}


@pytest.fixture
def scene(sessions: SessionFactory) -> Scene:
    """A site with a battery; a job of 1 kW runs in the hours 6 and 7, where an event is called."""
    site = site_spec(batteries=[BATTERY], settlement={"baseline": "plan"})
    scene = Scene(sessions).set_up(fleet_spec(site))
    scene.submit("train", sheds_within_s=60, pausing={})
    put_in_force(scene, Placement("train", "DE", (Run("DE/a100x1", 6, 8),)))
    scene.wait(minutes=1)
    with transaction(scene.sessions) as session:
        events.create_event(session, EVENT, "vpp", scene.at)
    return scene


def request(*measures: Measure, hours: tuple[int, int] = (6, 8), **more: Any) -> ReportRequest:
    """Ask for measures of every hour in a span of them."""
    windows = tuple(Window(START + k * HOUR, START + (k + 1) * HOUR) for k in range(*hours))
    return ReportRequest(
        "one",
        "dr-1",
        ("DE",),
        windows[-1].end,
        windows,
        frozenset(measures),
        **({"asked": ("X",)} | more),
    )


def told(scene: Scene, asked: ReportRequest) -> tuple[SiteFigures, ...]:
    """What is known now."""
    with transaction(scene.sessions) as session:
        return figures_of(session, asked, "vpp", scene.at)


def meter(scene: Scene, start: datetime, *kw: float) -> None:
    """Readings every quarter of an hour."""
    with transaction(scene.sessions) as session:
        for k, value in enumerate(kw):
            at = start + k * HOUR / 4
            name = TelemetrySeries.SITE_POWER
            more = {"value": value, "source": "meter", "received_at": scene.at}
            session.add(TelemetryValue(site="DE", series=name, device="", at=at, **more))


def test_what_was_drawn_is_metered_and_else_as_planned(scene: Scene) -> None:
    """Mean and highest of readings; the second hour was not metered, and is as a plan had it."""
    scene.at = CALLED.end
    meter(scene, CALLED.start, 0.2, 0.4, 0.6, 0.4, 0.2)
    first, second = told(scene, request(Measure.POWER, Measure.PEAK, Measure.STATE))
    assert first.import_kw == pytest.approx(0.4)
    assert (first.is_measured, first.peak_kw, first.limit_kw) == (True, 0.6, 0.5)
    assert (second.import_kw, second.is_measured, second.peak_kw) == (1.0, False, 1.0)


def test_of_what_is_to_come_the_plan_in_force_tells(scene: Scene) -> None:
    """Nothing was drawn yet; beyond the plan nothing is known."""
    asked = request(Measure.POWER, Measure.FORECAST, hours=(5, 7))
    before, during = told(scene, asked)
    assert (before.planned_kw, during.planned_kw) == (0.0, 1.0)
    assert (before.import_kw, during.import_kw) == (None, None)
    (beyond,) = told(scene, request(Measure.FORECAST, hours=(30, 31)))
    assert beyond.planned_kw is None


def test_the_baseline_is_that_of_the_call_and_of_nothing_else(scene: Scene) -> None:
    """By the rule of the contract, here what was planned before it; without one there is none."""
    before, during = told(scene, request(Measure.BASELINE, hours=(5, 7)))
    assert (before.baseline_kw, during.baseline_kw) == (None, 1.0)


def test_states_of_batteries_and_what_could_be_done_are_as_planned(scene: Scene) -> None:
    """One kW of a job may be shed in the hours it runs; the battery stands idle at half.

    As nothing may be exported there is no room for what it could give on top of that.
    """
    before, during = told(scene, request(Measure.STORAGE, Measure.FLEXIBILITY, hours=(5, 7)))
    assert (during.stored_kwh, during.storage_kwh) == (4.0, 8.0)
    assert (during.charge_max_kw, during.discharge_max_kw) == (2.0, 2.0)
    assert (before.shed_kw, during.shed_kw) == (0.0, 1.0)
    assert (during.more_discharge_kw, during.more_charge_kw) == (0.0, 2.0)


def test_an_interval_of_several_slots_is_their_mean_and_their_least(scene: Scene) -> None:
    """Half of two hours at 1 kW; what can be shed in both of them is nothing."""
    asked = request(Measure.FORECAST, Measure.FLEXIBILITY)
    whole = replace(asked, intervals=(Window(START + 5 * HOUR, START + 7 * HOUR),))
    (one,) = told(scene, whole)
    assert (one.planned_kw, one.shed_kw) == (0.5, 0.0)
    parts = told(scene, replace(whole, by_slot=True))
    assert [part.planned_kw for part in parts] == [0.0, 1.0]


def test_what_reaches_over_too_many_slots_is_not_looked_up(scene: Scene) -> None:
    """The refusal names how many."""
    long = replace(request(), intervals=(Window(START, START + timedelta(days=400)),))
    with pytest.raises(TooMuch, match="9601 slots"):
        told(scene, long)
    assert send_reports(scene.sessions, [long], "vpp", lambda _: None, scene.now) == 0


def test_records_of_reports_are_kept_for_a_while(scene: Scene) -> None:
    """Long enough that none is sent twice."""
    scene.at = CALLED.end

    def send(name: str) -> int:
        asked = replace(request(Measure.POWER), name=name)
        return send_reports(scene.sessions, [asked], "vpp", lambda _: None, scene.now)

    assert [send("a"), send("a"), send("b")] == [1, 0, 1]
    scene.at += KEPT_FOR + HOUR
    send("c")
    with transaction(scene.sessions) as session:
        assert [row.name for row in recent_reports(session, 10)] == ["c"]
        assert session.query(GridReport).one().told == ["X"]


def test_a_report_that_does_not_arrive_holds_up_no_other(scene: Scene) -> None:
    """It is tried again with the next poll; where none arrives the rest are not tried."""
    scene.at = CALLED.end
    due = [replace(request(Measure.POWER), name=f"{k}") for k in range(MOST_FAILED + 2)]
    tried: list[str] = []

    def send(only: str) -> None:
        def or_fail(report: Report) -> None:
            tried.append(report.request.name)
            if report.request.name not in only:
                raise Unavailable(f"{report.request.name} has no answer")

        with pytest.raises(Unavailable, match="0 has no answer"):
            send_reports(scene.sessions, due, "vpp", or_fail, scene.now)

    send(only="14")
    with transaction(scene.sessions) as session:
        assert [row.name for row in recent_reports(session, 10)] == ["1", "4"]
    assert tried == [one.name for one in due]
    tried.clear()
    send(only="")
    assert tried == ["0", "2", "3", "5", "6"]


def test_of_a_site_that_the_plan_does_not_have_nothing_is_known_of_batteries(scene: Scene) -> None:
    """It joined the fleet after the plan was approved."""
    scene.set_up(fleet_spec(site_spec(), site_spec("FR", batteries=[BATTERY])))
    asked = replace(request(Measure.STORAGE, Measure.FLEXIBILITY), sites=("FR",))
    first, _ = told(scene, asked)
    assert (first.stored_kwh, first.storage_kwh, first.shed_kw) == (None, None, None)


def test_while_a_site_may_still_come_down_it_keeps_to_no_level_yet(scene: Scene) -> None:
    """As it is settled: what begins before the ramp is over, also before the call, is ramp."""
    with transaction(scene.sessions) as session:
        late = replace(EVENT, event_id="dr-2", ramp_minutes=20.0, limit_kw=0.2)
        events.create_event(session, late, "vpp", scene.at)
    scene.at = CALLED.end
    hour = request(Measure.STATE).intervals[0]
    quarters = tuple(
        Window(hour.start + k * HOUR / 4, hour.start + (k + 1) * HOUR / 4) for k in (-1, 0, 1, 2)
    )
    around = Window(hour.start - HOUR / 4, hour.end)
    asked = replace(request(Measure.STATE), intervals=(*quarters, around))
    # The other call has no ramp; it is of the whole two hours.
    assert [one.limit_kw for one in told(scene, asked)] == [None, 0.5, 0.5, 0.2, None]
