"""What holds directly before and after a call: what of it is over, its ramp, its rebound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from connectors.types import GridEventNotice
from connectors.vpp.openadr3 import ven as module
from connectors.vpp.openadr3.client import Credentials, Version, Vtn
from connectors.vpp.openadr3.ven import OpenAdrVen, SiteTerms, VenTerms
from tests.connectors.openadr3.scene import HASTY, HOUR, NOON, limits
from tests.connectors.openadr3.vtn import SECRET, TestVtn, event, limit, serving

NORTH = SiteTerms(
    "north", "N1", 100.0, rebound_kw=60.0, rebound_minutes=90.0, rebound_eur_per_kwh=0.7
)
TERMS = VenTerms("gridtide", (NORTH,), ramp_minutes=10.0)


@pytest.fixture
def vtn() -> Iterator[TestVtn]:
    """A top node."""
    with serving(TestVtn("3.1.0")) as vtn:
        yield vtn


async def told(vtn: TestVtn, now: datetime) -> tuple[GridEventNotice, ...]:
    """What a VEN that was started just now takes from the top node."""
    asked = Vtn(vtn.base, Version(vtn.version), Credentials("us", SECRET), HASTY)
    return await OpenAdrVen(asked, TERMS, lambda: now).events()


def hours(start: float, lasts: int) -> dict[str, Any]:
    """Return a period in hours from noon."""
    begin = (NOON + start * HOUR).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"intervalPeriod": {"start": begin, "duration": f"PT{lasts}H"}}


async def test_what_is_left_of_a_call_stays_what_it_was_once_its_interruption_is_over(
    vtn: TestVtn,
) -> None:
    """Neither is the part before it called again, nor the part after it called off."""
    vtn.events = [
        event("low", limit(20), **hours(1, 4), priority=5),
        event("high", limit(50), **hours(2, 1), priority=1),
    ]
    during, after = await told(vtn, NOON + 2.5 * HOUR), await told(vtn, NOON + 3.5 * HOUR)
    assert limits(during) == [("north", 2, 3, 50.0), ("north", 3, 5, 20.0)]
    assert after == during[1:]


async def test_calls_that_are_over_take_the_place_of_none_that_is_not(
    vtn: TestVtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many the top node still lists."""
    monkeypatch.setattr(module, "MOST_CALLS", 3)
    vtn.events = [event(f"e{hour}", limit(20), **hours(hour, 1), priority=0) for hour in range(4)]
    vtn.events.append(event("new", limit(10), **hours(6, 1)))
    assert limits(await told(vtn, NOON + 5 * HOUR)) == [("north", 6, 7, 10.0)]


async def test_only_where_nothing_else_is_called_the_rebound_is_limited(vtn: TestVtn) -> None:
    """As the site agreed; the subscription that holds again is no call, and has none itself."""
    vtn.events = [
        event("base", limit(90, kind="IMPORT_CAPACITY_SUBSCRIPTION"), **hours(0, 9)),
        event("one", limit(20), **hours(1, 1)),
        event("two", limit(10), **hours(2, 1)),
    ]
    found = await told(vtn, NOON)
    rebounds = [(it.rebound_kw, it.rebound_minutes, it.rebound_eur_per_kwh) for it in found]
    none = (None, 0.0, 0.0)
    assert [it.limit_kw for it in found] == [90.0, 20.0, 10.0, 90.0]
    assert rebounds == [none, none, (60.0, 90.0, 0.7), none]


async def test_who_was_lower_already_needs_no_time_to_come_down(vtn: TestVtn) -> None:
    """From 20 to 10 it takes its ramp, from 10 back to 20 none: nothing rises in between."""
    vtn.events = [
        event("low", limit(20), **hours(1, 3)),
        event("lower", limit(10), **hours(2, 1), priority=1),
    ]
    found = await told(vtn, NOON)
    assert [(it.limit_kw, it.ramp_minutes) for it in found] == [(20, 10.0), (10, 10.0), (20, 0.0)]
    vtn.events = [event("gap", limit(20), **hours(1, 1)), event("next", limit(20), **hours(3, 1))]
    assert [it.ramp_minutes for it in await told(vtn, NOON)] == [10.0, 10.0]


async def test_a_site_may_have_agreed_on_no_rebound(vtn: TestVtn) -> None:
    """Then none of its notices has one."""
    vtn.events = [event("one", limit(20), **hours(1, 1))]
    asked = Vtn(vtn.base, Version(vtn.version), Credentials("us", SECRET), HASTY)
    terms = replace(TERMS, sites=(SiteTerms("north", "N1", 100.0),))
    (found,) = await OpenAdrVen(asked, terms, lambda: NOON).events()
    assert found.rebound is None
