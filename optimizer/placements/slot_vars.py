"""The slot variables of one way of a job; the equations are numbered in ``placements.slotwise``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyomo.environ as pyo

from optimizer.jobs import Job
from optimizer.pieces import Configuration
from optimizer.placements.interface import LinearSum, PoolSlot, ShedSlot, SitePower
from optimizer.placements.slot_needs import Needs, is_late_possible, promised_here
from optimizer.placements.ways import Surroundings, Way, free_slots, shortest_run
from optimizer.plan import Placement


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

    def add_shed_to(self, shed: dict[ShedSlot, LinearSum]) -> None:
        """Add what can be shed [kW]."""
        for (p, t), x in self.runs.items():
            point = self.way.points[p]
            if point.shed_kw > 0:
                key = point.site, point.shed_within_s, t
                shed.setdefault(key, LinearSum()).add(point.shed_kw, x)

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
        if not self.needs.counts_slots:
            self._set_start_of_pieces(on)

    def _set_start_of_pieces(self, on: set[tuple[int, int]]) -> None:
        """Give the begins, the first of them and the last slot their values, too."""
        number = [self.configurations.index(p.configuration) for p in self.way.points]
        busy = {(number[p], t) for p, t in on}
        if self.needs.is_running and self.job.pin is not None:
            pinned = self.job.point(self.job.pin.point).configuration
            busy.add((self.configurations.index(pinned), self.way.first_slot - 1))
        start = min((t for _, t in on), default=None)
        end = max((t for _, t in on), default=None)
        for (c, t), begin in self.begins.items():
            begin.set_value(int((c, t) in busy and (c, t - 1) not in busy))
        for (c, t), first in self.first.items():
            first.set_value(int((c, t) in busy and t == start))
        for key, last in self.last.items():
            last.set_value(int(key in on and key[1] == end))


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
    shortest = shortest_run(job, way, around)
    latest_start = way.end_slot - shortest
    block.served = pyo.Var(within=pyo.Binary)
    block.runs = pyo.Var(run_index, within=pyo.Binary)
    # Integral anyway, given x and z; but a work row multiplies what the solver's tolerance leaves
    # of them by the work a restart loses, and that would pass for work done.
    share = pyo.UnitInterval if needs.counts_slots else pyo.Binary
    block.begins = pyo.Var(begin_index if needs.pieces else [], within=share)
    block.started = pyo.Var(
        range(way.first_slot, latest_start) if needs.start else [], bounds=(0, 1)
    )
    block.finished = pyo.Var(
        range(way.first_slot + shortest, way.end_slot) if needs.end else [], bounds=(0, 1)
    )
    several = needs.pieces and needs.start and len(configurations) > 1
    firsts = [(c, t) for c, t in begin_index if t <= latest_start] if several else []
    block.first = pyo.Var(firsts, within=share)
    ends = (
        []
        if way.has_one_rate
        else [(p, t) for p, t in run_index if t >= way.first_slot + shortest - 1]
    )
    block.last = pyo.Var(ends, within=share)
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
