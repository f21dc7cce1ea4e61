"""Prices and carbon that events say, as signals of sites."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.types import GridSignal, SignalKind, Window
from tests.connectors.openadr3.scene import HOUR, NOON, TERMS, later, ven_at
from tests.connectors.openadr3.vtn import TestVtn, event, limit, serving


@pytest.fixture
def vtn() -> Iterator[TestVtn]:
    """A top node; nothing that was asked or answered may be but as published."""
    with serving(TestVtn("3.1.0")) as vtn:
        yield vtn
    assert vtn.problems == []


def described(kind: str, **more: str) -> dict[str, Any]:
    """Say of a type in which unit it is."""
    one = {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": kind}
    return {"payloadDescriptors": [one | more]}


def values(*numbers: float, kind: str = "PRICE") -> dict[str, Any]:
    """Return an interval with several values."""
    return {"id": 0, "payloads": [{"type": kind, "values": list(numbers)}]}


async def told(vtn: TestVtn, *events: dict[str, Any], site: str = "north") -> list[GridSignal]:
    """Return what a VEN hears of one site."""
    vtn.events = list(events)
    ven = ven_at(vtn, terms=TERMS)
    await ven.events()
    return [signal for signal in ven.signals() if signal.site == site]


def hours(signals: list[GridSignal]) -> list[tuple[float, float, float]]:
    """Return begin and end in hours after noon, and value."""
    return [
        ((it.window.start - NOON) / HOUR, (it.window.end - NOON) / HOUR, it.value) for it in signals
    ]


async def test_a_price_is_told_by_mwh_in_its_currency(vtn: TestVtn) -> None:
    """Said by kWh, which is the default, or by MWh; it calls nothing."""
    by_kwh = event("a", limit(0.25, kind="PRICE"), **later(1), **described("PRICE", currency="EUR"))
    by_mwh = event("b", limit(-40, kind="EXPORT_PRICE"), **later(1))
    by_mwh |= described("EXPORT_PRICE", units="MWH", currency="EUR")
    window = Window(NOON + HOUR, NOON + 2 * HOUR)
    assert await told(vtn, by_kwh, by_mwh) == [
        GridSignal("north", SignalKind.EXPORT_PRICE, window, -40.0, "EUR"),
        GridSignal("north", SignalKind.PRICE, window, 250.0, "EUR"),
    ]
    assert await ven_at(vtn).events() == ()


async def test_greenhouse_gas_is_the_marginal_intensity(vtn: TestVtn) -> None:
    """In g/kWh, as the standard has it."""
    (one,) = await told(vtn, event("g", limit(420, kind="GHG"), **later(1)))
    assert (one.kind, one.value) == (SignalKind.MARGINAL_CARBON_INTENSITY, 420.0)
    assert one.currency is None


async def test_several_values_share_their_interval(vtn: TestVtn) -> None:
    """Four of an hour are quarters of it."""
    found = hours(await told(vtn, event("a", values(0.1, 0.2, 0.3, 0.4), **later(1))))
    assert found == [(1 + k / 4, 1.25 + k / 4, pytest.approx(100.0 * (k + 1))) for k in range(4)]


async def test_where_prices_overlap_the_one_of_higher_priority_holds(vtn: TestVtn) -> None:
    """And what is said of all the time holds where nothing else is said; days are cut."""
    always = {"intervalPeriod": {"start": "2026-06-15T12:00:00Z", "duration": "P9999Y"}}
    found = await told(
        vtn,
        event("base", limit(0.1, kind="PRICE"), **always),
        event("high", limit(0.9, kind="PRICE"), **later(1), priority=0),
    )
    assert hours(found)[:4] == [
        (0, 1, 100.0),
        (1, 2, 900.0),
        (2, 26, 100.0),
        (26, 50, 100.0),
    ]
    assert found[-1].window.end == NOON + 7.5 * 24 * HOUR


async def test_what_is_left_of_a_price_stays_what_it_was_once_another_is_over(
    vtn: TestVtn,
) -> None:
    """The hour that the other held is not said anew; what is over is not told."""
    longer = {"intervalPeriod": {"start": "2026-06-15T11:00:00Z", "duration": "PT2H"}}
    found = await told(
        vtn,
        event("high", limit(0.9, kind="PRICE"), **later(-2), priority=0),
        event("low", limit(0.1, kind="PRICE"), **longer, priority=5),
        event("passed", limit(0.2, kind="EXPORT_PRICE"), **later(-3)),
    )
    assert hours(found) == [(-1, 1, 100.0)]
    longest = {"intervalPeriod": {"start": "2026-06-15T10:30:00Z", "duration": "PT3H"}}
    found = await told(
        vtn,
        event("high", limit(0.9, kind="PRICE"), **later(-1), priority=0),
        event("low", limit(0.1, kind="PRICE"), **longest, priority=5),
    )
    assert hours(found) == [(0, 1.5, 100.0)]


async def test_of_a_price_for_ever_only_what_is_not_over_is_told(vtn: TestVtn) -> None:
    """Day by day from when it began, 31 days ago."""
    always = {"intervalPeriod": {"start": "2026-05-15T12:00:00Z", "duration": "P9999Y"}}
    found = await told(vtn, event("base", limit(0.1, kind="PRICE"), **always))
    assert hours(found)[0] == (0, 24, 100.0)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (event("x", limit(1, kind="PRICE"), **later(1), **described("PRICE", units="GJ")), "GJ"),
        (event("x", limit(-1, kind="GHG"), **later(1)), "GHG: -1"),
        (event("x", values(1, 2, 3, 4, 5, 6, 7), **later(1)), "must be at a whole 5 minutes"),
    ],
)
async def test_what_cannot_be_a_signal_is_told_and_spoils_no_other(
    vtn: TestVtn, caplog: pytest.LogCaptureFixture, bad: dict[str, Any], reason: str
) -> None:
    """By the number of its event, the value and the limit."""
    with caplog.at_level(logging.WARNING):
        found = await told(vtn, bad, event("good", limit(0.2, kind="PRICE"), **later(3)))
    assert hours(found) == [(3, 4, 200.0)]
    assert any(
        "event x" in line.getMessage() and reason in line.getMessage() for line in caplog.records
    )
