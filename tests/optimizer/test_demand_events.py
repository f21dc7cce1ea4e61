"""Calls to import less: what the plan answers, on cases small enough to work out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optimizer import (
    DemandEvent,
    Horizon,
    InvalidProblem,
    Plan,
    Problem,
    Rung,
    greedy,
    verify,
)
from tests.optimizer.build import battery, generator, grid, problem, site
from tests.optimizer.test_energy_blocks import one_site, optimum, planned

CALLED = DemandEvent("dr", ("A",), 0, (3.0,), missed_eur_per_kwh=2.0, pay_eur=6.0, decline_eur=1.0)


def engine_of(fuel_eur_per_kwh: float, event: DemandEvent = CALLED) -> Plan:
    """7 kW of load for an hour, energy for nothing, called to 3 kW; an engine can give 4."""
    engine = generator(min_kw=0.0, max_kw=4.0, fuel_eur_per_kwh=fuel_eur_per_kwh)
    called = one_site(1, grid(0, n_slots=1), base_kw=7, generators=(engine,))
    return planned(1, site_=called, events=(event,))


def test_an_event_is_answered_by_what_is_cheapest() -> None:
    """4 kWh of the engine at 0.50 EUR cost 2, the call pays 6."""
    plan = engine_of(0.5)
    assert plan.flows[0].declined == ()
    assert plan.flows[0].import_kw == pytest.approx((3.0,))
    assert plan.objective == pytest.approx(4 * 0.5 - 6)
    assert plan.terms.money_eur == pytest.approx(-4.0)


@pytest.mark.parametrize(
    ("fuel_eur_per_kwh", "penalty_eur_per_kwh", "is_declined"),
    [(1.74, 2.0, False), (1.76, 2.0, True), (9.0, 1.74, False), (9.0, 1.76, True)],
)
def test_an_event_is_declined_exactly_when_that_is_cheaper(
    fuel_eur_per_kwh: float, penalty_eur_per_kwh: float, is_declined: bool
) -> None:
    """Declining costs 1 and forgoes 6: 7 EUR, or 1.75 for each of 4 kWh made or missed."""
    event = replace(CALLED, missed_eur_per_kwh=penalty_eur_per_kwh)
    plan = engine_of(fuel_eur_per_kwh, event)
    assert plan.flows[0].declined == (("dr",) if is_declined else ())
    dearest = min(fuel_eur_per_kwh, penalty_eur_per_kwh)
    assert plan.objective == pytest.approx(1.0 if is_declined else 4 * dearest - 6)
    assert plan.terms.commitment_paid_eur == (1.0 if is_declined else 0.0)
    assert plan.terms.commitment_earned_eur == (0.0 if is_declined else 6.0)


def test_what_is_missed_of_an_event_is_named() -> None:
    """4 kW above a level nobody can decline, for half an hour at 2 EUR/kWh."""
    event = replace(CALLED, decline_eur=None)
    called = one_site(1, grid(0, n_slots=1), base_kw=7)
    plan = optimum(problem(sites=(called,), slots=Horizon(1, 0.5), events=(event,)))
    (missed,) = plan.violations
    assert (missed.kind, missed.owner, missed.slot) == ("demand_response", "event dr", 0)
    assert (missed.amount, missed.penalty_eur) == (pytest.approx(4.0), pytest.approx(4.0))
    assert plan.objective == pytest.approx(4.0 - 6.0)


def test_a_declined_event_has_no_violations() -> None:
    """Nobody owes anything who has declined, rebound included."""
    event = replace(CALLED, pay_eur=0.0, decline_eur=0.5, rebound_kw=(1.0,), rebound_eur_per_kwh=9)
    plan = planned(2, site_=one_site(2, grid(0, n_slots=2), base_kw=7), events=(event,))
    assert plan.violations == ()
    assert plan.objective == pytest.approx(0.5)


def test_a_battery_that_answers_does_not_fill_up_at_once_afterwards() -> None:
    """4 kWh given must be back at the end, and 5 of 3 + 4 kW are free in the first hour after."""
    event = replace(CALLED, rebound_kw=(5.0,), rebound_eur_per_kwh=3.0)
    unit = battery(soc_initial_kwh=4.0, soc_final_min_kwh=4.0)
    prices = grid([0, 10, 50], n_slots=3)
    plan = planned(
        3, site_=one_site(3, prices, base_kw=[7, 3, 3], storage=(unit,)), events=(event,)
    )
    assert plan.flows[0].import_kw == pytest.approx((3.0, 5.0, 5.0))
    assert plan.violations == ()
    free = replace(event, rebound_kw=())
    plan = planned(3, site_=one_site(3, prices, base_kw=[7, 3, 3], storage=(unit,)), events=(free,))
    assert plan.flows[0].import_kw == pytest.approx((3.0, 10.0, 0.0))


def test_sites_answer_together_where_it_is_cheapest() -> None:
    """14 kW at two sites, called to 10 in sum: the cheaper engine gives all of the 4."""
    event = DemandEvent("dr", ("A", "B"), 0, (10.0,), 5.0, 6.0, decline_eur=0.0)

    def at(name: str, fuel: float) -> object:
        engine = generator(min_kw=0.0, max_kw=4.0, fuel_eur_per_kwh=fuel)
        fleet = {"n_slots": 1, "pools": (), "grid": grid(0, n_slots=1), "base_kw": 7}
        return site(name, generators=(engine,), **fleet)

    plan = optimum(
        problem(sites=(at("A", 0.5), at("B", 0.4)), slots=Horizon(1, 1.0), events=(event,))
    )
    assert [flow.import_kw for flow in plan.flows] == [pytest.approx((7,)), pytest.approx((3,))]
    assert plan.objective == pytest.approx(4 * 0.4 - 6)
    dear = problem(sites=(at("A", 1.6), at("B", 1.6)), slots=Horizon(1, 1.0), events=(event,))
    assert [flow.declined for flow in optimum(dear).flows] == [("dr",), ("dr",)]


def test_plans_without_a_solver_decline_what_they_cannot_keep() -> None:
    """Greedy leaves 4 kWh missed at 2 EUR: 8, less the 6 paid, against a fee of 1."""
    called = one_site(1, grid(0, n_slots=1), base_kw=7)
    case = problem(sites=(called,), slots=Horizon(1, 1.0), events=(CALLED,))
    plan = greedy(case)
    assert plan.rung is Rung.GREEDY
    assert plan.flows[0].declined == ("dr",)
    assert verify(case, plan) == ()
    kept = replace(case, events=(replace(CALLED, missed_eur_per_kwh=1.0),))
    assert greedy(kept).flows[0].declined == ()


def _two_sites() -> Problem:
    fleet = {"n_slots": 1, "pools": (), "grid": grid(0, n_slots=1), "base_kw": 7}
    events = (replace(CALLED, sites=("A", "B"), level_kw=(1.0,)),)
    return problem(
        sites=(site("A", **fleet), site("B", **fleet)), slots=Horizon(1, 1.0), events=events
    )


def test_an_answer_that_is_not_of_all_is_refused() -> None:
    """One of two sites declines; or they decline what nobody may, or what is not there."""
    case = _two_sites()
    plan = optimum(case)
    assert [flow.declined for flow in plan.flows] == [("dr",), ("dr",)]
    half = replace(plan, flows=(plan.flows[0], replace(plan.flows[1], declined=())))
    assert [breach.limit_name for breach in verify(case, half)] == ["one_answer"]
    firm = replace(case, events=(replace(case.events[0], decline_eur=None),))
    assert [breach.limit_name for breach in verify(firm, plan)] == ["may_be_declined"]
    none = replace(case, events=())
    assert [breach.limit_name for breach in verify(none, plan)] == ["may_be_declined"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sites": ()}, "sites"),
        ({"sites": ("A", "A")}, "site"),
        ({"sites": ("nowhere",)}, "nowhere"),
        ({"level_kw": ()}, "level_kw"),
        ({"level_kw": (-1.0,)}, "level_kw"),
        ({"decline_eur": -1.0}, "decline_eur"),
        ({"rebound_kw": (float("nan"),)}, "rebound_kw"),
        ({"start_slot": -1}, "start_slot"),
    ],
)
def test_an_event_that_contradicts_itself_is_refused(
    changes: dict[str, object], words: str
) -> None:
    """The refusal names the event and what is wrong with it."""
    with pytest.raises(InvalidProblem, match=f"event dr.*{words}"):
        problem(events=(replace(CALLED, **changes),))
