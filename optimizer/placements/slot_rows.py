"""The rows of one way of a job; the equations are numbered in ``placements.slotwise``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyomo.environ as pyo

from optimizer.jobs import Job
from optimizer.pieces import lost_per_restart, rate, work_tolerance
from optimizer.placements.interface import LinearSum
from optimizer.placements.slot_needs import needs_of
from optimizer.placements.slot_vars import WayVars, add_variables
from optimizer.placements.ways import Surroundings, Way

ROW_SCALE = 100.0
"""Work rows are scaled so that the work tolerance is far above the solver's."""


def add_way(block: pyo.Block, job: Job, way: Way, around: Surroundings) -> WayVars:
    """Add variables and (W1) to (W11) of one way to ``block``."""
    needs = needs_of(job, way, around)
    v = add_variables(block, job, way, around, needs)
    _add_work(block, v, around)
    _add_presence(block, v)
    if needs.pieces:
        _add_begins(block, v)
        _add_least_runs(block, v)
        _add_pause_limit(block, v)
    if needs.start:
        _add_start(block, v)
    if needs.end:
        _add_end(block, v)
    return v


def _window(v: WayVars) -> range:
    return range(v.way.first_slot, v.way.end_slot)


def _add_work(block: pyo.Block, v: WayVars, around: Surroundings) -> None:
    """Add (W1), or (W2) and (W3) where that cannot say it, and what a pin fixes."""
    if v.needs.counts_slots and v.needs.lost_slots is not None:
        done = LinearSum.of(v.runs.values())
        done.add(-float(v.needs.n_slots), v.served)
        done.add_sum(v.n_restarts(), -v.needs.lost_slots)
        block.work_in_slots = pyo.Constraint(expr=done.expression() == 0)  # (W1)
    else:
        _add_work_by_rate(block, v, around)

    def pinned(_: pyo.Block, t: int) -> Any:
        p = [point.name for point in v.way.points].index(v.job.pin.point)  # type: ignore[union-attr]
        return v.runs[p, t] == v.served

    block.pinned = pyo.Constraint(v.way.pinned_slots, rule=pinned)


def _add_work_by_rate(block: pyo.Block, v: WayVars, around: Surroundings) -> None:
    tolerance = work_tolerance(v.job.work)
    scale = ROW_SCALE / max(1.0, v.job.work)
    rates = [rate(point, v.slot_hours) for point in v.way.points]
    done = LinearSum()
    for (p, _), x in v.runs.items():
        done.add(scale * rates[p], x)
    for c, configuration in enumerate(v.configurations):
        lost = lost_per_restart(v.job, configuration, around.links, v.slot_hours)
        for t in _window(v):
            done.add_sum(v.restarts(c, t), -scale * lost)
    enough = LinearSum()
    enough.add_sum(done)
    enough.add(-scale * (v.job.work - 0.5 * tolerance), v.served)
    done.add(-scale * (v.job.work - 2.0 * tolerance), v.served)
    if v.way.has_one_rate:
        done.add(-scale * rates[0], v.served)
    for (p, _), e in v.last.items():
        done.add(-scale * rates[p], e)
    block.enough_work = pyo.Constraint(expr=enough.expression() >= 0)  # (W2)
    block.stops_when_done = pyo.Constraint(expr=done.expression() <= 0)  # (W3)


def _add_presence(block: pyo.Block, v: WayVars) -> None:
    """Add (W4); where pieces are counted in one configuration, (W6) says it already."""
    if v.needs.pieces and len(v.configurations) == 1:
        return

    def runs_between_start_and_end(_: pyo.Block, t: int) -> Any:
        row = v.point_slots(None, t)
        row.add_sum(v.started_by(t), -1.0)
        row.add_sum(v.finished_by(t))
        return row.expression() == 0 if v.needs.one_piece else row.expression() <= 0

    block.runs_between_start_and_end = pyo.Constraint(  # (W4)
        _window(v), rule=runs_between_start_and_end
    )


def _add_begins(block: pyo.Block, v: WayVars) -> None:
    """Add (W5) and (W6): a piece begins where it comes on, and nowhere else."""
    configurations, window = range(len(v.configurations)), _window(v)

    def begin(c: int, t: int) -> LinearSum:
        return LinearSum.of([v.begins[c, t]] if (c, t) in v.begins else [])

    def begins_when_it_comes_on(_: pyo.Block, c: int, t: int) -> Any:
        row = v.point_slots(c, t)
        if not row.variables:
            return pyo.Constraint.Skip
        row.add_sum(v.before(c, t), -1.0)
        row.add_sum(begin(c, t), -1.0)
        return row.expression() <= 0

    def begins_only_when_off(_: pyo.Block, c: int, t: int) -> Any:
        row = v.before(c, t)
        row.add_sum(begin(c, t))
        if not row.variables or (v.needs.is_running and t == v.way.first_slot):
            return pyo.Constraint.Skip
        row.add_sum(v.started_by(t), -1.0)
        row.add_sum(v.finished_by(t - 1))
        return row.expression() <= 0

    block.begins_when_it_comes_on = pyo.Constraint(  # (W5)
        configurations, window, rule=begins_when_it_comes_on
    )
    block.begins_only_when_off = pyo.Constraint(  # (W6)
        configurations, range(window.start, window.stop + 1), rule=begins_only_when_off
    )


def _add_least_runs(block: pyo.Block, v: WayVars) -> None:
    """Add (W7), and (W8) where a piece after a restart must be longer than another."""
    needs, configurations, window = v.needs, range(len(v.configurations)), _window(v)

    def begun(c: int, first: int, last: int) -> LinearSum:
        return LinearSum.of(v.begins[c, k] for k in range(first, last + 1) if (c, k) in v.begins)

    def lasts(_: pyo.Block, c: int, t: int) -> Any:
        row = begun(c, t - needs.least_begun + 1, t)
        if not row.variables:
            return pyo.Constraint.Skip
        row.add_sum(v.point_slots(c, t), -1.0)
        return row.expression() <= 0

    def lasts_after_restart(_: pyo.Block, c: int, t: int) -> Any:
        row = begun(c, t - needs.least_run + 1, t)
        for k in range(t - needs.least_after_restart + 1, t - needs.least_run + 1):
            row.add_sum(v.restarts(c, k))
        if not row.variables:
            return pyo.Constraint.Skip
        row.add_sum(v.point_slots(c, t), -1.0)
        return row.expression() <= 0

    def late_begin_is_first(_: pyo.Block, c: int, t: int) -> Any:
        row = v.restarts(c, t)
        is_late = t + needs.least_after_restart > v.way.end_slot
        return row.expression() <= 0 if row.variables and is_late else pyo.Constraint.Skip

    block.lasts = pyo.Constraint(configurations, window, rule=lasts)  # (W7)
    if needs.least_after_restart > needs.least_begun:
        block.lasts_after_restart = pyo.Constraint(  # (W8)
            configurations, window, rule=lasts_after_restart
        )
        block.late_begin_is_first = pyo.Constraint(  # (W8)
            configurations, window, rule=late_begin_is_first
        )


def _add_pause_limit(block: pyo.Block, v: WayVars) -> None:
    """Add (W9): at least one piece, and no more than the job allows or has slots for."""
    if not v.needs.is_running:
        pieces = LinearSum.of(v.begins.values())
        pieces.add(-1.0, v.served)
        block.begins_once = pyo.Constraint(expr=pieces.expression() >= 0)  # (W9)
    most = _most_pauses(v)
    begins = LinearSum.of(v.begins.values())
    if most is not None and begins.variables:
        begins.add(-float(most if v.needs.is_running else most + 1), v.served)
        block.few_pauses = pyo.Constraint(expr=begins.expression() <= 0)  # (W9)


def _most_pauses(v: WayVars) -> int | None:
    """Pauses a job may make; every further piece must add more slots than its restart loses."""
    needs = v.needs
    most = v.job.pausing.max_pauses if v.job.pausing is not None else None
    limits = [] if most is None else [most]
    if needs.counts_slots and needs.lost_slots is not None:
        gain = needs.least_after_restart - round(needs.lost_slots)
        if gain <= 0:
            return most
        if needs.is_running:
            limits.append((needs.n_slots - max(1, len(v.way.pinned_slots))) // gain)
        elif needs.first_is_restart:
            limits.append(needs.n_slots // gain - 1)
        else:
            limits.append((needs.n_slots - needs.least_run) // gain)
    return min(limits, default=None)


def _add_start(block: pyo.Block, v: WayVars) -> None:
    """Add (W10), and which configuration the first piece has where there are several."""
    slots = range(v.way.first_slot, v.latest_start + 1)

    def start_is_kept(_: pyo.Block, t: int) -> Any:
        return v.started_in(t).expression() >= 0

    def starts_running(_: pyo.Block, t: int) -> Any:
        row = v.started_in(t)
        if v.needs.pieces and not v.needs.is_running:
            # Integers would not need it, but without it a restart in one slot can pay for a first
            # start in another, and the bound is a tenth lower.
            begun = (v.begins[c, t] for c in range(len(v.configurations)) if (c, t) in v.begins)
            row.add_sum(LinearSum.of(begun), -1.0)
        else:
            row.add_sum(v.point_slots(None, t), -1.0)
        return row.expression() <= 0

    block.start_is_kept = pyo.Constraint(slots, rule=start_is_kept)  # (W10)
    if not v.needs.one_piece:
        block.starts_running = pyo.Constraint(slots, rule=starts_running)  # (W10)
    if len(v.first) > 0:
        _add_first_configuration(block, v, slots)


def _add_first_configuration(block: pyo.Block, v: WayVars, slots: Sequence[int]) -> None:
    def first_in_some_configuration(_: pyo.Block, t: int) -> Any:
        row = v.started_in(t)
        for c in range(len(v.configurations)):
            row.add_sum(v.first_begin(c, t), -1.0)
        return row.expression() == 0

    def first_is_a_begin(_: pyo.Block, c: int, t: int) -> Any:
        return v.first[c, t] <= v.begins[c, t]

    block.first_in_some_configuration = pyo.Constraint(slots, rule=first_in_some_configuration)
    block.first_is_a_begin = pyo.Constraint(list(v.first), rule=first_is_a_begin)


def _add_end(block: pyo.Block, v: WayVars) -> None:
    """Add (W11), and at which point it ends where points differ in rate."""
    slots = range(v.way.first_slot + v.shortest, v.way.end_slot + 1)

    def end_is_kept(_: pyo.Block, t: int) -> Any:
        return v.finished_in(t).expression() >= 0

    def ends_running(_: pyo.Block, t: int) -> Any:
        if v.needs.one_piece:
            row = v.finished_by(t)
            row.add_sum(v.started_by(t - v.shortest), -1.0)
        else:
            row = v.finished_in(t)
            row.add_sum(v.point_slots(None, t - 1), -1.0)
        return row.expression() <= 0

    block.end_is_kept = pyo.Constraint(slots, rule=end_is_kept)  # (W11)
    block.ends_running = pyo.Constraint(slots, rule=ends_running)  # (W11)
    if not v.way.has_one_rate:
        _add_last_point(block, v, slots)


def _add_last_point(block: pyo.Block, v: WayVars, slots: Sequence[int]) -> None:
    def last_slot_has_a_point(_: pyo.Block, t: int) -> Any:
        row = v.finished_in(t)
        for p in range(len(v.way.points)):
            if (p, t - 1) in v.last:
                row.add(-1.0, v.last[p, t - 1])
        return row.expression() == 0

    def last_runs(_: pyo.Block, p: int, t: int) -> Any:
        return v.last[p, t] <= v.runs[p, t]

    block.last_slot_has_a_point = pyo.Constraint(slots, rule=last_slot_has_a_point)
    block.last_runs = pyo.Constraint(list(v.last), rule=last_runs)
