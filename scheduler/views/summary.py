"""A plan as text that reads well in a terminal, a log and the API's docs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import StringIO
from textwrap import fill

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

from scheduler.services.plan_document import PlanDocument
from scheduler.views.inputs import INPUT_COLUMNS, age_words, input_slots
from scheduler.views.notices import proof_words, unserved_notices, violation_notices
from scheduler.views.outlook import outlook_notices
from scheduler.views.peaks import PEAK_COLUMNS, peak_rows
from scheduler.views.series import SiteTotals, site_totals
from scheduler.views.totals import Figure, objective_terms, totals
from scheduler.views.wording import (
    RUNG_WORDS,
    digits_for,
    number,
    percent,
    plural,
    signed,
    when,
)

WIDTH = 100


def summary_text(doc: PlanDocument) -> str:
    """Say what the plan costs, emits, serves and misses, and how it was found."""
    parts: list[RenderableType] = [
        *_header(doc),
        "",
        figures_table("Totals", totals(doc), "plan", "run-now"),
        _sites_table(site_totals(doc.problem, doc.plan)),
        _terms_table(doc),
        *_peaks_table(doc),
        *_notices("If forecasts err", outlook_notices(doc)),
        *_notices("Obligations missed", violation_notices(doc)),
        *_notices("Jobs not in this plan", unserved_notices(doc)),
        *_inputs_table(doc),
        *_notices("Notes", doc.marks),
    ]
    return render(parts)


def render(parts: Sequence[RenderableType]) -> str:
    """Render tables and lines as plain text, ``WIDTH`` columns wide."""
    out = StringIO()
    # Job names are user input: nothing in them is markup.
    console = Console(
        file=out, width=WIDTH, color_system=None, markup=False, emoji=False, highlight=False
    )
    for part in parts:
        console.print(part)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def text_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    words: Sequence[int] = (0,),
) -> Table:
    """Build a table with the columns at ``words`` on the left and numbers on the right."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for position, column in enumerate(columns):
        table.add_column(column, justify="left" if position in words else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def figures_table(title: str, figures: Sequence[Figure], plan: str, other: str) -> Table:
    """Two plans side by side, with the difference and its share."""
    rows = [
        (
            figure.label,
            number(figure.plan, figure.digits),
            number(figure.other, figure.digits),
            signed(figure.difference, figure.digits),
            percent(figure.difference, figure.other),
            figure.unit,
        )
        for figure in figures
        if figure.plan or figure.other
    ]
    return text_table(title, ("", plan, other, "difference", "%", "unit"), rows)


def _header(doc: PlanDocument) -> Iterator[str]:
    plan, window = doc.plan, doc.window
    start, end = when(window.start, "UTC"), when(window.instant(window.n_slots), "UTC")
    n_hours = window.n_slots * window.slot_minutes / 60
    yield f"Plan of fleet {doc.fleet.name}"
    yield (
        f"Window     {start.utc} to {end.utc} ({n_hours:g} h in slots of {window.slot_minutes} min)"
    )
    yield f"Found by   {plan.rung.value}: {RUNG_WORDS[plan.rung.value]}"
    yield f"Gap        {proof_words(plan)}"
    yield f"Carbon     {doc.problem.carbon_intensity_name} intensity; exports are not credited"
    yield f"Served     {len(plan.placements)} of {plural(len(doc.problem.jobs), 'job')}"


def _sites_table(sites: Sequence[SiteTotals]) -> Table:
    columns = [
        (label, [getattr(site, name) for site in sites])
        for label, name in (
            ("load\nkWh", "load_kwh"),
            ("import\nkWh", "import_kwh"),
            ("export\nkWh", "export_kwh"),
            ("PV+wind\nkWh", "renewable_kwh"),
            ("unused\nkWh", "curtailed_kwh"),
            ("battery\nkWh", "discharge_kwh"),
            ("on-site\nkWh", "generator_kwh"),
            ("peak\nkW", "highest_import_kw"),
            ("cost\nEUR", "money_eur"),
            ("carbon\nkg", "carbon_kg"),
        )
    ]
    shown = [(label, values) for label, values in columns if any(values)]
    rows = [
        (site.site, *(_amount(values[row]) for _, values in shown))
        for row, site in enumerate(sites)
    ]
    title = "Sites (unused: curtailed; battery: discharged; on-site: generators)"
    return text_table(title, ("site", *(label for label, _ in shown)), rows)


def _amount(value: float) -> str:
    return number(value, digits_for(value)) if value else "\u2013"


def _terms_table(doc: PlanDocument) -> Table:
    rows = [
        (
            term.label,
            number(term.plan, 0 if term.unit == "jobs" else 2),
            number(term.baseline, 0 if term.unit == "jobs" else 2),
            term.unit,
            f"{term.weight:g}",
            number(term.weighted_eur, 2),
        )
        for term in objective_terms(doc)
        if term.plan or term.baseline
    ]
    rows.append(("Objective", "", "", "", "", number(doc.plan.objective, 2)))
    columns = ("", "plan", "run-now", "unit", "weight", "weighted EUR")
    return text_table("Objective, term by term", columns, rows)


def _peaks_table(doc: PlanDocument) -> Iterator[RenderableType]:
    """Set out which peaks are billed, where a site has any."""
    rows = [
        (row.site, row.name, *(number(value, 2) for value in row.figures()))
        for row in peak_rows(doc)
    ]
    if rows:
        yield text_table("Peaks", ("site", "peak", *PEAK_COLUMNS), rows, words=(0, 1))


def _inputs_table(doc: PlanDocument) -> Iterator[RenderableType]:
    """Set out the signals that are not wholly published, fresh and unsuspicious."""
    unsound = [one for one in doc.inputs if not one.is_sound]
    if not unsound:
        return
    columns = ("site", "signal", *INPUT_COLUMNS, "age h", "from")
    rows = [
        (
            one.site,
            one.kind.value,
            *(str(slots) if slots else "\u2013" for slots in input_slots(one)),
            age_words(one),
            ", ".join(one.sources),
        )
        for one in unsound
    ]
    yield text_table("Inputs not as published [slots]", columns, rows, words=(0, 1, 8))


def _notices(title: str, lines: Sequence[str]) -> Iterator[str]:
    yield f"{title}:" if lines else f"{title}: none"
    for line in lines:
        yield fill(line, WIDTH, initial_indent="  - ", subsequent_indent="    ")
    yield ""
