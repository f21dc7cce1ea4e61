"""Why a plan is to be made anew: what is different from when the newest one was made.

Plain decisions on what is known. They look at states, not at messages: what happened while nobody
looked is found all the same, and what came twice is one cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from optimizer import Breach, CapacityLimit, Plan, Problem, lower_bound_eur, verify
from scheduler.services.assemble import Assembled
from scheduler.services.carry_over import retell
from scheduler.services.plan_document import PlanDocument
from scheduler.services.window import PlanWindow
from scheduler.specs import ReplanSpec


class CauseKind(StrEnum):
    """What kind of thing has happened."""

    NO_PLAN = "no plan"
    GRID_EVENT = "grid event"
    BROKEN_PLAN = "broken plan"
    PUBLICATION = "publication"
    ARRIVALS = "arrivals"
    REGRET = "regret"


@dataclass(frozen=True, slots=True)
class Cause:
    """What has happened, in a sentence; ``is_urgent``: it does not wait for others."""

    kind: CauseKind
    text: str
    is_urgent: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """The newest plan.

    Attributes
    ----------
    known_at
        What was known by then it was made from.
    price_until
        How far prices were known then, by site.
    """

    plan_id: UUID
    document: PlanDocument
    known_at: datetime
    price_until: Mapping[str, datetime]

    def remaining(self, now: datetime) -> PlanWindow | None:
        """Return the slots of it that begin after ``now``; ``None`` where there is none."""
        window = self.document.window
        first = max(0, window.slot_not_before(now))
        left = window.n_slots - first
        return PlanWindow(window.instant(first), window.slot_minutes, left) if left > 0 else None

    def regret_eur(self) -> float:
        """Return what it cost beyond the bound when it was made [EUR]."""
        problem, plan = self.document.problem, self.document.plan
        return plan.objective - lower_bound_eur(problem, plan.prices)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Jobs that came after the newest plan was made; the first of them at ``oldest_at``."""

    n_jobs: int = 0
    oldest_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """The newest plan in what is left of its window, and that window as it looks now.

    ``plan`` is it told in the slots of ``problem``, which has the jobs it knows and no others.
    """

    problem: Problem
    window: PlanWindow
    plan: Plan

    @classmethod
    def of(cls, planned: Planned, assembled: Assembled) -> Standing:
        """Tell the newest plan on what ``assembled`` says of the rest of its window."""
        known = {job.name for job in planned.document.problem.jobs}
        kept = tuple(job for job in assembled.problem.jobs if job.name in known)
        problem = replace(assembled.problem, jobs=kept)
        plan = retell(planned.document, problem, assembled.window)
        if plan is None:
            raise AssertionError("the rest of a window overlaps it")
        return cls(problem, assembled.window, plan)

    def breaches(self) -> tuple[Breach, ...]:
        """Return why it cannot be followed any more."""
        return verify(self.problem, self.plan)

    def regret_eur(self) -> float:
        """Return what holding on to it costs beyond what any plan must [EUR]."""
        return self.plan.objective - lower_bound_eur(self.problem, self.plan.prices)


def grid_event_cause(spec: ReplanSpec, planned: Planned, assembled: Assembled) -> Cause | None:
    """Tell a limit or event that is new, changed or gone in what is left of the plan's window."""
    if not spec.grid_events:
        return None
    before = _limits(planned.document.problem, planned.document.window, assembled.window)
    now = _limits(assembled.problem, assembled.window, assembled.window)
    called = _events(planned.document.problem, planned.document.window, assembled.window)
    called ^= _events(assembled.problem, assembled.window, assembled.window)
    changed = sorted({limit.name for limit in before ^ now} | {name for name, *_ in called})
    if not changed:
        return None
    return Cause(CauseKind.GRID_EVENT, f"grid event {_some(changed)} is new or changed", True)


def _limits(problem: Problem, told_in: PlanWindow, window: PlanWindow) -> set[CapacityLimit]:
    """Return limits in the slots of ``window``, those outside of it left out."""
    offset = (window.start - told_in.start) // window.slot
    return {
        replace(
            limit,
            start_slot=max(0, limit.start_slot - offset),
            end_slot=min(window.n_slots, limit.end_slot - offset),
        )
        for limit in problem.capacity_limits
        if limit.end_slot > offset and limit.start_slot - offset < window.n_slots
    }


def _events(
    problem: Problem, told_in: PlanWindow, window: PlanWindow
) -> set[tuple[str, int, float]]:
    """Return what events ask for in the slots of ``window``: name, slot and limit [kW]."""
    offset = (window.start - told_in.start) // window.slot
    return {
        (event.name, slot - offset, limit)
        for event in problem.events
        for part in event.parts
        for slot, limit in part.limits(problem.horizon.n_slots).items()
        if 0 <= slot - offset < min(window.n_slots, problem.horizon.n_slots - offset)
    }


def broken_plan_cause(spec: ReplanSpec, standing: Standing) -> Cause | None:
    """Tell why the plan cannot be followed any more; urgent where its GPUs are gone."""
    breaches = standing.breaches() if spec.broken_plan else ()
    if not breaches:
        return None
    lost = [breach for breach in breaches if breach.owner.startswith("pool ")]
    first = (lost or list(breaches))[0]
    at = standing.window.instant(0 if first.slot is None else first.slot)
    text = f"the plan cannot be followed from {at:%Y-%m-%dT%H:%MZ}: {first}"
    return Cause(CauseKind.BROKEN_PLAN, text, is_urgent=bool(lost))


def publication_cause(
    spec: ReplanSpec, planned: Planned, price_until: Mapping[str, datetime]
) -> Cause | None:
    """Tell that prices are known for much longer than they were."""
    enough = timedelta(hours=spec.publication_hours)
    if not enough:
        return None
    for site, until in sorted(price_until.items()):
        before = planned.price_until.get(site)
        if before is None or until - before >= enough:
            return Cause(
                CauseKind.PUBLICATION, f"prices of {site} are known until {until:%Y-%m-%dT%H:%MZ}"
            )
    return None


def arrivals_cause(spec: ReplanSpec, arrivals: Arrivals, now: datetime) -> Cause | None:
    """Tell that enough jobs have come, or that one has waited long enough."""
    if not spec.arrivals or arrivals.oldest_at is None:
        return None
    waited_minutes = (now - arrivals.oldest_at) / timedelta(minutes=1)
    if arrivals.n_jobs < spec.arrivals and waited_minutes < spec.arrival_minutes:
        return None
    text = f"{arrivals.n_jobs} jobs came, the first {waited_minutes:.0f} minutes ago"
    return Cause(CauseKind.ARRIVALS, text)


def regret_cause(spec: ReplanSpec, standing: Standing, regret_then_eur: float) -> Cause | None:
    """Tell that planning anew may gain more than it could when the plan was made."""
    if not spec.regret:
        return None
    cost_eur = standing.plan.objective
    rise_eur = standing.regret_eur() - regret_then_eur
    limit_eur = max(spec.regret_eur, spec.regret_share * abs(cost_eur))
    if rise_eur <= limit_eur:
        return None
    return Cause(
        CauseKind.REGRET,
        f"a new plan may cost up to {rise_eur:.2f} EUR less than holding on to the one there is"
        f" (limit {limit_eur:.2f} EUR)",
    )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more}"
