"""What a site would have drawn: published rules, by figures that can be checked by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from connectors.types import Window
from scheduler.settlement.baseline import Baseline, DayLoad, baseline
from scheduler.settlement.days import candidate_days, choice_for, cut, on_day
from scheduler.settlement.rules import (
    CAISO_10_IN_10,
    NYISO_HIGH_5_OF_10,
    PJM_HIGH_4_OF_5,
    RULES,
    BaselineRule,
)

WEDNESDAY = date(2026, 6, 10)
NONE: frozenset[date] = frozenset()
HOUR = timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")


def days(*kw: float | None, before_kw: float | None = 100.0) -> list[DayLoad]:
    """Days that go back one by one, each of one interval."""
    return [
        DayLoad(WEDNESDAY - timedelta(days=back), (value,), before_kw)
        for back, value in enumerate(kw, start=1)
    ]


def reckoned(
    rule: BaselineRule,
    loads: list[DayLoad],
    before_kw: float | None = 100.0,
    event_days: list[DayLoad] | None = None,
) -> Baseline:
    """The baseline of one hour of a Wednesday."""
    choice = choice_for(rule, WEDNESDAY, NONE)
    return baseline(rule, choice, (1.0,), before_kw, loads, event_days or [])


def test_pjm_takes_the_four_highest_of_five_and_moves_them_by_the_morning() -> None:
    """(110 + 100 + 120 + 90) / 4 = 105; the morning was 112 kW, not 100: 105 + 12 = 117."""
    found = reckoned(PJM_HIGH_4_OF_5, days(110, 100, 120, 90, 80, 500), before_kw=112.0)
    assert found.kw == pytest.approx((117.0,))
    assert found.moved_kw == pytest.approx(12.0)
    assert [day.day for day in found.days] == [9, 8, 7, 6]


def test_each_interval_has_its_own_mean_of_the_days_that_are_highest_in_all() -> None:
    """Days of 60 + 20, 40 + 30, 50 + 10, 10 + 60 and 20 + 5: the last is left out.

    (60 + 40 + 50 + 10) / 4 = 40 and (20 + 30 + 10 + 60) / 4 = 30.
    """
    pairs = [(60.0, 20.0), (40.0, 30.0), (50.0, 10.0), (10.0, 60.0), (20.0, 5.0)]
    loads = [
        DayLoad(WEDNESDAY - timedelta(days=back), pair, 7.0) for back, pair in enumerate(pairs, 1)
    ]
    choice = choice_for(PJM_HIGH_4_OF_5, WEDNESDAY, NONE)
    assert baseline(PJM_HIGH_4_OF_5, choice, (1.0, 1.0), 7.0, loads).kw == (40.0, 30.0)


def test_caiso_is_the_mean_of_ten_times_the_morning_within_a_fifth() -> None:
    """The mean of 10, 20 .. 100 is 55; 130 over 100 is cut to 1.2, so 66; 90 over 100 is 49.5."""
    loads = days(*(10.0 * k for k in range(1, 12)))
    high = reckoned(CAISO_10_IN_10, loads, before_kw=130.0)
    assert high.kw == pytest.approx((66.0,))
    assert "is cut to 1.2" in high.notes[0]
    low = reckoned(CAISO_10_IN_10, loads, before_kw=90.0)
    assert (low.kw, low.factor, low.notes) == (pytest.approx((49.5,)), pytest.approx(0.9), ())


def test_nyiso_is_the_mean_of_the_five_highest_of_ten() -> None:
    """Of 10, 20 .. 100 those are 60 to 100, 80 in the mean; the eleventh day is too far back."""
    loads = days(*(10.0 * k for k in range(1, 11)), 1000.0)
    # The lowest two are below a quarter of the mean of 55 and of what then comes in.
    plain = replace(NYISO_HIGH_5_OF_10, low_use_share=0.0)
    assert reckoned(plain, loads).kw == pytest.approx((80.0,))


def test_a_day_of_low_use_makes_room_for_an_earlier_one() -> None:
    """20 kW is below a quarter of the mean of 84; 96 comes in: (100 + 100 + 100 + 100) / 4."""
    found = reckoned(PJM_HIGH_4_OF_5, days(100, 20, 100, 100, 100, 96))
    assert found.kw == (100.0,)
    assert found.notes == ("2026-06-08 is left out: 20.0 kW is low, below 21.0",)
    same = replace(PJM_HIGH_4_OF_5, low_use_share=0.0)
    assert reckoned(same, days(100, 20, 100, 100, 4, 996)).kw == (80.0,)


def test_a_day_that_is_not_metered_is_left_out_and_named() -> None:
    """It is not taken for zero, nor for what the others drew."""
    found = reckoned(PJM_HIGH_4_OF_5, days(100, None, 100, 100, 100, 60))
    assert found.kw == (100.0,)
    assert found.notes == ("2026-06-08 is left out: 1 intervals are not metered",)


def test_too_few_days_are_no_baseline() -> None:
    """Nobody invents one."""
    found = reckoned(NYISO_HIGH_5_OF_10, days(100, 100, 100, 100))
    assert found.kw == ()
    assert found.notes == ("no baseline: 4 days are known, must be at least 5",)


def test_where_days_are_lacking_the_highest_event_days_are_taken() -> None:
    """Three days of 100 kW and the higher of two event days, 60 kW: 90."""
    others = [
        replace(one, day=one.day - timedelta(days=7)) for one in days(40.0, 60.0, before_kw=100.0)
    ]
    found = reckoned(PJM_HIGH_4_OF_5, days(100, 100, 100), event_days=others)
    assert found.kw == (90.0,)
    assert "had an event" in found.notes[0]


def test_without_a_metered_morning_there_is_no_adjustment_and_that_is_said() -> None:
    """Neither of the event's own day nor of one that it is compared with."""
    loads = days(100, 100, 100, 100, 100)
    assert reckoned(PJM_HIGH_4_OF_5, loads, before_kw=None).kw == (100.0,)
    unknown = [*loads[:3], replace(loads[3], before_kw=None), loads[4]]
    found = reckoned(PJM_HIGH_4_OF_5, unknown, before_kw=50.0)
    assert (found.kw, len(found.notes)) == ((100.0,), 1)


def test_a_morning_of_nothing_leaves_no_ratio() -> None:
    """A factor of infinity is none."""
    found = reckoned(CAISO_10_IN_10, days(*[50.0] * 10, before_kw=0.0), before_kw=10.0)
    assert found.kw == (50.0,)
    assert "no ratio" in found.notes[0]


def test_days_are_of_the_kind_of_the_event() -> None:
    """Workdays with workdays; Saturdays, and Sundays with holidays, where the rule has them apart.

    11 June 2026 is a holiday here: the event of the 12th, a Friday, is not compared with it.
    """
    holidays = frozenset({date(2026, 6, 11)})
    friday = candidate_days(PJM_HIGH_4_OF_5, date(2026, 6, 12), holidays)
    assert [day.day for day in friday[:5]] == [10, 9, 8, 5, 4]
    assert (date(2026, 6, 12) - friday[-1]).days <= 45
    saturday = candidate_days(PJM_HIGH_4_OF_5, date(2026, 6, 13), holidays)
    assert [day.day for day in saturday[:2]] == [6, 30]
    sunday = candidate_days(PJM_HIGH_4_OF_5, date(2026, 6, 14), holidays)
    assert [day.day for day in sunday[:2]] == [11, 7]
    weekend = candidate_days(CAISO_10_IN_10, date(2026, 6, 14), holidays)
    assert [day.day for day in weekend[:3]] == [13, 11, 7]
    assert choice_for(CAISO_10_IN_10, date(2026, 6, 11), holidays).of == 4


def test_nyiso_does_not_look_at_the_day_before() -> None:
    """On it the call may have been known."""
    assert candidate_days(NYISO_HIGH_5_OF_10, WEDNESDAY, NONE)[0] == date(2026, 6, 8)


def test_hours_are_those_of_the_clock_across_a_clock_change() -> None:
    """14:00 on 30 March 2026 (UTC+2) is compared with 14:00 on 27 March (UTC+1)."""
    event = Window(datetime(2026, 3, 30, 12, tzinfo=UTC), datetime(2026, 3, 30, 13, tzinfo=UTC))
    like = on_day(event, date(2026, 3, 30), date(2026, 3, 27), BERLIN)
    assert like == Window(
        datetime(2026, 3, 27, 13, tzinfo=UTC), datetime(2026, 3, 27, 14, tzinfo=UTC)
    )


def test_a_skipped_hour_is_where_it_would_have_been_and_a_repeated_one_is_the_first() -> None:
    """02:00 is skipped on 29 March 2026, and comes twice on 25 October."""
    spring = Window(datetime(2026, 3, 31, 0, tzinfo=UTC), datetime(2026, 3, 31, 1, tzinfo=UTC))
    skipped = on_day(spring, date(2026, 3, 31), date(2026, 3, 29), BERLIN)
    assert skipped.start == datetime(2026, 3, 29, 1, tzinfo=UTC)
    autumn = Window(datetime(2026, 10, 27, 1, tzinfo=UTC), datetime(2026, 10, 27, 2, tzinfo=UTC))
    repeated = on_day(autumn, date(2026, 10, 27), date(2026, 10, 25), BERLIN)
    assert repeated.start == datetime(2026, 10, 25, 0, tzinfo=UTC)
    second = Window(datetime(2026, 10, 25, 1, tzinfo=UTC), datetime(2026, 10, 25, 2, tzinfo=UTC))
    friday = on_day(second, date(2026, 10, 25), date(2026, 10, 23), BERLIN)
    assert friday.start == datetime(2026, 10, 23, 0, tzinfo=UTC)


loads = st.lists(st.floats(-50, 500), min_size=10, max_size=20)


@settings(max_examples=40, deadline=None)
@given(loads=loads, rule=st.sampled_from(sorted(RULES)), back=st.integers(0, 19))
def test_more_load_on_an_earlier_day_never_lowers_an_unadjusted_baseline(
    loads: list[float], rule: str, back: int
) -> None:
    """So nobody is paid less for having drawn more; days of low use are another rule."""
    plain = replace(RULES[rule], adjustment=None, low_use_share=0.0)
    raised = [kw + 10.0 * (k == back % len(loads)) for k, kw in enumerate(loads)]
    (before,), (after,) = reckoned(plain, days(*loads)).kw, reckoned(plain, days(*raised)).kw
    assert before - 1e-9 <= after <= before + 10.0


@settings(max_examples=40, deadline=None)
@given(loads=loads, rule=st.sampled_from(sorted(RULES)), morning=st.floats(-100, 1000))
@example([0.0] * 4 + [1.0] + [0.0] * 5, PJM_HIGH_4_OF_5.name, 0.0)
def test_the_adjustment_keeps_to_its_cap(loads: list[float], rule: str, morning: float) -> None:
    """Whatever the morning was; and a morning as ever moves nothing."""
    found = reckoned(RULES[rule], days(*loads), before_kw=morning)
    assume(found.kw)  # days of low use may leave none to adjust
    if rule == PJM_HIGH_4_OF_5.name:
        assert (found.moved_kw, found.factor) == (pytest.approx(morning - 100.0), 1.0)
    else:
        assert found.moved_kw == 0.0
    assert 0.8 - 1e-9 <= found.factor <= 1.2 + 1e-9
    same = reckoned(RULES[rule], days(*loads), before_kw=100.0)
    assert (same.moved_kw, same.factor) == (0.0, 1.0)


@settings(max_examples=40, deadline=None)
@given(minutes=st.integers(1, 600), offset=st.integers(0, 59), ramp=st.integers(-10, 700))
def test_an_event_is_cut_without_gap_or_overlap(minutes: int, offset: int, ramp: int) -> None:
    """At every quarter of an hour, and where the ramp ends if that is within."""
    start = datetime(2026, 6, 10, 12, tzinfo=UTC) + timedelta(minutes=offset)
    whole = Window(start, start + timedelta(minutes=minutes))
    at = start + timedelta(minutes=ramp)
    pieces = cut(whole, timedelta(minutes=15), at)
    assert (pieces[0].start, pieces[-1].end) == (whole.start, whole.end)
    assert all(one.end == other.start for one, other in pairwise(pieces))
    inner = {one.end for one in pieces[:-1]}
    assert all(one == at or one.minute % 15 == 0 for one in inner)
    assert all(one.end - one.start <= timedelta(minutes=15) for one in pieces)
    assert at in inner or not whole.start < at < whole.end
