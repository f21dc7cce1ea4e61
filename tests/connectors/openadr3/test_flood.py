"""Ten thousand events: what matters is kept, nothing takes long, and all is bounded."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.errors import ContractBroken
from connectors.vpp.openadr3 import client
from connectors.vpp.openadr3 import ven as module
from connectors.vpp.openadr3.overlap import holding
from connectors.vpp.openadr3.ven import MOST_NOTICES
from tests.connectors.openadr3.scene import HOUR, NOON, TWO_HOURS, later, limits, ven_at
from tests.connectors.openadr3.test_overlap import LIMIT, call
from tests.connectors.openadr3.vtn import TestVtn, event, limit, serving

MANY = 10_000


@pytest.fixture
def vtn() -> Iterator[TestVtn]:
    """A VTN whose ten thousand answers nobody checks: others do."""
    vtn = TestVtn("3.1.0")
    vtn.is_held_to_definition = False
    with serving(vtn) as served:
        yield served


def test_ten_thousand_calls_at_once_are_settled_in_one_pass() -> None:
    """Each begins a second after the one before, and is stricter: each holds for its second."""
    second = HOUR / 3600
    asked = [call(number, LIMIT, 0, 24, MANY - number, None, 0) for number in range(MANY)]
    apart = [
        type(each)(
            each.event_id,
            each.kind,
            NOON + place * second,
            each.end,
            each.limit_kw,
            each.priority,
            each.said_at,
        )
        for place, each in enumerate(asked)
    ]
    found = holding(apart)
    assert [each.event_id for each in found] == [f"e{number}" for number in range(MANY)]


async def test_of_a_flood_what_begins_first_is_taken_in_and_the_rest_may_still_hold(
    vtn: TestVtn,
) -> None:
    """The one of high priority holds over all ten thousand but one that overlap it."""
    flood = [event(f"e{number}", limit(50), **later(1 + number % 150)) for number in range(MANY)]
    vtn.events = [*flood[:-1], event("red", limit(0), **TWO_HOURS, priority=0)]
    ven = ven_at(vtn)
    found = await ven.events()
    assert 0 < len(found) <= MOST_NOTICES
    assert limits(found)[0] == ("north", 1, 2, 0.0)
    assert all(each.priority == 0 for each in found[:2])


async def test_more_events_than_are_read_change_nothing(
    vtn: TestVtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told as a broken agreement; what was called stands."""
    assert client.MOST_LISTED == MANY
    monkeypatch.setattr(client, "MOST_LISTED", 200)
    vtn.events = [event(f"e{number}", limit(50), **TWO_HOURS) for number in range(201)]
    with pytest.raises(ContractBroken, match="more than 200"):
        await ven_at(vtn).events()


async def test_what_matters_less_shuts_out_nothing_that_matters_more(
    vtn: TestVtn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of more calls than are kept those of low priority are left out, told of, and may hold."""
    monkeypatch.setattr(module, "MOST_CALLS", 20)
    low: list[Any] = [event(f"e{number}", limit(50), **later(1)) for number in range(20)]
    vtn.events = [*low, event("red", limit(0), **later(1), priority=0)]
    ven = ven_at(vtn)
    with caplog.at_level(logging.WARNING):
        found = await ven.events()
    assert {each.limit_kw for each in found} == {0.0}
    assert "e19 is passed over: more than 20 calls" in caplog.text
    assert ven.may_still_hold("e19.north.20260615T130000")
