"""The plan page in a real browser: headless Chromium, on a laptop and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from scheduler.views import (
    PageActions,
    index_page,
    login_page,
    plan_page,
    settlement_page,
)
from tests.browser.chromium import LAPTOP, PHONE, Watched, needs_chromium, opened_in, overflow_of
from tests.views.sample import HOSTILE_NAME, INDEX_ROW, sample_document
from tests.views.settlements import START, sample_report

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample plan as a file, with everything a page may show."""
    path = tmp_path_factory.mktemp("page") / "plan.html"
    actions = PageActions("/approve", "/reject")
    path.write_text(plan_page(sample_document(), status="proposed", actions=actions))
    return path


@pytest.fixture(params=[LAPTOP, PHONE], ids=["laptop", "phone"])
def opened(request: pytest.FixtureRequest, browser: Browser, html: Path) -> Iterator[Watched]:
    """The plan page, opened on a laptop and on a phone."""
    with opened_in(browser, html, request.param) as watched:
        yield watched


def test_page_works_without_network_and_without_complaint(opened: Watched, html: Path) -> None:
    """Nothing is fetched but the file itself, and the console stays empty."""
    assert opened.requests == [html.as_uri()]
    assert opened.complaints == []


def test_page_never_scrolls_sideways(opened: Watched) -> None:
    """Also with every row open; wide tables scroll within themselves."""
    assert overflow_of(opened.page) <= 0
    opened.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert overflow_of(opened.page) <= 0


def test_every_placed_job_has_a_visible_row_with_bars(opened: Watched) -> None:
    """Names are readable, bars have a size, and pauses show as two bars."""
    doc = sample_document()
    rows = opened.page.locator("details.job")
    assert rows.count() == len(doc.plan.placements)
    for position in range(rows.count()):
        row = rows.nth(position)
        assert row.locator(".name").is_visible()
        box = row.locator(".run").first.bounding_box()
        assert box is not None
        assert box["width"] >= 3
        assert box["height"] >= 8
    assert (
        opened.page.locator("details.job", has_text="finetune-pausable")
        .locator(".track > .run")
        .count()
        == 2
    )


def test_a_tap_opens_the_details_of_a_job(opened: Watched) -> None:
    """Point, GPUs, power and cost are a tap away."""
    row = opened.page.locator("details.job", has_text="train-llm").first
    facts = row.locator("dl")
    assert not facts.is_visible()
    if opened.page.evaluate("navigator.maxTouchPoints") > 0:
        row.locator("summary").tap()
    else:
        row.locator("summary").click()
    assert facts.is_visible()
    text = facts.inner_text()
    for words in ("16 GPUs of a100", "12.0 kW IT", "EUR at grid price", "kg at grid intensity"):
        assert words in text


def test_times_change_to_utc_on_demand(opened: Watched) -> None:
    """One switch turns every time on the page from the site's clock to UTC."""
    head = opened.page.locator(".site-jobs summary").first
    assert "Europe/Berlin (CEST)" in head.inner_text()
    opened.page.locator("#utc").check()
    assert "times in UTC" in head.inner_text()
    assert "CEST" not in opened.page.locator(".readout").first.inner_text()


def test_pointing_at_a_chart_tells_the_figures_of_that_slot(opened: Watched) -> None:
    """The readout follows the pointer and the arrow keys."""
    readout = opened.page.locator(".readout").first
    assert "Mon 5 Jul 02:00 CEST" in readout.inner_text()
    area = opened.page.locator(".plots .area").first
    box = area.bounding_box()
    assert box is not None
    area.hover(position={"x": box["width"] * 10.5 / 30, "y": box["height"] / 2})
    assert "Mon 5 Jul 12:00 CEST" in readout.inner_text()
    opened.page.locator(".plots").first.focus()
    opened.page.keyboard.press("ArrowRight")
    assert "Mon 5 Jul 13:00 CEST" in readout.inner_text()
    assert opened.page.locator(".cursor").first.is_visible()


def test_search_leaves_the_jobs_that_match(opened: Watched) -> None:
    """A user finds a job among many by part of its name."""
    opened.page.locator("#find").fill("LLM")
    names = opened.page.locator("details.job:visible .name")
    assert names.all_inner_texts() == ["train-llm"]


def test_a_hostile_name_is_shown_and_not_run(opened: Watched) -> None:
    """The dialog the name asks for never appears."""
    assert opened.page.get_by_text(HOSTILE_NAME, exact=True).first.is_visible()
    assert opened.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_background(browser: Browser, html: Path, scheme: str) -> None:
    """Ordinary and muted text reach a contrast of 4.5 in both colour schemes."""
    with opened_in(browser, html, LAPTOP, scheme) as watched:
        contrasts = watched.page.evaluate(CONTRASTS)
        assert contrasts
        assert {name: ratio for name, ratio in contrasts.items() if ratio < 4.5} == {}


def test_the_list_and_the_sign_in_fit_a_phone(browser: Browser, tmp_path: Path) -> None:
    """The other two pages keep to the width of a phone as well."""
    for name, text in (("index", index_page([INDEX_ROW])), ("login", login_page("no such key"))):
        path = tmp_path / f"{name}.html"
        path.write_text(text)
        with opened_in(browser, path, PHONE) as watched:
            assert overflow_of(watched.page) <= 0
            assert watched.complaints == []


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_a_settlement_shows_its_curve_and_fits_the_screen(
    browser: Browser, tmp_path: Path, size: tuple[int, int]
) -> None:
    """Called, planned, drawn and baseline are lines that can be seen; the clock can be changed."""
    path = tmp_path / "settlement.html"
    path.write_text(settlement_page(sample_report(), [(0, START)], 0, {}))
    with opened_in(browser, path, size) as watched:
        page = watched.page
        for css in ("limit", "capacity", "load", "floor"):
            box = page.locator(f"path.line.{css}").bounding_box()
            assert box is not None
            assert box["width"] > 50
        assert page.locator(".legend > span").count() == 4
        assert page.get_by_text("16:00", exact=True).first.is_visible()
        page.locator("#utc").check()
        assert page.get_by_text("14:00", exact=True).first.is_visible()
        assert overflow_of(page) <= 0
        assert watched.complaints == []
        assert watched.requests == [path.as_uri()]


CONTRASTS = """() => {
  const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const luminance = (name) => {
    probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    probe.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => {
      const s = v / 255;
      return s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratios = {};
  for (const text of ["--text", "--muted", "--good", "--bad", "--warn", "--accent"]) {
    for (const ground of ["--card", "--page"]) {
      const [a, b] = [luminance(text), luminance(ground)].sort((x, y) => y - x);
      ratios[`${text} on ${ground}`] = (a + 0.05) / (b + 0.05);
    }
  }
  return ratios;
}"""
