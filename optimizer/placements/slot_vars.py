"""The slot variables of one way of a job; the equations are numbered in ``placements.slotwise``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyomo.environ as pyo

from optimizer.jobs import Job, slots_to_do
from optimizer.pieces import (
    Configuration,
    begins_with_restart,
    lost_per_restart,
    min_run_slots,
    rate,
)
from optimizer.placements.interface import LinearSum, PoolSlot, SitePower
from optimizer.placements.ways import Surroundings, Way, free_slots, least_slots
from optimizer.plan import Placement


@dataclass(frozen=True, slots=True)
class Needs:
    """Which variables a way needs, and the numbers its rows use.

    ``lost_slots`` is what a restart loses, in slots; ``None`` where points differ in rate.
    """

    pieces: bool
    start: bool
    end: bool
    one_piece: bool
    first_is_restart: bool
    is_running: bool
    least_run: int
    least_after_restart: int
    n_slots: int
    lost_slots: float | None

    @property
    def counts_slots(self) -> bool:
        """Whether work is done when a number of slots is: one rate, whole slots per restart."""
        return self.lost_slots is not None and self.lost_slots.is_integer()

    @property
    def only_restarts(self) -> bool:
        """Whether every piece that begins in the horizon begins with a restart."""
        return self.first_is_restart or self.is_running

    @property
    def least_begun(self) -> int:
        """Least length of any piece that begins in the horizon."""
        return self.least_after_restart if self.only_restarts else self.least_run


@dataclass(frozen=True, slots=True)
class WayVars:
    """The variables of one way; ``runs`` by (point, slot), ``begins`` by (configuration, slot)."""

    job: Job
    way: Way
    needs: Needs
    slot_hours: float
    configurations: tuple[Configuration, ...]
    served: Any
    runs: Any
    begins: Any
    first: Any
    started: Any
    finished: Any
    last: Any
    latest_start: int
    shortest: int

    def point_slots(self, configuration: int | None, slot: int) -> LinearSum:
        """Return x in ``slot``, of one configuration or of all."""
        return LinearSum.of(
            self.runs[p, slot]
            for p, point in enumerate(self.way.points)
            if (p, slot) in self.runs
            and (configuration is None or point.configuration == self.configurations[configuration])
        )

    def started_by(self, slot: int) -> LinearSum:
        """F: 1 if its first run slot is at or before ``slot``."""
        if slot < self.way.first_slot:
            return LinearSum()
        if slot in self.started:
            return LinearSum.of([self.started[slot]])
        return LinearSum.of([self.served])

    def finished_by(self, slot: int) -> LinearSum:
        """E: 1 if it is done by the start of ``slot``."""
        if slot >= self.way.end_slot:
            return LinearSum.of([self.served])
        if slot in self.finished:
            return LinearSum.of([self.finished[slot]])
        return LinearSum()

    def started_in(self, slot: int) -> LinearSum:
        """Return 1 if ``slot`` is its first run slot."""
        first = self.started_by(slot)
        first.add_sum(self.started_by(slot - 1), -1.0)
        return first

    def finished_in(self, slot: int) -> LinearSum:
        """Return 1 if the slot before ``slot`` is its last."""
        last = self.finished_by(slot)
        last.add_sum(self.finished_by(slot - 1), -1.0)
        return last

    def before(self, configuration: int, slot: int) -> LinearSum:
        """Return x in the slot before ``slot``, which may lie before the horizon."""
        if slot == self.way.first_slot and self.needs.is_running and self.job.pin is not None:
            pinned = self.job.point(self.job.pin.point).configuration
            is_its = self.configurations[configuration] == pinned
            return LinearSum.of([self.served] if is_its else [])
        return self.point_slots(configuration, slot - 1)

    def first_begin(self, configuration: int, slot: int) -> LinearSum:
        """f: 1 if its first piece begins in ``slot``, in this configuration."""
        if len(self.configurations) > 1:
            key = (configuration, slot)
            return LinearSum.of([self.first[key]] if key in self.first else [])
        return self.started_in(slot)

    def restarts(self, configuration: int, slot: int) -> LinearSum:
        """Return 1 if a piece begins with a restart in ``slot``, in this configuration."""
        restarts = LinearSum()
        if (configuration, slot) in self.begins:
            restarts.add(1.0, self.begins[configuration, slot])
        if restarts.variables and not self.needs.only_restarts:
            restarts.add_sum(self.first_begin(configuration, slot), -1.0)
        return restarts

    def n_restarts(self) -> LinearSum:
        """R, over all configurations."""
        total = LinearSum.of(self.begins.values())
        if self.needs.pieces and not self.needs.only_restarts:
            total.add(-1.0, self.served)
        return total

    def add_power_to(self, power: dict[SitePower, LinearSum]) -> None:
        """Add runs, restarts and data transfer [kW]."""
        site, pausing, transfer = self.way.site, self.job.pausing, self.way.transfer
        for (p, t), x in self.runs.items():
            power.setdefault((site, t), LinearSum()).add(self.way.points[p].power_kw, x)
        if pausing is not None and pausing.restart_kwh > 0:
            for c, t in self.begins:
                extra_kw = pausing.restart_kwh / self.slot_hours
                power.setdefault((site, t), LinearSum()).add_sum(self.restarts(c, t), extra_kw)
        if transfer.n_slots and transfer.it_kw > 0:
            for t in range(self.way.first_slot - transfer.n_slots, self.latest_start):
                moving = self.started_by(t + transfer.n_slots)
                moving.add_sum(self.started_by(t), -1.0)
                power.setdefault((site, t), LinearSum()).add_sum(moving, transfer.it_kw)

    def add_gpus_to(self, gpus: dict[PoolSlot, LinearSum]) -> None:
        """Add GPUs held."""
        for (p, t), x in self.runs.items():
            point = self.way.points[p]
            gpus.setdefault((point.site, point.pool, t), LinearSum()).add(point.gpus, x)

    def add_costs_to(self, costs: dict[str, LinearSum]) -> None:
        """Add restarts, lateness and churn avoided."""
        job = self.job
        if job.pausing is not None and job.pausing.restart_eur > 0:
            costs["restarts_eur"].add_sum(self.n_restarts(), job.pausing.restart_eur)
        if is_late_possible(job, self.way) and job.due_slot is not None:
            per_slot = job.lateness_eur_per_slot * job.priority
            for t in range(job.due_slot, self.way.end_slot):
                costs["lateness_eur"].add(per_slot, self.served)
                costs["lateness_eur"].add_sum(self.finished_by(t), -per_slot)
        if promised_here(job, self.way) and job.announced is not None:
            slot = job.announced.start_slot
            costs["churned_jobs"].add_sum(self.started_in(slot), -1.0)

    def set_start(self, placement: Placement | None) -> None:
        """Give the binaries the values of ``placement`` if it goes this way, else zero."""
        wanted = {} if placement is None else dict(placement.slots())
        index = {point.name: p for p, point in enumerate(self.way.points)}
        is_chosen = bool(wanted) and set(wanted.values()) <= index.keys()
        self.served.set_value(int(is_chosen))
        on = {(index[name], t) for t, name in wanted.items()} if is_chosen else set()
        for key, x in self.runs.items():
            x.set_value(int(key in on))


def is_late_possible(job: Job, way: Way) -> bool:
    """Whether finishing within the window can cost lateness."""
    return (
        job.due_slot is not None and job.due_slot < way.end_slot and job.lateness_eur_per_slot > 0
    )


def promised_here(job: Job, way: Way) -> bool:
    """Whether an announcement can be kept or broken in this way."""
    is_running = job.pin is not None and job.pin.is_running
    return job.announced is not None and job.announced.site == way.site and not is_running


def needs_of(job: Job, way: Way, around: Surroundings) -> Needs:
    """Decide what a way of ``job`` needs."""
    hours = around.horizon.slot_hours
    pausing = job.pausing
    is_running = job.pin is not None and job.pin.is_running
    first_is_restart = begins_with_restart(job)
    least_run = min_run_slots(job, around.links, hours)
    restart_slots = pausing.restart_slots if pausing is not None else 0
    least_after = max(least_run, restart_slots + 1)
    first_is_free = not (is_running or first_is_restart)
    n_configurations = len({point.configuration for point in way.points})
    costs_restarts = pausing is not None and (pausing.restart_kwh > 0 or pausing.restart_eur > 0)
    pieces = pausing is not None and (
        pausing.max_pauses is not None or least_after > 1 or costs_restarts or first_is_restart
    )
    start = not is_running and (
        bool(job.after)
        or pausing is None
        or (way.transfer.n_slots > 0 and way.transfer.it_kw > 0)
        or promised_here(job, way)
        or (first_is_free and pausing is not None and pausing.restart_kwh > 0)
        or (first_is_free and least_after > least_run)
        or (first_is_free and restart_slots > 0 and n_configurations > 1)
    )
    end = (
        pausing is None
        or is_late_possible(job, way)
        or job.name in around.awaited
        or not way.has_one_rate
    )
    lost_slots = None
    if way.has_one_rate:
        lost = lost_per_restart(job, way.fastest.configuration, around.links, hours)
        lost_slots = round(lost / rate(way.fastest, hours), 9)
    return Needs(
        pieces=pieces,
        start=start,
        end=end,
        one_piece=pausing is None,
        first_is_restart=first_is_restart,
        is_running=is_running,
        least_run=least_run,
        least_after_restart=least_after,
        n_slots=slots_to_do(job.work, way.fastest, hours),
        lost_slots=lost_slots,
    )


def add_variables(
    block: pyo.Block, job: Job, way: Way, around: Surroundings, needs: Needs
) -> WayVars:
    """Add what ``needs`` says to ``block``."""
    run_index = [
        (p, t) for p, point in enumerate(way.points) for t in free_slots(job, way, point, around)
    ]
    configurations = tuple(dict.fromkeys(point.configuration for point in way.points))
    busy = {(configurations.index(way.points[p].configuration), t) for p, t in run_index}
    begin_index = [
        (c, t)
        for c, t in sorted(busy)
        if t + needs.least_begun <= way.end_slot
        and not (needs.is_running and t in way.pinned_slots)
    ]
    shortest = least_slots(job, way, around)
    latest_start = way.end_slot - shortest
    block.served = pyo.Var(within=pyo.Binary)
    block.runs = pyo.Var(run_index, within=pyo.Binary)
    block.begins = pyo.Var(begin_index if needs.pieces else [], bounds=(0, 1))
    block.started = pyo.Var(
        range(way.first_slot, latest_start) if needs.start else [], bounds=(0, 1)
    )
    block.finished = pyo.Var(
        range(way.first_slot + shortest, way.end_slot) if needs.end else [], bounds=(0, 1)
    )
    several = needs.pieces and needs.start and len(configurations) > 1
    firsts = [(c, t) for c, t in begin_index if t <= latest_start] if several else []
    block.first = pyo.Var(firsts, bounds=(0, 1))
    ends = (
        []
        if way.has_one_rate
        else [(p, t) for p, t in run_index if t >= way.first_slot + shortest - 1]
    )
    block.last = pyo.Var(ends, bounds=(0, 1))
    return WayVars(
        job=job,
        way=way,
        needs=needs,
        slot_hours=around.horizon.slot_hours,
        configurations=configurations,
        served=block.served,
        runs=block.runs,
        begins=block.begins,
        first=block.first,
        started=block.started,
        finished=block.finished,
        last=block.last,
        latest_start=latest_start,
        shortest=shortest,
    )
