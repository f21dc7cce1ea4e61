"""What the window must hold of a job whose deadline lies past the window's end.

With W the window's end, D the deadline and L the least slots the job takes (all in slots):

- D <= W: the job as it is.
- W + L <= D: it can be done wholly afterwards. Where it fits it may wait, at what doing it later is
  expected to cost; where it does not fit it is left out.
- otherwise, where it fits, it must finish within the window.
- otherwise only a part can be planned. A pausable job does the work for which there is no time
  after the window. A contiguous one starts at its latest safe start, D - L, and is cut at W.

A running job never waits; a contiguous one is cut at W.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer import Job, Link, OperatingPoint, Site, Weights, slots_to_do, transfer_to


@dataclass(frozen=True, slots=True)
class FittedJob:
    """A job as the window holds it.

    Attributes
    ----------
    job
        ``None``: left out.
    is_cut
        Only a part of it is planned: it is not done within the window.
    note
        What was changed or why it is left out; empty where neither.
    """

    job: Job | None
    is_cut: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Outlook:
    """The window's length, what is there in it, and what work after it is expected to cost.

    Attributes
    ----------
    gpus
        GPUs that are there, by site and pool, in each slot.
    eur_per_it_kwh
        Mean weighted price of IT energy by site, PUE and carbon price included [EUR/kWh]; after
        the window it is expected to be what it is on average within it.
    """

    n_slots: int
    slot_hours: float
    gpus: Mapping[tuple[str, str], Sequence[float]]
    eur_per_it_kwh: Mapping[str, float]
    links: Mapping[tuple[str, str], Link]
    weights: Weights


def mean_eur_per_it_kwh(site: Site, weights: Weights) -> float:
    """Mean over the slots of what a kWh of IT energy bought at ``site`` costs, weighted [EUR]."""
    energy_eur_per_mwh = weights.energy * np.asarray(site.grid.import_price_eur_per_mwh)
    network_eur_per_mwh = weights.network * np.asarray(site.grid.network_fee_eur_per_mwh)
    carbon_eur_per_kwh = weights.carbon_eur_per_t * np.asarray(site.grid.carbon_g_per_kwh) / 1e6
    eur_per_kwh = (energy_eur_per_mwh + network_eur_per_mwh) / 1000 + carbon_eur_per_kwh
    return float(np.mean(np.asarray(site.pue) * eur_per_kwh))


def fit_deadline(job: Job, outlook: Outlook) -> FittedJob:
    """Return what the window must hold of ``job``, whose deadline is counted past its end."""
    if job.pin is not None and job.pin.is_running and not job.may_pause:
        return _running_contiguous(job, outlook)
    lengths = _lengths(job, outlook)
    if job.deadline_slot <= outlook.n_slots or not lengths:
        return FittedJob(job)
    first = job.release_slot if job.pin is None else job.pin.start_slot
    fits = first + min(lengths.values()) <= outlook.n_slots
    if job.pin is None and job.deadline_slot - min(lengths.values()) >= outlook.n_slots:
        return _may_wait(job, lengths, outlook, fits=fits)
    if fits:
        return FittedJob(replace(job, deadline_slot=outlook.n_slots))
    if job.may_pause:
        return _part_of_pausable(job, outlook)
    return _part_of_contiguous(job, lengths, outlook)


def _may_wait(
    job: Job, lengths: Mapping[OperatingPoint, int], outlook: Outlook, *, fits: bool
) -> FittedJob:
    if not fits:
        return FittedJob(None, note="it fits only after the window and can wait")
    return FittedJob(
        replace(
            job,
            deadline_slot=outlook.n_slots,
            unserved_eur=_expected_cost_later(job, lengths, outlook),
            can_wait=True,
        )
    )


def _lengths(job: Job, outlook: Outlook) -> dict[OperatingPoint, int]:
    """Slots the job takes at each point its data can reach: transfer, restart and work."""
    restart = job.pausing.restart_slots if job.pausing is not None and job.had_started else 0
    lengths = {}
    for point in job.points:
        transfer = transfer_to(job, point.site, outlook.links, outlook.slot_hours)
        if transfer is not None:
            work_slots = slots_to_do(job.work, point, outlook.slot_hours)
            lengths[point] = transfer.n_slots + restart + work_slots
    return lengths


def _expected_cost_later(
    job: Job, lengths: Mapping[OperatingPoint, int], outlook: Outlook
) -> float:
    """Energy at mean price, transfer and lateness at the point where they are least [EUR]."""
    weights = outlook.weights

    def cost_eur(point: OperatingPoint) -> float:
        hours = slots_to_do(job.work, point, outlook.slot_hours) * outlook.slot_hours
        energy_eur = point.power_kw * hours * outlook.eur_per_it_kwh[point.site]
        transfer = transfer_to(job, point.site, outlook.links, outlook.slot_hours)
        transfer_eur = 0.0 if transfer is None else weights.data_transfer * transfer.eur
        late_eur = 0.0
        if job.due_slot is not None:
            late_slots = max(0, outlook.n_slots + lengths[point] - job.due_slot)
            late_eur = weights.lateness * job.priority * job.lateness_eur_per_slot * late_slots
        return energy_eur + transfer_eur + late_eur

    return max(0.0, min(cost_eur(point) for point in lengths))


def _running_contiguous(job: Job, outlook: Outlook) -> FittedJob:
    """Cut a job that runs on to the window's end; it is not stopped there."""
    if job.pin is None or job.pin.n_slots <= outlook.n_slots:
        return FittedJob(replace(job, deadline_slot=min(job.deadline_slot, outlook.n_slots)))
    point = job.point(job.pin.point)
    work = outlook.n_slots * outlook.slot_hours * point.work_per_hour
    beyond = job.pin.n_slots - outlook.n_slots
    cut = replace(
        job,
        work=work,
        deadline_slot=outlook.n_slots,
        due_slot=None,
        pin=replace(job.pin, n_slots=outlook.n_slots),
    )
    return FittedJob(cut, is_cut=True, note=f"runs on for {beyond} slots past the window's end")


def _part_of_pausable(job: Job, outlook: Outlook) -> FittedJob:
    """Plan the work for which there is no time between the window's end and the deadline.

    The time after the window is counted at the fastest point, less the restart it may begin with.
    What a pin holds is planned at least.
    """
    restart_slots = 0 if job.pausing is None else job.pausing.restart_slots
    slots_later = max(0, job.deadline_slot - outlook.n_slots - restart_slots)
    fastest = max(point.work_per_hour for point in job.points)
    work_now = job.work - slots_later * outlook.slot_hours * fastest
    if job.pin is not None:
        pinned = job.point(job.pin.point)
        work_now = max(work_now, job.pin.n_slots * outlook.slot_hours * pinned.work_per_hour)
    if work_now >= job.work:
        return FittedJob(replace(job, deadline_slot=outlook.n_slots))
    note = f"{work_now:.3g} of {job.work:.3g} h of work planned, the rest after the window's end"
    part = replace(job, work=work_now, deadline_slot=outlook.n_slots, due_slot=None)
    return FittedJob(part, True, note)


def _part_of_contiguous(
    job: Job, lengths: Mapping[OperatingPoint, int], outlook: Outlook
) -> FittedJob:
    """Start a job at its latest safe start, or where it is pinned, and cut it at the window's end.

    The latest safe start is that of its fastest points; only these are kept, so that the slots it
    is cut to are the slots it will hold.
    """
    end, slot_hours = outlook.n_slots, outlook.slot_hours
    points: tuple[OperatingPoint, ...]
    if job.pin is not None:
        points = (job.point(job.pin.point),)
        start, transfer_slots = job.pin.start_slot, 0
        release = job.release_slot
    else:
        fastest = max(point.work_per_hour for point in lengths)
        points = tuple(point for point in lengths if point.work_per_hour == fastest)
        work_slots = slots_to_do(job.work, points[0], slot_hours)
        transfer_slots = min(lengths.values()) - work_slots
        points = tuple(point for point in points if lengths[point] - work_slots == transfer_slots)
        start = min(job.deadline_slot - work_slots, end - 1)
        release = start - transfer_slots
    if release < job.release_slot:
        return FittedJob(job)  # too long even for its deadline: the plan will name it
    held = end - start
    cut = replace(
        job,
        points=points,
        work=held * slot_hours * points[0].work_per_hour,
        release_slot=release,
        deadline_slot=end,
        due_slot=None,
    )
    beyond = slots_to_do(job.work, points[0], slot_hours) - held
    return FittedJob(cut, True, f"starts in slot {start} and runs {beyond} slots past the window")
