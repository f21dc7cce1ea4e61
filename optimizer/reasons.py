"""Why a job was left out: the limit that stands against it and by how much, in one sentence.

Every plan asks here, whoever made it: the job is put back into what the other jobs leave, and what
stands in its way is named. An elastic job is tried at each operating point alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.jobs import Job, OperatingPoint
from optimizer.pieces import min_run_slots, slots_needed, transfer_to, usable_points
from optimizer.placements.priced import EnergyAtPrices, Offer, Priced, Window, cheapest_at
from optimizer.plan import Placement, SlotPrices, Unserved
from optimizer.problem import Problem
from optimizer.room import EarlyOrLate, Room, WhereCarried, gpu_prices_of
from optimizer.settlement import left_out_eur
from optimizer.tariffs import import_eur_per_kwh

Bools = NDArray[np.bool_]


def reasons_left_out(
    problem: Problem, placements: Sequence[Placement], prices: SlotPrices | None
) -> tuple[Unserved, ...]:
    """Name every job of ``problem`` that has no placement, in order, with its reason.

    Costs are at slot ``prices``, or at what imported energy costs where there are none.
    """
    room = Room.filled(problem, placements)
    hours = problem.horizon.slot_hours
    if prices is None:
        pue = np.array([site.pue for site in problem.sites])
        offer = room.offer(EnergyAtPrices(import_eur_per_kwh(problem) * pue, hours))
        at_what = "at import prices"
    else:
        energy = EnergyAtPrices(np.array(prices.it_eur_per_kwh), hours)
        offer = replace(room.offer(energy), gpu_eur_per_gpu_hour=gpu_prices_of(problem, prices))
        at_what = "at the plan's slot prices"
    return tuple(
        priced_out(room, job, offer, at_what) for job in problem.jobs if job.name not in room.ends
    )


def no_place(room: Room, job: Job, points: Sequence[OperatingPoint]) -> Unserved:
    """Leave ``job`` out, which has no place in ``room`` at any of ``points``."""
    by_time = EarlyOrLate(room.problem.horizon.n_slots, is_late=False)
    found = _place_or_obstacle(room, job, room.offer(by_time), points)
    return _unserved(job, found if isinstance(found, str) else "no place was found for it")


def priced_out(room: Room, job: Job, offer: Offer, at_what: str) -> Unserved:
    """Leave ``job`` out of ``room``: it has no place there, or one that costs too much.

    Parameters
    ----------
    offer
        What energy and GPUs cost, and the free GPUs of ``room``.
    at_what
        Says which costs these are.
    """
    found = _place_or_obstacle(room, job, offer, job.points)
    if isinstance(found, str):
        return _unserved(job, found)
    place, value = found.placement, left_out_eur(job, room.problem.weights)
    where = f"{place.site} from slot {place.start_slot} to {place.end_slot}"
    cost = f"{at_what} its cheapest place, {where}, costs {found.cost_eur:.2f} EUR"
    out = f"leaving it out costs {value:.2f} EUR"
    if found.cost_eur > value:
        return _unserved(job, f"too dear: {cost}; {out} ({found.cost_eur - value:.2f} EUR less)")
    return _unserved(job, f"the search found no better plan with it: {cost}; {out}")


def _unserved(job: Job, reason: str) -> Unserved:
    return Unserved(job.name, reason, is_deferred=job.can_wait)


def _place_or_obstacle(
    room: Room, job: Job, offer: Offer, points: Sequence[OperatingPoint]
) -> Priced | str:
    """Return the cheapest place ``room`` has for ``job``, or what stands against every place."""
    missing = next((name for name in job.after if name not in room.ends), None)
    if missing is not None:
        return f"it must wait for job {missing}, which is not served"
    usable = usable_points(job, room.links, room.problem.horizon.slot_hours)
    usable = tuple(
        p for p in usable if p in points and (job.pin is None or job.pin.point == p.name)
    )
    if not usable:
        return _no_link(job)
    spans = [_span(room, job, point) for point in usable]
    late = min(span.late_slots for span in spans)
    if late > 0:
        return min(spans, key=lambda span: span.late_slots).too_short()
    spans = [span for span in spans if span.late_slots <= 0]
    window = room.windows(job)[-1]
    if _cheapest(room, job, offer, spans, window) is None:
        return min(_too_few_gpus(room, span) for span in spans)[1]
    powered = replace(offer, energy=WhereCarried(room, offer.energy))
    place = _cheapest(room, job, powered, spans, window)
    return place or min(_too_little_power(room, span) for span in spans)[1]


def _no_link(job: Job) -> str:
    if job.data is None:
        raise AssertionError("only a job whose data cannot reach its sites has no usable point")
    sites = ", ".join(job.sites)
    size = f"{job.data.size_gb:g} GB"
    return f"no link leads from {job.data.site}, where its {size} of input lie, to site {sites}"


def _cheapest(
    room: Room, job: Job, offer: Offer, spans: Sequence[_Span], window: Window
) -> Priced | None:
    found = [cheapest_at(room.problem, job, span.point, offer, window) for span in spans]
    return min((place for place in found if place), key=lambda p: p.cost_eur, default=None)


@dataclass(frozen=True, slots=True)
class _Span:
    """Slots [begin, end) in which a job may run at one point, of which it needs ``needed``.

    ``piece`` is the least length of its first run there, ``held`` what of it a pin holds;
    ``since`` says what it has to wait for.
    """

    job: Job
    point: OperatingPoint
    begin: int
    end: int
    needed: int
    piece: int
    held: int
    since: str

    @property
    def late_slots(self) -> int:
        """Slots the window lacks; a pin that cannot be kept lacks those before it may start."""
        pin = self.job.pin
        if pin is not None and self.begin > pin.start_slot:
            return self.begin - pin.start_slot
        return self.needed - max(0, self.end - self.begin)

    def too_short(self) -> str:
        """Compare the slots it needs with those between release and deadline."""
        pin = self.job.pin
        if pin is not None and self.begin > pin.start_slot:
            return (
                f"it is pinned to start in slot {pin.start_slot}, but may not start before slot"
                f" {self.begin}{self.since}: {self.late_slots} slots too late"
            )
        return (
            f"it needs {self.needed} slots from slot {self.begin} on{self.since}, and its deadline"
            f" leaves {self.needed - self.late_slots}: {self.late_slots} too few"
        )

    @property
    def when(self) -> str:
        """The slots in words."""
        return f"slots {self.begin} to {self.end - 1}"

    def stretch(self, fits: Bools, what: str) -> tuple[float, str]:
        """Say, as a fraction and in words, how many of the slots that ``fits`` it lacks."""
        longest, barred = _longest(fits), self.begin + int(np.argmin(fits))
        if self.job.pin is not None and barred < self.begin + self.held and not fits.all():
            pinned = f"it is pinned in slots {self.begin} to {self.begin + self.held - 1}"
            return 1.0, f"{pinned} with {what}, and slot {barred} has not as much"
        of = f" at operating point {self.point.name} throughout" if self.job.is_elastic else ""
        if self.job.pausing is None or self.job.pausing.max_pauses == 0:
            have, need, kind = longest, self.needed, "in a row"
        elif longest < self.piece:
            have, need, kind = longest, self.piece, "in a row for each of its runs"
        else:
            have, need, kind = int(fits.sum()), self.needed, "in runs long enough"
        text = f"it needs {need} slots {kind}{of} with {what}; in {self.when} "
        if have >= need:
            return 0.0, f"{text}they do not add up with its restarts and transfers between them"
        return (need - have) / need, (
            f"{text}at most {have} are left (not slot {barred}): {need - have} too few"
        )


def _span(room: Room, job: Job, point: OperatingPoint) -> _Span:
    """Find the slots between which ``job`` may run at its usable ``point``."""
    horizon, links = room.problem.horizon, room.links
    transfer = transfer_to(job, point.site, links, horizon.slot_hours)
    begin, since = job.release_slot, ""
    if transfer is not None and transfer.n_slots:
        begin, since = begin + transfer.n_slots, f", after {transfer.n_slots} of data transfer"
    for name in job.after:
        if room.ends[name] > begin:
            begin, since = room.ends[name], f", when job {name} before it is done"
    needed = slots_needed(job, point, 0, links, horizon.slot_hours)
    end = min(job.deadline_slot, horizon.n_slots)
    piece = min_run_slots(job, links, horizon.slot_hours)
    if job.pausing is not None and job.had_started:
        piece = max(piece, job.pausing.restart_slots + 1)
    held = 0
    if job.pin is not None and begin <= job.pin.start_slot:
        begin, held = job.pin.start_slot, min(needed, job.pin.n_slots)
        is_one_piece = job.pausing is None or job.pausing.max_pauses == 0
        # From a frozen start on, only an unbroken run counts.
        end = min(end, begin + needed) if is_one_piece and end - begin >= needed else end
    return _Span(job, point, begin, end, needed, piece, held, since)


def _too_few_gpus(room: Room, span: _Span) -> tuple[float, str]:
    """Say, as a fraction and in words, how far the free GPUs are from serving the job."""
    point = span.point
    free = room.free_gpus[point.site, point.pool][span.begin : span.end]
    most, pool = float(free.max()), f"pool {point.site}/{point.pool}"
    if most < point.gpus:
        lack = point.gpus - most
        text = f"it needs {point.gpus} GPUs of {pool}, and at most {most:g} are free in {span.when}"
        return 1.0 + lack, f"{text}: {lack:g} too few"
    return span.stretch(free >= point.gpus - 1e-9, f"{point.gpus} GPUs of {pool}")


def _too_little_power(room: Room, span: _Span) -> tuple[float, str]:
    """Say, as a fraction and in words, how far the supply is from carrying the job."""
    point, row = span.point, room.row(span.point.site)
    net_kw = point.power_kw - point.gpus * room.problem.sites[row].pool(point.pool).idle_kw_per_gpu
    spare = (room.supply_it_kw[row] - room.it_load_kw[row])[span.begin : span.end]
    most = max(0.0, float(spare.max()))
    if most < net_kw:
        text = f"it adds {net_kw:g} kW of IT load, and the supply of {point.site} carries at most"
        lack = net_kw - most
        return 1.0 + lack, f"{text} {most:g} more in {span.when}: {lack:g} kW too little"
    free = room.free_gpus[point.site, point.pool][span.begin : span.end] >= point.gpus - 1e-9
    fits = free & room.carries(row, net_kw)[span.begin : span.end]
    return span.stretch(fits, f"{point.gpus} GPUs and {net_kw:g} kW at {point.site}")


def _longest(fits: Bools) -> int:
    """Length of the longest run of True."""
    longest = length = 0
    for can in fits.tolist():
        length = length + 1 if can else 0
        longest = max(longest, length)
    return longest
