"""What the rest of the plan in force could draw less or more, and what a call would cost.

Asked of what is known now: jobs as they stand, batteries as they are, signals as published. What is
priced is the rest of the plan in force, from the next slot to its end. Futures that may turn out
otherwise are not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import update
from sqlalchemy.orm import Session

from connectors.types import GridEventNotice, Window
from scheduler.db.models import Bid
from scheduler.pricing import AskedCall, PricedCall, Question
from scheduler.services import events, fleet, plans
from scheduler.services.carry_over import carry_over
from scheduler.services.errors import Conflict, Invalid, NotFound, Refusal
from scheduler.services.planning_inputs import Inputs, inputs_for
from scheduler.services.window import PlanWindow, slot_start_not_before

SHARES = (-1.0, -0.5, -0.25, 0.25, 0.5, 1.0)
"""Depths of a curve: of all that is drawn, and of all that the connection has room for."""

MOST_SITES = 20
"""Sites whose curves are drawn in one answer."""


@dataclass(frozen=True, slots=True)
class Rest:
    """The rest of the plan in force, as it was read."""

    plan_id: UUID
    inputs: Inputs


@dataclass(frozen=True, slots=True)
class Offer:
    """A call that might come; exactly one of ``limit_kw`` and ``drop_kw`` is given."""

    site: str
    window: Window
    limit_kw: float | None
    drop_kw: float | None
    payment_eur_per_kwh: float
    breach_eur_per_kwh: float


def read_rest(session: Session, now: datetime) -> Rest:
    """Read what is known now for the rest of the plan in force.

    Raises
    ------
    NotFound
        No plan is in force.
    Conflict
        The plan in force is over.
    """
    stored = plans.in_force(session)
    slot = stored.slot_minutes
    start = max(stored.window_start, slot_start_not_before(now, slot))
    if start >= stored.window_end:
        ended = stored.window_end.isoformat()
        raise Conflict(f"the plan in force ends at {ended}: ask again once it is renewed")
    n_slots = (stored.window_end - start) // PlanWindow(start, slot, 1).slot
    version = fleet.current(session)
    return Rest(stored.id, inputs_for(session, version, PlanWindow(start, slot, n_slots), now))


def curves_question(
    rest: Rest, site: str | None, window: Window | None, time_limit_s: float
) -> tuple[Question, PlanWindow]:
    """Ask for the curve of one site, or of each and of all together, in ``window``.

    Without a ``window`` it is the first hour of the rest, or its first slot if that is longer.
    """
    names = tuple(one.name for one in rest.inputs.fleet.sites)
    if site is not None:
        _require_site(site, names)
    elif len(names) > MOST_SITES:
        limit = f"one of the {len(names)} sites: curves of {MOST_SITES} at most are told at once"
        raise Invalid(Refusal("query", "site", None, limit))
    each = [(site,)] if site is not None else [(name,) for name in names]
    groups = each if len(each) == 1 else [*each, names]
    plan = rest.inputs.window
    first, last = (
        (0, max(1, 60 // plan.slot_minutes)) if window is None else _slots(plan, window, "query")
    )
    span = (first, min(last, plan.n_slots))
    calls = tuple(AskedCall(group, *span, share=share) for group in groups for share in SHARES)
    return _question(rest, calls, time_limit_s), plan


def offer_question(rest: Rest, offer: Offer, time_limit_s: float) -> Question:
    """Ask what an offer would cost."""
    _require_site(offer.site, tuple(one.name for one in rest.inputs.fleet.sites))
    span = _slots(rest.inputs.window, offer.window, "bid")
    call = AskedCall((offer.site,), *span, limit_kw=offer.limit_kw, drop_kw=offer.drop_kw)
    return _question(rest, (call,), time_limit_s)


def keep_bid(
    session: Session, rest: Rest, offer: Offer, priced: PricedCall, by: str, now: datetime
) -> Bid:
    """Put an offer on record with its price.

    Raises
    ------
    Conflict
        There was no time to price it.
    """
    price = priced.price
    if price is None:
        raise Conflict("there was no time to price the bid: ask again with a longer time limit")
    hours = rest.inputs.window.slot_hours
    pairs = zip(priced.planned_kw, priced.level_kw, strict=True)
    reduced_kwh = sum(max(0.0, planned - level) * hours for planned, level in pairs)
    bid = Bid(
        id=uuid4(),
        plan_id=rest.plan_id,
        site=offer.site,
        start_at=offer.window.start,
        end_at=offer.window.end,
        limit_kw=priced.level_kw[0],
        payment_eur_per_kwh=offer.payment_eur_per_kwh,
        breach_eur_per_kwh=offer.breach_eur_per_kwh,
        evaluated_at=now,
        evaluated_by=by,
        is_met=price.is_met,
        cost_eur=price.cost_eur,
        least_eur=price.least_eur,
        most_eur=price.most_eur,
        payment_eur=offer.payment_eur_per_kwh * reduced_kwh,
        moved=list(price.moved),
    )
    session.add(bid)
    session.flush()
    return bid


def accept_bid(session: Session, bid_id: UUID, by: str, now: datetime) -> Bid:
    """Turn a bid into a grid event that the next plan holds; twice is once.

    Raises
    ------
    NotFound
        There is no such bid.
    Conflict
        It was priced against a plan that is not in force any more, or cannot be met.
    Invalid
        It is over.
    """
    bid = session.get(Bid, bid_id)
    if bid is None:
        raise NotFound("bid", bid_id)
    if bid.accepted_at is not None:
        return bid
    if not bid.is_met:
        raise Conflict(f"bid {bid_id} cannot be accepted: no plan was found that meets it")
    if plans.id_in_force(session) != bid.plan_id:
        raise Conflict(f"bid {bid_id} was priced against plan {bid.plan_id}: evaluate it again")
    unclaimed = (Bid.id == bid_id) & Bid.accepted_at.is_(None)
    session.execute(update(Bid).where(unclaimed).values(accepted_at=now, accepted_by=by))
    notice = GridEventNotice(
        event_id=event_name(bid),
        site=bid.site,
        window=Window(bid.start_at, bid.end_at),
        limit_kw=bid.limit_kw,
        breach_eur_per_kwh=bid.breach_eur_per_kwh,
        payment_eur_per_kwh=bid.payment_eur_per_kwh,
    )
    events.create_event(session, notice, by, now)
    session.refresh(bid)
    return bid


def event_name(bid: Bid) -> str:
    """Return the number of the event that an accepted bid is."""
    return f"bid-{bid.id}"


def _question(rest: Rest, calls: tuple[AskedCall, ...], time_limit_s: float) -> Question:
    assembled = rest.inputs.assemble()
    in_force = rest.inputs.in_force
    held = None if in_force is None else carry_over(in_force, assembled.problem, assembled.window)
    gap = rest.inputs.fleet.planning.mip_gap
    return Question(assembled.problem, held, calls, time_limit_s, gap)


def _require_site(site: str, names: tuple[str, ...]) -> None:
    if site not in names:
        raise Invalid(Refusal("bid or query", "site", site, f"one of {', '.join(names[:10])}"))


def _slots(plan: PlanWindow, window: Window, owner: str) -> tuple[int, int]:
    """Return the slots that any part of ``window`` lies in; it must lie within the rest."""
    if window.start < plan.start or window.end > plan.end:
        limit = f"within {plan.start.isoformat()} .. {plan.end.isoformat()}, the rest of the plan"
        told = f"{window.start.isoformat()} .. {window.end.isoformat()}"
        raise Invalid(Refusal(owner, "start_at .. end_at", told, limit))
    return plan.slot_of(window.start), plan.slot_not_before(window.end)
