"""Tiny problems that between them build every constraint family, and the LP text of each family.

``python -m tests.optimizer.golden_cases`` writes the golden files anew: read the difference before
committing it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyomo.environ as pyo

from optimizer.events import DemandEvent
from optimizer.horizon import Horizon
from optimizer.jobs import InputData, Pausing, Pin
from optimizer.master import build_master
from optimizer.positions import Position
from optimizer.problem import CapacityLimit, Ceilings, Link, Problem, Weights
from optimizer.reserves import ReserveBlock, ReserveProduct
from optimizer.scenarios.extensive import extensive_model
from optimizer.scenarios.futures import Risk, Scenario, SiteFuture, UncertainProblem
from optimizer.sites import Sheddable
from tests.mutants import planner
from tests.optimizer.build import (
    battery,
    coincident,
    generator,
    grid,
    job,
    peak,
    point,
    pool,
    problem,
    site,
    solar,
)
from tests.optimizer.lp_text import lp_text

GOLDEN = Path(__file__).parent / "golden"
SLOTS = Horizon(4, 1.0)


def _site(name: str = "A", **changes: Any) -> Any:
    defaults = {"pools": (pool(gpus=4, idle_kw_per_gpu=0.1, n_slots=4),)}
    return site(name, n_slots=4, **(defaults | changes))


def _job(name: str, work: float = 2.0, **changes: Any) -> Any:
    return job(name, work, **({"deadline_slot": 4} | changes))


def plant() -> Problem:
    """Everything behind a grid connection, two slots, no job."""
    connection = grid([-50, 80], sell=[20, 90], fee=5, carbon=400, export_kw=30, n_slots=2)
    unit = battery(
        charge_efficiency=0.9,
        discharge_efficiency=0.8,
        soc_floor_kwh=2.0,
        soc_final_min_kwh=5.0,
        wear_eur_per_kwh=0.01,
        terminal_value_eur_per_kwh=0.05,
    )
    everything = site(
        n_slots=2,
        pue=[1.1, 1.2],
        base_kw=[3, 4],
        pools=(pool(n_slots=2),),
        grid=connection,
        storage=(unit,),
        renewables=(solar([0, 6], n_slots=2),),
        generators=(generator(start_eur=3.0, emissions_g_per_kwh=700.0),),
        peaks=(
            peak(so_far_kw=7.0, counts=[1, 0], n_slots=2),
            peak(4.0, so_far_kw=2.0, floor_kw=6.0, n_slots=2, name="ratchet"),
        ),
        coincident_peaks=(coincident([0.25, 0.5], 8.0, n_slots=2),),
        sheddable=(Sheddable((1.0, 2.0), 60.0),),
    )
    return problem(
        sites=(everything,),
        slots=Horizon(2, 0.5),
        capacity_limits=(CapacityLimit("dr", "A", 1, 9, 5.0, 2.0),),
        ceilings=Ceilings(carbon_budget_kg=10.0, cost_ceiling_eur=20.0),
        weights=Weights(carbon_eur_per_t=80.0, peak=0.5),
        events=(
            DemandEvent("call", ("A",), 0, (5.0,), 2.0, 3.0, 1.0, rebound_kw=(6.0, 6.0)),
            DemandEvent("must", ("A",), 1, (7.0,), 0.4, 2.5),
        ),
        positions=(Position("ahead", ("A",), (None, 6.0), (0.0, 0.2), (0.0, 0.1)),),
        reserves=(
            ReserveProduct("FCR", ("A",), (ReserveBlock(0, 2, 1.5, 1),), 2.0, 4, 0.5, is_down=True),
            ReserveProduct("mFRR", ("A",), (ReserveBlock(1, 5, 0.5),), 1.0, 9, 1.0, 300.0),
        ),
    )


def one_piece() -> Problem:
    """Contiguous jobs: two points, a data transfer, lateness and precedence."""
    here, there = point("A/full"), point("B/two", gpus=2, power_kw=3.0, work_per_hour=2.0)
    first = _job("first", points=(here, there), data=InputData("A", 10.0))
    then = _job("then", 1.0, after=("first",), due_slot=3, lateness_eur_per_slot=4.0)
    links = (Link("A", "B", 10.0, 0.1, 0.2),)
    return problem(first, then, sites=(_site("A"), _site("B")), slots=SLOTS, links=links)


def pausable() -> Problem:
    """One rate: restarts that lose a slot and draw energy, minimum runs, a soft deadline."""
    pausing = Pausing(2, 2, 0.5, 0.3, max_pauses=1)
    costly = _job("p", 4.0, pausing=pausing, due_slot=6, lateness_eur_per_slot=1.0, deadline_slot=8)
    return problem(costly, sites=(site(),))


def resumed() -> Problem:
    """A running job, pinned for a slot, that may pause."""
    pin = Pin("A/full", 0, 1, is_running=True)
    job_ = _job("r", pausing=Pausing(1, 1, 0.5), pin=pin)
    return problem(job_, sites=(_site(),), slots=SLOTS)


def elastic() -> Problem:
    """Points of different rates in two configurations; pauses that lose work."""
    points = (
        point("A/full", gpus=2, power_kw=2.0, work_per_hour=2.0),
        point("A/capped", gpus=2, power_kw=1.2, work_per_hour=1.5),
        point("A/half", gpus=1, power_kw=1.0, work_per_hour=1.0),
    )
    job_ = _job("e", 4.0, points=points, is_elastic=True, pausing=Pausing(1, 1, 0.2))
    return problem(job_, sites=(_site(),), slots=SLOTS)


def elastic_in_one_piece() -> Problem:
    """A power cap that may change from slot to slot while the job runs through."""
    points = (point("A/full", work_per_hour=2.0), point("A/capped", power_kw=0.6))
    job_ = _job("c", 3.0, points=points, is_elastic=True)
    return problem(job_, sites=(_site(),), slots=SLOTS)


CASES = {
    case.__name__: case
    for case in (plant, one_piece, pausable, resumed, elastic, elastic_in_one_piece)
}


def futures() -> UncertainProblem:
    """Two scenarios of a battery, a job in one piece and one that may pause."""
    jobs = (_job("whole", 1.0), _job("pausing", pausing=Pausing()))
    here = site("A", n_slots=4, pools=(pool(gpus=1, n_slots=4),), storage=(battery(),))
    call = DemandEvent("call", ("A",), 1, (5.0,), 2.0, 3.0, decline_eur=1.0)
    nominal = problem(*jobs, sites=(here,), slots=SLOTS, events=(call,))
    expected = SiteFuture.of(here)
    dearer = replace(expected, import_price_eur_per_mwh=(10.0, 200.0, 30.0, 40.0))
    scenarios = (Scenario("as said", 0.75, (expected,)), Scenario("dearer", 0.25, (dearer,)))
    return UncertainProblem(nominal, scenarios, 2, 1, Risk(0.5, 0.5))


def families_in_source() -> set[str]:
    """Names that the optimiser's source gives to constraints, and to the objective."""
    return planner.families_in_source() | planner.scenario_families_in_source() | {"objective"}


def family_texts() -> dict[str, str]:
    """LP text of every family: its rows alone, in each case that has any."""
    texts: dict[str, str] = {}
    for name, case in CASES.items():
        for family, text in _families_of(build_master(case()).model):
            texts[family] = texts.get(family, "") + f"\\ case: {name}\n{text}"
    between = planner.scenario_families_in_source()
    for family, text in _families_of(extensive_model(futures())[0]):
        if family in between:
            texts[family] = f"\\ case: futures\n{text}"
    return texts


def _families_of(model: Any) -> Iterator[tuple[str, str]]:
    constraints = [c for c in model.component_objects(pyo.Constraint) if len(c) > 0]
    for constraint in constraints:
        constraint.deactivate()
    yield "objective", lp_text(model)
    model.objective.deactivate()
    model.nothing = pyo.Objective(expr=0.0)
    for family in sorted({constraint.local_name for constraint in constraints}):
        members = [c for c in constraints if c.local_name == family]
        for constraint in members:
            constraint.activate()
        yield family, lp_text(model)
        for constraint in members:
            constraint.deactivate()


if __name__ == "__main__":
    for family, text in family_texts().items():
        (GOLDEN / f"{family}.lp").write_text(text, encoding="utf-8")
