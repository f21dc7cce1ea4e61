"""What the slot variables of one way of a job must say, and what they may leave out."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.jobs import Job, slots_to_do
from optimizer.pieces import begins_with_restart, lost_per_restart, min_run_slots, rate
from optimizer.placements.ways import Surroundings, Way


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
