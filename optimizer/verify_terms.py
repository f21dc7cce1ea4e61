"""Verification, fourth part: the terms, violations, objective and bound a plan states are true."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields

from optimizer.breach import Breach
from optimizer.plan import Plan, Violation
from optimizer.problem import Problem
from optimizer.settlement import settle


def term_breaches(problem: Problem, plan: Plan, tolerance: float) -> tuple[Breach, ...]:
    """Statements of ``plan`` that a new settlement of it contradicts."""
    settled = settle(problem, plan.placements, plan.flows)
    stated = {f.name: float(getattr(plan.terms, f.name)) for f in fields(plan.terms)}
    actual = {f.name: float(getattr(settled.terms, f.name)) for f in fields(settled.terms)}
    stated["objective"], actual["objective"] = plan.objective, settled.objective
    broken = [
        Breach("plan", name, None, abs(value - actual[name]), _unit(name))
        for name, value in stated.items()
        if _differ(value, actual[name], tolerance)
    ]
    if plan.bound is not None:
        excess = plan.bound - settled.objective
        if excess > tolerance * max(1.0, abs(settled.objective)):
            broken.append(Breach("plan", "bound", None, excess, "EUR"))
    broken += _violations(plan.violations, settled.violations, tolerance)
    return tuple(broken)


def _unit(term: str) -> str:
    return {"carbon_kg": "kg", "churned_jobs": "jobs"}.get(term, "EUR")


def _differ(stated: float, actual: float, tolerance: float) -> bool:
    return abs(stated - actual) > tolerance * max(1.0, abs(actual))


_Key = tuple[str, str, int | None]


def _key(violation: Violation) -> _Key:
    return violation.kind, violation.owner, violation.slot


def _violations(
    stated: tuple[Violation, ...], actual: tuple[Violation, ...], tolerance: float
) -> Iterator[Breach]:
    """Compare one by one; one too small to matter may be left out or named."""
    expected = {_key(violation): violation for violation in actual}
    named = Counter(_key(violation) for violation in stated)
    for violation in actual:
        if not named[_key(violation)] and violation.amount > tolerance:
            yield _wrong(violation, violation.amount, "not named")
    for violation in stated:
        truth = expected.get(_key(violation))
        if named[_key(violation)] > 1:
            yield _wrong(violation, math.nan, "named twice")
        elif truth is None:
            if violation.amount > tolerance:
                yield _wrong(violation, violation.amount, "named, but did not happen")
        elif any(
            _differ(getattr(violation, name), getattr(truth, name), tolerance)
            for name in ("amount", "limit", "penalty_eur")
        ):
            off = abs(violation.amount - truth.amount)
            yield _wrong(violation, off, "amount, limit or penalty stated wrongly")


def _wrong(violation: Violation, amount: float, what: str) -> Breach:
    unit = f"{violation.unit} ({violation.kind}: {what})"
    return Breach(violation.owner, "violations", violation.slot, amount, unit)
