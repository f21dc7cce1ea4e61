"""All of one event's settlement: what a person reads, and what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.settlement.baseline import Baseline
from scheduler.settlement.delivered import Interval, Result, SettledInterval, Terms


@dataclass(frozen=True, slots=True)
class EventReport:
    """One event, settled.

    Attributes
    ----------
    rule
        Name of the baseline it is paid by; see ``rules``, or the plan's own.
    baseline
        By that rule, for the intervals of the event.
    intervals
        In order of time; those of the event alone.
    around
        Before and after the event, for the curve: in no sum.
    notes
        Where figures come from and what is not known, one sentence each.
    """

    event: str
    site: str
    time_zone: str
    terms: Terms
    rule: str
    baseline: Baseline
    result: Result
    intervals: tuple[SettledInterval, ...]
    around: tuple[Interval, ...]
    notes: tuple[str, ...]
