"""The page of a settled event: its curve and its figures."""

from __future__ import annotations

import re
from dataclasses import replace

from scheduler.views import events_page, settlement_page
from tests.views.settlements import HOSTILE, START, sample_report


def drawn(css: str) -> str:
    """The path of one curve."""
    page = settlement_page(sample_report(), [(0, START)], 0, {})
    found = re.search(rf'<path class="line {css}" d="([^"]*)"', page)
    assert found is not None
    return found.group(1)


def test_a_curve_is_broken_where_it_is_not_known() -> None:
    """Drawn in one piece until 45 minutes into the event, and in another from 60 minutes on."""
    assert drawn("load").count("M") == 2
    assert drawn("load").split("M")[2].startswith("120 ")
    assert drawn("capacity").count("M") == 1
    assert drawn("floor").startswith("M60 ")


def test_the_called_level_is_drawn_from_the_end_of_the_ramp_to_the_end() -> None:
    """In minutes from an hour before the event."""
    assert re.fullmatch(r"M75 [\d.]+ H180", drawn("limit"))


def test_figures_are_told_with_their_units_and_what_is_missing_is_said() -> None:
    """What users wrote is text."""
    report = sample_report()
    page = settlement_page(report, [(1, START), (0, START)], 1, {})
    assert report.result.payment_eur is not None
    assert f"{report.result.payment_eur:.2f} <small>EUR</small>" in page
    assert "Not all of it is known" in page
    assert "88 <small>%</small>" in page
    assert '<a href="?revision=0">' in page
    assert HOSTILE not in page
    assert "moved by +3.2 kW" in page


def test_an_event_of_which_nothing_is_known_has_a_page() -> None:
    """It says so, and draws the level alone."""
    report = sample_report()
    bare = [
        replace(one, interval=replace(one.interval, metered_kw=None, baseline_kw=None))
        for one in report.intervals
    ]
    page = settlement_page(replace(report, intervals=tuple(bare), around=()), [(0, START)], 0, {})
    assert "what was drawn is not known" in page


def test_without_an_event_the_list_says_so() -> None:
    """An empty table says nothing."""
    assert "Nobody has called yet" in events_page([], [], {})
