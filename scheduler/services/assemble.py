"""The one place where instants, time zones and missing data become slots.

What comes in is as people and sources wrote it: local hours, site currencies, signals of any
resolution with gaps. What goes out is an ``optimizer.Problem``, and a sentence for everything that
was filled, stale, short or left out, which the plan carries to whoever approves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import pandas as pd

from connectors.types import GridEventNotice
from optimizer import Ceilings, Horizon, Link, Problem, Scenario, Site, Weights
from scheduler.services.assemble_commitments import assemble_calls, with_commitments
from scheduler.services.assemble_deadlines import Outlook, mean_eur_per_it_kwh
from scheduler.services.assemble_jobs import (
    AnnouncedStart,
    AssembledJobs,
    JobToPlan,
    Surroundings,
    assemble_jobs,
)
from scheduler.services.assemble_lengths import as_expected
from scheduler.services.assemble_pools import with_room_for_pinned
from scheduler.services.assemble_scenarios import assemble_scenarios, signal_table
from scheduler.services.assemble_signals import FILL_HISTORY, InputRefused, SignalTable
from scheduler.services.assemble_sites import FleetState, assemble_site
from scheduler.services.assemble_tariff import EnergySoFar, energy_before
from scheduler.services.signal_inputs import SignalInput
from scheduler.services.window import PlanWindow, slot_start_not_before
from scheduler.specs import FleetSpec

__all__ = [
    "FILL_HISTORY",
    "AnnouncedStart",
    "Assembled",
    "FleetState",
    "InputRefused",
    "JobToPlan",
    "PlanWindow",
    "assemble",
    "slot_start_not_before",
]


@dataclass(frozen=True, slots=True)
class Assembled:
    """A problem, the instants of its slots, and what is to be known about its inputs.

    ``cut_jobs`` are those that only a part of is in the problem; ``inputs`` says what the slots of
    each signal rest on, as known at ``known_at``. ``energy_so_far_kwh`` is what each site on a
    tariff had bought in the month, by period, when the window begins.
    ``scenarios`` are how the forecasts may turn out. ``declined_before`` are calls that have begun
    and were declined: they are not in the problem.
    """

    problem: Problem
    window: PlanWindow
    marks: tuple[str, ...]
    cut_jobs: tuple[str, ...] = ()
    inputs: tuple[SignalInput, ...] = ()
    known_at: datetime | None = None
    energy_so_far_kwh: EnergySoFar = field(default_factory=dict)
    scenarios: tuple[Scenario, ...] = ()
    declined_before: tuple[str, ...] = ()


def assemble(
    fleet: FleetSpec,
    jobs: Sequence[JobToPlan],
    signals: pd.DataFrame,
    events: Sequence[GridEventNotice],
    window: PlanWindow,
    *,
    now: datetime,
    state: FleetState | None = None,
    history: pd.DataFrame | None = None,
) -> Assembled:
    """Turn everything known at ``now`` into a problem over ``window``.

    Parameters
    ----------
    jobs
        Jobs that are not over.
    signals
        Columns site, kind, start_at (UTC), minutes, value, known_at (NaT: not stated); with the
        ``FILL_HISTORY`` before the window, which gaps are filled from.
    events
        Calls from the grid side; cancelled ones and those outside the window are passed over.
    state
        What is known beyond the specs.
    history
        Every value known of past intervals, see ``assemble_scenarios``; ``None``: no scenarios.

    Raises
    ------
    InputRefused
        Carbon intensity, or the price where no tariff replaces it, is missing for a slot and its
        time on all earlier days, or a value is below its least. Names site, kind and interval.
    InvalidProblem
        The specs contradict themselves; names the object, the value and the limit.
    """
    state = state or FleetState()
    planning = fleet.planning
    table = signal_table(fleet, signals, window, now)
    sites, marks = _sites(fleet, table, window, state, now)
    links, weights = _links(fleet), Weights(**planning.weights.model_dump())
    outlook = _outlook(sites, links, weights, window)
    fitted = _jobs(jobs, Surroundings(fleet, window, now, outlook), state)
    sites, room_marks = with_room_for_pinned(sites, fitted.jobs)
    calls = assemble_calls(fleet, events, window, state.declined)
    problem = Problem(
        horizon=Horizon(window.n_slots, window.slot_hours),
        sites=sites,
        jobs=fitted.jobs,
        links=links,
        weights=weights,
        ceilings=Ceilings(planning.carbon_budget_kg, planning.cost_ceiling_eur),
        carbon_intensity_name=planning.carbon_intensity_name,
    )
    problem = with_commitments(problem, calls, fleet, window, now)
    energy, inputs = _energy_before(fleet, window, state), table.inputs
    futures = assemble_scenarios(fleet, sites, table, history, window, now)
    marks += [*room_marks, *calls.marks, *fitted.marks, *futures.marks]
    known = (fitted.cut_jobs, inputs, now, energy, futures.scenarios, calls.declined)
    return Assembled(problem, window, tuple(marks), *known)


def _jobs(jobs: Sequence[JobToPlan], around: Surroundings, state: FleetState) -> AssembledJobs:
    """Assemble jobs with the hours that they are planned with."""
    expected, marks = as_expected(jobs, around.fleet.planning.run_times, around.window)
    fitted = assemble_jobs(expected, around, state)
    return replace(fitted, marks=(*marks, *fitted.marks))


def _sites(
    fleet: FleetSpec, table: SignalTable, window: PlanWindow, state: FleetState, now: datetime
) -> tuple[tuple[Site, ...], list[str]]:
    assembled = [assemble_site(fleet, spec, table, window, state, now) for spec in fleet.sites]
    marks = [mark for _, site_marks in assembled for mark in site_marks]
    return tuple(site for site, _ in assembled), marks


def _energy_before(fleet: FleetSpec, window: PlanWindow, state: FleetState) -> EnergySoFar:
    return {
        spec.name: energy_before(spec, spec.tariff, window, state.energy_so_far_kwh)
        for spec in fleet.sites
        if spec.tariff is not None
    }


def _links(fleet: FleetSpec) -> tuple[Link, ...]:
    return tuple(
        Link(link.from_site, link.to_site, link.gb_per_hour, link.eur_per_gb, link.kwh_per_gb)
        for link in fleet.links
    )


def _outlook(
    sites: tuple[Site, ...], links: tuple[Link, ...], weights: Weights, window: PlanWindow
) -> Outlook:
    return Outlook(
        n_slots=window.n_slots,
        slot_hours=window.slot_hours,
        gpus={(site.name, pool.name): pool.gpus for site in sites for pool in site.pools},
        eur_per_it_kwh={site.name: mean_eur_per_it_kwh(site, weights) for site in sites},
        links={(link.from_site, link.to_site): link for link in links},
        weights=weights,
    )
