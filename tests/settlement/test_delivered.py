"""What an event came to, by figures that can be checked by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.types import Window
from scheduler.settlement.delivered import (
    Interval,
    Result,
    SettledInterval,
    Terms,
    settle_interval,
    summed,
)
from scheduler.settlement.metering import mean_kw

START = datetime(2026, 6, 10, 12, tzinfo=UTC)
HALF = timedelta(minutes=30)
TERMS = Terms(
    window=Window(START, START + 4 * HALF),
    held_from=START + HALF,
    limit_kw=60.0,
    payment_eur_per_kwh=0.5,
    breach_eur_per_kwh=2.0,
)


def settled(
    *pairs: tuple[float | None, float | None], terms: Terms = TERMS
) -> tuple[Result, list[SettledInterval]]:
    """Half-hours of (baseline, metered) [kW], and what they come to."""
    intervals = [
        settle_interval(
            terms,
            Interval(
                Window(START + k * HALF, START + (k + 1) * HALF),
                planned_kw=60.0,
                metered_kw=drawn,
                is_metered=True,
                baseline_kw=usual,
                plan_baseline_kw=100.0,
            ),
        )
        for k, (usual, drawn) in enumerate(pairs)
    ]
    return summed(terms, intervals), intervals


def test_an_event_is_settled_as_by_hand() -> None:
    """Baseline 100 kW, level 60, drawn 90 in the ramp, then 60, 70 and 50 kW for half an hour each.

    Asked is 40 kW all the time, 80 kWh. Delivered: 10, 40, 30 and 50 kW, 65 kWh. Paid for
    (10 + 40 + 30 + 40) / 2 = 60 kWh at 0.5: 30 EUR. Above the level after the ramp: 10 kW for half
    an hour, 5 kWh at 2: 10 EUR. Score without the ramp: (40 + 30 + 40) / 120 = 11/12.
    """
    result, intervals = settled((100, 90), (100, 60), (100, 70), (100, 50))
    assert result.asked_kwh == pytest.approx(80.0)
    assert result.delivered_kwh == pytest.approx(65.0)
    assert result.payment_eur == pytest.approx(30.0)
    assert result.penalty_eur == pytest.approx(10.0)
    assert result.score == pytest.approx(11 / 12)
    assert (result.highest_over_kw, result.metered_share) == (10.0, 1.0)
    assert result.is_whole
    assert [one.is_ramp for one in intervals] == [True, False, False, False]
    assert intervals[0].penalty_eur == 0.0


def test_a_declined_call_costs_its_fee_and_nothing_else() -> None:
    """Whatever was drawn, and also where none of it was metered: the fee is agreed."""
    terms = replace(TERMS, declined_eur=4.0)
    for pairs in ([(100, 50), (100, 100), (100, 70), (100, 50)], [(100, None)] * 4):
        result, intervals = settled(*pairs, terms=terms)
        assert result.penalty_eur == 4.0
        assert not result.payment_eur
        assert (result.score, result.highest_over_kw) == (None, None)
        assert not any(one.penalty_eur or one.payment_eur for one in intervals)


def test_taking_part_is_paid_besides_what_is_delivered() -> None:
    """3 EUR for the call on top of the kWh; nothing where it was declined."""
    pairs = [(100, 50), (100, 100), (100, 70), (100, 50)]
    by_kwh_eur = settled(*pairs)[0].payment_eur
    taken, _ = settled(*pairs, terms=replace(TERMS, pay_eur=3.0))
    declined, _ = settled(*pairs, terms=replace(TERMS, pay_eur=3.0, declined_eur=4.0))
    assert by_kwh_eur is not None
    assert (taken.payment_eur, declined.payment_eur) == (by_kwh_eur + 3.0, 0.0)


def test_what_was_not_metered_is_in_no_sum_and_is_told() -> None:
    """The third half-hour is missing: 40 EUR less would be an invention, and so would 20 more."""
    result, intervals = settled((100, 90), (100, 60), (100, None), (100, 50))
    assert result.payment_eur == pytest.approx(22.5)
    assert result.score == pytest.approx(1.0)
    assert result.metered_share == pytest.approx(0.75)
    assert not result.is_whole
    assert (intervals[2].delivered_kw, intervals[2].penalty_eur) == (None, None)


def test_without_a_baseline_the_level_still_holds() -> None:
    """What is above it costs; what would be paid is not known."""
    result, _ = settled((None, 90), (None, 60), (None, 70), (None, 50))
    assert (result.payment_eur, result.score, result.asked_kwh) == (None, None, None)
    assert result.penalty_eur == pytest.approx(10.0)
    assert not result.is_whole


def test_who_would_have_drawn_less_than_the_level_is_asked_for_nothing() -> None:
    """There is no score of nothing, and no payment."""
    result, _ = settled(*[(50.0, 50.0)] * 4)
    assert (result.score, result.payment_eur, result.penalty_eur) == (None, 0.0, 0.0)


def test_nothing_metered_is_nothing_known() -> None:
    """Not a perfect event, and not a failed one."""
    result, _ = settled(*[(100.0, None)] * 4)
    assert result == Result(None, None, None, None, None, None, 0.0)


powers = st.lists(st.tuples(st.floats(0, 200), st.floats(-50, 200)), min_size=4, max_size=4)


@settings(max_examples=40, deadline=None)
@given(pairs=powers, less=st.floats(0, 100))
def test_drawing_less_never_pays_less_nor_costs_more(
    pairs: list[tuple[float, float]], less: float
) -> None:
    """And the score stays within 0 and 1."""
    before, _ = settled(*pairs)
    after, _ = settled(*((usual, drawn - less) for usual, drawn in pairs))
    assert after.payment_eur >= before.payment_eur - 1e-9  # type: ignore[operator]
    assert after.penalty_eur <= before.penalty_eur + 1e-9  # type: ignore[operator]
    assert after.score is None or 0.0 <= after.score <= 1.0


@settings(max_examples=40, deadline=None)
@given(pairs=powers)
def test_who_keeps_to_the_level_has_a_full_score_and_no_penalty(
    pairs: list[tuple[float, float]],
) -> None:
    """Whatever the baseline says of it."""
    result, _ = settled(*((usual, min(drawn, 60.0)) for usual, drawn in pairs))
    assert result.penalty_eur == 0.0
    assert result.score is None or result.score == pytest.approx(1.0)


def test_power_between_readings_is_a_straight_line() -> None:
    """From 0 at 12:00 to 60 kW at 13:00: 15 kW in the first half-hour, 45 in the second."""
    windows = [Window(START + k * HALF, START + (k + 1) * HALF) for k in range(2)]
    readings = [(START, 0.0), (START + 2 * HALF, 60.0)]
    assert mean_kw(windows, readings, 2 * HALF) == pytest.approx((15.0, 45.0))


def test_readings_too_far_apart_say_nothing() -> None:
    """A tenth of an interval may be missing, no more; what is known is not stretched."""
    minute = timedelta(minutes=1)
    window = [Window(START, START + HALF)]
    readings = [(START + k * minute, 10.0) for k in range(31)]
    assert mean_kw(window, readings, 5 * minute) == pytest.approx((10.0,))
    assert mean_kw(window, readings[:28], 5 * minute) == pytest.approx((10.0,))
    assert mean_kw(window, readings[:27], 5 * minute) == (None,)
    assert mean_kw(window, [readings[0], readings[-1]], 5 * minute) == (None,)
    assert mean_kw(window, [], 5 * minute) == (None,)


def test_a_ramp_as_long_as_the_event_leaves_nothing_to_score() -> None:
    """It is paid for, and nothing is penalised."""
    terms = replace(TERMS, held_from=TERMS.window.end)
    result, _ = settled(*[(100.0, 90.0)] * 4, terms=terms)
    assert (result.score, result.penalty_eur) == (None, 0.0)
    assert result.payment_eur == pytest.approx(10.0)
