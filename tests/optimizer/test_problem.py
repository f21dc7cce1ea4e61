"""What a problem refuses by itself, with object, value and limit."""

from __future__ import annotations

import math

import pytest

from optimizer import Announced, InvalidProblem
from optimizer.problem import Ceilings


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_cost_ceiling_is_a_finite_number(value: float) -> None:
    """NaN compares with nothing: the ceiling would never be exceeded."""
    with pytest.raises(InvalidProblem, match=r"ceilings: cost_ceiling_eur = .*finite"):
        Ceilings(cost_ceiling_eur=value)
    assert Ceilings(cost_ceiling_eur=-5.0).cost_ceiling_eur == -5.0


def test_an_announced_start_lies_in_the_horizon_or_after_it() -> None:
    """Slot -1 would be taken for the last one."""
    with pytest.raises(InvalidProblem, match="announced: start_slot = -1"):
        Announced("A", -1)
