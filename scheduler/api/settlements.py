"""What grid events came to: called, planned and delivered by interval, and what is paid for it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import Field

from scheduler.api.auth import SubmitterDep
from scheduler.api.context import NowDep, SessionDep
from scheduler.api.views import View
from scheduler.db.models import EventSettlement
from scheduler.services import event_settlement
from scheduler.settlement.delivered import Interval, SettledInterval
from scheduler.settlement.report import EventReport

router = APIRouter(prefix="/v1/grid-events", tags=["grid events"])


class IntervalView(View):
    """Means of one interval, of net import [kW]; None: not known."""

    start_at: datetime
    end_at: datetime
    planned_kw: float | None = Field(description="What the plan in force then wanted.")
    metered_kw: float | None = Field(description="What was drawn.")
    is_metered: bool = Field(
        description="False: reckoned from the plan and what the cluster was measured to draw."
    )
    baseline_kw: float | None = Field(description="By the rule of the contract.")
    plan_baseline_kw: float | None = Field(
        description="What the plan wanted that was in force before the call."
    )

    @classmethod
    def told(cls, one: Interval, **settled: object) -> Self:
        """Show an interval, and what it was settled to."""
        return cls.model_validate(
            {
                "start_at": one.window.start,
                "end_at": one.window.end,
                "planned_kw": one.planned_kw,
                "metered_kw": one.metered_kw,
                "is_metered": one.is_metered,
                "baseline_kw": one.baseline_kw,
                "plan_baseline_kw": one.plan_baseline_kw,
            }
            | settled
        )


class SettledIntervalView(IntervalView):
    """One interval of the event, settled; None: not known."""

    called_kw: float
    is_ramp: bool = Field(description="The site may still come down to the level.")
    asked_kw: float | None = Field(description="Baseline less the level.")
    delivered_kw: float | None = Field(description="Baseline less what was drawn.")
    over_kw: float | None = Field(description="Drawn above the level.")
    payment_eur: float | None
    penalty_eur: float | None

    @classmethod
    def of(cls, one: SettledInterval, called_kw: float) -> Self:
        """Show a settled interval."""
        return cls.told(
            one.interval,
            called_kw=called_kw,
            is_ramp=one.is_ramp,
            asked_kw=one.asked_kw,
            delivered_kw=one.delivered_kw,
            over_kw=one.over_kw,
            payment_eur=one.payment_eur,
            penalty_eur=one.penalty_eur,
        )


class BaselineView(View):
    """How the baseline came about."""

    rule: str
    days: list[date] = Field(description="It is the mean of these; empty: of none.")
    moved_kw: float = Field(description="Same-day adjustment, additive.")
    factor: float = Field(description="Same-day adjustment, as a factor.")
    notes: list[str]


class SettlementView(View):
    """One event as a whole; sums are of the intervals that are known."""

    external_id: str
    site: str
    start_at: datetime
    end_at: datetime = Field(description="When it ended, or was called off.")
    held_from: datetime = Field(description="End of the ramp.")
    limit_kw: float
    payment_eur_per_kwh: float
    breach_eur_per_kwh: float
    declined_eur: float | None = Field(
        description="What declining cost, which is then the penalty; None: it was taken part in."
    )
    revision: int
    settled_at: datetime
    is_whole: bool = Field(description="All is known that is paid by.")
    metered_share: float = Field(description="Of its time for which it is known what was drawn.")
    score: float | None = Field(description="Delivered of what was asked, 0 to 1, without ramp.")
    asked_kwh: float | None
    delivered_kwh: float | None
    payment_eur: float | None
    penalty_eur: float | None
    highest_over_kw: float | None
    baseline: BaselineView
    intervals: list[SettledIntervalView]
    around: list[IntervalView] = Field(description="The hour before and after; in no sum.")
    notes: list[str]

    @classmethod
    def of(cls, stored: EventSettlement, report: EventReport) -> Self:
        """Show a settlement."""
        terms, result, usual = report.terms, report.result, report.baseline
        return cls(
            external_id=report.event,
            site=report.site,
            start_at=terms.window.start,
            end_at=terms.window.end,
            held_from=terms.held_from,
            limit_kw=terms.limit_kw,
            payment_eur_per_kwh=terms.payment_eur_per_kwh,
            breach_eur_per_kwh=terms.breach_eur_per_kwh,
            declined_eur=terms.declined_eur,
            revision=stored.revision,
            settled_at=stored.settled_at,
            is_whole=result.is_whole,
            metered_share=result.metered_share,
            score=result.score,
            asked_kwh=result.asked_kwh,
            delivered_kwh=result.delivered_kwh,
            payment_eur=result.payment_eur,
            penalty_eur=result.penalty_eur,
            highest_over_kw=result.highest_over_kw,
            baseline=BaselineView(
                rule=report.rule,
                days=list(usual.days),
                moved_kw=usual.moved_kw,
                factor=usual.factor,
                notes=list(usual.notes),
            ),
            intervals=[SettledIntervalView.of(one, terms.limit_kw) for one in report.intervals],
            around=[IntervalView.told(one) for one in report.around],
            notes=list(report.notes),
        )


class SettlementRow(View):
    """One settlement of an event's history."""

    revision: int
    settled_at: datetime
    checked_at: datetime
    is_whole: bool
    score: float | None
    payment_eur: float | None
    penalty_eur: float | None


@router.get("/{external_id}/settlement")
def get_settlement(
    external_id: str,
    session: SessionDep,
    _caller: SubmitterDep,
    now: NowDep,
    revision: Annotated[
        int | None, Query(ge=0, le=1_000_000, description="None: the latest.")
    ] = None,
) -> SettlementView:
    """Show what an event came to: what was called, planned and delivered, and what it is worth.

    It is settled an hour and ten minutes after its end (409 until then), and again when readings
    come late. What was not metered is in no sum.
    """
    found = event_settlement.read_report(session, external_id, now, revision)
    return SettlementView.of(*found)


@router.get("/{external_id}/settlements")
def list_settlements(
    external_id: str, session: SessionDep, _caller: SubmitterDep
) -> list[SettlementRow]:
    """List every settlement of an event, the latest first."""
    rows = event_settlement.read_settlements(session, external_id)
    return [SettlementRow.model_validate(row) for row in rows]
