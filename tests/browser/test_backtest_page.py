"""The page of a backtest in a real browser: fits the screen, and a day can be stepped through."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from scheduler.sweep.cases import cases_of
from scheduler.sweep.collecting import results_of
from scheduler.sweep.days import shown_days
from scheduler.sweep.inputs import read_inputs
from scheduler.sweep.playing import play_case
from scheduler.sweep.summing_up import summed_up
from scheduler.views.backtest_page import Backtest, backtest_page
from tests.browser.chromium import LAPTOP, PHONE, needs_chromium, opened_in, overflow_of
from tests.sweep.files import CONFIG, write_backtest

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a small backtest that was played."""
    folder = tmp_path_factory.mktemp("backtest")
    plain = CONFIG.replace("seeds = [1, 2]", "seeds = [1]").replace('"rolling"', '"lowest_window"')
    inputs = read_inputs(write_backtest(folder, plain))
    cases = cases_of(inputs, folder)
    for case in cases:
        play_case(lambda _: None, inputs, case)
    results = results_of(cases)
    lines = summed_up(inputs.spec, cases, results)
    page = Backtest(inputs.spec, lines, results, *shown_days(inputs.spec, cases, results), 0)
    path = folder / "report.html"
    path.write_text(backtest_page(page), encoding="utf-8")
    return path


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_it_is_one_file_that_fits_and_steps_through_a_day(
    browser: Browser, html: Path, size: tuple[int, int]
) -> None:
    """Nothing else is fetched, nothing is complained of; On moves time, figures and the cursor."""
    with opened_in(browser, html, size) as watched:
        page = watched.page
        for heading in ("Saving against delay", "Utilisation", "Forecast quality"):
            assert page.get_by_role("heading", name=heading).is_visible()
        assert page.locator(".dot").count() == 2 * 2
        assert page.locator("#time").inner_text() == "Mon 5 Jul 00:00 UTC"
        cursor = page.locator(".day:not([hidden]) .cursor").first
        before = cursor.bounding_box()
        for _ in range(3):
            page.locator("#on").click()
        assert page.locator("#time").inner_text() == "Mon 5 Jul 03:00 UTC"
        after = cursor.bounding_box()
        assert before is not None
        assert after is not None
        assert after["x"] > before["x"]
        assert "a (" in page.locator("#jobs").inner_text()
        page.locator("#choose-policy").select_option("lowest_window")
        shown = page.locator(".day:not([hidden])")
        assert shown.count() == 1
        assert shown.get_attribute("data-policy") == "lowest_window"
        page.locator("#back").click()
        assert page.locator("#time").inner_text() == "Mon 5 Jul 02:00 UTC"
        assert overflow_of(page) <= 0
        assert watched.complaints == []
        assert watched.requests == [html.as_uri()]
