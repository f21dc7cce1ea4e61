"""The pages of grid events: the list, and what one came to, with its curve."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.db.models import GridEvent, GridReport
from scheduler.settlement.delivered import Interval
from scheduler.settlement.report import EventReport
from scheduler.views.axis import Tick
from scheduler.views.page import render_page
from scheduler.views.panels import Key, Panel, Scale, Shape
from scheduler.views.wording import number, span, when

_MINUTE = timedelta(minutes=1)
_CURVES: tuple[tuple[str, str, Callable[[Interval], float | None]], ...] = (
    ("Baseline", "floor", lambda one: one.baseline_kw),
    ("Planned", "capacity", lambda one: one.planned_kw),
    ("Drawn", "load", lambda one: one.metered_kw),
)


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event in the list; ``url``: where its settlement is shown, ``None``: there is none."""

    event: GridEvent
    url: str | None
    standing: str


def events_page(
    rows: Sequence[EventRow], reports: Sequence[GridReport], links: Mapping[str, str]
) -> str:
    """Draw the list of events, and of reports that were asked for."""
    shown = [
        {"row": row, "span": span(row.event.start_at, row.event.end_at, "UTC").utc} for row in rows
    ]
    told = [
        {"report": report, "span": span(report.start_at, report.end_at, "UTC").utc}
        for report in reports
    ]
    return render_page("events.html", title="Grid events", rows=shown, reports=told, links=links)


def settlement_page(
    report: EventReport,
    settled: Sequence[tuple[int, datetime]],
    revision: int,
    links: Mapping[str, str],
) -> str:
    """Draw one settlement of an event.

    Parameters
    ----------
    settled
        Number and instant of every settlement of the event, the latest first.
    revision
        Which of them this is.
    """
    terms, zone = report.terms, report.time_zone
    whole = _whole(report)
    return render_page(
        "settlement.html",
        title=f"Grid event {report.event}",
        report=report,
        span=span(terms.window.start, terms.window.end, zone),
        settled=[
            {"revision": number_, "at": when(at, "UTC").utc, "is_this": number_ == revision}
            for number_, at in settled
        ],
        curve=_curve(report, whole),
        ticks_local=_ticks(report, whole, zone),
        utc_ticks=_ticks(report, whole, "UTC"),
        rows=[
            {"settled": one, "span": span(one.interval.window.start, one.interval.window.end, zone)}
            for one in report.intervals
        ],
        links=links,
    )


def _whole(report: EventReport) -> list[Interval]:
    """Return every interval, those around the event included, in order of time."""
    both = [*report.around, *(one.interval for one in report.intervals)]
    return sorted(both, key=lambda one: one.window.start)


def _curve(report: EventReport, whole: Sequence[Interval]) -> Panel:
    terms = report.terms
    known = [kw for *_, of in _CURVES for one in whole if (kw := of(one)) is not None]
    scale = Scale(min(0.0, *known, terms.limit_kw), max(0.0, *known, terms.limit_kw))
    start = whole[0].window.start
    held = (terms.held_from - start) / _MINUTE, (terms.window.end - start) / _MINUTE
    level = scale.y(terms.limit_kw)
    shapes = [Shape(_steps(whole, of, scale), f"line {css}") for _, css, of in _CURVES]
    shapes.append(Shape(f"M{held[0]:g} {level:.2f} H{held[1]:g}", "line limit"))
    keys = [
        Key(label, css) for label, css, of in _CURVES if any(of(one) is not None for one in whole)
    ]
    drawn = [one.interval.metered_kw for one in report.intervals]
    told = [kw for kw in drawn if kw is not None]
    most = (
        f"at most {number(max(told), 1)} kW were drawn" if told else "what was drawn is not known"
    )
    return Panel(
        title="Called, planned and drawn",
        unit="kW",
        description=f"{number(terms.limit_kw, 1)} kW were called; {most}.",
        n_slots=round((whole[-1].window.end - start) / _MINUTE),
        shapes=tuple(shape for shape in shapes if shape.path),
        levels=scale.levels(),
        keys=(*keys, Key("Called", "limit")),
        css="tall",
    )


def _steps(whole: Sequence[Interval], of: Callable[[Interval], float | None], scale: Scale) -> str:
    """Outline of means that hold through their interval; broken where they are not known."""
    parts: list[str] = []
    start = whole[0].window.start
    is_drawn = False
    for one in whole:
        kw = of(one)
        if kw is not None:
            begin, end = ((at - start) / _MINUTE for at in (one.window.start, one.window.end))
            height = f"{scale.y(kw):.2f}"
            parts.append(f"V{height} H{end:g}" if is_drawn else f"M{begin:g} {height} H{end:g}")
        is_drawn = kw is not None
    return " ".join(parts)


def _ticks(report: EventReport, whole: Sequence[Interval], zone: str) -> tuple[Tick, ...]:
    """Label where the event begins and ends, and the ends of the drawing."""
    first, last = whole[0].window.start, whole[-1].window.end
    held = report.terms.window
    marked = [(first, False), (held.start, True), (held.end, True), (last, False)]
    return tuple(
        Tick(100 * ((at - first) / (last - first)), _clock(at, zone), is_major)
        for at, is_major in marked
    )


def _clock(at: datetime, zone: str) -> str:
    told = when(at, zone)
    return (told.utc if zone == "UTC" else told.local).split()[3]
