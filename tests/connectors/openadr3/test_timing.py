"""When the intervals of an OpenADR 3 event hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.vpp.openadr3.instants import (
    LAST,
    ZERO,
    Duration,
    read_duration,
    read_instant,
    written_duration,
)
from connectors.vpp.openadr3.timing import EventTiming, Period, Span, spans, split

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
AN_HOUR = Duration(rest=HOUR)
UNTIL = NOON + timedelta(days=8)
FOR_EVER = read_duration("P9999Y")


def held(timing: EventTiming, since: datetime = NOON, draw: float = 0.0) -> list[tuple[int, float]]:
    """Return index and start of each span, in hours from noon."""
    return [(it.interval, (it.start - NOON) / HOUR) for it in spans(timing, since, UNTIL, draw)]


def of(*intervals: Period, start: datetime | None = NOON, **more: object) -> EventTiming:
    """Return an event whose intervals last an hour where they do not say."""
    return EventTiming(NOON, Period(start, AN_HOUR), intervals, **more)  # type: ignore[arg-type]


def test_intervals_without_a_start_follow_each_other() -> None:
    """The first takes the start of its event, and each that of the end before."""
    assert held(of(Period(), Period(), Period())) == [(0, 0), (1, 1), (2, 2)]


def test_an_interval_overrides_its_event_field_by_field() -> None:
    """One that says its length alone begins when it would have begun anyway."""
    half = Period(duration=Duration(rest=HOUR / 2))
    assert held(of(half, Period(), Period(start=NOON + 5 * HOUR))) == [(0, 0), (1, 0.5), (2, 5)]


def test_a_start_of_zero_is_now_or_follows() -> None:
    """For an event it is when that was said, for a later interval the end of the one before."""
    assert held(of(Period(), Period(start=ZERO), start=ZERO)) == [(0, 0), (1, 1)]


def test_an_event_that_began_already_is_at_its_current_interval() -> None:
    """What is over is left out; what holds is whole."""
    assert held(of(Period(), Period(), Period()), NOON + 1.5 * HOUR) == [(1, 1), (2, 2)]


def test_what_lasts_for_ever_is_cut_where_nobody_looks_further() -> None:
    """``P9999Y`` overflows no arithmetic, as a length or as that of the event."""
    endless = EventTiming(NOON, Period(NOON, FOR_EVER), (Period(),), FOR_EVER)
    assert spans(endless, NOON, UNTIL) == [Span(0, NOON, UNTIL)]


def test_an_event_of_no_intervals_is_one_interval() -> None:
    """Its own period is that of the only one."""
    assert held(of()) == [(0, 0)]


def test_the_duration_of_an_event_cuts_its_intervals_or_repeats_them() -> None:
    """Half an hour of two is cut; three hours of two begin again, and end midway."""
    short = of(Period(), Period(), duration=Duration(rest=HOUR / 2))
    assert spans(short, NOON, UNTIL) == [Span(0, NOON, NOON + HOUR / 2)]
    long = of(Period(), Period(), duration=Duration(rest=2.5 * HOUR))
    assert spans(long, NOON, UNTIL)[-1] == Span(0, NOON + 2 * HOUR, NOON + 2.5 * HOUR)


def test_a_tariff_of_every_day_holds_years_later() -> None:
    """A loop begins where somebody looks, not at its first round."""
    daily = EventTiming(
        NOON, Period(NOON, Duration(rest=12 * HOUR)), (Period(), Period()), FOR_EVER
    )
    later = NOON + timedelta(days=3650)
    first = spans(daily, later + HOUR, later + timedelta(days=1))[0]
    assert first == Span(0, later, later + 12 * HOUR)


def test_a_random_start_moves_all_that_follows_without_a_gap() -> None:
    """The same draw for all of them; those that begin anew are moved by their own."""
    timing = EventTiming(
        NOON,
        Period(NOON, AN_HOUR, AN_HOUR),
        (Period(), Period(start=NOON + HOUR), Period(start=NOON + 4 * HOUR)),
    )
    assert held(timing, draw=0.5) == [(0, 0.5), (1, 1.5), (2, 4.5)]


def test_zero_start_and_no_length_is_called_off() -> None:
    """There is no status: an event is rewritten to that."""
    assert spans(EventTiming(NOON, Period(ZERO, Duration())), NOON, UNTIL) == []


@pytest.mark.parametrize(("zero_lasts", "n"), [(True, 1), (False, 0)])
def test_no_length_is_for_ever_only_where_that_is_agreed(zero_lasts: bool, n: int) -> None:
    """3.0.1 writes limits that hold until further notice so."""
    timing = EventTiming(NOON, Period(NOON, Duration()), zero_lasts=zero_lasts)
    assert len(spans(timing, NOON, UNTIL)) == n


def test_a_loop_of_seconds_is_refused() -> None:
    """It would hold in more spans of time than anybody plans for."""
    timing = EventTiming(NOON, Period(NOON, Duration(rest=timedelta(seconds=1))), (), FOR_EVER)
    with pytest.raises(ValueError, match="more than 4000"):
        spans(timing, NOON, UNTIL)


minutes = st.integers(0, 300).map(lambda count: timedelta(minutes=count))
starts = st.none() | st.just(ZERO) | minutes.map(lambda after: NOON + after)
durations = st.none() | minutes.map(lambda length: Duration(rest=length)) | st.just(FOR_EVER)
periods = st.builds(Period, starts, durations, st.none() | st.just(AN_HOUR))
timings = st.builds(
    EventTiming,
    st.just(NOON),
    periods,
    st.lists(periods, max_size=6).map(tuple),
    durations.map(lambda said: said if said != Duration(rest=timedelta(minutes=1)) else None),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(timing=timings, draw=st.floats(-1, 1), after=minutes)
@example(
    timing=EventTiming(NOON, Period(NOON, AN_HOUR), (Period(),), FOR_EVER), draw=0.0, after=HOUR
)
def test_spans_never_overlap(timing: EventTiming, draw: float, after: timedelta) -> None:
    """Whatever is sent: in order, none within another, none over or beyond what is looked at."""
    since = NOON + after
    try:
        found = spans(timing, since, UNTIL, draw)
    except ValueError as error:
        assert "more than" in str(error)  # noqa: PT017 - a refusal that names its limit is right
        return
    for span, following in pairwise(found):
        assert span.end <= following.start
    assert all(span.start < span.end <= UNTIL and span.end > since for span in found)


@settings(max_examples=25, deadline=None)
@given(hours=st.integers(1, 40), lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_a_loop_covers_its_event_exactly(hours: int, lengths: list[int]) -> None:
    """Without gap or overlap, from its start to its end."""
    intervals = tuple(Period(duration=Duration(rest=length * HOUR)) for length in lengths)
    timing = EventTiming(NOON, Period(NOON), intervals, Duration(rest=hours * HOUR))
    found = spans(timing, NOON, UNTIL)
    assert [span.start for span in found] == [NOON, *(span.end for span in found[:-1])]
    assert found[-1].end == NOON + hours * HOUR


@settings(max_examples=25, deadline=None)
@given(length=st.integers(1, 10**12), parts=st.integers(1, 50))
def test_an_equal_split_covers_its_interval_exactly(length: int, parts: int) -> None:
    """First to last microsecond, each part within one of the others."""
    end = NOON + timedelta(microseconds=length)
    cut = split(NOON, end, parts)
    assert (cut[0][0], cut[-1][1], len(cut)) == (NOON, end, parts)
    assert all(before[1] == after[0] for before, after in pairwise(cut))
    lengths = [end - start for start, end in cut]
    assert max(lengths) - min(lengths) <= timedelta(microseconds=1)


def test_the_same_draw_is_the_same_time() -> None:
    """A draw that is kept moves nothing from one look to the next."""
    timing = replace(of(Period()), period=Period(NOON, AN_HOUR, AN_HOUR))
    assert held(timing, draw=-0.25) == held(timing, draw=-0.25) == [(0, -0.25)]


@pytest.mark.parametrize(
    "text", ["0001-01-01", "0001-01-01T00:00:00", "0001-01-01T00:00:00Z", "0000-00-00T00:00:00Z"]
)
def test_zero_is_read_however_it_is_written(text: str) -> None:
    """With or without time and zone, and as 3.0 wrote it."""
    assert read_instant(text) == ZERO


@pytest.mark.parametrize(
    ("text", "hour"),
    [("2026-06-15T12:00:00", 12), ("2026-06-15", 0), ("2026-06-15T14:00:00+02:00", 12)],
)
def test_instants_are_read_into_utc(text: str, hour: int) -> None:
    """Without a zone they are in UTC already."""
    assert read_instant(text) == NOON.replace(hour=hour)


@pytest.mark.parametrize("text", ["noon", "9999-12-31T23:59:59-01:00", "1900-01-01", "1" * 10**6])
def test_what_is_no_instant_is_refused(text: str) -> None:
    """In one short line."""
    with pytest.raises(ValueError, match="instant") as refusal:
        read_instant(text)
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize("text", ["", "P", "PT", "-PT1H", "1 h", "PT1H1D", "P" + "9" * 100 + "D"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Negative ones too: nothing ends before it begins."""
    with pytest.raises(ValueError, match="duration"):
        read_duration(text)


def test_months_are_counted_by_the_calendar_and_for_ever_ends() -> None:
    """A month from 31 January is 28 February."""
    january = datetime(2026, 1, 31, tzinfo=UTC)
    assert read_duration("P1M").after(january) == datetime(2026, 2, 28, tzinfo=UTC)
    assert FOR_EVER.after(NOON) == LAST
    assert written_duration(read_duration("PT1H30M").after(NOON) - NOON) == "PT5400S"
