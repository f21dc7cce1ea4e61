"""What sites can offer a virtual power plant: flexibility as a curve, and bids on calls."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Self
from uuid import UUID

from fastapi import APIRouter, status
from pydantic import Field, model_validator

from connectors.types import Window
from scheduler.api.auth import OperatorDep, SubmitterDep
from scheduler.api.context import ApiContext, ContextDep, NowDep, SessionDep
from scheduler.api.pricing import TimeLimit, alone
from scheduler.api.views import Body, SiteQuery, View
from scheduler.db.models import Bid
from scheduler.db.session import transaction
from scheduler.pricing import AskedCall, Priced, PricedCall, PricingFailed, Question
from scheduler.services import flexibility
from scheduler.services.errors import Conflict, Invalid, Refusal
from scheduler.services.window import PlanWindow
from scheduler.specs.base import Instant, Name, NonNegative

router = APIRouter(prefix="/v1/vpp", tags=["virtual power plant"])


class LevelView(View):
    """One slot: what is planned, and what was asked instead [kW, net import]."""

    start_at: datetime
    planned_kw: float
    level_kw: float


class PointView(View):
    """One depth of a curve. Cost is what the plan comes to more, by the operator's weights."""

    change_kw: float = Field(description="In every slot at least; negative: drawn less.")
    is_priced: bool = Field(
        description="False: there was no time, or energy has no weight in plans."
    )
    is_met: bool = Field(description="A plan was found that draws so in every slot.")
    cost_eur: float | None
    least_eur: float | None = Field(description="Proven: it costs no less.")
    most_eur: float | None = Field(description="Proven: it costs no more. None: not proven.")
    eur_per_kwh: float | None = Field(description="Cost of each kWh of the change.")
    marginal_eur_per_kwh: float | None = Field(
        description="Cost of each kWh beyond the depth before it that can be had."
    )
    moved_jobs: list[str] = Field(description="Those that would run otherwise.")


class CurveView(View):
    """What `sites` can draw less and more together, for as long as asked, and what it costs."""

    sites: list[str]
    slots: list[LevelView] = Field(description="Planned, and the deepest level down.")
    down: list[PointView]
    up: list[PointView]


class FlexibilityView(View):
    """Curves of one span of time. Nothing is reserved: another plan has other curves."""

    plan_id: UUID
    start_at: datetime
    end_at: datetime
    asked_at: datetime
    is_of_plan_in_force: bool = Field(
        description="False: the plan in force cannot be held any more; power is of one made anew."
    )
    curves: list[CurveView]


class BidBody(Body):
    """A call that might come: `limit_kw`, or `drop_kw` below the slot that draws least."""

    site: Name
    start_at: Instant
    end_at: Instant
    limit_kw: NonNegative | None = None
    drop_kw: NonNegative | None = None
    payment_eur_per_kwh: NonNegative = 0.0
    breach_eur_per_kwh: NonNegative = 0.0

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.limit_kw is None) == (self.drop_kw is None):
            raise ValueError("bid: exactly one of limit_kw and drop_kw must be given")
        return self


class BidView(View):
    """A bid with its price; `event` is the grid event it became once it was accepted."""

    id: UUID
    plan_id: UUID
    site: str
    start_at: datetime
    end_at: datetime
    limit_kw: float
    payment_eur_per_kwh: float
    breach_eur_per_kwh: float
    evaluated_at: datetime
    is_met: bool
    cost_eur: float | None
    least_eur: float
    most_eur: float | None
    payment_eur: float = Field(description="For what is drawn less than planned, if it is met.")
    is_worth_it: bool | None = Field(
        description="True: it pays more than it is proven to cost at most; None: not proven."
    )
    moved_jobs: list[str]
    accepted_at: datetime | None
    event: str | None

    @classmethod
    def of(cls, bid: Bid) -> Self:
        """Show a bid."""
        fields = {name: getattr(bid, name, None) for name in cls.model_fields}
        accepted = None if bid.accepted_at is None else flexibility.event_name(bid)
        return cls.model_validate(
            fields | {"moved_jobs": bid.moved, "event": accepted, "is_worth_it": _is_worth_it(bid)}
        )


@router.get("/flexibility")
def get_flexibility(
    context: ContextDep,
    _caller: SubmitterDep,
    now: NowDep,
    site: SiteQuery = None,
    start: Instant | None = None,
    end: Instant | None = None,
    time_limit_s: TimeLimit = 20.0,
) -> FlexibilityView:
    """Tell how many kW sites can draw less and more from `start` to `end`, and at what cost.

    The rest of the plan in force is planned anew with each depth, and without. Without `start` and
    `end` it is the next hour. Of several sites there is a curve of each and of all together.
    One such question is answered at a time (409 for the others).
    """
    if (start is None) != (end is None):
        raise Invalid(Refusal("query", "start, end", None, "both given or both left out"))
    window = None if start is None or end is None else _window("query", start, end)
    with transaction(context.sessions) as session:
        rest = flexibility.read_rest(session, now)
    question, plan = flexibility.curves_question(rest, site, window, time_limit_s)
    priced = _price(context, question)
    first = question.calls[0]
    return FlexibilityView(
        plan_id=rest.plan_id,
        start_at=plan.instant(first.start_slot),
        end_at=plan.instant(first.end_slot),
        asked_at=now,
        is_of_plan_in_force=priced.is_held,
        curves=list(_curves(question, priced, plan)),
    )


@router.post("/bids/evaluate", status_code=status.HTTP_201_CREATED)
def evaluate_bid(
    body: BidBody,
    context: ContextDep,
    caller: OperatorDep,
    now: NowDep,
    time_limit_s: TimeLimit = 20.0,
) -> BidView:
    """Price a call that might come against the plan in force: extra cost, jobs that would move.

    Nothing changes until the bid is accepted. One is priced at a time (409 for the others).
    """
    offer = flexibility.Offer(
        site=body.site,
        window=_window("bid", body.start_at, body.end_at),
        limit_kw=body.limit_kw,
        drop_kw=body.drop_kw,
        payment_eur_per_kwh=body.payment_eur_per_kwh,
        breach_eur_per_kwh=body.breach_eur_per_kwh,
    )
    with transaction(context.sessions) as session:
        rest = flexibility.read_rest(session, now)
    question = flexibility.offer_question(rest, offer, time_limit_s)
    priced = _price(context, question).calls[0]
    with transaction(context.sessions) as session:
        return BidView.of(flexibility.keep_bid(session, rest, offer, priced, caller.name, now))


@router.post("/bids/{bid_id}/accept")
def accept_bid(bid_id: UUID, session: SessionDep, caller: OperatorDep, now: NowDep) -> BidView:
    """Turn a bid into a grid event, which the next plan holds. Accepting twice is once.

    It is a conflict (409) where another plan is in force than it was priced against.
    """
    return BidView.of(flexibility.accept_bid(session, bid_id, caller.name, now))


def _window(owner: str, start: datetime, end: datetime) -> Window:
    if end <= start:
        raise Invalid(Refusal(owner, "end", end.isoformat(), f"after {start.isoformat()}"))
    return Window(start, end)


def _price(context: ApiContext, question: Question) -> Priced:
    with alone(context):
        try:
            return context.price_calls(question)
        except PricingFailed as error:
            raise Conflict(f"calls were not priced: {error}") from error


def _curves(question: Question, priced: Priced, plan: PlanWindow) -> Iterator[CurveView]:
    pairs = list(zip(question.calls, priced.calls, strict=True))
    for sites in dict.fromkeys(call.sites for call in question.calls):
        own = [(call, one) for call, one in pairs if call.sites == sites]
        deepest = own[0]
        levels = zip(deepest[1].planned_kw, deepest[1].level_kw, strict=True)
        yield CurveView(
            sites=list(sites),
            slots=[
                LevelView(
                    start_at=plan.instant(deepest[0].start_slot + k),
                    planned_kw=planned,
                    level_kw=level,
                )
                for k, (planned, level) in enumerate(levels)
            ],
            down=_points([pair for pair in own if (pair[0].share or 0.0) < 0], plan),
            up=_points([pair for pair in own if (pair[0].share or 0.0) > 0], plan),
        )


def _points(own: list[tuple[AskedCall, PricedCall]], plan: PlanWindow) -> list[PointView]:
    """Return depths from the least on, each with what it costs beyond the one before."""
    points = []
    before_eur, before_kwh = 0.0, 0.0
    for _, one in sorted(own, key=lambda pair: abs(pair[0].share or 0.0)):
        changes = [level - kw for kw, level in zip(one.planned_kw, one.level_kw, strict=True)]
        kwh = abs(sum(changes)) * plan.slot_hours
        cost = None if one.price is None else one.price.cost_eur
        marginal = None
        if cost is not None and kwh > before_kwh:
            marginal = (cost - before_eur) / (kwh - before_kwh)
            before_eur, before_kwh = cost, kwh
        points.append(
            PointView(
                change_kw=min(changes, key=abs),
                is_priced=one.price is not None,
                is_met=one.price is not None and one.price.is_met,
                cost_eur=cost,
                least_eur=None if one.price is None else one.price.least_eur,
                most_eur=None if one.price is None else one.price.most_eur,
                eur_per_kwh=None if cost is None or not kwh else cost / kwh,
                marginal_eur_per_kwh=marginal,
                moved_jobs=[] if one.price is None else list(one.price.moved),
            )
        )
    return points


def _is_worth_it(bid: Bid) -> bool | None:
    """Say whether it pays, where that is proven."""
    if not bid.is_met:
        return False
    if bid.most_eur is not None and bid.payment_eur > bid.most_eur:
        return True
    return False if bid.payment_eur < bid.least_eur else None
