"""A settlement to draw: two hours with a ramp, one quarter of an hour not metered."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from connectors.types import Window
from scheduler.settlement.baseline import Baseline
from scheduler.settlement.delivered import Interval, Terms, settle_interval, summed
from scheduler.settlement.report import EventReport

START = datetime(2026, 6, 8, 14, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
TERMS = Terms(Window(START, START + 8 * QUARTER), START + QUARTER, 60.0, 0.5, 2.0)
DRAWN = (90.0, 62.0, 58.0, None, 59.0, 60.0, 55.0, 60.0)
HOSTILE = "<script>alert(1)</script>"


def interval(k: int, drawn_kw: float | None, usual_kw: float | None) -> Interval:
    """The quarter of an hour so many after the start."""
    window = Window(START + k * QUARTER, START + (k + 1) * QUARTER)
    return Interval(window, 60.0, drawn_kw, True, usual_kw, 100.0)


def sample_report() -> EventReport:
    """All that a page may show."""
    settled = [settle_interval(TERMS, interval(k, drawn, 100.0)) for k, drawn in enumerate(DRAWN)]
    around = [interval(k, 100.0, None) for k in (*range(-4, 0), *range(8, 12))]
    return EventReport(
        event="dr-1",
        site="DE",
        time_zone="Europe/Berlin",
        terms=TERMS,
        rule="pjm_high_4_of_5",
        baseline=Baseline((100.0,) * 8, (date(2026, 6, 5), date(2026, 6, 4)), moved_kw=3.2),
        result=summed(TERMS, settled),
        intervals=tuple(settled),
        around=tuple(around),
        notes=(f"One interval is not known. {HOSTILE}",),
    )
