"""Reports of the types that events ask for, as they arrive at a top node."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from connectors.errors import Rejected
from connectors.http import HttpPolicy
from connectors.types import Measure, Report, ReportRequest, SiteFigures, Window
from connectors.vpp.openadr3 import ven as module
from connectors.vpp.openadr3.client import Credentials, Version, Vtn
from connectors.vpp.openadr3.reports import Header, report_body, told_as
from connectors.vpp.openadr3.ven import OpenAdrVen
from connectors.vpp.openadr3.wire import WireReport
from tests.connectors.openadr3.scene import HASTY, HOUR, NOON, TERMS
from tests.connectors.openadr3.vtn import SECRET, TestVtn, event, limit, serving

REQUEST = ReportRequest(
    "a", "a", ("north",), NOON + HOUR, (Window(NOON, NOON + HOUR),), frozenset()
)
ONE = {"intervalPeriod": {"start": "2026-06-15T13:00:00Z", "duration": "PT1H"}}


@pytest.fixture(params=["3.1.0", "3.0.1"])
def vtn(request: pytest.FixtureRequest) -> Iterator[TestVtn]:
    """A top node; nothing that was asked or answered may be but as published."""
    with serving(TestVtn(request.param)) as vtn:
        yield vtn
    assert vtn.problems == []


class Clock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        """The present instant."""
        return self.at


@pytest.fixture
def clock() -> Clock:
    """It is noon."""
    return Clock()


@pytest.fixture
def ven(vtn: TestVtn, clock: Clock) -> OpenAdrVen:
    """A VEN of two sites."""
    return ven_by(vtn, clock)


def ven_by(vtn: TestVtn, clock: Clock, policy: HttpPolicy = HASTY) -> OpenAdrVen:
    """Return a VEN of two sites that goes by ``clock``."""
    asked = Vtn(vtn.base, Version(vtn.version), Credentials("us", SECRET), policy)
    return OpenAdrVen(asked, TERMS, clock)


def answer(request: ReportRequest, **figures: Any) -> Report:
    """Answer with the same figures everywhere."""
    told = [
        SiteFigures(site, window, **figures)
        for site in request.sites
        for window in request.intervals
    ]
    return Report(request, tuple(told))


def payloads(report: dict[str, Any], resource: int = 0) -> list[dict[str, list[Any]]]:
    """Return what each interval of a resource says."""
    intervals = report["resources"][resource]["intervals"]
    return [{it["type"]: it["values"] for it in interval["payloads"]} for interval in intervals]


async def the_one(ven: OpenAdrVen, vtn: TestVtn, *asked: dict[str, Any]) -> ReportRequest:
    """Have one event of two hours ask for ``asked``; return the report that is due."""
    vtn.events = [event("a", limit(1, 3), limit(2, 7), **ONE, reportDescriptors=list(asked))]
    await ven.events()
    (request,) = ven.reports_due()
    return request


async def test_one_report_of_all_sites_and_intervals_is_sent_at_the_end(
    vtn: TestVtn, ven: OpenAdrVen, clock: Clock
) -> None:
    """With the event's own numbers of intervals, in the units said; the same replaces it."""
    clock.at = NOON + 3 * HOUR
    request = await the_one(ven, vtn, {"payloadType": "USAGE"}, {"payloadType": "DEMAND"})
    assert request.due_at == NOON + 3 * HOUR
    assert request.measures == {Measure.POWER}
    for kw in (10.0, 30.0):
        await ven.report(answer(request, import_kw=kw, is_measured=True))
    (report,) = vtn.kept["reports"]
    assert (report["eventID"], report["clientName"]) == ("a", "gridtide")
    assert [one["resourceName"] for one in report["resources"]] == ["N1", "S1"]
    intervals = report["resources"][0]["intervals"]
    assert [one["id"] for one in intervals] == [3, 7]
    assert intervals[1]["intervalPeriod"] == {
        "start": "2026-06-15T14:00:00Z",
        "duration": "PT3600S",
    }
    assert payloads(report) == [{"USAGE": [30.0], "DEMAND": [30.0], "DATA_QUALITY": ["OK"]}] * 2
    units = {one["payloadType"]: one["units"] for one in report["payloadDescriptors"]}
    assert units == {"USAGE": "KWH", "DEMAND": "KW"}


async def test_a_report_has_the_same_name_in_every_process_and_another_when_more_is_asked(
    vtn: TestVtn, ven: OpenAdrVen, clock: Clock
) -> None:
    """So nothing is sent twice, and nothing that is new is taken for sent."""
    clock.at = NOON + 3 * HOUR
    first = await the_one(ven, vtn, {"payloadType": "USAGE"})
    again = await the_one(ven_by(vtn, clock), vtn, {"payloadType": "USAGE"})
    more = await the_one(ven, vtn, {"payloadType": "USAGE"}, {"payloadType": "DEMAND"})
    assert first == again
    assert more.name != first.name


FIGURES: dict[str, Any] = {
    "import_kw": 20.0,
    "peak_kw": 25.0,
    "planned_kw": 22.0,
    "baseline_kw": 50.0,
    "limit_kw": 40.0,
    "stored_kwh": 30.0,
    "storage_kwh": 120.0,
    "charge_max_kw": 60.0,
    "discharge_max_kw": 50.0,
    "shed_kw": 7.0,
    "more_discharge_kw": 5.0,
    "more_charge_kw": 3.0,
}


@pytest.mark.parametrize(
    ("asked", "value"),
    [
        ({"payloadType": "USAGE"}, 20.0),
        ({"payloadType": "USAGE", "units": "WH"}, 20_000.0),
        ({"payloadType": "DEMAND", "readingType": "MEAN", "units": "MW"}, 0.02),
        ({"payloadType": "DEMAND", "readingType": "PEAK"}, 25.0),
        ({"payloadType": "DEMAND", "readingType": "FORECAST"}, 22.0),
        ({"payloadType": "USAGE_FORECAST"}, 22.0),
        ({"payloadType": "BASELINE"}, 50.0),
        ({"payloadType": "OPERATING_STATE"}, "RUNNING_CURTAILED"),
        ({"payloadType": "STORAGE_CHARGE_LEVEL"}, 25.0),
        ({"payloadType": "STORAGE_USABLE_CAPACITY"}, 120.0),
        ({"payloadType": "STORAGE_MAX_CHARGE_POWER"}, 60.0),
        ({"payloadType": "STORAGE_MAX_DISCHARGE_POWER"}, 50.0),
        ({"payloadType": "LOAD_SHED_DELTA_AVAILABLE"}, 7.0),
        ({"payloadType": "UP_REGULATION_AVAILABLE"}, 12.0),
        ({"payloadType": "DOWN_REGULATION_AVAILABLE"}, 3.0),
    ],
)
def test_each_type_is_told_in_its_unit(asked: dict[str, Any], value: object) -> None:
    """Where it is not known it is left out, and that is said."""
    told = told_as(WireReport.model_validate(asked))
    for figures, expected in (
        (FIGURES, {told.name: [value], "DATA_QUALITY": ["ESTIMATED"]}),
        ({}, {"DATA_QUALITY": ["MISSING"]}),
    ):
        report = answer(REQUEST, **figures)
        body = report_body(Header("a", None, "us", False), [told], [], report, {"north": "N1"})
        assert payloads(body) == [expected]
        (described,) = body["payloadDescriptors"]
        assert described.get("units") == (None if isinstance(value, str) else told.unit)


@pytest.mark.parametrize(
    ("import_kw", "limit_kw", "state"),
    [
        (20.0, 40.0, "RUNNING_CURTAILED"),
        (0.0, 40.0, "IDLE_CURTAILED"),
        (40.1, 40.0, "RUNNING_OPTED_OUT"),
        (40.1, None, "NORMAL"),
    ],
)
def test_the_state_is_whether_a_site_keeps_to_its_level(
    import_kw: float, limit_kw: float | None, state: str
) -> None:
    """Where none was called it is as ever."""
    told = told_as(WireReport.model_validate({"payloadType": "OPERATING_STATE"}))
    figures = SiteFigures("north", REQUEST.intervals[0], import_kw, limit_kw=limit_kw)
    assert told.kind.value(figures) == state


async def test_two_readings_of_one_type_are_two_reports(
    vtn: TestVtn, ven: OpenAdrVen, clock: Clock
) -> None:
    """In one nobody could tell them apart."""
    clock.at = NOON + 3 * HOUR
    asked = [{"payloadType": "DEMAND", "readingType": name} for name in ("MEAN", "PEAK")]
    vtn.events = [event("a", limit(1, 3), limit(2, 7), **ONE, reportDescriptors=asked)]
    await ven.events()
    for request in ven.reports_due():
        await ven.report(answer(request, **FIGURES))
    told = [payloads(report)[0]["DEMAND"] for report in vtn.kept["reports"]]
    assert sorted(told) == [[20.0], [25.0]]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"payloadType": "FANCY"}, "is not told here"),
        ({"payloadType": "IMPORT_RESERVATION_FEE"}, "is not told here"),
        ({"payloadType": "DEMAND", "readingType": "MEDIAN"}, "readingType 'MEDIAN', must be"),
        ({"payloadType": "USAGE", "units": "KW"}, "units 'KW', must be one of KWH, WH, MWH"),
    ],
)
def test_what_cannot_be_told_is_refused(asked: dict[str, Any], reason: str) -> None:
    """With the value and what it must be."""
    with pytest.raises(ValueError, match=reason):
        told_as(WireReport.model_validate(asked))


async def test_what_cannot_be_told_is_named_and_the_rest_is_told(
    vtn: TestVtn, ven: OpenAdrVen, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log at once, and with the report that it is not in."""
    clock.at = NOON + 3 * HOUR
    with caplog.at_level(logging.WARNING):
        request = await the_one(ven, vtn, {"payloadType": "BASELINE"}, {"payloadType": "FANCY"})
    assert request.asked == ("BASELINE",)
    assert request.refused == (("FANCY", "is not told here"),)
    assert any("FANCY" in line.getMessage() for line in caplog.records)


async def test_reports_come_as_often_as_the_descriptor_says(
    vtn: TestVtn, ven: OpenAdrVen, clock: Clock
) -> None:
    """A forecast before the event at once, and what was drawn after each interval."""
    hourly = {"startInterval": 1, "numIntervals": 1, "repeat": -1}
    asked = [
        {"payloadType": "DEMAND", "historical": False},
        {"payloadType": "USAGE"} | hourly,
        {"payloadType": "DEMAND"} | hourly,
    ]
    vtn.events = [event("a", limit(1), limit(2, 7), **ONE, reportDescriptors=asked)]
    await ven.events()
    (forecast,) = ven.reports_due()
    assert (forecast.measures, len(forecast.intervals)) == ({Measure.FORECAST}, 2)
    clock.at = NOON + 2 * HOUR
    _, first = ven.reports_due()
    assert (first.asked, first.due_at) == (("USAGE", "DEMAND"), clock.at)
    assert [one.start for one in first.intervals] == [NOON + HOUR]
    clock.at = NOON + 3 * HOUR
    due = [one.due_at for one in ven.reports_due() if Measure.POWER in one.measures]
    assert due == [NOON + 2 * HOUR, NOON + 3 * HOUR]


async def test_an_event_that_asks_for_reports_only_calls_nothing(
    vtn: TestVtn, ven: OpenAdrVen, clock: Clock
) -> None:
    """Its intervals are implied: an hour each, until nobody asks any more."""
    asked = [{"payloadType": "USAGE", "repeat": -1}]
    vtn.events = [event("r", **ONE, reportDescriptors=asked)]
    clock.at = NOON + 4 * HOUR
    assert await ven.events() == ()
    due = ven.reports_due()
    assert [one.due_at for one in due] == [NOON + k * HOUR for k in (2, 3, 4)]
    await ven.report(answer(due[2], import_kw=1.0))
    (report,) = vtn.kept["reports"]
    assert report["resources"][0]["intervals"][0]["id"] == 2


async def test_sites_are_added_up_where_that_is_asked_for(
    vtn: TestVtn, ven: OpenAdrVen, clock: Clock
) -> None:
    """What one of them does not know is not known; peaks need not have been at once."""
    clock.at = NOON + 3 * HOUR
    more = {"aggregate": True, "numIntervals": 1}
    names = [{"payloadType": "DEMAND"} | more, {"payloadType": "STORAGE_CHARGE_LEVEL"} | more]
    request = await the_one(ven, vtn, *names)
    (window,) = request.intervals
    with_battery = SiteFigures("north", window, 10.0, stored_kwh=30.0, storage_kwh=120.0)
    await ven.report(Report(request, (with_battery, SiteFigures("south", window, 5.0))))
    (report,) = vtn.kept["reports"]
    assert [one["resourceName"] for one in report["resources"]] == ["AGGREGATED_REPORT"]
    whole = {"DEMAND": [15.0], "STORAGE_CHARGE_LEVEL": [25.0], "DATA_QUALITY": ["ESTIMATED"]}
    assert payloads(report) == [whole]
    await ven.report(Report(request, (with_battery, SiteFigures("south", window))))
    assert "DEMAND" not in payloads(vtn.kept["reports"][0])[0]


@pytest.mark.parametrize(
    ("limits_kw", "state"),
    [
        ((40.0, None), "RUNNING_OPTED_OUT"),  # 90 kW at a level of 40
        ((95.0, None), "RUNNING_CURTAILED"),
        ((40.0, 80.0), "RUNNING_CURTAILED"),  # 110 kW together at 120
        ((None, None), "NORMAL"),
    ],
)
def test_the_state_of_several_sites_is_by_the_levels_of_those_that_are_called(
    limits_kw: tuple[float | None, ...], state: str
) -> None:
    """Who is not called counts as called to what it draws: here 90 and 20 kW are drawn."""
    told = told_as(WireReport.model_validate({"payloadType": "OPERATING_STATE"}))
    (window,) = REQUEST.intervals
    figures = tuple(
        SiteFigures(site, window, kw, limit_kw=limit_kw)
        for site, kw, limit_kw in zip(("north", "south"), (90.0, 20.0), limits_kw, strict=True)
    )
    header = Header("a", None, "us", is_aggregate=True)
    body = report_body(header, [told], [], Report(REQUEST, figures), {})
    assert payloads(body)[0]["OPERATING_STATE"] == [state]


async def test_of_too_many_reports_the_earliest_are_left_out(
    vtn: TestVtn, ven: OpenAdrVen, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were sent already: of a day all are listed."""
    monkeypatch.setattr(module, "MOST_REPORTS", 2)
    asked = [{"payloadType": "USAGE", "repeat": -1}]
    vtn.events = [event("r", **ONE, reportDescriptors=asked)]
    clock.at = NOON + 4 * HOUR
    await ven.events()
    assert [one.due_at for one in ven.reports_due()] == [NOON + k * HOUR for k in (3, 4)]


async def test_an_event_that_is_listed_no_more_is_reported_if_it_was_over(
    vtn: TestVtn, ven: OpenAdrVen, clock: Clock
) -> None:
    """One that is deleted before its end was called off: of it nothing is due."""
    asked = [{"payloadType": "USAGE"}]
    vtn.events = [event("a", limit(1), **ONE, reportDescriptors=asked)]
    await ven.events()
    vtn.events = []
    clock.at = NOON + HOUR * 1.5
    await ven.events()
    clock.at = NOON + HOUR * 2
    assert ven.reports_due() == ()
    vtn.events = [event("b", limit(1), **ONE, reportDescriptors=asked)]
    await ven.events()
    vtn.events = []
    await ven.events()
    (request,) = ven.reports_due()
    await ven.report(answer(request, import_kw=1.0))
    assert [one["eventID"] for one in vtn.kept["reports"]] == ["b"]


async def test_intervals_may_be_told_in_parts_where_that_is_asked_for(
    vtn: TestVtn, ven: OpenAdrVen, clock: Clock
) -> None:
    """Each part with the number of the interval it is of."""
    if vtn.version == "3.0.1":
        pytest.skip("3.0.1 has no such word")
    clock.at = NOON + 3 * HOUR
    request = await the_one(ven, vtn, {"payloadType": "USAGE", "reportIntervals": "SUB_INTERVALS"})
    assert request.by_slot
    halves = [
        SiteFigures("north", replace(window, start=start, end=start + HOUR / 2), 4.0)
        for window in request.intervals
        for start in (window.start, window.start + HOUR / 2)
    ]
    await ven.report(Report(request, tuple(halves)))
    intervals = vtn.kept["reports"][0]["resources"][0]["intervals"]
    assert [one["id"] for one in intervals] == [3, 3, 7, 7]


async def test_nothing_is_reported_that_nobody_asked_for(
    vtn: TestVtn, ven: OpenAdrVen, clock: Clock
) -> None:
    """Nor of sites that an event is not for, nor of what nobody asks any more."""
    clock.at = NOON + 3 * HOUR
    vtn.events = [event("a", limit(1), **ONE)]
    await ven.events()
    assert ven.reports_due() == ()
    request = await the_one(ven, vtn, {"payloadType": "USAGE"})
    with pytest.raises(Rejected, match="another"):
        await ven.report(answer(replace(request, name="another"), import_kw=1.0))


async def test_a_schedule_that_cannot_be_kept_is_told_and_spoils_no_other(
    vtn: TestVtn, ven: OpenAdrVen, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """By the number of its event."""
    clock.at = NOON + 3 * HOUR
    good, bad = {"payloadType": "USAGE"}, {"payloadType": "USAGE", "numIntervals": 0}
    vtn.events = [
        event(name, limit(1), **ONE, reportDescriptors=[asked])
        for name, asked in (("bad", bad), ("good", good))
    ]
    await ven.events()
    with caplog.at_level(logging.WARNING):
        assert [one.event_id for one in ven.reports_due()] == ["good"]
    assert any("event bad: its reports" in line.getMessage() for line in caplog.records)
