"""Signals of any resolution and with gaps become slots, and every fault becomes a sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from connectors.types import SignalKind
from scheduler.services.assemble_signals import InputRefused, SignalTable, SlotSeries
from tests.services.builders import START, signal_rows, window

PRICE = SignalKind.PRICE


def series(
    *frames: pd.DataFrame, n_slots: int, slot_minutes: int = 60, now_h: float = 0, age_h: float = 36
) -> SlotSeries:
    """Price at DE in slots from START."""
    table = SignalTable(
        pd.concat(frames, ignore_index=True),
        window(n_slots, slot_minutes),
        START + timedelta(hours=now_h),
        age_h,
    )
    return table.required("DE", PRICE)


def test_coarser_values_are_held() -> None:
    """An hourly price holds in each of its quarter hours."""
    hourly = signal_rows("DE", PRICE, [10, 20])
    assert series(hourly, n_slots=8, slot_minutes=15).values.tolist() == [10] * 4 + [20] * 4


def test_finer_values_are_averaged() -> None:
    """Quarter-hourly prices 10, 20, 30, 40 make an hourly one of 25; 5 minutes make 15 alike."""
    quarters = signal_rows("DE", PRICE, [10, 20, 30, 40, 0, 0, 0, 4], minutes=15)
    assert series(quarters, n_slots=2).values.tolist() == [25, 1]
    fives = signal_rows("DE", PRICE, [1, 2, 6], minutes=5)
    assert series(fives, n_slots=1, slot_minutes=15).values.tolist() == [3]


def test_resolutions_may_change_within_a_window() -> None:
    """The hour that came in quarters is averaged, the one that came whole is taken as it is."""
    mixed = (
        signal_rows("DE", PRICE, [7]),
        signal_rows("DE", PRICE, [1, 2, 3, 6], START + timedelta(hours=1), minutes=15),
    )
    assert series(*mixed, n_slots=2).values.tolist() == [7, 3]


def test_the_value_known_last_wins_but_none_from_the_future() -> None:
    """Of three versions the newest one known by now holds."""
    versions = [
        signal_rows("DE", PRICE, [value], known_at=START - timedelta(hours=hours))
        for value, hours in ((3, -1), (2, 1), (1, 5))
    ]
    assert series(*versions, n_slots=1).values.tolist() == [2]


def test_a_gap_takes_the_same_hour_of_the_day_before() -> None:
    """Hours 3 and 4 are missing; yesterday's hours 3 and 4 stand in, and a mark says so."""
    yesterday = signal_rows("DE", PRICE, range(100, 124), START - timedelta(days=1))
    today = signal_rows("DE", PRICE, range(24)).drop(index=[3, 4])
    filled = series(yesterday, today, n_slots=24)
    expected = list(range(24))
    expected[3:5] = [103, 104]
    assert filled.values.tolist() == expected
    assert filled.marks == ("DE price: 2 of 24 slots filled from the day before",)


def test_the_latest_earlier_day_with_a_value_is_taken() -> None:
    """Yesterday lacks the hour too, so it comes from two days before."""
    before = signal_rows("DE", PRICE, [5.0], START - timedelta(days=2))
    later = signal_rows("DE", PRICE, [9.0], START + timedelta(hours=1))
    filled = series(before, later, n_slots=2)
    assert filled.values.tolist() == [5, 9]
    assert filled.marks == ("DE price: 1 of 2 slots filled from up to 2 days before",)


def test_a_short_series_is_carried_on_from_its_own_first_day() -> None:
    """With one day known of two, the second repeats the first."""
    filled = series(signal_rows("DE", PRICE, range(24)), n_slots=48)
    assert filled.values.tolist() == [*range(24), *range(24)]
    assert filled.marks == ("DE price: 24 of 48 slots filled from the day before",)


def test_part_of_a_slot_can_be_missing() -> None:
    """A quarter hour that is missing is filled; the other three stay as they are."""
    yesterday = signal_rows("DE", PRICE, [80.0], START - timedelta(days=1))
    quarters = signal_rows("DE", PRICE, [10, 20, 30, 40], minutes=15).drop(index=[3])
    filled = series(yesterday, quarters, n_slots=1)
    assert filled.values.tolist() == [35]
    assert filled.marks == ("DE price: 1 of 1 slots filled from the day before",)


def test_nan_counts_as_missing() -> None:
    """A NaN never reaches a slot."""
    yesterday = signal_rows("DE", PRICE, [4.0], START - timedelta(days=1))
    assert series(yesterday, signal_rows("DE", PRICE, [np.nan]), n_slots=1).values.tolist() == [4]


def test_a_required_hour_found_nowhere_is_refused_by_name() -> None:
    """The error names the site, the kind and the first missing interval."""
    with pytest.raises(
        InputRefused, match=r"site DE: no price for 2021-07-05T02:00Z \.\. 03:00Z, nor for that"
    ):
        series(signal_rows("DE", PRICE, [1, 2]), n_slots=4)


def test_values_older_than_the_limit_are_used_with_a_mark() -> None:
    """Known 40 h ago with a limit of 36 h: used, and said."""
    known = START - timedelta(hours=40)
    old = series(signal_rows("DE", PRICE, [1.0], known_at=known), n_slots=1)
    assert old.marks == ("DE price: newest value is 40 h old (limit 36 h)",)
    assert series(signal_rows("DE", PRICE, [1.0], known_at=known), n_slots=1, age_h=41).marks == ()


def test_intervals_off_the_five_minute_grid_are_refused() -> None:
    """Seven-minute values would need to be split."""
    with pytest.raises(InputRefused, match="interval of 7 minutes"):
        series(signal_rows("DE", PRICE, [1.0] * 9, minutes=7), n_slots=1)


def test_an_impossible_value_is_refused_by_name() -> None:
    """Carbon intensity cannot be negative; prices can."""
    kind = SignalKind.CARBON_INTENSITY
    table = SignalTable(signal_rows("DE", kind, [-3.0]), window(1), START, 36)
    with pytest.raises(InputRefused, match=r"DE: carbon_intensity = -3 g/kWh at 2021-07-05T00:00Z"):
        table.required("DE", kind)
    assert series(signal_rows("DE", PRICE, [-30.0]), n_slots=1).values.tolist() == [-30]


def filled_by_clock(
    kind: SignalKind, midnight: datetime, known_days: tuple[int, ...], hours: int
) -> list[float]:
    """A day in Berlin without values: the numbers of the local hours it is filled with.

    ``known_days`` are the hours of the days before it; each hour's value is its local number.
    """
    start = midnight - timedelta(hours=sum(known_days))
    frame = pd.concat(
        [
            signal_rows("DE", kind, numbers_of(n), start + timedelta(hours=sum(known_days[:k])))
            for k, n in enumerate(known_days)
        ]
    )
    span = window(hours, 60, midnight)
    table = SignalTable(frame, span, midnight, 999, {"DE": "Europe/Berlin"})
    return table.optional("DE", kind).values.tolist()


def numbers_of(hours: int) -> list[int]:
    """Local hours of a day in Berlin: 2 is skipped, or comes twice."""
    return {23: [0, 1, *range(3, 24)], 24: [*range(24)], 25: [0, 1, 2, *range(2, 24)]}[hours]


SPRING, AUTUMN = datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 10, 24, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("midnight", "known_days", "hours", "expected"),
    [
        (SPRING, (24,), 23, [0, 1, *range(3, 24)]),
        (AUTUMN, (24,), 25, [0, 1, 2, *range(2, 24)]),
        (SPRING + timedelta(hours=23), (23,), 24, [0, 1, 3, *range(3, 24)]),
        (AUTUMN + timedelta(hours=25), (25,), 24, [*range(24)]),
    ],
    ids=["day of 23 h", "day of 25 h", "after 23 h", "after 25 h"],
)
def test_a_day_is_filled_by_the_clock_where_clocks_change(
    midnight: datetime, known_days: tuple[int, ...], hours: int, expected: list[int]
) -> None:
    """Noon is filled from noon; who repeats an hour takes it twice, who lacks one the next."""
    assert filled_by_clock(PRICE, midnight, known_days, hours) == expected
    assert filled_by_clock(SignalKind.BASE_LOAD, midnight, known_days, hours) == expected


def test_the_sun_keeps_no_clock() -> None:
    """On the day of 23 h it stands where it stood 24 hours before, whatever clocks say."""
    assert filled_by_clock(SignalKind.PV, SPRING, (24,), 23) == [*range(23)]


def test_a_week_back_by_the_clock_is_looked_for_to_its_end() -> None:
    """A week before the Sunday after clocks went back is 169 hours before."""
    midnight = AUTUMN + timedelta(days=7, hours=1)
    known = signal_rows("DE", PRICE, [42.0], AUTUMN)
    table = SignalTable(known, window(1, 60, midnight), midnight, 999, {"DE": "Europe/Berlin"})
    assert table.required("DE", PRICE).values.tolist() == [42]
