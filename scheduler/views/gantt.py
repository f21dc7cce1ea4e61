"""When each job runs, as bars: positions in percent of the window, and what to say on a tap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scheduler.services.plan_document import PlanDocument
from scheduler.views.axis import Tick, time_ticks
from scheduler.views.explanation import reasons
from scheduler.views.job_rows import JobCost, PlacedJob, placed_jobs
from scheduler.views.panels import Shape, heat_strip
from scheduler.views.series import SiteSeries, SiteTotals, site_series, site_totals
from scheduler.views.wording import When, digits_for, hours, number, plural, span, when


@dataclass(frozen=True, slots=True)
class Bar:
    """A span of the window, in percent of its length. ``title`` is shown on hover."""

    left: float
    width: float
    css: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a job's details, on the site's clock and, where that differs, in UTC."""

    label: str
    local: str
    utc: str = ""


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
    why: Fact | None


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


def gantt(doc: PlanDocument, *, with_reasons: bool) -> tuple[SiteRows, ...]:
    """Every site of the plan with its jobs, in order of start; with reasons, why they run so."""
    why = _reasons(doc) if with_reasons else {}
    rows = placed_jobs(doc)
    baseline = {row.job.name: row for row in placed_jobs(doc, doc.baseline)}
    series = site_series(doc.problem, doc.plan)
    sites = zip(series, site_totals(doc.problem, doc.plan), strict=True)
    bars = [(row.site, _job_bars(doc, row, baseline.get(row.job.name), why)) for row in rows]
    return tuple(
        _site_rows(doc, one, sums, tuple(job for site, job in bars if site == one.site.name))
        for one, sums in sites
    )


def _reasons(doc: PlanDocument) -> dict[str, Fact]:
    return {job: Fact("Why", local, utc) for job, (local, utc) in reasons(doc).items()}


def _site_rows(
    doc: PlanDocument, series: SiteSeries, sums: SiteTotals, rows: tuple[JobBars, ...]
) -> SiteRows:
    zone = doc.fleet.site(series.site.name).time_zone
    price, carbon = series.price_eur_per_mwh, series.carbon_g_per_kwh
    cost, kwh = number(sums.money_eur, digits_for(sums.money_eur)), number(sums.import_kwh)
    return SiteRows(
        name=series.site.name,
        zone=zone,
        clock=when(doc.window.start, zone).local.rsplit(" ", 1)[-1],
        brief=f"{plural(len(rows), 'job')} \u00b7 {kwh} kWh imported \u00b7 {cost} EUR",
        rows=rows,
        local_ticks=time_ticks(doc.window, zone),
        utc_ticks=time_ticks(doc.window, "UTC"),
        price_strip=heat_strip(price.tolist(), "price"),
        carbon_strip=heat_strip(carbon.tolist(), "carbon"),
        price_range=f"{number(price.min())} to {number(price.max())} EUR/MWh",
        carbon_range=f"{number(carbon.min())} to {number(carbon.max())} g/kWh",
    )


def _job_bars(
    doc: PlanDocument, row: PlacedJob, baseline: PlacedJob | None, why: dict[str, Fact]
) -> JobBars:
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
        why=why.get(row.job.name),
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
            f"{row.job.name}: {_span(doc, row, run.start_slot, run.end_slot).local},"
            f" {run.point}, {run.gpus} GPUs, {number(run.it_kw, digits_for(run.it_kw))} kW IT",
        )


def _transfer_bars(doc: PlanDocument, row: PlacedJob) -> Iterator[Bar]:
    if row.transfer_slots:
        begin = row.start_slot - row.transfer_slots
        span = _span(doc, row, begin, row.start_slot)
        yield _bar(
            begin, row.start_slot, doc.window.n_slots, "transfer", f"data transfer: {span.local}"
        )


def _baseline_bar(doc: PlanDocument, row: PlacedJob, baseline: PlacedJob | None) -> Bar | None:
    if baseline is None or baseline.site != row.site:
        return None
    start, end = baseline.start_slot, baseline.end_slot
    title = f"run-now: {_span(doc, baseline, start, end).local}"
    return _bar(start, end, doc.window.n_slots, "run-now", title)


def _span(doc: PlanDocument, row: PlacedJob, start: int, end: int) -> When:
    return span(doc.window.instant(start), doc.window.instant(end), row.zone)


def _facts(doc: PlanDocument, row: PlacedJob, baseline: PlacedJob | None) -> Iterator[Fact]:
    yield from _run_facts(doc, row)
    yield Fact("Runs for", f"{hours(row.run_hours)}, {_pauses(row)}")
    wait = f"{hours(row.wait_hours)} after its release" if row.wait_hours else "not at all"
    yield Fact("Waits", wait)
    yield from _due_facts(doc, row)
    yield from _cost_facts(row)
    allowed = _span(doc, row, row.job.release_slot, row.job.deadline_slot)
    sites = ", ".join(row.job.sites)
    yield Fact("May run", f"{allowed.local} at {sites}", f"{allowed.utc} at {sites}")
    if baseline is not None:
        yield _baseline_fact(row, baseline)


def _run_facts(doc: PlanDocument, row: PlacedJob) -> Iterator[Fact]:
    for position, run in enumerate(row.stretches, start=1):
        label = "Runs" if len(row.stretches) == 1 else f"Run {position}"
        at = _span(doc, row, run.start_slot, run.end_slot)
        it_kw = number(run.it_kw, digits_for(run.it_kw))
        how = f": {run.point}, {plural(run.gpus, 'GPU')} of {run.pool}, {it_kw} kW IT"
        yield Fact(label, at.local + how, at.utc + how)


def _due_facts(doc: PlanDocument, row: PlacedJob) -> Iterator[Fact]:
    if row.job.due_slot is not None:
        due = when(doc.window.instant(row.job.due_slot), row.zone)
        yield Fact("Due", due.local, due.utc)
    if row.late_hours:
        worth = number(row.cost.lateness_eur, 2)
        yield Fact("Late by", f"{hours(row.late_hours)}, valued {worth} EUR")
    if row.job.after:
        yield Fact("After", ", ".join(row.job.after))


def _cost_facts(row: PlacedJob) -> Iterator[Fact]:
    cost = row.cost
    kwh, kg = (number(value, digits_for(value)) for value in (cost.energy_kwh, cost.carbon_kg))
    yield Fact("Energy", f"{kwh} kWh with PUE")
    yield Fact("Cost", f"{number(cost.cost_eur, 2)} EUR at grid price{_extras(cost)}")
    yield Fact("Carbon", f"{kg} kg at grid intensity")


def _baseline_fact(row: PlacedJob, baseline: PlacedJob) -> Fact:
    more_eur = baseline.cost.cost_eur - row.cost.cost_eur
    compared = "more expensive" if more_eur > 0 else "cheaper"
    start = when(baseline.start_at, baseline.zone)
    rest = f" at {baseline.site}, {number(abs(more_eur), 2)} EUR {compared}"
    return Fact("Run-now", f"would start {start.local}{rest}", f"would start {start.utc}{rest}")


def _pauses(row: PlacedJob) -> str:
    return "without a pause" if not row.pauses else plural(row.pauses, "pause")


def _extras(cost: JobCost) -> str:
    parts = [
        f"{number(eur, 2)} EUR {label}"
        for label, eur in (("restarts", cost.restarts_eur), ("data", cost.data_transfer_eur))
        if eur
    ]
    return f" (of it {', '.join(parts)})" if parts else ""
