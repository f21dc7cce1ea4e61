"""One way in for what is streamed: what is stored, once; what is not, and why."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from connectors.types import SignalKind, Window
from scheduler.db.models import DeadLetter, SeenMessage, SignalValue, StreamState, TelemetryValue
from scheduler.db.session import SessionFactory, make_engine, make_session_factory, transaction
from scheduler.services.fleet import NoFleet
from scheduler.services.ingestion import Intake
from scheduler.services.ingestion_store import Taken
from scheduler.services.ingestion_tidy import Kept
from scheduler.services.signals import latest_values
from tests.services.builders import fleet_spec, site_spec
from tests.services.messages import FLEET, MESSAGES, NOW, counts, raw, reading, update
from tests.services.scene import Scene


class Place:
    """A database with a fleet, and what takes messages in there."""

    def __init__(self, sessions: SessionFactory, kept: Kept | None = None) -> None:
        self.scene = Scene(sessions, at=NOW - timedelta(hours=1)).set_up(FLEET)
        self.scene.at = NOW
        self.intake = Intake(sessions, self.scene.now, kept)

    def take(self, *documents: Any) -> Taken:
        """Take a batch in."""
        return self.intake.take("test", raw(*documents))

    def rows(self, model: type[Any]) -> list[Any]:
        """All rows of a table."""
        with transaction(self.scene.sessions) as session:
            return list(session.scalars(select(model)))

    def values(self) -> list[tuple[datetime, float]]:
        """Readings by time."""
        return sorted((row.at, row.value) for row in self.rows(TelemetryValue))


@pytest.fixture
def place(sessions: SessionFactory) -> Place:
    """One on each kind of database."""
    return Place(sessions)


def test_readings_and_signals_are_stored_each_where_they_belong(place: Place) -> None:
    """A reading is telemetry; a signal's value goes where all signals go."""
    assert counts(place.take(reading(), update(value=47.0))) == (2, 0, 0, 0)
    (row,) = place.rows(TelemetryValue)
    assert (row.site, row.series, row.device, row.value) == ("DE", "site_power", "", 41.5)
    assert (row.source, row.received_at) == ("gateway", NOW)
    assert place.rows(DeadLetter) == []
    with transaction(place.scene.sessions) as session:
        window = Window(NOW, NOW + timedelta(hours=1))
        (point,) = latest_values(session, "DE", SignalKind.PRICE, window, NOW)
        stored = session.get_one(SignalValue, ("DE", SignalKind.PRICE, NOW, NOW))
    assert (point.value, stored.source) == (47.0, "feed")


def test_a_batch_that_comes_again_changes_nothing(place: Place) -> None:
    """It was stored, and nobody heard; what could not be used is no second dead letter."""
    batch = [reading(), update(value=47.0), b"{", reading(id="2", value=1e12)]
    assert counts(place.take(*batch)) == (2, 0, 0, 2)
    place.scene.wait(minutes=1)
    assert counts(place.take(*batch)) == (0, 0, 4, 0)
    assert len(place.rows(TelemetryValue)) == 1
    assert len(place.rows(DeadLetter)) == 2


def test_what_comes_twice_in_one_batch_counts_once(place: Place) -> None:
    """The first of them."""
    assert counts(place.take(reading(), reading(), b"{", b"{")) == (1, 0, 2, 1)


def test_a_duplicate_may_be_written_otherwise(place: Place) -> None:
    """Other blanks, another offset, a later time of sending: it says the same."""
    place.take(reading())
    local = (NOW - timedelta(minutes=1)).isoformat().replace("00:00:00+00:00", "")
    again = json.dumps(reading(at=local, sent_at=NOW.isoformat()), indent=2).encode()
    assert counts(place.take(again)) == (0, 0, 1, 0)


def test_a_sender_that_counts_anew_is_heard(place: Place) -> None:
    """Its id 1 of today is not that of yesterday, for it says something else."""
    place.take(reading())
    assert counts(place.take(reading(at=NOW.isoformat(), value=40.0))) == (1, 0, 0, 0)


def test_two_who_tell_the_same_are_one_reading(place: Place) -> None:
    """A second gateway tells nothing new."""
    place.take(reading())
    assert counts(place.take(reading(source="other"))) == (0, 1, 0, 0)


def test_what_contradicts_the_record_is_a_dead_letter(place: Place) -> None:
    """The reading on record stands; that there was another is not lost."""
    place.take(reading())
    taken = place.take(reading(id="2", value=99.0), reading(id="3", at=NOW.isoformat()))
    assert counts(taken) == (1, 0, 0, 1)
    (dead,) = place.rows(DeadLetter)
    assert "value = 99.0" in dead.reason
    assert "is on record as 41.5" in dead.reason
    assert json.loads(dead.body)["value"] == 99.0
    assert [value for _, value in place.values()] == [41.5, 41.5]


def test_late_and_disordered_readings_are_in_order_of_their_own_time(place: Place) -> None:
    """Whenever they came."""
    at = [NOW - timedelta(minutes=minute) for minute in (1, 5, 3)]
    place.take(*(reading(id=str(n), at=one.isoformat(), value=n) for n, one in enumerate(at)))
    place.scene.wait(minutes=2)
    late = NOW - timedelta(hours=5)
    place.take(reading(id="late", at=late.isoformat(), value=9.0))
    assert place.values() == [(late, 9.0), (at[1], 1.0), (at[2], 2.0), (at[0], 0.0)]


def test_revisions_of_one_interval_in_one_batch_stand_beside_each_other(place: Place) -> None:
    """In order of when they were known, whatever their order in the batch."""
    known = [NOW - timedelta(minutes=minute) for minute in (10, 30, 20)]
    taken = place.take(
        *(update(value=float(n), known_at=one.isoformat()) for n, one in enumerate(known))
    )
    assert counts(taken) == (3, 0, 0, 0)
    with transaction(place.scene.sessions) as session:
        window = Window(NOW, NOW + timedelta(hours=1))
        for value, at in enumerate(known):
            (point,) = latest_values(session, "DE", SignalKind.PRICE, window, at)
            assert point.value == value


def test_one_signal_that_cannot_be_keeps_back_no_other(place: Place) -> None:
    """Of five, one contradicts the record and one lies across another: the rest is stored."""
    known = NOW.isoformat()
    hours = [(NOW + timedelta(hours=hour)).isoformat() for hour in range(4)]
    place.take(update(start_at=hours[1], value=1.0, known_at=known))
    taken = place.take(
        *(update(start_at=one, value=2.0, known_at=known) for one in hours),
        update(start_at=hours[0], minutes=7, value=3.0, known_at=known),
    )
    assert counts(taken) == (3, 0, 0, 2)
    reasons = " ".join(row.reason for row in place.rows(DeadLetter))
    assert "is on record as 1.0" in reasons
    assert "multiple of 5" in reasons


def test_nothing_is_taken_before_there_is_a_fleet(sessions: SessionFactory) -> None:
    """It waits with whoever brings it, for no site is known yet."""
    intake = Intake(sessions, lambda: NOW)
    with pytest.raises(NoFleet):
        intake.take("test", raw(reading()))
    with transaction(sessions) as session:
        assert session.scalar(select(func.count()).select_from(SeenMessage)) == 0


def test_a_fleet_that_changes_is_noticed(place: Place) -> None:
    """A message refused for its site is taken once the site is there, though it was seen."""
    spain = reading(site="ES")
    assert counts(place.take(spain)) == (0, 0, 0, 1)
    place.scene.set_up(fleet_spec(site_spec("ES")))
    assert counts(place.take(spain)) == (1, 0, 0, 0)


def test_what_came_is_counted_by_stream(place: Place) -> None:
    """Together with it: the counts are never ahead of what is stored, or behind."""
    sent = (NOW - timedelta(seconds=3)).isoformat()
    place.take(reading(sent_at=sent), reading(), b"{")
    place.intake.take("other", raw(update()))
    states = {row.stream: row for row in place.rows(StreamState)}
    first = states["test"]
    assert (first.stored, first.unchanged, first.duplicates, first.dead_letters) == (1, 0, 1, 1)
    assert first.delay_s == pytest.approx(3.0)
    assert states["other"].unchanged == 1  # the fleet's first price
    place.take(reading(id="2", at=NOW.isoformat()))
    assert {row.stream: row.stored for row in place.rows(StreamState)}["test"] == 2


def test_what_is_older_than_it_is_kept_is_let_go(sessions: SessionFactory) -> None:
    """Readings and what is known again by time, dead letters by number; the newest stay."""
    kept = Kept(timedelta(days=2), timedelta(days=1), dead_letters=2)
    place = Place(sessions, kept)
    place.take(reading(), *(b"x%d" % n for n in range(3)))
    place.scene.wait(days=1, minutes=1)
    place.take(b"newer")
    place.intake._tidied_at_s -= 2.0  # a second later
    place.take(reading(id="2", at=place.scene.at.isoformat()))
    assert len(place.rows(SeenMessage)) == 2
    assert len(place.rows(TelemetryValue)) == 2
    assert [row.body for row in place.rows(DeadLetter)].count("newer") == 1
    assert len(place.rows(DeadLetter)) == 2
    place.scene.wait(days=1)
    place.intake._tidied_at_s -= 2.0
    place.take(reading(id="3", at=place.scene.at.isoformat()))
    assert len(place.rows(TelemetryValue)) == 2


def test_a_dead_letter_of_anything_can_be_kept(place: Place) -> None:
    """Bytes that are no text, and NUL, which no database takes."""
    assert counts(place.take(b"\xff\x00\xfe" * 2000, b'{"a": "\x00"}')) == (0, 0, 0, 2)
    assert all(len(row.body) <= 1000 and "\0" not in row.body for row in place.rows(DeadLetter))


@contextmanager
def fresh_place(template: Path) -> Iterator[Place]:
    """A place of its own for each example of a property."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "gridtide.db"
        shutil.copy(template, path)
        engine = make_engine(f"sqlite:///{path}")
        yield Place(make_session_factory(engine))
        engine.dispose()


def answers(place: Place) -> Any:
    """What is on record of readings, and what was known of prices whenever one asks."""
    window = Window(NOW, NOW + timedelta(hours=3))
    with transaction(place.scene.sessions) as session:
        prices = [
            [
                (point.start_at, point.value)
                for point in latest_values(
                    session, "DE", SignalKind.PRICE, window, NOW - timedelta(minutes=minute)
                )
            ]
            for minute in range(4)
        ]
    return place.values(), prices


@given(MESSAGES, st.integers(0, 30))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_was_stored_before_a_crash_the_end_is_the_same(
    migrated_sqlite: Path, documents: list[Any], cut: int
) -> None:
    """A part is stored, nobody is told, and all of it comes again: as if it had come once."""
    with fresh_place(migrated_sqlite) as crashed, fresh_place(migrated_sqlite) as calm:
        for batch in (documents[:cut], documents):
            assert sum(counts(crashed.take(*batch))) == len(batch)
        calm.take(*documents)
        assert answers(crashed) == answers(calm)
