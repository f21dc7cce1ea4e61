"""When each job runs, as bars: positions in percent of the window, and what to say on a tap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from optimizer import Job
from scheduler.services.plan_document import PlanDocument
from scheduler.views.axis import Tick, time_ticks
from scheduler.views.job_rows import PlacedJob, placed_jobs
from scheduler.views.panels import Shape, heat_strip
from scheduler.views.series import SiteSeries, SiteTotals, site_series, site_totals
from scheduler.views.wording import When, digits_for, hours, number, plural, when


@dataclass(frozen=True, slots=True)
class Bar:
    """A span of the window, in percent of its length. ``title`` is shown on hover."""

    left: float
    width: float
    css: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a job's details; ``when`` is shown on the site's clock or in UTC."""

    label: str
    value: str
    at: When | None = None


@dataclass(frozen=True, slots=True)
class JobBars:
    """One row: the allowed window behind, the baseline as a thin line, the runs in front."""

    name: str
    brief: str
    bars: tuple[Bar, ...]
    allowed: Bar
    baseline: Bar | None
    due_percent: float | None
    is_late: bool
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class SiteRows:
    """Jobs of one site under its clock, price and carbon."""

    name: str
    zone: str
    clock: str
    brief: str
    rows: tuple[JobBars, ...]
    local_ticks: tuple[Tick, ...]
    utc_ticks: tuple[Tick, ...]
    price_strip: tuple[Shape, ...]
    carbon_strip: tuple[Shape, ...]
    price_range: str
    carbon_range: str


def gantt(doc: PlanDocument) -> tuple[SiteRows, ...]:
    """Every site of the plan with its jobs, in order of start."""
    rows = placed_jobs(doc)
    baseline = {row.job.name: row for row in placed_jobs(doc, doc.baseline)}
    series = site_series(doc.problem, doc.plan)
    sites = zip(series, site_totals(doc.problem, doc.plan), strict=True)
    return tuple(
        _site_rows(doc, one, sums, [row for row in rows if row.site == one.site.name], baseline)
        for one, sums in sites
    )


def _site_rows(
    doc: PlanDocument,
    series: SiteSeries,
    sums: SiteTotals,
    rows: list[PlacedJob],
    baseline: dict[str, PlacedJob],
) -> SiteRows:
    zone = doc.fleet.site(series.site.name).time_zone
    price, carbon = series.price_eur_per_mwh, series.carbon_g_per_kwh
    cost, kwh = number(sums.money_eur, digits_for(sums.money_eur)), number(sums.import_kwh)
    return SiteRows(
        name=series.site.name,
        zone=zone,
        clock=when(doc.window.start, zone).local.rsplit(" ", 1)[-1],
        brief=f"{plural(len(rows), 'job')} \u00b7 {kwh} kWh imported \u00b7 {cost} EUR",
        rows=tuple(_job_bars(doc, row, baseline.get(row.job.name)) for row in rows),
        local_ticks=time_ticks(doc.window, zone),
        utc_ticks=time_ticks(doc.window, "UTC"),
        price_strip=heat_strip(price.tolist(), "price"),
        carbon_strip=heat_strip(carbon.tolist(), "carbon"),
        price_range=f"{number(price.min())} to {number(price.max())} EUR/MWh",
        carbon_range=f"{number(carbon.min())} to {number(carbon.max())} g/kWh",
    )


def _job_bars(doc: PlanDocument, row: PlacedJob, baseline: PlacedJob | None) -> JobBars:
    n_slots = doc.window.n_slots
    late = " late" if row.late_hours else ""
    due = row.job.due_slot
    return JobBars(
        name=row.job.name,
        brief=f"{row.gpus} GPU" if row.gpus == 1 else f"{row.gpus} GPUs",
        bars=(*_transfer_bars(doc, row), *_run_bars(doc, row, late)),
        allowed=_bar(row.job.release_slot, min(row.job.deadline_slot, n_slots), n_slots, "allowed"),
        baseline=_baseline_bar(doc, row, baseline),
        due_percent=100 * due / n_slots if due is not None and due <= n_slots else None,
        is_late=bool(late),
        facts=tuple(_facts(doc, row, baseline)),
    )


def _bar(start: int, end: int, n_slots: int, css: str, title: str = "") -> Bar:
    return Bar(
        left=round(100 * start / n_slots, 3),
        width=round(100 * (end - start) / n_slots, 3),
        css=css,
        title=title,
    )


def _run_bars(doc: PlanDocument, row: PlacedJob, late: str) -> Iterator[Bar]:
    fastest = max(point.work_per_hour for point in row.job.points)
    for run in row.stretches:
        slow = " slow" if run.work_per_hour < 0.999 * fastest else ""
        yield _bar(
            run.start_slot,
            run.end_slot,
            doc.window.n_slots,
            f"run{late}{slow}",
            f"{row.job.name}: {_span(doc, row, run.start_slot, run.end_slot)},"
            f" {run.point}, {run.gpus} GPUs, {number(run.it_kw, digits_for(run.it_kw))} kW IT",
        )


def _transfer_bars(doc: PlanDocument, row: PlacedJob) -> Iterator[Bar]:
    if row.transfer_slots:
        begin = row.start_slot - row.transfer_slots
        span = _span(doc, row, begin, row.start_slot)
        yield _bar(begin, row.start_slot, doc.window.n_slots, "transfer", f"data transfer: {span}")


def _baseline_bar(doc: PlanDocument, row: PlacedJob, baseline: PlacedJob | None) -> Bar | None:
    if baseline is None or baseline.site != row.site:
        return None
    span = _span(doc, baseline, baseline.start_slot, baseline.end_slot)
    return _bar(
        baseline.start_slot, baseline.end_slot, doc.window.n_slots, "run-now", f"run-now: {span}"
    )


def _span(doc: PlanDocument, row: PlacedJob, start: int, end: int) -> str:
    begin, finish = (
        when(doc.window.instant(start), row.zone),
        when(doc.window.instant(end), row.zone),
    )
    return f"{begin.local} to {finish.local}"


def _facts(doc: PlanDocument, row: PlacedJob, baseline: PlacedJob | None) -> Iterator[Fact]:
    cost, job = row.cost, row.job
    yield Fact("Starts", "", when(row.start_at, row.zone))
    yield Fact("Ends", "", when(row.end_at, row.zone))
    for run in row.stretches:
        it_kw = number(run.it_kw, digits_for(run.it_kw))
        yield Fact(
            _span(doc, row, run.start_slot, run.end_slot) if len(row.stretches) > 1 else "Runs as",
            f"{run.point}: {plural(run.gpus, 'GPU')} of {run.pool}, {it_kw} kW IT",
        )
    yield Fact("Runs for", f"{hours(row.run_hours)}, {_pauses(row)}")
    yield Fact("Waits", f"{hours(row.wait_hours)} after its release")
    yield from _due_facts(doc, row)
    yield Fact("Energy", f"{number(cost.energy_kwh, digits_for(cost.energy_kwh))} kWh with PUE")
    yield Fact("Cost", f"{number(cost.cost_eur, 2)} EUR at grid price{_extras(row)}")
    yield Fact(
        "Carbon", f"{number(cost.carbon_kg, digits_for(cost.carbon_kg))} kg at grid intensity"
    )
    yield Fact("May run", _allowed(doc, job, row.zone))
    if baseline is not None:
        saved = cost.cost_eur - baseline.cost.cost_eur
        start = when(baseline.start_at, baseline.zone).local
        yield Fact(
            "Run-now would",
            f"start {start} at {baseline.site}, {number(abs(saved), 2)} EUR"
            f" {'dearer' if saved < 0 else 'cheaper'}",
        )


def _pauses(row: PlacedJob) -> str:
    return "without a pause" if not row.pauses else plural(row.pauses, "pause")


def _extras(row: PlacedJob) -> str:
    cost = row.cost
    parts = [
        f"{number(eur, 2)} {label}"
        for label, eur in (("restarts", cost.restarts_eur), ("data", cost.data_transfer_eur))
        if eur
    ]
    return f" (of it {', '.join(parts)})" if parts else ""


def _due_facts(doc: PlanDocument, row: PlacedJob) -> Iterator[Fact]:
    if row.job.due_slot is not None:
        yield Fact("Due", "", when(doc.window.instant(row.job.due_slot), row.zone))
    if row.late_hours:
        yield Fact(
            "Late by", f"{hours(row.late_hours)}, valued {number(row.cost.lateness_eur, 2)} EUR"
        )
    if row.job.after:
        yield Fact("After", ", ".join(row.job.after))


def _allowed(doc: PlanDocument, job: Job, zone: str) -> str:
    release = when(doc.window.instant(job.release_slot), zone)
    deadline = when(doc.window.instant(job.deadline_slot), zone)
    return f"{release.local} to {deadline.local}, at {', '.join(job.sites)}"
