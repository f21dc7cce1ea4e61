from __future__ import annotations

import dataclasses
import json

import pytest

from benchmarks.ours import Moment, Track

KNOWN = (
    Moment("build", 0.0, None, None),
    Moment("insert", 2.0, 150.0, None),
    Moment("price", 3.0, 150.0, -5.0),
    Moment("price", 4.0, 150.0, 99.0),
    Moment("insert", 6.0, 110.0, 99.0),
    Moment("columns", 7.0, 110.0, 99.0),  # begins: the second before was the last insertion
    Moment("columns", 9.0, 110.0, 99.95),
    Moment("search", 9.5, 110.0, 99.95),  # begins
    Moment("search", 12.0, 104.0, 99.95),
    Moment("search", 20.0, 101.0, 99.95),
    Moment("flows", 21.0, 101.0, 99.95),  # begins: a round was cut short
    Moment("end", 22.0, 101.0, 100.0),
)


@pytest.fixture
def track() -> Track:
    """A solve that ended after 22 s."""
    return Track(KNOWN, "best_found", 0, (), "0123", draw_s=0.5, verify_s=0.25)


def test_gaps_are_those_known_at_the_time(track: Track) -> None:
    """What is found a moment later does not count."""
    assert track.gap_at(3.9) == pytest.approx((150 + 5) / 150)
    assert track.gap_at(1.0) is None
    assert track.gap_at(19.9) == pytest.approx((104 - 99.95) / 104)
    assert track.gap_at(60.0) == pytest.approx(1 / 101)


def test_first_times(track: Track) -> None:
    """Of a plan, a bound and a gap; ``None`` for what never was."""
    assert track.first_plan_s() == 2.0
    assert track.bound_within_s(100.0, 0.001) == 9.0
    assert track.bound_within_s(-5.0, 0.001) == 3.0
    assert track.plan_within_s(0.05) == 12.0
    assert track.plan_within_s(0.001) is None
    assert track.rounds() == 2


def test_phases_add_up(track: Track) -> None:
    """Every second belongs to what was done in it."""
    spent = track.phase_seconds()
    assert spent == pytest.approx(
        {"build": 2.0, "price": 2.0, "insert": 3.0, "columns": 2.5, "search": 11.5, "flows": 1.0}
    )
    assert sum(spent.values()) == pytest.approx(track.end.seconds)


def test_a_track_comes_back_from_its_record(track: Track) -> None:
    """As JSON keeps it."""
    assert Track.of(json.loads(json.dumps(dataclasses.asdict(track)))) == track
