"""The pages people open: a plan, the list of plans, and the sign-in.

Each is one HTML file with its style and script inside and nothing fetched from elsewhere. Whatever
users wrote (names of jobs, notes) is escaped by the templates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from optimizer import Plan
from scheduler.services.plan_document import PlanDocument
from scheduler.views.gantt import gantt
from scheduler.views.inputs import INPUT_COLUMNS, age_words, input_slots
from scheduler.views.notices import proof_words, violation_notices
from scheduler.views.outlook import outlook_notices
from scheduler.views.panels import site_panels
from scheduler.views.peaks import PEAK_COLUMNS, peak_rows
from scheduler.views.readout import readouts
from scheduler.views.series import site_series, site_totals
from scheduler.views.totals import Figure, objective_terms, totals
from scheduler.views.wording import (
    RUNG_WORDS,
    digits_for,
    hours,
    number,
    percent,
    plural,
    signed,
    when,
)

_environment = Environment(
    loader=PackageLoader("scheduler.views"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {
    "number": number,
    "signed": signed,
    "amount": lambda value: number(value, digits_for(value)) if value else "\u2013",
    "hours": hours,
}
_environment.globals |= {
    "percent": percent,
    "plural": plural,
    "input_columns": INPUT_COLUMNS,
    "input_slots": input_slots,
    "age_words": age_words,
}

_HEADLINE_KEYS = ("money_eur", "carbon_kg", "highest_import_kw", "import_kwh", "served")


@dataclass(frozen=True, slots=True)
class PageActions:
    """Where the page posts a decision with its ``note``, for a plan that waits for one."""

    approve_url: str
    reject_url: str


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One plan in the list. ``status`` is a ``PlanStatus`` value."""

    url: str
    status: str
    created_at: datetime
    window_start: datetime
    window_end: datetime
    rung: str
    gap: float | None
    money_eur: float
    baseline_money_eur: float
    carbon_kg: float
    baseline_carbon_kg: float
    n_violations: int
    n_marks: int


def plan_page(
    doc: PlanDocument,
    *,
    title: str | None = None,
    status: str | None = None,
    note: str = "",
    actions: PageActions | None = None,
    links: Mapping[str, str] | None = None,
    with_reasons: bool = True,
) -> str:
    """Draw a plan.

    Parameters
    ----------
    status
        A ``PlanStatus`` value to show; ``None`` for a plan on disk.
    note
        Who decided when, and what they said.
    actions
        Shows forms to approve and reject.
    links
        Addresses by label, for example back to the list or to download.
    with_reasons
        Say of every job why it runs where it does; takes some 20 ms per job.
    """
    series = site_series(doc.problem, doc.plan)
    figures = totals(doc)
    return render_page(
        "plan.html",
        title=title or f"Plan of {doc.fleet.name}",
        doc=doc,
        plan=doc.plan,
        start=when(doc.window.start, "UTC"),
        end=when(doc.window.end, "UTC"),
        created=when(doc.created_at, "UTC"),
        verdict=_verdict(doc, figures),
        rung_words=RUNG_WORDS[doc.plan.rung.value],
        proof=proof_words(doc.plan),
        gap=_gap_words(doc.plan),
        headlines=[figure for figure in figures if figure.key in _HEADLINE_KEYS],
        figures=[figure for figure in figures if figure.plan or figure.other],
        terms=[term for term in objective_terms(doc) if term.plan or term.baseline],
        peaks=peak_rows(doc),
        peak_columns=PEAK_COLUMNS,
        violations=violation_notices(doc),
        futures=outlook_notices(doc),
        left_out=sorted(doc.plan.unserved, key=lambda left: left.is_deferred),
        sites=gantt(doc, with_reasons=with_reasons),
        panels={one.site.name: site_panels(one) for one in series},
        readouts=readouts(doc, series),
        site_totals=site_totals(doc.problem, doc.plan),
        status=status,
        note=note,
        actions=actions,
        links=links or {},
    )


def index_page(rows: Sequence[IndexRow], links: Mapping[str, str] | None = None) -> str:
    """List plans, the newest first as given, each with its status, cost, carbon and gap."""
    shown = [
        {
            "row": row,
            "created": when(row.created_at, "UTC"),
            "start": when(row.window_start, "UTC"),
            "end": when(row.window_end, "UTC"),
        }
        for row in rows
    ]
    return render_page("index.html", title="Plans", rows=shown, links=links or {})


def login_page(error: str | None = None, action: str = "/login") -> str:
    """Ask for an API key; ``error`` says why the last one was not accepted."""
    return render_page("login.html", title="Sign in", error=error, action=action, links={})


def render_page(template: str, **values: object) -> str:
    """Fill in a template; texts of users are escaped."""
    return _environment.get_template(template).render(**values)


def _gap_words(plan: Plan) -> str:
    return "unproven" if plan.gap is None else f"{100 * plan.gap:.2f} %"


def _verdict(doc: PlanDocument, figures: Sequence[Figure]) -> str:
    by_key = {figure.key: figure for figure in figures}
    cost, carbon = by_key["money_eur"], by_key["carbon_kg"]
    served = f"{len(doc.plan.placements)} of {plural(len(doc.problem.jobs), 'job')}"
    return (
        f"Runs {served} for {number(cost.plan, cost.digits)} EUR and"
        f" {number(carbon.plan, carbon.digits)} kg CO\u2082e: {_versus(cost)} in cost and"
        f" {_versus(carbon)} in carbon against running every job at once."
    )


def _versus(figure: Figure) -> str:
    return percent(figure.difference, figure.other)
