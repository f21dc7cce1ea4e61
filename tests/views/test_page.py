"""The pages as HTML, without a browser."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from scheduler.services.plan_document import PlanDocument
from scheduler.views import PageActions, index_page, login_page, plan_page
from tests.views.sample import HOSTILE_NAME, INDEX_ROW, sample_document


@pytest.fixture(scope="module")
def doc() -> PlanDocument:
    """The sample plan."""
    return sample_document()


class _Tags(HTMLParser):
    """Collects every tag with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def test_page_is_one_file_that_fetches_nothing(doc: PlanDocument) -> None:
    """No address of another host, no linked style, script, font or picture."""
    html = plan_page(doc)
    tags = _Tags(html)
    assert not re.search(r"https?://", html)
    assert not [attributes for _, attributes in tags.tags if "src" in attributes]
    assert [link["href"] for link in tags.all("link")] == ["data:,"]


def test_names_of_jobs_are_escaped_everywhere(doc: PlanDocument) -> None:
    """A job named like a script is shown by its name and never runs."""
    html = plan_page(doc)
    assert HOSTILE_NAME not in html
    assert "&lt;script&gt;alert(" in html
    assert len(_Tags(html).all("script")) == 2


def test_every_drawing_and_field_has_a_name_for_screen_readers(doc: PlanDocument) -> None:
    """Charts carry a description with figures, inputs a label."""
    tags = _Tags(plan_page(doc, actions=PageActions("/approve", "/reject")))
    drawings = tags.all("svg")
    assert len(drawings) == 2 * 2 + 6 + 4  # strips of two sites, panels of berlin and of oregon
    assert all(drawing["role"] == "img" and drawing["aria-label"] for drawing in drawings)
    labelled = {label.get("for") for label in tags.all("label")}
    assert "note" in labelled


def test_decision_forms_appear_only_with_actions(doc: PlanDocument) -> None:
    """A plan on disk has nothing to approve; a proposed one posts where it is told to."""
    assert not _Tags(plan_page(doc)).all("form")
    actions = PageActions("/p/1/approve", "/p/1/reject")
    tags = _Tags(plan_page(doc, status="proposed", actions=actions))
    targets = [button["formaction"] for button in tags.all("button")]
    assert targets == ["/p/1/approve", "/p/1/reject"]


def test_bars_lie_where_the_job_runs(doc: PlanDocument) -> None:
    """Eight of thirty hours from the eighth on; both runs of the paused job are drawn."""
    html = plan_page(doc)
    assert 'class="run" style="left:26.667%;width:26.667%"' in html
    assert 'class="run" style="left:6.667%;width:13.333%"' in html
    assert 'class="run" style="left:36.667%;width:10.0%"' in html


def test_details_tell_point_gpus_power_cost_and_times_on_both_clocks(doc: PlanDocument) -> None:
    """What opens on a tap answers how, when and at what cost."""
    html = plan_page(doc)
    assert "Mon 5 Jul 10:00 to 18:00 CEST: a100x16, 16 GPUs of a100, 12.0 kW IT" in html
    assert "Mon 5 Jul 08:00 to 16:00 UTC: a100x16, 16 GPUs of a100, 12.0 kW IT" in html
    assert "8.53 EUR at grid price" in html
    assert "3.15 EUR at grid price (of it 0.20 EUR restarts)" in html


def test_every_placed_job_says_why_it_runs_there(doc: PlanDocument) -> None:
    """The reason names times on the site's clock; it is left out on request."""
    html = plan_page(doc)
    assert html.count('class="why"') == len(doc.plan.placements)
    assert "train-llm runs at berlin from Mon 5 Jul 10:00 CEST" in html
    assert 'class="why"' not in plan_page(doc, with_reasons=False)


def test_page_says_what_was_missed_and_why(doc: PlanDocument) -> None:
    """Violations, unserved and deferred jobs, and marks are on the page in words."""
    html = plan_page(doc)
    assert "worst by 1.09 kW" in html
    assert "needs 32 GPUs of berlin/a100 in one slot" in html
    assert "filled with the day before" in html


def test_index_lists_status_cost_carbon_gap_and_links() -> None:
    """An unproven gap is called so; missed obligations show in the list."""
    html = index_page([INDEX_ROW])
    for text in ('href="/plans/7"', "in force", "90.0", "−10.0\u00a0%", "+25.0\u00a0%", "unproven"):
        assert text in html
    assert "2 obligations missed" in html
    assert "There is no plan yet" in index_page([])


def test_login_page_shows_the_error_escaped_and_posts_the_key() -> None:
    """The key is typed into a password field and posted to the given address."""
    html = login_page("<no such key>", action="/enter")
    assert "&lt;no such key&gt;" in html
    tags = _Tags(html)
    assert tags.all("form") == [{"method": "post", "action": "/enter"}]
    assert tags.all("input")[0]["type"] == "password"
