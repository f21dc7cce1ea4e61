"""The one seam by which a job enters the master: what its variables add to which row.

Whatever stands behind it (enumerated placements, slot variables, later generated ones), the master
sees linear sums: its IT power and GPUs by place and slot, its own costs
by objective term, and how far it has started and finished by a slot, for precedence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pyomo.core.expr.numeric_expr import LinearExpression

from optimizer.plan import Placement

SitePower = tuple[str, int]
"""(site, slot)."""
PoolSlot = tuple[str, str, int]
"""(site, pool, slot)."""
ShedSlot = tuple[str, float, int]
"""(site, seconds that shedding takes, slot)."""


@dataclass(slots=True)
class LinearSum:
    """A constant and coefficients of variables: cheaper to add up than Pyomo expressions."""

    constant: float = 0.0
    coefficients: list[float] = field(default_factory=list)
    variables: list[Any] = field(default_factory=list)

    def add(self, coefficient: float, variable: Any) -> None:
        """Add ``coefficient * variable``; a zero coefficient adds nothing."""
        if coefficient != 0.0:
            self.coefficients.append(coefficient)
            self.variables.append(variable)

    def add_sum(self, other: LinearSum, factor: float = 1.0) -> None:
        """Add ``factor * other``."""
        if factor != 0.0:
            self.constant += factor * other.constant
            self.coefficients.extend(factor * value for value in other.coefficients)
            self.variables.extend(other.variables)

    @classmethod
    def of(cls, variables: Iterable[Any], coefficient: float = 1.0) -> LinearSum:
        """Return ``coefficient`` times the sum of ``variables``."""
        members = list(variables)
        return cls(0.0, [coefficient] * len(members), members)

    def expression(self) -> Any:
        """Return the sum as a Pyomo expression, or a number where it has no variable."""
        if not self.variables:
            return self.constant
        return LinearExpression(
            constant=self.constant,
            linear_coefs=self.coefficients,
            linear_vars=self.variables,
        )


@dataclass(frozen=True, slots=True)
class JobTerms:
    """What one job adds to the master.

    Attributes
    ----------
    job
        Its name.
    it_power_kw
        IT power of runs, restarts and data transfer [kW], by (site, slot).
    gpus
        GPUs held, by (site, pool, slot).
    shed_kw
        IT power that can be shed [kW], by (site, seconds it takes, slot).
    costs
        By field of ``ObjectiveTerms``, before weights; jobs' own terms only.
    start_slots
        From its earliest to its latest possible first run slot.
    started_by, finished_by
        1 if its first run slot is at or before slot t; 1 if it is done by the START of slot t.
    set_start
        Gives its variables the values of a placement, or of being left out: a MIP start.
    read
        Returns its placement from the values of its variables; ``None``: left out.
    """

    job: str
    it_power_kw: Mapping[SitePower, LinearSum]
    gpus: Mapping[PoolSlot, LinearSum]
    shed_kw: Mapping[ShedSlot, LinearSum]
    costs: Mapping[str, LinearSum]
    start_slots: range
    started_by: Callable[[int], LinearSum]
    finished_by: Callable[[int], LinearSum]
    set_start: Callable[[Placement | None], None]
    read: Callable[[], Placement | None]
