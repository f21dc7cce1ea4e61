"""Why a job stands where it stands in a plan, with times on a clock instead of slots."""

from __future__ import annotations

from optimizer import Alternative, Explainer, Explanation, explain
from scheduler.services.plan_document import PlanDocument
from scheduler.views.summary import render, text_table
from scheduler.views.wording import signed, when


def explain_job(doc: PlanDocument, job: str, zone: str) -> Explanation:
    """Explain one job of the plan; its sentences name times on the clock of ``zone``."""

    def name_slot(slot: int) -> str:
        return when(doc.window.instant(slot), zone).local

    return explain(doc.problem, doc.plan, job, name_slot)


def reasons(doc: PlanDocument) -> dict[str, tuple[str, str]]:
    """Why each placed job runs where it does: on the clock of its site, and in UTC."""
    explainer = Explainer.of(doc.problem, doc.plan)

    def reason(job: str, zone: str) -> str:
        told = explainer.explain(job, lambda slot: when(doc.window.instant(slot), zone).local)
        return told.reason

    return {
        placed.job: (
            reason(placed.job, doc.fleet.site(placed.site).time_zone),
            reason(placed.job, "UTC"),
        )
        for placed in doc.plan.placements
    }


def explanation_text(doc: PlanDocument, explanation: Explanation, zone: str) -> str:
    """Write the reason and the alternatives as a readable table."""
    rows = [_row(doc, other, zone) for other in explanation.alternatives]
    columns = ("instead", "start", "EUR", "kg CO\u2082e", "stands against it")
    table = text_table(
        "Alternatives (EUR and kg beyond the plan's)", columns, rows, words=(0, 1, 4)
    )
    return render([explanation.reason, "", table if rows else "There is no other way to run it."])


def _row(doc: PlanDocument, other: Alternative, zone: str) -> tuple[str, ...]:
    start = "\u2013"
    if other.start_slot is not None:
        start = when(doc.window.instant(other.start_slot), zone).local
    return (
        f"{other.what} ({other.point})",
        start,
        "\u2013" if other.extra_eur is None else signed(other.extra_eur, 2),
        "\u2013" if other.extra_kg is None else signed(other.extra_kg, 1),
        "; ".join(other.blocked_by) or "nothing",
    )
