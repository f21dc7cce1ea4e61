"""What can go wrong in the optimiser, named by what the caller does about it.

OptimizerError
├── InvalidProblem      the input contradicts itself: correct it
├── PlanRefused         ``verify`` found a broken limit: never dispatch it, report a defect
└── SolverFailed        HiGHS gave no usable answer: fall to the next rung

An obligation that cannot be met is not an error: it is a ``Violation`` in the plan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optimizer.verify import Breach


class OptimizerError(Exception):
    """Base of every error the optimiser raises on purpose."""


class InvalidProblem(OptimizerError, ValueError):
    """An input value that no plan could honour. Names the object, the value and the limit."""

    def __init__(self, owner: str, field: str, value: object, limit: str) -> None:
        super().__init__(f"{owner}: {field} = {value!r}, must be {limit}")
        self.owner, self.field, self.value, self.limit = owner, field, value, limit

    def __reduce__(self) -> tuple[type[InvalidProblem], tuple[str, str, object, str]]:
        return type(self), (self.owner, self.field, self.value, self.limit)


class PlanRefused(OptimizerError):
    """A plan breaks a limit of its problem, or states a wrong objective."""

    def __init__(self, breaches: tuple[Breach, ...]) -> None:
        shown = "; ".join(str(breach) for breach in breaches[:5])
        more = f" (and {len(breaches) - 5} more)" if len(breaches) > 5 else ""
        super().__init__(f"plan refused: {shown}{more}")
        self.breaches = breaches

    def __reduce__(self) -> tuple[type[PlanRefused], tuple[tuple[Breach, ...]]]:
        return type(self), (self.breaches,)


class SolverFailed(OptimizerError):
    """The solver ended without a usable solution."""
