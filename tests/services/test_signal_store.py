"""What was known when is one query, on both databases, and it reads what it answers with alone."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from connectors.types import SignalKind, Window
from scheduler.db.models import SignalSeries, SignalValue
from scheduler.db.session import SessionFactory, transaction
from scheduler.services.signals import SignalPoint, insert_values, latest_values, signals_frame
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.scene import Scene

PRICE, PV = SignalKind.PRICE, SignalKind.PV
HOUR = timedelta(hours=1)


@pytest.fixture
def scene(sessions: SessionFactory) -> Scene:
    """Two sites without signals."""
    return Scene(sessions).set_up(fleet_spec(site_spec(), site_spec("FR")), hours=0)


def point(hour: int, value: float, known_h: float, **changes: Any) -> SignalPoint:
    """A price at DE for one hour from START on, known some hours after START."""
    values = {
        "site": "DE",
        "kind": PRICE,
        "start_at": START + hour * HOUR,
        "minutes": 60,
        "value": value,
        "known_at": START + known_h * HOUR,
    }
    return SignalPoint(**(values | changes))


def store(scene: Scene, *points: SignalPoint, source: str = "test") -> int:
    """Insert; return how many were new."""
    with transaction(scene.sessions) as session:
        return insert_values(session, points, source).inserted


def test_the_answer_is_that_of_going_through_everything(scene: Scene) -> None:
    """Two hundred revisions in any order, asked for at fifty instants."""
    draw = random.Random(20210705)
    kept: dict[tuple[str, SignalKind, datetime], dict[datetime, float]] = {}
    for _ in range(200):
        one = point(
            draw.randrange(12),
            draw.random(),
            draw.randrange(-200, 200) / 7,
            site=draw.choice(["DE", "FR"]),
            kind=draw.choice([PRICE, PV]),
        )
        known = kept.setdefault(one.key, {})
        if one.known_at not in known:
            known[one.known_at] = one.value
            assert store(scene, one) == 1
    for _ in range(50):
        at = START + draw.randrange(-210, 210) / 7 * HOUR
        window = Window(START + draw.randrange(6) * HOUR, START + draw.randrange(7, 13) * HOUR)
        expected = {
            key: known[max(then for then in known if then <= at)]
            for key, known in kept.items()
            if window.start <= key[2] < window.end and min(known) <= at
        }
        with transaction(scene.sessions) as session:
            frame = signals_frame(session, window, at)
            prices = latest_values(session, "DE", PRICE, window, at)
        keys = zip(frame["site"], frame["kind"], frame["start_at"], strict=True)
        found = dict(zip(keys, frame["value"], strict=True))
        assert found == expected
        assert list(found) == sorted(expected)
        of_price = {key: value for key, value in expected.items() if key[:2] == ("DE", PRICE)}
        assert {one.key: one.value for one in prices} == of_price


def test_known_in_the_same_microsecond_is_known(scene: Scene) -> None:
    """And not one before."""
    at = START + timedelta(microseconds=7)
    store(scene, point(0, 5.0, 0, known_at=at))
    window = Window(START, START + HOUR)
    with transaction(scene.sessions) as session:
        assert len(signals_frame(session, window, at)) == 1
        assert signals_frame(session, window, at - timedelta(microseconds=1)).empty


def test_several_instants_in_one_upload_are_each_compared_with_what_was_known_then(
    scene: Scene,
) -> None:
    """The history of an interval may come late, and in any order."""
    store(scene, point(0, 5.0, -2), point(1, 6.0, -2), point(2, 7.0, -2))
    store(scene, point(1, 8.0, 2))
    known_then = (point(0, 5.0, 3), point(1, 6.0, 1), point(2, 9.0, -5))
    assert store(scene, *known_then) == 1
    with transaction(scene.sessions) as session:
        window = Window(START, START + 3 * HOUR)
        early = latest_values(session, "DE", PRICE, window, START - 3 * HOUR)
        late = latest_values(session, "DE", PRICE, window, START + 4 * HOUR)
    assert [one.value for one in early] == [9.0]
    assert [one.value for one in late] == [5.0, 8.0, 7.0]


def test_figures_of_a_signal_are_those_of_its_values(scene: Scene) -> None:
    """Counted as they come in: revisions are no new intervals."""
    store(scene, *(point(hour, 1.0, -9) for hour in range(3, 6)))
    store(scene, *(point(hour, 2.0, -5, minutes=30) for hour in range(5, 8)))
    with transaction(scene.sessions) as session:
        series = session.get_one(SignalSeries, ("DE", PRICE))
        assert series.n_intervals == 5
        assert series.first_start_at == START + 3 * HOUR
        assert series.last_end_at == START + 7.5 * HOUR
        assert series.newest_known_at == START - 5 * HOUR


def test_what_was_known_earlier_and_comes_later_is_no_new_interval(scene: Scene) -> None:
    """History of an interval that has values is none the figures know nothing of."""
    store(scene, point(0, 5.0, 2), point(1, 6.0, 2))
    store(scene, point(0, 4.0, -3), point(1, 3.0, -3), point(2, 2.0, -3))
    with transaction(scene.sessions) as session:
        assert session.get_one(SignalSeries, ("DE", PRICE)).n_intervals == 3


def test_uploads_at_once_count_every_interval_once(scene: Scene) -> None:
    """One waits for the other, in whatever order each names its signals."""

    def upload(number: int) -> int:
        kinds = [PRICE, PV] if number % 2 else [PV, PRICE]
        points = [point(hour, number, number, kind=kind) for kind in kinds for hour in range(10)]
        return store(scene, *points, source=f"source {number}")

    with ThreadPoolExecutor(4) as pool:
        stored = sum(pool.map(upload, range(8)))
    with transaction(scene.sessions) as session:
        counted = {
            row.kind: row.n_intervals for row in session.query(SignalSeries) if row.site == "DE"
        }
        assert session.query(SignalValue).count() == stored
    assert counted == {PRICE: 10, PV: 10}


def test_a_window_is_gone_to_and_the_table_not_gone_through(scene: Scene, engine: Engine) -> None:
    """Whatever else is on record: both databases find the window of each signal by the key."""
    is_postgres = engine.dialect.name == "postgresql"
    with transaction(scene.sessions) as session:
        days = range(0, 24 * 400, 6)
        insert_values(session, [point(hour, hour % 7, -9) for hour in days], "test")
        if is_postgres:
            session.execute(text("ANALYZE"))
    explain = "EXPLAIN " if is_postgres else "EXPLAIN QUERY PLAN "
    plans: list[str] = []

    def note(_connection: Any, cursor: Any, statement: str, given: Any, *_rest: Any) -> None:
        if "signal_value" in statement and not statement.startswith(explain):
            cursor.execute(explain + statement, given)
            plans.append("\n".join(str(row) for row in cursor.fetchall()))

    event.listen(engine, "before_cursor_execute", note)
    with transaction(scene.sessions) as session:
        signals_frame(session, Window(START, START + 96 * HOUR), START)
        latest_values(session, "DE", PRICE, Window(START, START + HOUR), START)
    event.remove(engine, "before_cursor_execute", note)
    assert len(plans) == 2
    for plan in plans:
        if is_postgres:
            assert "pk_signal_value" in plan
            assert "Seq Scan on signal_value" not in plan
        else:
            assert "SEARCH signal_value USING PRIMARY KEY (site=? AND kind=? AND start_at>?" in plan
            assert "SCAN signal_value" not in plan
