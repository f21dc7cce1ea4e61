"""Which of several calls holds, against the rule applied instant by instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.vpp.openadr3.overlap import holding
from connectors.vpp.openadr3.payloads import Call, CallKind, Horizon, calls
from connectors.vpp.openadr3.wire import WireEvent

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = Horizon(NOON, NOON + 24 * HOUR)
LIMIT, BASE, EXTRA = CallKind.LIMIT, CallKind.SUBSCRIPTION, CallKind.RESERVATION


def call(
    number: int, kind: CallKind, start: int, hours: int, kw: float, priority: int | None, said: int
) -> Call:
    """Return a call in hours from noon."""
    begin = NOON + start * HOUR
    end = begin + hours * HOUR
    return Call(f"e{number}", kind, begin, end, kw, priority, NOON - said * HOUR)


def _numbered(rows: list[tuple[CallKind, int, int, float, int | None, int]]) -> list[Call]:
    return [call(number, *row) for number, row in enumerate(rows)]


several = st.lists(
    st.tuples(
        st.sampled_from(list(CallKind)),
        st.integers(0, 8),
        st.integers(1, 6),
        st.sampled_from([0.0, 5.0, 10.0]),
        st.sampled_from([None, 0, 1]),
        st.integers(0, 2),
    ),
    max_size=12,
).map(_numbered)


def first(live: list[Call]) -> Call | None:
    """The rule in its words: lowest number, none last; strictest; newest."""
    best = None
    for each in live:
        if best is None or _beats(each, best):
            best = each
    return best


def _beats(one: Call, other: Call) -> bool:
    ranks = [99 if each.priority is None else each.priority for each in (one, other)]
    if ranks[0] != ranks[1]:
        return ranks[0] < ranks[1]
    if one.limit_kw != other.limit_kw:
        return one.limit_kw < other.limit_kw
    if one.said_at != other.said_at:
        return one.said_at > other.said_at
    return one.event_id < other.event_id


def expected(asked: list[Call], at: datetime) -> tuple[str, float] | None:
    """What holds at one instant."""
    live = {
        kind: first([each for each in asked if each.kind is kind and each.start <= at < each.end])
        for kind in CallKind
    }
    limit, base, extra = live[LIMIT], live[BASE], live[EXTRA]
    if limit is not None:
        return limit.event_id, limit.limit_kw
    if base is None:
        return None
    return base.event_id, base.limit_kw + (0.0 if extra is None else extra.limit_kw)


@settings(max_examples=150, deadline=None)
@given(asked=several)
@example(asked=_numbered([(LIMIT, 0, 6, 5.0, None, 0), (LIMIT, 2, 2, 10.0, 0, 0)]))
@example(asked=_numbered([(BASE, 0, 6, 5.0, None, 0), (EXTRA, 2, 2, 10.0, None, 0)]))
def test_at_every_instant_the_rule_holds(asked: list[Call]) -> None:
    """The lowest number of priority, then the strictest, then the newest; else the contract."""
    found = holding(asked)
    assert all(before.end <= after.start for before, after in pairwise(found))
    for half_hour in range(2 * 15):
        at = NOON + half_hour * HOUR / 2
        now = [(each.event_id, each.limit_kw) for each in found if each.start <= at < each.end]
        want = expected(asked, at)
        assert now == ([] if want is None else [want]), at


@settings(max_examples=60, deadline=None)
@given(asked=several)
def test_what_holds_is_told_in_as_few_spans_as_can_be(asked: list[Call]) -> None:
    """Two that touch differ in event or limit."""
    for before, after in pairwise(holding(asked)):
        same = (before.event_id, before.limit_kw) == (after.event_id, after.limit_kw)
        assert not (same and before.end == after.start)


@settings(max_examples=60, deadline=None)
@given(asked=several, order=st.randoms(use_true_random=False))
def test_the_order_in_which_calls_are_listed_says_nothing(asked: list[Call], order: object) -> None:
    """A VTN may list them as it likes."""
    shuffled = list(asked)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert holding(shuffled) == holding(asked)


def event_of(payload: dict[str, object], unit: str | None = None) -> WireEvent:
    """Return an event of four hours with one payload."""
    described = [] if unit is None else [{"payloadType": payload["type"], "units": unit}]
    return WireEvent.model_validate(
        {
            "id": "e",
            "programID": "p",
            "payloadDescriptors": described,
            "intervalPeriod": {"start": NOON.isoformat(), "duration": "PT4H"},
            "intervals": [{"payloads": [payload]}],
        }
    )


def asked_of(event: WireEvent) -> list[Call]:
    """Return its calls at a site of 100 kW."""
    found, _ = calls(event, 100.0, (0.75, 0.5, 0.0), DAY, said_at=NOON, draw=0.0, zero_lasts=False)
    return found


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(0, 1e6), min_size=1, max_size=20),
    unit=st.sampled_from([(None, 1.0), ("KW", 1.0), ("kw", 1.0), ("W", 0.001), ("MW", 1000.0)]),
    kind=st.sampled_from(["IMPORT_CAPACITY_LIMIT", "DISPATCH_SETPOINT"]),
)
def test_values_share_their_interval_and_are_in_the_unit_said(
    values: list[float], unit: tuple[str | None, float], kind: str
) -> None:
    """One after the other, without a gap, each as long as the others."""
    found = asked_of(event_of({"type": kind, "values": values}, unit[0]))
    assert [each.limit_kw for each in found] == [value * unit[1] for value in values]
    assert (found[0].start, found[-1].end) == (NOON, NOON + 4 * HOUR)
    assert all(before.end == after.start for before, after in pairwise(found))
    lengths = {round((each.end - each.start).total_seconds(), 3) for each in found}
    assert max(lengths) - min(lengths) <= 0.001


@settings(max_examples=80, deadline=None)
@given(
    value=st.one_of(
        st.floats(max_value=-1e-9),
        st.sampled_from([float("nan"), float("inf"), True, None, "10", [1], 1e300]),
    )
)
def test_what_is_no_power_is_refused(value: object) -> None:
    """Negative, not a number, endless, or of another kind: the event is passed over as a whole."""
    event = event_of({"type": "IMPORT_CAPACITY_LIMIT", "values": [5.0, value]})
    with pytest.raises(ValueError, match="must be within"):
        asked_of(event)
