r"""What a site delivered in an event, how well that is what was asked, and what it is worth.

.. math::
    \text{asked}_t = \max(0, b_t - \bar c), \quad
    \text{delivered}_t = b_t - p_t                                             \tag{D1}

.. math::
    \text{score} = \frac{\sum_t \Delta_t \min(\max(0, \text{delivered}_t), \text{asked}_t)}
                        {\sum_t \Delta_t \, \text{asked}_t}                    \tag{D2}

.. math::
    \text{payment} = a_0 + a \sum_t \Delta_t \min(\max(0, \text{delivered}_t), \text{asked}_t),
    \quad \text{penalty} = \pi \sum_t \Delta_t \max(0, p_t - \bar c)                 \tag{D3}

``a`` is paid for a kWh and ``a_0`` for taking part. ``b`` is the baseline, ``p`` what was metered
and ``c`` the level that was called [kW]. While the site may still come down to the level (the ramp)
there is neither score nor penalty, but what is delivered is paid. More than was asked is worth no
more. An interval that was not metered is in no sum: what it is worth is not known. A call that was
declined is paid nothing and breached by nobody; its penalty is the fee of declining.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.types import Window

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Terms:
    """What an event asks, and what keeping to it is worth.

    It asks for at most ``limit_kw`` from ``held_from`` on. Taking part is paid ``pay_eur`` besides
    what is delivered. ``declined_eur`` is what declining it
    cost; ``None``: it was taken part in.
    """

    window: Window
    held_from: datetime
    limit_kw: float
    payment_eur_per_kwh: float
    breach_eur_per_kwh: float
    declined_eur: float | None = None
    pay_eur: float = 0.0

    @property
    def is_declined(self) -> bool:
        """Whether it bound nobody."""
        return self.declined_eur is not None


@dataclass(frozen=True, slots=True)
class Interval:
    """What is known of one interval, each a mean net import [kW]; ``None``: it is not.

    Attributes
    ----------
    planned_kw
        What the plan in force then wanted.
    metered_kw, is_metered
        What was drawn: measured at the meter of the site, or reckoned from its cluster.
    baseline_kw
        By the rule of the contract.
    plan_baseline_kw
        What the plan wanted that was in force before the call was known.
    """

    window: Window
    planned_kw: float | None
    metered_kw: float | None
    is_metered: bool
    baseline_kw: float | None
    plan_baseline_kw: float | None


@dataclass(frozen=True, slots=True)
class SettledInterval:
    """One interval of an event, settled; ``None``: not known."""

    interval: Interval
    is_ramp: bool
    asked_kw: float | None
    delivered_kw: float | None
    over_kw: float | None  # above the level
    payment_eur: float | None
    penalty_eur: float | None


@dataclass(frozen=True, slots=True)
class Result:
    """An event as a whole, of the intervals that are known.

    Attributes
    ----------
    score
        From 0 to 1; ``None``: nothing was asked, or it is not known.
    metered_share
        Of the event's time, for which it is known what was drawn.
    payment_eur
        ``None``: there is no baseline to pay by.
    penalty_eur
        ``None``: nothing is known.
    highest_over_kw
        Above the level once the ramp was over; ``None``: not known, or the call was declined.
    """

    asked_kwh: float | None
    delivered_kwh: float | None
    score: float | None
    payment_eur: float | None
    penalty_eur: float | None
    highest_over_kw: float | None
    metered_share: float

    @property
    def is_whole(self) -> bool:
        """Whether all of it is known that is paid by."""
        return self.metered_share >= 1.0 and self.payment_eur is not None


def settle_interval(terms: Terms, interval: Interval) -> SettledInterval:
    """Settle one interval by (D1) and (D3)."""
    hours = (interval.window.end - interval.window.start) / _HOUR
    is_ramp = interval.window.start < terms.held_from
    drawn_kw, usual_kw = interval.metered_kw, interval.baseline_kw
    over_kw = None if drawn_kw is None else max(0.0, drawn_kw - terms.limit_kw)
    penalised_kw = 0.0 if is_ramp or terms.is_declined else over_kw
    paid_eur_per_kwh = 0.0 if terms.is_declined else terms.payment_eur_per_kwh
    asked_kw = None if usual_kw is None else max(0.0, usual_kw - terms.limit_kw)
    delivered_kw = None if usual_kw is None or drawn_kw is None else usual_kw - drawn_kw
    kept_kw = _kept(asked_kw, delivered_kw)
    return SettledInterval(
        interval=interval,
        is_ramp=is_ramp,
        asked_kw=asked_kw,
        delivered_kw=delivered_kw,
        over_kw=over_kw,
        payment_eur=None if kept_kw is None else paid_eur_per_kwh * kept_kw * hours,
        penalty_eur=(
            None
            if over_kw is None or penalised_kw is None
            else terms.breach_eur_per_kwh * penalised_kw * hours
        ),
    )


def summed(terms: Terms, settled: Sequence[SettledInterval]) -> Result:
    """Add up the intervals of an event by (D2) and (D3)."""
    known = [one for one in settled if one.delivered_kw is not None]
    scored = [one for one in known if not one.is_ramp]
    drawn = [one for one in settled if one.over_kw is not None]
    asked_kwh = sum(_kwh(one, one.asked_kw) for one in scored)
    kept_kwh = sum(_kwh(one, _kept(one.asked_kw, one.delivered_kw)) for one in scored)
    metered = sum((_length(one) for one in drawn), timedelta())
    held = [one.over_kw or 0.0 for one in drawn if not one.is_ramp]
    return Result(
        asked_kwh=sum(_kwh(one, one.asked_kw) for one in known) if known else None,
        delivered_kwh=sum(_kwh(one, one.delivered_kw) for one in known) if known else None,
        score=kept_kwh / asked_kwh if asked_kwh > 0 and not terms.is_declined else None,
        payment_eur=_payment_eur(terms, known),
        penalty_eur=_penalty_eur(terms, drawn),
        highest_over_kw=max(held) if held and not terms.is_declined else None,
        metered_share=metered / (terms.window.end - terms.window.start),
    )


def _payment_eur(terms: Terms, known: Sequence[SettledInterval]) -> float | None:
    """Return what is paid for what was delivered, and for taking part."""
    if not known:
        return None
    taking_part_eur = 0.0 if terms.is_declined else terms.pay_eur
    return taking_part_eur + sum(one.payment_eur or 0.0 for one in known)


def _penalty_eur(terms: Terms, drawn: Sequence[SettledInterval]) -> float | None:
    """Return what was drawn above the level costs, or what declining did."""
    if terms.declined_eur is not None:
        return terms.declined_eur
    return sum(one.penalty_eur or 0.0 for one in drawn) if drawn else None


def _kept(asked_kw: float | None, delivered_kw: float | None) -> float | None:
    """Return what of the asked was delivered [kW]."""
    if asked_kw is None or delivered_kw is None:
        return None
    return min(max(0.0, delivered_kw), asked_kw)


def _length(one: SettledInterval) -> timedelta:
    return one.interval.window.end - one.interval.window.start


def _kwh(one: SettledInterval, kw: float | None) -> float:
    return (kw or 0.0) * (_length(one) / _HOUR)
