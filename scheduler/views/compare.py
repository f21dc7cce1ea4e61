"""Two plans side by side: their totals, and what became of each job."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import RenderableType

from scheduler.services.plan_document import PlanDocument
from scheduler.views.job_rows import PlacedJob, placed_jobs
from scheduler.views.summary import figures_table, render, text_table
from scheduler.views.totals import Figure, figures, measure
from scheduler.views.wording import hours, when


@dataclass(frozen=True, slots=True)
class JobChange:
    """What one job does in the first plan and in the second; ``None`` where it does not run."""

    job: str
    kind: str  # moved | appeared | left
    first: str | None
    second: str | None
    shift_hours: float | None  # later start is positive; None unless it starts in both


@dataclass(frozen=True, slots=True)
class Comparison:
    """Totals of the second plan beside the first, and every job that changed."""

    figures: tuple[Figure, ...]
    changes: tuple[JobChange, ...]
    unchanged_jobs: int

    def text(self) -> str:
        """Write it as readable tables."""
        rows = [
            (
                change.job,
                change.kind,
                change.first or "\u2013",
                change.second or "\u2013",
                "" if change.shift_hours is None else hours(change.shift_hours),
            )
            for change in self.changes
        ]
        columns = ("job", "", "first plan", "second plan", "shift")
        changes: RenderableType = "No job changed."
        if rows:
            changes = text_table("Jobs that changed", columns, rows, words=(0, 1, 2, 3))
        return render(
            [
                figures_table("Totals", self.figures, "second", "first"),
                changes,
                f"{self.unchanged_jobs} jobs run as before.",
            ]
        )


def compare(first: PlanDocument, second: PlanDocument) -> Comparison:
    """Compare two plans, which may have different windows and jobs.

    A job has changed when its site, an instant it runs at, or an operating point differs.
    """
    before = {row.job.name: row for row in placed_jobs(first)}
    after = {row.job.name: row for row in placed_jobs(second)}
    changes = [
        change
        for name in dict.fromkeys([*before, *after])
        if (change := _change(name, first, second, before.get(name), after.get(name)))
    ]
    return Comparison(
        figures=figures(measure(second, second.plan), measure(first, first.plan)),
        changes=tuple(changes),
        unchanged_jobs=len(before.keys() & after.keys())
        - sum(change.kind == "moved" for change in changes),
    )


def _change(
    name: str,
    first: PlanDocument,
    second: PlanDocument,
    before: PlacedJob | None,
    after: PlacedJob | None,
) -> JobChange | None:
    if before is None or after is None:
        kind = "appeared" if before is None else "left"
        return JobChange(name, kind, _where(before), _where(after), None)
    if _course(first, before) == _course(second, after):
        return None
    shift_hours = (after.start_at - before.start_at).total_seconds() / 3600
    return JobChange(name, "moved", _where(before), _where(after), shift_hours)


def _course(doc: PlanDocument, row: PlacedJob) -> tuple[object, ...]:
    runs = (
        (run.point, doc.window.instant(run.start_slot), doc.window.instant(run.end_slot))
        for run in row.stretches
    )
    return (row.site, *runs)


def _where(row: PlacedJob | None) -> str | None:
    if row is None:
        return None
    start, end = when(row.start_at, row.zone), when(row.end_at, row.zone)
    return f"{row.site} {start.local} to {end.local}, {' '.join(row.points)}"
