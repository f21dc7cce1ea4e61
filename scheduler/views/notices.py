"""What a person must know about a plan: obligations it misses, jobs it leaves out, and why."""

from __future__ import annotations

from itertools import groupby

from optimizer import Plan, Violation
from scheduler.services.plan_document import PlanDocument
from scheduler.views.wording import KIND_WORDS, digits_for, number, plural, when


def violation_notices(doc: PlanDocument) -> tuple[str, ...]:
    """One sentence per obligation missed, its slots gathered."""
    ordered = sorted(doc.plan.violations, key=lambda missed: (missed.owner, missed.kind))
    groups = groupby(ordered, key=lambda missed: (missed.owner, missed.kind))
    return tuple(_missed(doc, tuple(missed)) for _, missed in groups)


def proof_words(plan: Plan) -> str:
    """Say how far the plan can be from the best possible one."""
    if plan.bound is None or plan.gap is None:
        return "nothing is proven about how far this is from the best possible plan"
    return (
        f"at most {100 * plan.gap:.2f} % above the best possible"
        f" (objective {number(plan.objective, 2)} EUR, proven bound {number(plan.bound, 2)} EUR)"
    )


def unserved_notices(doc: PlanDocument) -> tuple[str, ...]:
    """One sentence per job the plan leaves out, deferred ones last."""
    ordered = sorted(doc.plan.unserved, key=lambda left: left.is_deferred)
    return tuple(
        f"{left.job} {'is deferred past the window' if left.is_deferred else 'is not served'}:"
        f" {left.reason}"
        for left in ordered
    )


def _missed(doc: PlanDocument, missed: tuple[Violation, ...]) -> str:
    worst = max(missed, key=lambda violation: violation.amount)
    penalty = sum(violation.penalty_eur for violation in missed)
    amount = number(worst.amount, digits_for(worst.amount))
    limit = number(worst.limit, digits_for(worst.limit))
    text = f"{worst.owner}: {KIND_WORDS.get(worst.kind, worst.kind)}"
    if worst.slot is None:
        by = f" by {amount} {worst.unit}"
    else:
        at = when(doc.window.instant(worst.slot), _zone_of(doc, worst))
        in_slots = plural(len(missed), "slot")
        by = f" in {in_slots}, worst by {amount} {worst.unit} at {at.local} ({at.utc})"
    limit_text = f", limit {limit} {worst.unit}" if worst.limit else ""
    return f"{text}{by}{limit_text}; penalty {number(penalty, 2)} EUR"


def _zone_of(doc: PlanDocument, violation: Violation) -> str:
    name = violation.owner.split(" ", 1)[-1].split("/")[0]
    sites = {site.name: site.time_zone for site in doc.fleet.sites}
    events = {f"capacity limit {limit.name}": limit.site for limit in doc.problem.capacity_limits}
    events |= {f"event {event.name}": event.sites[0] for event in doc.problem.events}
    return sites.get(events.get(violation.owner, name), "UTC")
