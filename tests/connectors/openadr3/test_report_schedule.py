"""When reports are due, and of which intervals, by what descriptors say."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from connectors.vpp.openadr3.instants import Duration
from connectors.vpp.openadr3.report_schedule import Implied, Listed, Schedule, due_between
from connectors.vpp.openadr3.timing import Span
from tests.connectors.openadr3.scene import HOUR, NOON

FOUR = Listed([Span(k, NOON + k * HOUR, NOON + (k + 1) * HOUR) for k in range(4)])
SAID_AT = NOON - 3 * HOUR
EVER = NOON + 1000 * HOUR


def due(
    intervals: Listed | Implied = FOUR,
    since: datetime = NOON - 100 * HOUR,
    until: datetime = EVER,
    **schedule: Any,
) -> list[tuple[float, list[int]]]:
    """Return when reports are due [hours after noon], and the intervals each is of."""
    found = due_between(Schedule(**schedule), intervals, since, until, SAID_AT)
    return [((it.at - NOON) / HOUR, [span.interval for span in it.spans]) for it in found]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({}, [(4, [0, 1, 2, 3])]),
        ({"start_interval": 2}, [(2, [0, 1])]),
        ({"start_interval": 2, "num_intervals": 1}, [(2, [1])]),
        ({"start_interval": 1, "num_intervals": 1, "repeat": 2}, [(1, [0]), (2, [1])]),
        (
            {"start_interval": 1, "num_intervals": 1, "repeat": -1},
            [(1, [0]), (2, [1]), (3, [2]), (4, [3])],
        ),
        (
            {"start_interval": 2, "num_intervals": 1, "frequency": 2, "repeat": -1},
            [(2, [1]), (4, [3])],
        ),
        ({"start_interval": 2, "num_intervals": 2, "repeat": 5}, [(2, [0, 1]), (4, [2, 3])]),
        ({"start_interval": 2, "frequency": 0, "repeat": -1}, [(2, [0, 1])]),
        ({"start_interval": 2, "frequency": 3600, "repeat": -1}, [(2, [0, 1])]),
        ({"start_interval": 0}, []),
        ({"start_interval": 5}, []),
        ({"historical": False}, [(-3, [0, 1, 2, 3])]),
        ({"historical": False, "start_interval": 0, "num_intervals": 2}, [(0, [0, 1])]),
        (
            {"historical": False, "start_interval": 1, "num_intervals": 2, "repeat": -1},
            [(1, [1, 2]), (3, [3])],
        ),
    ],
)
def test_reports_are_due_as_the_descriptor_says(
    schedule: dict[str, Any], expected: list[tuple[float, list[int]]]
) -> None:
    """Of four hours: the end of the last by default, what precedes or what follows."""
    assert due(**schedule) == expected


def test_what_is_due_is_found_in_whatever_parts_one_asks() -> None:
    """Each report falls into one span of time, whose end it may be on."""
    schedule = {"start_interval": 1, "num_intervals": 1, "repeat": -1}
    parts = [
        one
        for hour in range(-2, 6)
        for one in due(FOUR, NOON + hour * HOUR, NOON + (hour + 1) * HOUR, **schedule)
    ]
    assert parts == due(**schedule)


def test_an_event_without_intervals_implies_as_many_as_are_asked_for() -> None:
    """One after the other for ever, however long ago the first was; -1 is one of them."""
    once = Span(0, NOON, NOON + HOUR)
    ever = Implied.of(once, None)
    recent = NOON + 500_000 * HOUR
    assert due(ever, until=NOON + 3 * HOUR, repeat=-1) == [(1, [0]), (2, [1]), (3, [2])]
    assert due(ever, recent - 2 * HOUR, recent, repeat=-1) == [
        (499_999, [499_998]),
        (500_000, [499_999]),
    ]
    assert due(Implied.of(once, Duration(rest=2 * HOUR)), start_interval=1, repeat=-1) == [(1, [0])]


def test_of_so_many_repetitions_none_is_lost_or_added_by_looking_late() -> None:
    """The third of three is the last, also for who looks only then."""
    ever = Implied.of(Span(0, NOON, NOON + HOUR), None)
    assert due(ever, NOON + 2.5 * HOUR, EVER, repeat=3) == [(3, [2])]
    assert due(ever, NOON + 3 * HOUR, EVER, repeat=3) == []


@pytest.mark.parametrize(
    "schedule",
    [{"start_interval": -2}, {"num_intervals": 0}, {"repeat": 0}, {"frequency": -5}],
)
def test_a_schedule_without_sense_is_refused(schedule: dict[str, int]) -> None:
    """With the value and the limit."""
    with pytest.raises(ValueError, match="must be"):
        due(**schedule)


def test_a_report_of_endlessly_many_intervals_is_refused() -> None:
    """It would be built before anybody looked at it."""
    ever = Implied.of(Span(0, NOON, NOON + timedelta(seconds=1)), None)
    with pytest.raises(ValueError, match="at most 2000"):
        due(ever, start_interval=0, num_intervals=2**31 - 1, historical=False)
