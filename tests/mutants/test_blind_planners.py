"""A planner blind to one number of the problem is caught: ``verify`` refuses its plan.

Each mutant plans a problem in which the number is missing, and hands the plan in for the real one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from optimizer import InputData, Problem, Site, Weights, verify
from tests.corners import CORNERS
from tests.mutants.planner import (
    blind_plan,
    each_battery,
    each_generator,
    each_grid,
    each_job,
    each_pausing,
    each_problem,
    each_site,
)

Blinded = Callable[[Problem], Problem]


def _no_idle(site: Site) -> dict[str, object]:
    return {"pools": tuple(replace(pool, idle_kw_per_gpu=0.0) for pool in site.pools)}


def _more_gpus(site: Site) -> dict[str, object]:
    return {"pools": tuple(replace(p, gpus=(99.0,) * len(site.pue)) for p in site.pools)}


def _peak_ignoring_so_far(site: Site) -> dict[str, object]:
    return {"peaks": tuple(replace(peak, so_far_kw=0.0) for peak in site.peaks)}


def _peak_ignoring_floor(site: Site) -> dict[str, object]:
    return {"peaks": tuple(replace(peak, floor_kw=0.0) for peak in site.peaks)}


def _peak_of_every_hour(site: Site) -> dict[str, object]:
    return {"peaks": tuple(replace(peak, counts=(1.0,) * len(site.pue)) for peak in site.peaks)}


def _last_peak_alone(site: Site) -> dict[str, object]:
    return {"peaks": site.peaks[-1:]}


def _events_with(**changes: object) -> Blinded:
    """Take every event for one with these ``changes``."""

    def blinded(problem: Problem) -> Problem:
        events = tuple(replace(event, **changes) for event in problem.events)
        return replace(problem, events=events)

    return blinded


def _reserves_with(**changes: object) -> Blinded:
    """Take every reserve for one with these ``changes``."""

    def blinded(problem: Problem) -> Problem:
        products = tuple(replace(product, **changes) for product in problem.reserves)
        return replace(problem, reserves=products)

    return blinded


MUTANTS: dict[str, tuple[Blinded, str]] = {
    "GPUs without end": (each_site(_more_gpus), "two jobs want the one cheap hour"),
    "precedence dropped": (each_job(after=()), "second of a chain would rather go first"),
    "release dropped": (each_job(release_slot=0), "short windows"),
    "deadline dropped": (each_job(deadline_slot=8), "short windows"),
    "minimum run dropped": (each_pausing(min_run_slots=1), "runs of three hours"),
    "pause limit dropped": (each_pausing(max_pauses=None), "one pause at most"),
    "restart cost dropped": (each_pausing(restart_eur=0.0), "stands paused"),
    "restart energy dropped": (each_pausing(restart_kwh=0.0), "stands paused"),
    "restart loses nothing": (each_pausing(restart_slots=0), "stands paused"),
    "lateness dropped": (each_job(lateness_eur_per_slot=0.0), "late, and paid by the hour"),
    "pin dropped": (each_job(pin=None), "start frozen at a dear hour"),
    "begun job taken for new": (each_job(had_started=False), "stands paused"),
    "data transfer dropped": (each_job(data=None), "data has to come first"),
    "data on its way taken for there": (
        each_job(data=InputData("A", 20.0, (("B", 0.0),))),
        "data has come, or is on its way",
    ),
    "data that came taken for away": (
        each_job(data=InputData("A", 20.0)),
        "data has come, or is on its way",
    ),
    "announced start forgotten": (each_job(announced=None), "pauses at one of two sites"),
    "PUE ignored": (
        each_site(lambda site: {"pue": (1.0,) * len(site.pue)}),
        "sun at noon, idle GPUs, and heat",
    ),
    "idle power ignored": (each_site(_no_idle), "sun at noon, idle GPUs, and heat"),
    "sun without end": (
        each_site(
            lambda site: {
                "renewables": tuple(
                    replace(plant, available_kw=(99.0,) * len(site.pue))
                    for plant in site.renewables
                )
            }
        ),
        "sun at noon, idle GPUs, and heat",
    ),
    "base load ignored": (
        each_site(lambda site: {"base_load_kw": (0.0,) * len(site.pue)}),
        "battery earns the spread",
    ),
    "charging without loss": (each_battery(charge_efficiency=1.0), "battery earns the spread"),
    "discharging without loss": (
        each_battery(discharge_efficiency=1.0),
        "paid to burn energy in a lossy battery",
    ),
    "wear ignored": (each_battery(wear_eur_per_kwh=0.0), "battery earns the spread"),
    "reserve ignored": (each_battery(soc_floor_kwh=0.0), "battery below its reserve"),
    "end of horizon ignored": (each_battery(soc_final_min_kwh=0.0), "battery below its reserve"),
    "battery without end": (
        each_battery(capacity_kwh=999.0),
        "paid to burn energy in a lossy battery",
    ),
    "export limit ignored": (each_grid(export_limit_kw=99.0), "exports dearer than imports"),
    "import limit ignored": (each_grid(import_limit_kw=99.0), "connection too weak for both"),
    "network fee ignored": (each_grid(network_fee_eur_per_mwh=0.0), "connection too weak for both"),
    "minimum load ignored": (each_generator(min_kw=0.0), "engine too large to run alone"),
    "engine starts for nothing": (each_generator(start_eur=0.0), "engine that starts twice"),
    "fuel for nothing": (each_generator(fuel_eur_per_kwh=0.0), "engine that starts twice"),
    "peak charge dropped": (each_site(lambda _: {"peaks": ()}), "peak above the month's so far"),
    "peak ignores the month so far": (
        each_site(_peak_ignoring_so_far),
        "peak above the month's so far",
    ),
    "all peak charges but the last dropped": (
        each_site(_last_peak_alone),
        "two charges, each in its own hours",
    ),
    "hours that do not count, counted": (
        each_site(_peak_of_every_hour),
        "load by night, where no peak counts",
    ),
    "ratchet ignored": (
        each_site(_peak_ignoring_floor),
        "a new month begins, under a ratchet",
    ),
    "coincident peak dropped": (
        each_site(lambda _: {"coincident_peaks": ()}),
        "grid's peak likeliest in the cheap hours",
    ),
    "capacity limit dropped": (each_problem(capacity_limits=()), "limit in the cheapest hours"),
    "event dropped": (each_problem(events=()), "event of two sites, and what follows it"),
    "event taken part in at any price": (
        _events_with(pay_eur=100.0),
        "event that pays less than its penalties",
    ),
    "rebound forgotten": (
        _events_with(rebound_kw=()),
        "event of two sites, and what follows it",
    ),
    "reserves dropped": (each_problem(reserves=()), "reserves up and down of a small battery"),
    "reserve for no time": (_reserves_with(hours=0.0), "reserves up and down of a small battery"),
    "reserve in any time": (
        _reserves_with(activation_s=999.0),
        "jobs whose load is sold as a reserve",
    ),
    "position forgotten": (each_problem(positions=()), "energy bought ahead in the dear hours"),
    "carbon ignored": (each_grid(carbon_g_per_kwh=0.0), "carbon budget that does not suffice"),
    "weights ignored": (each_problem(weights=Weights()), "cost ceiling that does not suffice"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_blind_planner_is_refused(name: str, record_property: pytest.RecordProperty) -> None:
    """``verify`` refuses the blind plan of the named problem, and says which limit it breaks."""
    blinded, corner = MUTANTS[name]
    problem = CORNERS[corner]
    assert blinded(problem) != problem
    breaches = verify(problem, blind_plan(problem, blinded))
    assert breaches, f"{name}: nobody noticed on '{corner}'"
    record_property("refused_for", str(breaches[0]))
    print(f"mutant killed: {name}, by '{corner}': {breaches[0]}")  # noqa: T201
