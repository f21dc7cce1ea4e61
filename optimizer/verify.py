"""Independent verification: recomputes every limit and every objective term without the model.

Nothing dispatches a plan that ``verify`` refused. Whatever names, numbers and series a plan holds
(unknown jobs, NaN, text for a number, series of a wrong length) is a breach, never an exception;
that its fields are of the types ``optimizer.plan`` declares is not checked.
"""

from __future__ import annotations

from optimizer.breach import Breach
from optimizer.errors import PlanRefused
from optimizer.plan import Plan
from optimizer.problem import Problem
from optimizer.verify_energy import energy_breaches
from optimizer.verify_jobs import job_breaches
from optimizer.verify_reserves import reserve_breaches
from optimizer.verify_shape import shape_breaches
from optimizer.verify_terms import term_breaches

__all__ = ["Breach", "require_verified", "verify"]


def verify(problem: Problem, plan: Plan, tolerance: float = 1e-5) -> tuple[Breach, ...]:
    """Return every limit of ``problem`` that ``plan`` breaks; empty means accepted.

    Parameters
    ----------
    tolerance
        Excess that counts as rounding: absolute on amounts up to 1, relative beyond.
    """
    malformed = shape_breaches(problem, plan)
    if malformed:
        return malformed
    broken = job_breaches(problem, plan)
    broken += energy_breaches(problem, plan, tolerance)
    broken += reserve_breaches(problem, plan, tolerance)
    return broken + term_breaches(problem, plan, tolerance)


def require_verified(problem: Problem, plan: Plan) -> None:
    """Raise ``PlanRefused``, with every breach, unless ``plan`` keeps every limit."""
    breaches = verify(problem, plan)
    if breaches:
        raise PlanRefused(breaches)
