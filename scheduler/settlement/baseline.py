r"""What a site would have drawn: the mean of its highest like days, moved by the same day.

.. math::
    b_t = \frac{1}{X} \sum_{d \in H} p_{dt}                                    \tag{B1}

.. math::
    b'_t = b_t + a, \quad a = \bar q_0 - \bar q_H                              \tag{B2}

.. math::
    b'_t = f \, b_t, \quad f = \bar q_0 / \bar q_H                             \tag{B3}

``p`` is the mean power in interval t of the event [kW], ``H`` the X days of the highest use in its
hours, ``q`` the mean power in the adjustment window of the event's day (0) and of those days. (B2)
where the adjustment is additive, (B3) where it is a factor; both within their cap.

A day that was not metered in all those hours is left out and named. Nothing is put in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from scheduler.settlement.rules import Adjustment, AdjustmentKind, BaselineRule, DayChoice


@dataclass(frozen=True, slots=True)
class DayLoad:
    """What was metered on one day in the hours of the event [kW]; ``None``: not known.

    ``event_kw`` is by interval of the event, ``before_kw`` the mean of the adjustment window.
    """

    day: date
    event_kw: tuple[float | None, ...]
    before_kw: float | None = None


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline by interval of the event [kW], and how it came about.

    Attributes
    ----------
    kw
        Empty: there is none, and ``notes`` say why.
    days
        Those it is the mean of, the latest first.
    moved_kw, factor
        The same-day adjustment as it was applied; 0 and 1: none.
    notes
        What was left out, lacking or cut, one sentence each.
    """

    kw: tuple[float, ...]
    days: tuple[date, ...] = ()
    moved_kw: float = 0.0
    factor: float = 1.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Known:
    """A day that is known in every interval."""

    day: date
    event_kw: tuple[float, ...]
    before_kw: float | None
    mean_kw: float


def baseline(
    rule: BaselineRule,
    choice: DayChoice,
    hours: Sequence[float],
    before_kw: float | None,
    days: Sequence[DayLoad],
    event_days: Sequence[DayLoad] = (),
) -> Baseline:
    """Return the baseline of an event of so many ``hours`` per interval.

    Parameters
    ----------
    choice
        How many days, for the kind of day it is.
    before_kw
        What was metered in the adjustment window of the event's own day; ``None``: not known.
    days, event_days
        Earlier days of the same kind, the latest first: without other events, and with one.
    """
    notes: list[str] = []
    chosen = _recent(rule, choice, _whole(days, hours, notes), notes)
    if len(chosen) < choice.least and rule.fills_with_event_days:
        chosen += _filled(choice.least - len(chosen), _whole(event_days, hours, notes), notes)
    if len(chosen) < choice.least:
        lack = f"no baseline: {len(chosen)} days are known, must be at least {choice.least}"
        return Baseline((), notes=(*notes, lack))
    highest = sorted(chosen, key=lambda one: (-one.mean_kw, chosen.index(one)))[: choice.highest]
    highest.sort(key=lambda one: one.day, reverse=True)
    kw = [_mean([one.event_kw[t] for one in highest]) for t in range(len(hours))]  # (B1)
    moved_kw, factor = _adjust(rule.adjustment, before_kw, highest, notes)
    return Baseline(
        kw=tuple(factor * one + moved_kw for one in kw),
        days=tuple(one.day for one in highest),
        moved_kw=moved_kw,
        factor=factor,
        notes=tuple(notes),
    )


def _whole(days: Sequence[DayLoad], hours: Sequence[float], notes: list[str]) -> list[_Known]:
    known = []
    for one in days:
        kw = tuple(value for value in one.event_kw if value is not None)
        if len(kw) < len(hours):
            notes.append(f"{one.day} is left out: {len(hours) - len(kw)} intervals are not metered")
            continue
        energy = sum(value * length for value, length in zip(kw, hours, strict=True))
        known.append(_Known(one.day, kw, one.before_kw, energy / sum(hours)))
    return known


def _recent(
    rule: BaselineRule, choice: DayChoice, known: Sequence[_Known], notes: list[str]
) -> list[_Known]:
    """Return the latest days, without those of low use; a day left out makes room for another."""
    left = list(known)
    while True:
        recent = left[: choice.of]
        least_kw = rule.low_use_share * _mean([one.mean_kw for one in recent])
        low = [one for one in recent if least_kw > 0 and one.mean_kw < least_kw]
        if not low:
            return recent
        for one in low:
            notes.append(
                f"{one.day} is left out: {one.mean_kw:.1f} kW is low, below {least_kw:.1f}"
            )
            left.remove(one)


def _filled(lacking: int, known: Sequence[_Known], notes: list[str]) -> list[_Known]:
    taken = sorted(known, key=lambda one: one.mean_kw, reverse=True)[:lacking]
    notes += [f"{one.day} is taken though it had an event: other days are lacking" for one in taken]
    return taken


def _adjust(
    rule: Adjustment | None, before_kw: float | None, days: Sequence[_Known], notes: list[str]
) -> tuple[float, float]:
    """Return by how much the baseline moves [kW] and the factor it is taken times."""
    if rule is None:
        return 0.0, 1.0
    usual = [one.before_kw for one in days if one.before_kw is not None]
    if before_kw is None or len(usual) < len(days):
        notes.append("not adjusted: the hours before the event are not metered on every day")
        return 0.0, 1.0
    usual_kw = _mean(usual)
    if rule.kind is AdjustmentKind.ADDITIVE:
        return _within(before_kw - usual_kw, 0.0, rule.most, notes), 1.0  # (B2)
    if usual_kw <= 0:
        notes.append(f"not adjusted: {usual_kw:.1f} kW before the event leave no ratio")
        return 0.0, 1.0
    return 0.0, _within(before_kw / usual_kw, 1.0, rule.most, notes)  # (B3)


def _within(value: float, centre: float, most: float | None, notes: list[str]) -> float:
    if most is None or abs(value - centre) <= most:
        return value
    kept = centre + (most if value > centre else -most)
    notes.append(f"the adjustment of {value:.3g} is cut to {kept:.3g}")
    return kept


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
