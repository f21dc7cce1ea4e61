"""Two plans side by side."""

from __future__ import annotations

from dataclasses import replace

from optimizer import Placement, Run, Rung
from scheduler.services.plan_document import PlanDocument
from scheduler.views import compare
from tests.views.sample import PLACEMENTS, plan_of, sample_document


def _with(doc: PlanDocument, placements: tuple[Placement, ...]) -> PlanDocument:
    plan = plan_of(placements, Rung.BEST_FOUND, uses_battery=True, bound_share=None)
    return doc.model_copy(update={"plan": plan})


def test_moved_appeared_and_left_jobs_are_told_apart() -> None:
    """One job starts two hours later, one is gone, one is new; the rest is unchanged."""
    first = sample_document()
    llm, *rest, last = PLACEMENTS
    later = replace(llm, runs=(Run("berlin/a100x16", 10, 18),))
    second = _with(first, (later, *rest))
    changes = {change.job: change for change in compare(first, second).changes}
    assert set(changes) == {"train-llm", last.job}
    assert changes["train-llm"].kind == "moved"
    assert changes["train-llm"].shift_hours == 2
    assert changes[last.job].kind == "left"
    assert compare(second, first).changes[-1].kind == "appeared"
    assert compare(first, second).unchanged_jobs == len(PLACEMENTS) - 2


def test_a_changed_course_counts_as_moved_even_with_the_same_start() -> None:
    """A job that now pauses has moved, though it starts when it did."""
    first = sample_document()
    llm, pausable, *rest = PLACEMENTS
    runs = (Run("berlin/a100x8", 2, 6), Run("berlin/a100x8", 12, 15))
    second = _with(first, (llm, replace(pausable, runs=runs), *rest))
    (change,) = compare(first, second).changes
    assert (change.job, change.kind, change.shift_hours) == ("finetune-pausable", "moved", 0)


def test_windows_may_differ() -> None:
    """The same instants in a window that begins an hour earlier are no change."""
    first = sample_document()
    window = replace(first.window, start=first.window.instant(-1))
    shifted = first.model_copy(update={"window": window})
    assert all(change.shift_hours == -1 for change in compare(first, shifted).changes)


def test_totals_are_those_of_the_two_plans() -> None:
    """The second plan stands beside the first, and the text says so."""
    first = sample_document()
    second = _with(first, PLACEMENTS[:3])
    comparison = compare(first, second)
    cost = next(figure for figure in comparison.figures if figure.key == "money_eur")
    assert (cost.plan, cost.other) == (
        second.plan.terms.money_eur,
        first.plan.terms.money_eur,
    )
    assert "second" in comparison.text()
    assert "3 jobs run as before." in comparison.text()
