"""Axes, panels and the chart."""

from __future__ import annotations

import struct
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from scheduler.services.window import PlanWindow
from scheduler.views import chart
from scheduler.views.axis import time_ticks, value_ticks
from scheduler.views.panels import heat_strip, site_panels
from scheduler.views.series import site_series
from scheduler.views.wording import number, percent, span, when
from tests.views.sample import sample_document


def test_time_ticks_are_round_hours_of_the_sites_clock_across_a_clock_change() -> None:
    """On the night clocks go back, two local hours are one label further apart."""
    window = PlanWindow(datetime(2021, 10, 30, 22, tzinfo=UTC), 60, 25)
    ticks = time_ticks(window, "Europe/Berlin")
    assert [tick.label for tick in ticks[:4]] == ["Sun 31", "02:00", "02:00", "04:00"]
    assert ticks[1].at_percent == pytest.approx(100 * 2 / 25)


@pytest.mark.parametrize(
    ("zone", "start", "days"),
    [
        ("America/Santiago", datetime(2026, 9, 5, 4, tzinfo=UTC), ["Sat 5", "Sun 6", "Mon 7"]),
        ("America/Havana", datetime(2026, 10, 31, 4, tzinfo=UTC), ["Sat 31", "Sun 1", "Mon 2"]),
    ],
    ids=["midnight is skipped", "midnight comes twice"],
)
def test_every_day_has_one_label_where_clocks_change_at_midnight(
    zone: str, start: datetime, days: list[str]
) -> None:
    """By the hour and by the day; a day without midnight begins at 01:00."""
    for most in (13, 3):
        ticks = time_ticks(PlanWindow(start, 60, 71), zone, most=most)
        assert [tick.label for tick in ticks if " " in tick.label] == days


def test_time_ticks_fall_on_full_hours_where_the_offset_is_a_half() -> None:
    """In Kolkata slots of an hour begin at half past; the labels do not."""
    window = PlanWindow(datetime(2021, 7, 5, tzinfo=UTC), 60, 12)
    ticks = time_ticks(window, "Asia/Kolkata")
    assert ticks[0].label == "06:00"
    assert ticks[0].at_percent == pytest.approx(100 * 0.5 / 12)


def test_time_ticks_stay_few_over_a_month() -> None:
    """A long window is labelled by days."""
    window = PlanWindow(datetime(2021, 7, 1, tzinfo=UTC), 60, 24 * 31)
    ticks = time_ticks(window, "UTC")
    assert 4 <= len(ticks) <= 13
    assert ticks[0].label == "Thu 1"


@pytest.mark.parametrize(("low", "high"), [(0, 0), (-12, 55), (0, 0.03), (3, 4), (0, 12345)])
def test_value_ticks_enclose_the_values(low: float, high: float) -> None:
    """No line ever leaves its panel."""
    ticks = value_ticks(low, high)
    assert ticks[0] <= low + 1e-9
    assert ticks[-1] >= high - 1e-9
    assert 2 <= len(ticks) <= 8


def test_panels_show_what_the_site_has() -> None:
    """Only berlin has a battery; the legend names only sources that occur."""
    doc = sample_document()
    berlin, oregon = (site_panels(one) for one in site_series(doc.problem, doc.plan))
    assert [panel.title for panel in oregon] == [
        "Power by source, and load",
        "Price with network fee",
        "Carbon intensity",
        "GPUs in use, a100",
    ]
    assert "Battery charge, of 60" in [panel.title for panel in berlin]
    assert [key.label for key in berlin[0].keys] == [
        "Solar and wind",
        "Battery discharge",
        "Grid import",
        "Battery charge",
        "Load with PUE",
        "Import limit of a grid event",
    ]
    assert "M17" in next(shape.path for shape in berlin[0].shapes if "limit" in shape.css)


def test_heat_strip_covers_the_window_without_gaps() -> None:
    """Neighbours of one shade are one cell; cells follow each other to the end."""
    cells = heat_strip([1, 1, 9, 9, 5], "price")
    assert [cell.path for cell in cells] == [
        "M0 0 H2 V100 H0 Z",
        "M2 0 H4 V100 H2 Z",
        "M4 0 H5 V100 H4 Z",
    ]
    assert [cell.css for cell in cells] == ["price shade0", "price shade9", "price shade4"]
    assert len(heat_strip([7, 7], "price")) == 1


def test_chart_is_a_picture_with_units_and_the_kind_of_carbon() -> None:
    """The SVG keeps its text as text; the PNG is wide enough for two sites."""
    doc = sample_document()
    svg = chart(doc, "svg").decode()
    for text in ("power [kW]", "[EUR/MWh]", "[g/kWh]", "[kWh]", "location-based average", "berlin"):
        assert text in svg
    png = chart(doc, "png")
    assert png.startswith(b"\x89PNG")
    assert struct.unpack(">I", png[16:20])[0] > 1200


def test_chart_is_the_same_from_many_threads() -> None:
    """The API draws in a thread pool: no state is shared, equal plans give equal files."""
    doc = sample_document()
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda _: chart(doc, "svg"), range(4)))
    assert len(set(drawn)) == 1


def test_numbers_have_thousands_a_true_minus_and_no_negative_zero() -> None:
    """What is shown reads the same in a table and a sentence."""
    assert number(-12345.6, 1) == "−12\u202f345.6"
    assert number(-0.001, 2) == "0.00"
    assert percent(5, 0) == "–"
    assert percent(-5, 50) == "−10.0\u00a0%"


def test_spans_name_the_day_once_but_both_zones_across_a_clock_change() -> None:
    """02:00 CEST to 02:00 CET is an hour, and must not read as none."""
    start = datetime(2021, 10, 31, 0, tzinfo=UTC)
    end = datetime(2021, 10, 31, 1, tzinfo=UTC)
    assert when(start, "Europe/Berlin").local == "Sun 31 Oct 02:00 CEST"
    assert span(start, end, "Europe/Berlin").utc == "Sun 31 Oct 00:00 to 01:00 UTC"
    assert "to Sun 31 Oct 02:00 CET" in span(start, end, "Europe/Berlin").local
