"""What a problem refuses by itself, with object, value and limit."""

from __future__ import annotations

import math

import pytest

from optimizer import Announced, CoincidentPeak, InvalidProblem
from optimizer.problem import Ceilings
from tests.optimizer import build


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


def test_a_grid_peaks_once_in_a_billing_period() -> None:
    """0.7 and 0.4 cannot both be the probability of the one peak; a third may be elsewhere."""
    with pytest.raises(InvalidProblem, match=r"coincident peak 4CP: sum\(probability\) = 1.1"):
        CoincidentPeak("4CP", 10.0, (0.7, 0.4))
    assert sum(CoincidentPeak("4CP", 10.0, (0.3, 0.4)).probability) == pytest.approx(0.7)


def test_probabilities_are_one_for_each_slot() -> None:
    """Two for eight slots would charge the first two only, in silence."""
    short = build.coincident([0.5, 0.5], n_slots=2)
    named = r"coincident peak 4CP.probability"
    with pytest.raises(InvalidProblem, match=named):
        build.problem(sites=[build.site(coincident_peaks=(short,))])
