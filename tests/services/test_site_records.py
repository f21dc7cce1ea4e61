"""Who holds a site, what is recorded of it, and that plans begin from what was measured."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from connectors.types import GridEventKind, GridEventNotice, StorageTelemetry, Window
from scheduler.control.types import Bind, SiteLimits
from scheduler.db.models import GridEvent, SiteControl, TelemetryValue
from scheduler.db.session import SessionFactory, make_engine, make_session_factory, transaction
from scheduler.main import connect
from scheduler.services.carried_state import soc_at
from scheduler.services.site_control import Ticked
from scheduler.services.site_orders import OrderBook, Orders
from scheduler.services.site_records import Tally, hold, let_go, record, standings
from scheduler.settings import Settings
from scheduler.site_control import Pace
from scheduler.specs.message import TelemetrySeries
from scheduler.timekeeping import system_now
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.scene import Scene
from tests.services.test_carried_state import charging, read_at

HOUR = timedelta(hours=1)
BATTERY = {"name": "battery", "power_kw": 50, "capacity_kwh": 100}


def ticked(soc_kwh: float = 30.0) -> Ticked:
    """A tick at START."""
    return Ticked(
        at=START,
        load_kw=40.0,
        import_kw=60.0,
        limits=SiteLimits(100.0),
        batteries={"battery": StorageTelemetry(START, soc_kwh, 20.0)},
        told_kw={"battery": 20.0},
        binds={"battery": Bind.PLAN},
        problems=("something",),
    )


def test_one_holds_a_site_until_it_is_gone(sessions: SessionFactory) -> None:
    """It goes on as long as it says so; then, or when it lets go, another has it."""
    with transaction(sessions) as session:
        assert hold(session, ["DE", "FR"], "a", START, 15.0) == {"DE", "FR"}
        assert hold(session, ["DE"], "b", START, 15.0) == frozenset()
        assert hold(session, ["DE"], "a", START + timedelta(seconds=14), 15.0) == {"DE"}
        assert hold(session, ["DE"], "b", START + timedelta(seconds=28), 15.0) == frozenset()
        assert hold(session, ["DE"], "b", START + timedelta(seconds=29), 15.0) == {"DE"}
        assert hold(session, ["DE"], "a", START + timedelta(seconds=30), 15.0) == frozenset()
        let_go(session, "b", START + timedelta(seconds=31))
        assert hold(session, ["DE"], "a", START + timedelta(seconds=31), 15.0) == {"DE"}


def test_of_many_at_once_one_holds_it(sessions: SessionFactory) -> None:
    """Whichever database it is."""
    held: list[frozenset[str]] = []

    def take(name: str) -> None:
        with transaction(sessions) as session:
            held.append(hold(session, ["DE"], name, START, 15.0))

    threads = [threading.Thread(target=take, args=(f"p{index}",)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, held)) == [0, 0, 0, 0, 0, 1]


def test_only_the_holder_records_how_a_site_stands(sessions: SessionFactory) -> None:
    """Ticks add up; one that has lost the site changes nothing of its standing."""
    with transaction(sessions) as session:
        hold(session, ["DE"], "a", START, 15.0)
        record(session, {"DE": Tally(ticked(), 5, 1)}, "a", None, START)
        record(session, {"DE": Tally(ticked(), 5, 0)}, "a", None, START + HOUR)
        record(session, {"DE": Tally(ticked(99.0), 7, 7)}, "b", None, START + HOUR)
    with transaction(sessions) as session:
        (row,) = standings(session, "DE")
        assert (row.ticks, row.missed, row.import_kw, row.problems) == (10, 1, 60.0, ["something"])
        told = {"power_kw": 20.0, "soc_kwh": 30.0, "told_kw": 20.0, "bind": "plan"}
        assert row.batteries == {"battery": told}
        rows = session.scalars(select(TelemetryValue)).all()
        assert {(one.series, one.value) for one in rows} == {
            (TelemetrySeries.SITE_POWER, 60.0),
            (TelemetrySeries.BATTERY_POWER, 20.0),
            (TelemetrySeries.BATTERY_SOC, 30.0),
        }


@pytest.mark.parametrize(("dispatcher_h", "expected_kwh"), [(-1.0, 2.0), (0.5, 7.0)])
def test_plans_begin_from_the_newest_measured_charge(
    sqlite_url: str, dispatcher_h: float, expected_kwh: float
) -> None:
    """The loop told 2 kWh at START, the dispatcher 7 before or after: the newer one counts."""
    sessions = make_session_factory(make_engine(sqlite_url))
    read_at(sessions, START + dispatcher_h * HOUR, 7.0)
    with transaction(sessions) as session:
        hold(session, ["DE"], "a", START, 15.0)
        record(session, {"DE": Tally(ticked(2.0), 1, 0)}, "a", None, START)
    with transaction(sessions) as session:
        assert soc_at(session, None, START + HOUR) == {("DE", "battery"): expected_kwh}
        planned = soc_at(session, charging(), START + HOUR)["DE", "battery"]
        assert planned == pytest.approx(expected_kwh + (1.0 if dispatcher_h < 0 else 0.5))


def test_orders_are_plan_limits_and_calls(sqlite_url: str) -> None:
    """Events that are cancelled, over or far off are not in them; without a loop there are none."""
    sessions = make_session_factory(make_engine(sqlite_url))
    site = site_spec(batteries=[BATTERY], control={"margin_kw": 3})
    scene = Scene(sessions, at=START).set_up(fleet_spec(site))
    events = {
        "now": (-1, 1, 60.0, False),
        "soon": (0.5, 2, 50.0, False),
        "later": (5, 6, 40.0, False),
        "over": (-2, -1, 30.0, False),
        "cancelled": (-1, 1, 20.0, True),
    }
    with transaction(sessions) as session:
        for name, (start, end, limit, is_cancelled) in events.items():
            session.add(
                GridEvent(
                    external_id=name,
                    site="DE",
                    start_at=START + start * HOUR,
                    end_at=START + end * HOUR,
                    limit_kw=limit,
                    breach_eur_per_kwh=1.0,
                    received_at=START,
                    received_from="test",
                    cancelled_at=START if is_cancelled else None,
                )
            )
    book = OrderBook()
    with transaction(sessions) as session:
        orders = book.read(session, START, 1.0)
    assert orders.fleet == scene.fleet
    (spec,) = scene.fleet.sites
    assert orders.limits(spec, START) == SiteLimits(60.0, 0.0, 3.0)
    assert orders.limits(spec, START + 0.75 * HOUR) == SiteLimits(50.0, 0.0, 3.0)
    assert orders.limits(spec, START + 3 * HOUR) == SiteLimits(100.0, 0.0, 3.0)
    scene.set_up(fleet_spec(site_spec(batteries=[BATTERY])))
    with transaction(sessions) as session:
        assert book.read(session, START, 2.0).calls == ()


TERMS = {"name": "aggregator", "sites": ["DE"], "decline_eur": 4.0}


def called(name: str = "dr-1", **values: Any) -> GridEventNotice:
    """A call to 40 kW for two hours from START on, with a ramp of ten minutes."""
    values = {"ramp_minutes": 10.0} | values
    return GridEventNotice(name, "DE", Window(START, START + 2 * HOUR), 40.0, 1.0, **values)


def import_kw(call: GridEventNotice, at: datetime, *declined: str) -> float:
    """What may be imported of 100 kW, by a plan that has declined these calls."""
    fleet = fleet_spec(site_spec(batteries=[BATTERY], control={}), commitments={"calls": [TERMS]})
    plan = charging().model_copy(update={"declined_before": declined})
    return Orders(fleet, None, plan, (call,), 0.0).limits(fleet.sites[0], at).import_kw


def test_a_limit_is_come_down_to_over_its_ramp() -> None:
    """From what the connection allows, evenly, and then the level holds until the end."""
    levels = [import_kw(called(), START + timedelta(minutes=at)) for at in (-1, 0, 5, 10, 60, 120)]
    assert levels == pytest.approx([100.0, 100.0, 70.0, 40.0, 40.0, 100.0])
    assert import_kw(called(ramp_minutes=0.0), START) == 40.0


def test_a_declined_call_binds_no_battery() -> None:
    """An emergency does, whatever was said; so does another call that was not declined."""
    later = START + HOUR
    assert import_kw(called(), later, "dr-1") == 100.0
    assert import_kw(called(), later, "dr-2") == 40.0
    assert import_kw(called(kind=GridEventKind.EMERGENCY), later, "dr-1") == 40.0


def test_a_call_by_the_name_of_its_terms_is_kept_where_one_site_answers_it() -> None:
    """What several sites answer together, each keeps by its plan: no meter sees their sum."""
    by_terms = replace(called(), site="aggregator")
    assert import_kw(by_terms, START + HOUR) == 40.0
    assert import_kw(replace(called(), site="others"), START + HOUR) == 100.0


def test_the_dispatcher_leaves_controlled_batteries_alone(tmp_path: Path) -> None:
    """It has no connection to them; to those without a loop it has."""
    fleet = fleet_spec(
        site_spec("DE", batteries=[BATTERY], control={}), site_spec("FR", batteries=[BATTERY])
    )
    outside = connect(Settings(state_dir=tmp_path), fleet, system_now)
    assert set(outside.batteries) == {("FR", "battery")}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"control": {"answer_s": 1.5}}, "answer_s = 1.5, must be <= every_s / 2 = 1"),
        ({"control": {"hold_s": 3}}, r"hold_s = 3, must be >= 2 \* every_s = 4"),
        (
            {"batteries": [BATTERY | {"connection": {"kind": "modbus", "host": "10.0.0.1"}}]},
            r"battery battery has a connection: needs \[sites.control\]",
        ),
    ],
)
def test_a_loop_that_cannot_work_is_refused(changes: dict[str, object], said: str) -> None:
    """With the value and the limit."""
    with pytest.raises(ValueError, match=said):
        fleet_spec(site_spec(**({"batteries": [BATTERY]} | changes)))


def test_deadlines_are_kept_by_the_clock_and_what_is_late_is_counted() -> None:
    """Due at 0, 2, 4 ...: one over at 1.5 is in time, one over at 7 missed those at 4 and 6."""
    pace = Pace(every_s=2.0, due_s=0.0)
    assert pace.over(1.5) == pytest.approx(0.5)
    assert (pace.ticks, pace.missed) == (1, 0)
    assert pace.over(7.0) == pytest.approx(1.0)
    assert (pace.ticks, pace.missed, pace.due_s) == (4, 2, 8.0)
    pace.settle(1, 0)
    assert (pace.ticks, pace.missed) == (3, 2)


def test_the_table_is_empty_before_anybody_controls(sessions: SessionFactory) -> None:
    """Nobody holds what nobody asked for."""
    with transaction(sessions) as session:
        assert session.scalars(select(SiteControl)).all() == []
        assert hold(session, [], "a", START, 15.0) == frozenset()
