"""Who answers a call in the plan in force: which battery, engine and job, how many kW, what cost.

Compared with the whole plan made anew as if the call had not come, of what was known
when it was made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from optimizer import Delivered, calls_of
from scheduler.pricing import Reported, ReportQuestion
from scheduler.services import events, plans
from scheduler.services.errors import Conflict
from scheduler.services.plan_document import PlanDocument


@dataclass(frozen=True, slots=True)
class AnswerAsked:
    """A call that the plan in force holds, and what a solver is asked about it."""

    plan_id: UUID
    document: PlanDocument
    question: ReportQuestion


@dataclass(frozen=True, slots=True)
class Source:
    """What one source does in the time of the call: mean and energy of import it saves there.

    ``cost_eur`` is of the whole plan; ``energy_kwh`` is negative where it draws more.
    """

    name: str
    how: str
    mean_kw: float
    energy_kwh: float
    cost_eur: float


@dataclass(frozen=True, slots=True)
class SlotAnswer:
    """One slot of the call: the level, and import planned with the call and without it [kW]."""

    start_at: datetime
    called_kw: float
    planned_kw: float
    without_kw: float


@dataclass(frozen=True, slots=True)
class Answer:
    """How the plan in force answers a call. Costs are EUR by the operator's weights.

    ``other_eur`` is what of ``effort_eur`` is with no source: carbon, peaks, what batteries hold at
    the end, other commitments, and other sites. ``without_gap``: so far the plan without may be
    from the best.
    """

    event: str
    plan_id: UUID
    sites: tuple[str, ...]
    is_declined: bool
    effort_eur: float
    gain_eur: float
    other_eur: float
    without_gap: float | None
    sources: tuple[Source, ...]
    slots: tuple[SlotAnswer, ...]


def read_asked(session: Session, external_id: str, time_limit_s: float) -> AnswerAsked:
    """Read what the plan in force holds of a call.

    Raises
    ------
    NotFound
        There is no such event, or no plan in force.
    Conflict
        The plan in force does not hold it.
    """
    event = events.get_event(session, external_id)
    in_force = plans.in_force(session)
    document = plans.read_document(session, in_force.id)
    if external_id in document.declined_before:
        raise Conflict(f"grid event {external_id} was declined before the plan in force was made")
    if external_id not in calls_of(document.problem):
        window = f"{document.window.start.isoformat()} .. {document.window.end.isoformat()}"
        told = f"it is called {event.start_at.isoformat()} .. {event.end_at.isoformat()}"
        raise Conflict(f"grid event {external_id} is not in the plan in force, of {window}: {told}")
    gap = document.fleet.planning.mip_gap
    question = ReportQuestion(document.problem, document.plan, external_id, time_limit_s, gap)
    return AnswerAsked(in_force.id, document, question)


def held_calls(document: PlanDocument) -> tuple[str, ...]:
    """Return the names of the calls that a plan holds, declined ones too."""
    return tuple(calls_of(document.problem))


def answer_of(asked: AnswerAsked, reported: Reported) -> Answer:
    """Tell a report by sources and in instants."""
    report, window = reported.report, asked.document.window
    called = range(report.start_slot, min(report.end_slot, window.n_slots))
    levels = dict(enumerate(report.called_kw, report.start_slot))
    slots = tuple(
        SlotAnswer(
            window.instant(slot), levels[slot], report.planned_kw[slot], report.without_kw[slot]
        )
        for slot in called
    )
    sources = tuple(_sources(report.delivered, called, window.slot_hours))
    return Answer(
        event=report.event,
        plan_id=asked.plan_id,
        sites=report.sites,
        is_declined=report.is_declined,
        effort_eur=report.effort_eur,
        gain_eur=report.gain_eur,
        other_eur=report.effort_eur - sum(source.cost_eur for source in sources),
        without_gap=reported.without_gap,
        sources=sources,
        slots=slots,
    )


def _sources(
    delivered: tuple[Delivered, ...], called: range, slot_hours: float
) -> Iterator[Source]:
    for one in delivered:
        inside = sum(one.kw[called.start : called.stop])
        mean_kw = inside / max(1, len(called))
        yield Source(one.source, one.how, mean_kw, inside * slot_hours, one.cost_eur)
