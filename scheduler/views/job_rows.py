"""What a plan does with each job: where, when, how, at what energy, cost and carbon.

Energy of a job is what it adds to the facility's load: IT load times PUE, restarts and data
transfer included. Its cost and carbon are this energy at the grid's price (network fee included)
and intensity in the slots it runs. Sun and batteries lower the bill of the site, not a job's line,
so the lines of the jobs do not add up to the total.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from optimizer import (
    Job,
    Placement,
    Plan,
    Problem,
    Site,
    add_it_load,
    lateness_eur,
    links_of,
    pieces_of,
    restarts_of,
    transfer_to,
)
from scheduler.services.plan_document import PlanDocument
from scheduler.views.series import array


@dataclass(frozen=True, slots=True)
class Stretch:
    """A job at one operating point in [start_slot, end_slot)."""

    start_slot: int
    end_slot: int
    point: str
    pool: str
    gpus: int
    it_kw: float
    work_per_hour: float


@dataclass(frozen=True, slots=True)
class JobCost:
    """Energy of a job at the facility's meter, and what it costs and emits at the grid's rates."""

    it_kwh: float
    energy_kwh: float
    energy_eur: float
    restarts_eur: float
    data_transfer_eur: float
    lateness_eur: float
    carbon_kg: float

    @property
    def cost_eur(self) -> float:
        """Energy, restarts and data transfer; lateness is a preference, not paid."""
        return self.energy_eur + self.restarts_eur + self.data_transfer_eur


@dataclass(frozen=True, slots=True)
class PlacedJob:
    """A job the plan serves."""

    job: Job
    site: str
    zone: str
    stretches: tuple[Stretch, ...]
    start_at: datetime
    end_at: datetime
    run_hours: float
    pauses: int
    wait_hours: float  # from its release to its start
    late_hours: float  # past its due time, 0 without one
    transfer_slots: int  # directly before its start
    cost: JobCost

    @property
    def start_slot(self) -> int:
        """First slot it runs in."""
        return self.stretches[0].start_slot

    @property
    def end_slot(self) -> int:
        """Slot by whose start it is done."""
        return self.stretches[-1].end_slot

    @property
    def start_local(self) -> datetime:
        """Start on the site's clock."""
        return self.start_at.astimezone(ZoneInfo(self.zone))

    @property
    def end_local(self) -> datetime:
        """End on the site's clock."""
        return self.end_at.astimezone(ZoneInfo(self.zone))

    @property
    def gpus(self) -> int:
        """Most GPUs it holds at a time."""
        return max(stretch.gpus for stretch in self.stretches)

    @property
    def points(self) -> tuple[str, ...]:
        """Operating points it runs at, in order of first use."""
        return tuple(dict.fromkeys(stretch.point for stretch in self.stretches))


def placed_jobs(doc: PlanDocument, plan: Plan | None = None) -> tuple[PlacedJob, ...]:
    """Every served job of ``plan`` (default: the document's own), in order of site and start."""
    plan = doc.plan if plan is None else plan
    jobs = {job.name: job for job in doc.problem.jobs}
    order = {site.name: row for row, site in enumerate(doc.problem.sites)}
    rows = [_placed(doc, jobs[placement.job], placement) for placement in plan.placements]
    return tuple(sorted(rows, key=lambda row: (order[row.site], row.start_slot, row.job.name)))


def is_late(row: PlacedJob) -> bool:
    """Whether it ends after it was due."""
    return row.late_hours > 0


def _placed(doc: PlanDocument, job: Job, placement: Placement) -> PlacedJob:
    window, hours = doc.window, doc.problem.horizon.slot_hours
    transfer = transfer_to(job, placement.site, links_of(doc.problem), hours)
    late_slots = 0 if job.due_slot is None else max(0, placement.end_slot - job.due_slot)
    return PlacedJob(
        job=job,
        site=placement.site,
        zone=doc.fleet.site(placement.site).time_zone,
        stretches=_stretches(job, placement),
        start_at=window.instant(placement.start_slot),
        end_at=window.instant(placement.end_slot),
        run_hours=hours * sum(run.end_slot - run.start_slot for run in placement.runs),
        pauses=len(pieces_of(job, placement)) - 1,
        wait_hours=(placement.start_slot - job.release_slot) * hours,
        late_hours=late_slots * hours,
        transfer_slots=0 if transfer is None else transfer.n_slots,
        cost=_cost(doc.problem, job, placement),
    )


def _stretches(job: Job, placement: Placement) -> tuple[Stretch, ...]:
    stretches: list[Stretch] = []
    for run in placement.runs:
        point = job.point(run.point)
        name = point.name.removeprefix(f"{placement.site}/")
        last = stretches[-1] if stretches else None
        start = run.start_slot
        if last and last.end_slot == start and last.point == name:
            start = stretches.pop().start_slot
        stretches.append(
            Stretch(
                start,
                run.end_slot,
                name,
                point.pool,
                point.gpus,
                point.power_kw,
                point.work_per_hour,
            )
        )
    return tuple(stretches)


def _cost(problem: Problem, job: Job, placement: Placement) -> JobCost:
    hours, links = problem.horizon.slot_hours, links_of(problem)
    site: Site = problem.site(placement.site)
    it_kw = np.zeros(problem.horizon.n_slots)
    add_it_load(it_kw, job, placement, links, hours)
    energy_kwh = it_kw * array(site.pue) * hours
    price = array(site.grid.import_price_eur_per_mwh) + array(site.grid.network_fee_eur_per_mwh)
    transfer = transfer_to(job, placement.site, links, hours)
    restarts = len(restarts_of(job, pieces_of(job, placement)))
    return JobCost(
        it_kwh=float(it_kw.sum() * hours),
        energy_kwh=float(energy_kwh.sum()),
        energy_eur=float(energy_kwh @ price) / 1000,
        restarts_eur=0.0 if job.pausing is None else job.pausing.restart_eur * restarts,
        data_transfer_eur=0.0 if transfer is None else transfer.eur,
        lateness_eur=lateness_eur(job, placement.end_slot),
        carbon_kg=float(energy_kwh @ array(site.grid.carbon_g_per_kwh)) / 1000,
    )
