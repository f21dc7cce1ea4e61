"""What the text of a plan says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scheduler.services.plan_document import PlanDocument
from scheduler.views import plan_page, summary_text
from scheduler.views.peaks import peak_rows
from scheduler.views.totals import objective_terms, totals
from tests.views.sample import HOSTILE_NAME, sample_document


@pytest.fixture(scope="module")
def doc() -> PlanDocument:
    """The sample plan."""
    return sample_document()


def test_totals_stand_beside_run_now_with_difference_and_share(doc: PlanDocument) -> None:
    """A reader sees both plans, what lies between them, and in what unit."""
    cost = next(figure for figure in totals(doc) if figure.key == "money_eur")
    line = next(line for line in summary_text(doc).splitlines() if line.strip().startswith("Cost"))
    assert cost.plan == pytest.approx(doc.plan.terms.money_eur)
    assert cost.other == pytest.approx(doc.baseline.terms.money_eur)
    assert line.split() == ["Cost", "82.3", "98.8", "−16.5", "−16.7", "%", "EUR"]


def test_weighted_terms_add_up_to_the_objective(doc: PlanDocument) -> None:
    """No term of the objective is missing from the table, and none is counted twice."""
    weighted = sum(term.weighted_eur for term in objective_terms(doc))
    assert weighted == pytest.approx(doc.plan.objective)


def test_every_peak_that_is_billed_is_set_out(doc: PlanDocument) -> None:
    """What was billed before, what is after it, and what the rise costs: all of the term."""
    (row,) = peak_rows(doc)
    assert (row.site, row.name, row.before_kw, row.charge_eur_per_kw) == ("berlin", "peak", 40, 3)
    assert row.plan_eur == pytest.approx(doc.plan.terms.peak_eur)
    line = next(line for line in summary_text(doc).splitlines() if "berlin   peak" in line)
    expected = [f"{value:.2f}" for value in row.figures()]
    assert line.split() == ["berlin", "peak", *expected]
    assert "Peaks that are billed" in plan_page(doc)


def test_violations_say_what_where_when_by_how_much_and_at_what_price(doc: PlanDocument) -> None:
    """An obligation that is missed is named with local and UTC time and its penalty."""
    text = " ".join(summary_text(doc).split())
    assert "capacity limit dr-7: import above the agreed limit in 1 slot, worst by 1.09 kW" in text
    assert "at Mon 5 Jul 19:00 CEST (Mon 5 Jul 17:00 UTC), limit 24.0 kW; penalty 5.44 EUR" in text


def test_jobs_left_out_are_named_with_their_reason(doc: PlanDocument) -> None:
    """Nothing is dropped silently: unserved and deferred jobs are told apart."""
    text = summary_text(doc)
    assert "too-big is not served: needs 32 GPUs of berlin/a100" in text
    assert "can-wait is deferred past the window" in text


def test_marks_and_carbon_intensity_are_stated(doc: PlanDocument) -> None:
    """A filled input and the kind of carbon intensity are on the first page."""
    text = summary_text(doc)
    assert "3 hours from 2021-07-06T02:00Z filled with the day before" in text
    assert "location-based average intensity" in text


def test_a_plan_without_a_bound_says_that_nothing_is_proven(doc: PlanDocument) -> None:
    """A gap is never made up."""
    unproven = doc.model_copy(update={"plan": replace(doc.plan, bound=None)})
    assert "at most 0.40 % above the best possible" in summary_text(doc)
    assert "nothing is proven" in summary_text(unproven)


def test_every_line_fits_a_terminal(doc: PlanDocument) -> None:
    """Tables keep to 100 columns, so they do not break in a terminal or the API's docs."""
    assert max(len(line) for line in summary_text(doc).splitlines()) <= 100


def test_names_are_text_and_not_markup(doc: PlanDocument) -> None:
    """A job called like a style of the table library is printed as it is called."""
    left = (replace(doc.plan.unserved[0], job="[bold]x[/bold]"), doc.plan.unserved[1])
    renamed = doc.model_copy(update={"plan": replace(doc.plan, unserved=left)})
    assert "[bold]x[/bold] is not served" in summary_text(renamed)
    assert HOSTILE_NAME not in summary_text(doc)  # the summary lists only what is left out
