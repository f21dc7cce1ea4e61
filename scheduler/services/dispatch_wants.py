"""What a plan wants of every job and battery at one instant. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from optimizer import Placement, links_of, transfer_to
from scheduler.services.plan_document import PlanDocument


class Aim(StrEnum):
    """What a plan wants of a job now."""

    WAIT = "wait"  # before its first run, and before its data is to be moved
    STAGE = "stage"  # its data is to be moved: directly before its first run
    RUN = "run"
    PAUSE = "pause"  # between two runs
    OVER = "over"  # after its last run: it ought to be done


@dataclass(frozen=True, slots=True)
class Want:
    """What a plan wants of one job now.

    ``point`` is an ``OperatingPointSpec.name``: of the present run, else of the next, and after the
    last run of that. ``run_ends_at``: when the run of ``point`` ends, or ended.
    """

    aim: Aim
    site: str
    point: str
    run_ends_at: datetime


def wants_at(document: PlanDocument, now: datetime) -> dict[str, Want]:
    """Return what the plan wants by job; jobs it leaves out are not in it.

    ``now`` lies within the plan's window.
    """
    slot = document.window.slot_of(now)
    cut_jobs = set(document.cut_jobs)
    moving = transfer_slots(document)
    return {
        placement.job: _want(
            placement, slot, moving[placement.job], document, is_cut=placement.job in cut_jobs
        )
        for placement in document.plan.placements
    }


def transfer_slots(document: PlanDocument) -> dict[str, int]:
    """Slots directly before its first run in which the data of each placed job is moved."""
    problem = document.problem
    jobs = {job.name: job for job in problem.jobs}
    links = links_of(problem)
    transfers = {
        placement.job: transfer_to(
            jobs[placement.job], placement.site, links, problem.horizon.slot_hours
        )
        for placement in document.plan.placements
    }
    return {job: 0 if transfer is None else transfer.n_slots for job, transfer in transfers.items()}


def _want(
    placement: Placement, slot: int, moving: int, document: PlanDocument, *, is_cut: bool
) -> Want:
    run = next((run for run in placement.runs if run.end_slot > slot), placement.runs[-1])
    if slot >= placement.end_slot:
        # What is left of a job that was cut is for the next plan to place.
        aim = Aim.PAUSE if is_cut else Aim.OVER
    elif run.start_slot <= slot:
        aim = Aim.RUN
    elif slot >= placement.start_slot:
        aim = Aim.PAUSE
    else:
        is_to_stage = slot >= placement.start_slot - moving
        aim = Aim.STAGE if is_to_stage else Aim.WAIT
    point = run.point.removeprefix(f"{placement.site}/")
    return Want(aim, placement.site, point, document.window.instant(run.end_slot))


def battery_power_at(document: PlanDocument, now: datetime) -> dict[tuple[str, str], float]:
    """Return the planned power of every battery [kW], positive for charging, by site and name."""
    slot = document.window.slot_of(now)
    return {
        (site.name, unit.name): charge[slot] - discharge[slot]
        for site, flows in zip(document.problem.sites, document.plan.flows, strict=True)
        for unit, charge, discharge in zip(
            site.storage, flows.charge_kw, flows.discharge_kw, strict=True
        )
    }
