"""The virtual end node against a top node over HTTP, held to the published API where there is."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from connectors.errors import (
    ConnectorError,
    ContractBroken,
    CredentialsRefused,
    Rejected,
    Unavailable,
)
from connectors.vpp.openadr3.client import Credentials, Version, Vtn
from connectors.vpp.openadr3.ven import OpenAdrVen
from tests.connectors.openadr3.api import FACTS
from tests.connectors.openadr3.scene import (
    HASTY,
    HOUR,
    NOON,
    SAID_AT,
    TERMS,
    TWO_HOURS,
    later,
    limits,
    ven_at,
)
from tests.connectors.openadr3.vtn import SECRET, TestVtn, event, limit, said, serving

AT_ONCE = replace(HASTY, answer_s=0.3)


@pytest.fixture(params=["3.1.0", "3.0.1"])
def vtn(request: pytest.FixtureRequest) -> Iterator[TestVtn]:
    """A top node; nothing that was asked or answered may be but as published."""
    with serving(TestVtn(request.param)) as vtn:
        yield vtn
    assert vtn.problems == []


@pytest.fixture
def ven(vtn: TestVtn) -> OpenAdrVen:
    """A VEN of two sites."""
    return ven_at(vtn)


@pytest.mark.skipif(FACTS is None, reason="GRIDTIDE_FACTS is not set: no API to be held to")
async def test_what_is_not_as_published_is_found(vtn: TestVtn, ven: OpenAdrVen) -> None:
    """The check itself is one: an event without its program is told."""
    vtn.events = [{"id": "e 1"}]
    await ven.events()
    assert any("/events" in problem for problem in vtn.problems)
    vtn.problems.clear()


async def test_limits_come_as_notices_for_the_sites_they_name(
    vtn: TestVtn, ven: OpenAdrVen
) -> None:
    """An event without targets is for all; each interval is a notice of its own."""
    target = "N1" if vtn.version == "3.1.0" else {"type": "RESOURCE_NAME", "values": ["N1"]}
    vtn.events = [
        event("one", limit(60), limit(40, 1), **TWO_HOURS, targets=[target]),
        event("all", limit(2, kind="SIMPLE"), **TWO_HOURS, priority=5),
    ]
    found = await ven.events()
    assert limits(found) == [
        ("north", 1, 2, 50.0),
        ("south", 1, 2, 40.0),
        ("north", 2, 3, 40.0),
    ]
    assert found[0].event_id == "all.north.20260615T130000"


async def test_what_is_for_others_is_not_taken_for_ours(vtn: TestVtn) -> None:
    """3.0.1 shows everybody's events; groups and feeders may be said of a site."""
    if vtn.version == "3.1.0":
        pytest.skip("3.1.0 shows us ours only")
    sites = (TERMS.sites[0], replace(TERMS.sites[1], targets=frozenset({"feeder-7"})))
    whom = {
        "other-ven": ("VEN_NAME", "else"),
        "our-ven": ("VEN_NAME", "gridtide"),
        "other-resource": ("RESOURCE_NAME", "X9"),
        "our-resource": ("RESOURCE_NAME", "N1"),
        "feeder": ("POWER_SERVICE_LOCATION", "feeder-7"),
        "group": ("GROUP", "everybody"),
    }
    vtn.events = [
        event(name, limit(5), **later(at), targets=[{"type": kind, "values": [word]}])
        for at, (name, (kind, word)) in enumerate(whom.items(), 1)
    ]
    found = await ven_at(vtn, terms=replace(TERMS, sites=sites)).events()
    told = {(each.event_id.split(".")[0], each.site) for each in found}
    both = {(name, site) for name in ("our-ven", "group") for site in ("north", "south")}
    assert told == both | {("our-resource", "north"), ("feeder", "south")}


async def test_the_draw_of_a_random_start_outlives_us_and_not_the_event(vtn: TestVtn) -> None:
    """Another process draws the same, until the event is changed; it is within the range."""
    period = TWO_HOURS["intervalPeriod"] | {"randomizeStart": "PT30M"}
    vtn.events = [event(f"e{number}", limit(5), intervalPeriod=period) for number in range(8)]
    before, after = await ven_at(vtn).events(), await ven_at(vtn).events()
    assert before == after
    lone = [event("lone", limit(5), intervalPeriod=period)]
    starts = []
    for day in range(1, 9):
        vtn.events = [lone[0] | {"modificationDateTime": f"2026-06-{day:02}T10:00:00Z"}]
        starts.append((await ven_at(vtn).events())[0].window.start)
    moved = [start - NOON - HOUR for start in starts]
    assert len(set(moved)) > 4
    assert all(abs(each) <= HOUR / 2 for each in moved)


async def test_a_notice_says_what_kind_of_call_it_is_and_when_it_was_said(vtn: TestVtn) -> None:
    """With the terms that were agreed, for which OpenADR has no words."""
    terms = replace(TERMS, payment_eur_per_kwh=0.3, ramp_minutes=10.0, breach_eur_per_kwh=4.0)
    vtn.events = [
        event("set", limit(60, kind="DISPATCH_SETPOINT"), **TWO_HOURS, priority=3),
        event("red", limit(0, kind="ALERT_GRID_EMERGENCY"), **later(3)),
        event("low", limit(3, kind="SIMPLE"), **later(5)),
        event("sub", limit(90, kind="IMPORT_CAPACITY_SUBSCRIPTION"), **later(7)),
    ]
    vtn.events[1]["intervals"][0]["payloads"][0]["values"] = ["now"]
    found = await ven_at(vtn, terms=terms).events()
    north = [each for each in found if each.site == "north"]
    assert [each.kind for each in north] == ["setpoint", "emergency", "level", "subscription"]
    assert [each.priority for each in north] == [3, None, None, None]
    agreed = {(it.breach_eur_per_kwh, it.payment_eur_per_kwh, it.ramp_minutes) for it in found}
    assert agreed == {(4.0, 0.3, 10.0)}
    assert {each.issued_at for each in found} == {SAID_AT}


async def test_an_event_that_does_not_say_when_it_was_said_starts_when_it_is_heard_of(
    vtn: TestVtn,
) -> None:
    """And no later each time it is listed."""
    event_ = event("now", limit(5), intervalPeriod={"start": "0001-01-01", "duration": "PT1H"})
    for name in ("createdDateTime", "modificationDateTime"):
        del event_[name]
    vtn.events = [event_]
    minutes = itertools.count()
    asked = Vtn(vtn.base, Version(vtn.version), Credentials("us", SECRET), HASTY)
    ven = OpenAdrVen(asked, TERMS, lambda: NOON + timedelta(minutes=next(minutes)))
    first, second = await ven.events(), await ven.events()
    assert first == second
    assert first[0].issued_at is None
    vtn.problems.clear()  # it is not as published on purpose


async def test_an_event_rewritten_or_deleted_is_no_longer_listed(
    vtn: TestVtn, ven: OpenAdrVen
) -> None:
    """Neither may still hold."""
    vtn.events = [event("a", limit(1), **TWO_HOURS), event("b", limit(2), **TWO_HOURS)]
    before = await ven.events()
    vtn.events = [
        event("a", limit(1), intervalPeriod={"start": "0001-01-01T00:00:00Z", "duration": "PT0S"})
    ]
    assert await ven.events() == ()
    assert not any(ven.may_still_hold(notice.event_id) for notice in before)


async def test_one_bad_event_spoils_no_other_and_may_still_hold(
    vtn: TestVtn, ven: OpenAdrVen, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told of by its number, once, and what it called before is not called off."""
    good = event("good", limit(7), **TWO_HOURS)
    vtn.events = [
        event("bad", limit(1), intervalPeriod={"start": "tomorrow"}),
        event("worse", limit(-5), **TWO_HOURS),
        "nonsense",
        good,
    ]
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert {notice.limit_kw for notice in await ven.events()} == {7}
    told = [record.message for record in caplog.records]
    assert sum("event bad is passed over" in line for line in told) == 1
    assert (
        sum("event worse is passed over: IMPORT_CAPACITY_LIMIT: -5" in line for line in told) == 1
    )
    assert ven.may_still_hold("bad.north.20260615T130000")
    vtn.problems.clear()  # it was bad on purpose


async def test_the_subscription_holds_where_no_limit_does(vtn: TestVtn, ven: OpenAdrVen) -> None:
    """With what is reserved on top of it."""
    day = {"intervalPeriod": {"start": "2026-06-15T12:00:00Z", "duration": "PT4H"}}
    vtn.events = [
        event("s", limit(50, kind="IMPORT_CAPACITY_SUBSCRIPTION"), **day),
        event("r", limit(5, kind="IMPORT_CAPACITY_RESERVATION"), **day),
        event("l", limit(20), **TWO_HOURS),
    ]
    found = limits(await ven.events())
    north = [each[1:] for each in found if each[0] == "north"]
    assert north == [(0, 1, 55.0), (1, 2, 20.0), (2, 4, 55.0)]


async def test_we_are_registered_once_and_again_where_we_were_forgotten(
    vtn: TestVtn, ven: OpenAdrVen
) -> None:
    """With a resource for each site, what it may draw with it; one of our name there is ours."""
    await ven.events()
    await ven.events()
    assert len(vtn.kept["vens"]) == 1
    assert [each["resourceName"] for each in vtn.kept["resources"]] == ["N1", "S1"]
    vtn.kept["vens"].clear()
    vtn.kept["resources"].clear()
    await ven.events()
    await ven_at(vtn).events()
    assert (len(vtn.kept["vens"]), len(vtn.kept["resources"])) == (1, 2)


async def test_a_token_is_renewed_when_it_is_over(vtn: TestVtn, ven: OpenAdrVen) -> None:
    """Also one that is over before it said; one question asks for two tokens at most."""
    await ven.events()
    vtn.tokens.clear()
    await ven.events()
    assert vtn.tokens_given == 2
    vtn.expires_in = 1
    seconds = itertools.count()
    asked = Vtn(
        vtn.base, Version(vtn.version), Credentials("us", SECRET), HASTY, lambda: next(seconds)
    )
    await OpenAdrVen(asked, TERMS, lambda: NOON).events()
    assert vtn.tokens_given > 3


async def test_a_wrong_secret_is_refused_and_shown_to_nobody(
    vtn: TestVtn, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in the error nor in a log."""
    with caplog.at_level(logging.DEBUG), pytest.raises(CredentialsRefused) as refusal:
        await ven_at(vtn, "wr0ng-secret").events()
    assert "wr0ng-secret" not in str(refusal.value) + caplog.text


async def test_the_secret_goes_to_the_host_of_the_vtn_only(vtn: TestVtn) -> None:
    """Where the VTN names another as that of tokens, a person has to say that this is right."""
    if vtn.version == "3.0.1":
        pytest.skip("3.0.1 names none")
    vtn.token_url = "https://elsewhere.example/token"  # noqa: S105 - an address
    with pytest.raises(Rejected, match="elsewhere"):
        await ven_at(vtn).events()


async def hangs(_: Request) -> Response:
    """Answer long after anybody waits."""
    await asyncio.sleep(3)
    return JSONResponse([])


async def test_a_vtn_that_hangs_is_left_alone(vtn: TestVtn) -> None:
    """After as long as was agreed."""
    vtn.fault = hangs
    with pytest.raises(Unavailable):
        await ven_at(vtn, policy=AT_ONCE).events()


async def fails(_: Request) -> Response:
    """Answer that it failed."""
    return JSONResponse({"title": "oh"}, 500)


async def redirects(_: Request) -> Response:
    """Send whoever asks to somebody else."""
    return RedirectResponse("http://elsewhere.example/events")


async def lies(_: Request) -> Response:
    """Answer another thing than a list."""
    return Response(said({"events": "many"}), media_type="application/json")


async def never_ends(_: Request) -> Response:
    """Answer a full page however far one reads."""
    return Response(said([event("e", limit(1))] * 500), media_type="application/json")


async def floods(_: Request) -> Response:
    """Answer more bytes than anybody keeps."""
    return Response(b"[" + b" " * (5 * 1024 * 1024) + b"]", media_type="application/json")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (fails, Unavailable),
        (redirects, Rejected),
        (lies, ContractBroken),
        (never_ends, ContractBroken),
        (floods, ContractBroken),
    ],
)
async def test_a_vtn_that_fails_is_told_and_forgotten(
    vtn: TestVtn, ven: OpenAdrVen, fault: object, error: type[ConnectorError]
) -> None:
    """Named by what is to be done about it; the next poll is as ever."""
    vtn.fault = fault  # type: ignore[assignment]
    with pytest.raises(error):
        await ven.events()
    vtn.fault = None
    vtn.events = [event("a", limit(1), **TWO_HOURS)]
    assert len(await ven.events()) == 2
