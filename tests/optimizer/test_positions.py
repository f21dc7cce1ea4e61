"""Energy agreed ahead: what deviating costs, and what is done to avoid it, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optimizer import Horizon, InvalidProblem, Position
from optimizer.exclusivity import exclusivity
from tests.optimizer.build import battery, grid, problem, site
from tests.optimizer.test_energy_blocks import one_site, optimum

AHEAD = Position("day ahead", ("A",), (5.0, 5.0), (0.3, 0.3), (0.1, 0.1))


def test_drawing_more_and_less_than_agreed_has_a_price_each() -> None:
    """2 kW more and 1 kW less, for half an hour each; the energy costs what it costs."""
    here = one_site(2, grid(100, n_slots=2), base_kw=[7, 4])
    plan = optimum(problem(sites=(here,), slots=Horizon(2, 0.5), positions=(AHEAD,)))
    assert plan.terms.commitment_paid_eur == pytest.approx((0.3 * 2 + 0.1 * 1) / 2)
    assert plan.terms.energy_bought_eur == pytest.approx(0.1 * 11 / 2)
    assert plan.objective == pytest.approx(0.35 + 0.55)


def test_a_battery_keeps_a_position_where_that_pays() -> None:
    """3 kWh moved cost 0.01 in price and save 0.30 and 0.10 of deviation: all but 1 kWh is kept."""
    unit = battery(soc_initial_kwh=0.0, terminal_value_eur_per_kwh=0.0)
    here = one_site(2, grid([100, 110], n_slots=2), base_kw=[2, 8], storage=(unit,))
    plan = optimum(problem(sites=(here,), slots=Horizon(2, 1.0), positions=(AHEAD,)))
    assert plan.flows[0].import_kw == pytest.approx((5.0, 5.0))
    assert plan.terms.commitment_paid_eur == pytest.approx(0.0)


def test_sites_keep_a_position_together_and_only_where_one_was_agreed() -> None:
    """7 and 3 kW are 10 in sum; in the second hour nothing was agreed."""
    together = replace(AHEAD, sites=("A", "B"), net_kw=(10.0, None))
    fleet = {"n_slots": 2, "pools": (), "grid": grid(0, n_slots=2)}
    sites = (site("A", base_kw=7, **fleet), site("B", base_kw=3, **fleet))
    plan = optimum(problem(sites=sites, slots=Horizon(2, 1.0), positions=(together,)))
    assert plan.terms.commitment_paid_eur == pytest.approx(0.0)


def test_a_battery_does_not_burn_energy_to_draw_what_was_agreed() -> None:
    """5 kW agreed, 2 drawn, a full battery: burning would need charging and discharging at once."""
    unit = battery(
        soc_initial_kwh=20.0, charge_efficiency=0.5, discharge_efficiency=0.5, wear_eur_per_kwh=0.01
    )
    here = one_site(1, grid(0, n_slots=1), base_kw=2, storage=(unit,))
    ahead = Position("day ahead", ("A",), (5.0,), (0.3,), (0.1,))
    case = problem(sites=(here,), slots=Horizon(1, 1.0), positions=(ahead,))
    assert exclusivity(case, here).charge_or_discharge_slots == (0,)
    plan = optimum(case)
    assert plan.terms.commitment_paid_eur == pytest.approx(0.1 * 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sites": ()}, "sites"),
        ({"sites": ("nowhere",)}, "nowhere"),
        ({"over_eur_per_kwh": (0.3,)}, "over_eur_per_kwh"),
        ({"under_eur_per_kwh": (0.1, -0.1)}, "under_eur_per_kwh"),
        ({"net_kw": (5.0, float("inf"))}, "net_kw"),
        ({"net_kw": (5.0,) * 3, "over_eur_per_kwh": (0.3,) * 3}, "under_eur_per_kwh"),
    ],
)
def test_a_position_that_contradicts_itself_is_refused(
    changes: dict[str, object], words: str
) -> None:
    """The refusal names the position and what is wrong with it."""
    with pytest.raises(InvalidProblem, match=f"position day ahead.*{words}"):
        problem(
            sites=(site(n_slots=2),), slots=Horizon(2, 1.0), positions=(replace(AHEAD, **changes),)
        )


def test_a_position_is_as_long_as_the_horizon() -> None:
    """Two slots of eight."""
    with pytest.raises(InvalidProblem, match=r"position day ahead.*net_kw.*8"):
        problem(positions=(AHEAD,))
