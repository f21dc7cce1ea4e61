"""What a job that is not in a plan would cost, by when it must be done: before it is submitted.

The plan stays as it is: the job gets GPUs no other holds, and power the sites can still draw, with
batteries and generators as planned. So a quote that fits is what adding the job to this plan would
cost, no more; planning the same jobs anew can only be cheaper. It is no reservation: nothing is
held for anybody.

Where nothing fits, the quote names what stands against the cheapest placement, and says what that
would cost at the plan's slot prices: with the price of its GPU-hours, which is what they are worth
to the jobs it would displace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.alternatives import FilledPlan, Stand, blocked_by, gpu_hours_eur, open_offer
from optimizer.jobs import Job
from optimizer.pieces import Links, usable_points
from optimizer.placements.priced import Offer, Priced, Window, cheapest_each
from optimizer.plan import Placement, Plan
from optimizer.problem import Problem
from optimizer.room import PoolKey, Room, added_it_kw, least_slots
from optimizer.settlement import own_costs
from optimizer.supply import SiteSupply, supply_of
from optimizer.violations import ceiling_violations

Floats = NDArray[np.float64]

_SAME_EUR = 1e-9


@dataclass(frozen=True, slots=True)
class Quote:
    """What one job would cost if it must be done by the start of ``deadline_slot``.

    Attributes
    ----------
    placement
        The cheapest way to run it; ``None``: not even alone could it be done in time.
    blocked_by
        What stands against the placement in the plan as it is; empty: it fits, see ``fits``.
    cost_eur
        Where it fits: rise of the plan's objective [EUR], by the operator's weights: energy,
        network, peak, fuel, carbon at its price, restarts, data transfer, lateness, limits and
        ceilings missed. Where it does not: the same at slot prices. GPU-hours are apart, in
        ``gpu_eur``.
    paid_eur
        What of it is really paid [EUR]; ``None`` where it does not fit.
    carbon_kg
        Where it fits: what the sources that the site would draw from emit. Else: as if imported.
    energy_kwh
        What the site would draw more, with PUE, net of idle GPUs.
    gpu_hours
        GPU-hours it would hold.
    gpu_eur
        Their price in the plan [EUR]: what they are worth to other jobs. Nobody pays it.
        ``None`` where the plan has no slot prices.
    """

    deadline_slot: int
    placement: Placement | None
    blocked_by: tuple[str, ...]
    cost_eur: float | None = None
    paid_eur: float | None = None
    carbon_kg: float | None = None
    energy_kwh: float | None = None
    gpu_hours: float | None = None
    gpu_eur: float | None = None

    @property
    def fits(self) -> bool:
        """Whether the plan has room for it."""
        return self.placement is not None and not self.blocked_by


@dataclass(frozen=True, slots=True)
class EnergyOnTop:
    """Energy as the sites of a plan can still give it; see ``optimizer.supply``."""

    supplies: Sequence[SiteSupply]
    pue: Floats
    peak_slots: int

    def eur(self, site: int, it_kw: float) -> Floats:
        """Cost of ``it_kw`` more IT load at the site of this index [slot].

        A job that draws less than the idle GPUs it takes is given nothing for it.
        """
        return self.supplies[site].eur(self.pue[site] * max(0.0, it_kw), self.peak_slots)


@dataclass(frozen=True, slots=True)
class Quoter:
    """Quotes one job after another against one plan; changes nothing, so threads may share it.

    Setting it up costs as much as many quotes. ``room`` is what the plan leaves, its supply that of
    ``supplies`` [site].
    """

    plan: Plan
    room: Room
    supplies: tuple[SiteSupply, ...]
    it_eur_per_kwh: Floats
    gpu_eur_per_gpu_hour: dict[PoolKey, Floats]

    @classmethod
    def of(cls, problem: Problem, plan: Plan) -> Quoter:
        """Get ready to quote against ``plan``."""
        filled = FilledPlan.of(problem, plan)
        pairs = zip(problem.sites, plan.flows, strict=True)
        supplies = tuple(supply_of(problem, site, flows) for site, flows in pairs)
        pue = np.array([site.pue for site in problem.sites])
        spare_it_kw = np.array([supply.total_kw for supply in supplies]) / pue
        room = replace(filled.room, supply_it_kw=filled.room.it_load_kw + spare_it_kw)
        return cls(plan, room, supplies, filled.it_eur_per_kwh, filled.gpu_eur_per_gpu_hour)

    def quote(
        self, job: Job, deadlines: Sequence[int], name_slot: Callable[[int], str] = str
    ) -> tuple[Quote, ...]:
        """Quote ``job`` for each of ``deadlines``, slots by whose start it must be done.

        Its own deadline does not count, and no deadline past the horizon helps. With a later
        deadline the cost is the same or less, as long as it fits.

        Parameters
        ----------
        job
            Not one of the plan's, and neither pinned nor announced. An elastic job is quoted at its
            best single operating point. It may come after jobs of the plan.
        name_slot
            How to write the start of a slot in ``blocked_by``.

        Raises
        ------
        ValueError
            There is no deadline.
        """
        n_slots = self.room.problem.horizon.n_slots
        ends = [min(deadline, n_slots) for deadline in deadlines]
        if not ends:
            raise ValueError("quote: deadlines is empty, must hold at least one")
        stand = self._stand(replace(job, deadline_slot=max(0, *ends)), name_slot)
        window = stand.windows()
        free: list[Priced | None] = [None] * len(ends)
        if window is not None:
            on_top = EnergyOnTop(self.supplies, self._pue(), least_slots(*self._of(stand.job)))
            free = _cheapest_by(stand, self.room.offer(on_top), window, ends)
        lacking = [end for end, found in zip(ends, free, strict=True) if found is None]
        wished = dict(zip(lacking, self._alone(stand, lacking), strict=True))
        best: Quote | None = None
        quotes: dict[int, Quote] = {}
        for end, deadline, found in sorted(zip(ends, deadlines, free, strict=True), key=_by_end):
            if found is not None:
                quote = self._fitting(stand, deadline, found.placement)
                # Ceilings and peaks are not in the search: keep an earlier one that is cheaper.
                if best is None or _cost(quote) < _cost(best) - _SAME_EUR:
                    best = quote
            if best is None:
                quotes[deadline] = self._blocked(stand, deadline, wished[end])
            else:
                quotes[deadline] = replace(best, deadline_slot=deadline)
        return tuple(quotes[deadline] for deadline in deadlines)

    def _of(self, job: Job) -> tuple[Problem, Job, Links]:
        return self.room.problem, job, self.room.links

    def _pue(self) -> Floats:
        return np.array([site.pue for site in self.room.problem.sites])

    def _stand(self, job: Job, name_slot: Callable[[int], str]) -> Stand:
        """Let ``job`` stand before the plan as one that it leaves out."""
        room = replace(self.room, latest_ends={job.name: job.deadline_slot})
        prices = self.it_eur_per_kwh, self.gpu_eur_per_gpu_hour
        return Stand(room, job, None, *prices, (job.deadline_slot, None), name_slot)

    def _alone(self, stand: Stand, ends: Sequence[int]) -> list[Priced | None]:
        """Return the cheapest placements at slot prices, as if the others made room."""
        if not ends:
            return []
        return _cheapest_by(stand, open_offer(stand), Window(0, stand.job.deadline_slot), ends)

    def _fitting(self, stand: Stand, deadline: int, placement: Placement) -> Quote:
        problem, job = self.room.problem, stand.job
        row = self.room.row(placement.site)
        added_kw = np.maximum(added_it_kw(problem, job, placement, self.room.links), 0.0)
        load = self.supplies[row].added(np.asarray(problem.sites[row].pue) * added_kw)
        own = own_costs(job, placement, self.room.links, problem.horizon.slot_hours)
        paid = load.paid_eur + own.restarts_eur + own.data_transfer_eur
        terms = self.plan.terms
        after = replace(
            terms,
            carbon_kg=terms.carbon_kg + load.carbon_kg,
            energy_bought_eur=terms.energy_bought_eur + paid,
        )
        over = ceiling_violations(problem, after), ceiling_violations(problem, terms)
        missed, before = (sum(violation.penalty_eur for violation in one) for one in over)
        return Quote(
            deadline,
            placement,
            (),
            cost_eur=load.eur + own.weighted_eur(problem.weights) + missed - before,
            paid_eur=paid,
            carbon_kg=load.carbon_kg,
            energy_kwh=load.kwh,
            gpu_hours=self._gpu_hours(job, placement),
            gpu_eur=self._gpu_eur(job, placement),
        )

    def _blocked(self, stand: Stand, deadline: int, wished: Priced | None) -> Quote:
        problem, job = self.room.problem, stand.job
        if wished is None:
            return Quote(deadline, None, (_too_short(stand, deadline),))
        place = wished.placement
        added_kw = np.maximum(added_it_kw(problem, job, place, self.room.links), 0.0)
        pue = np.asarray(problem.site(place.site).pue)
        gpu_eur = self._gpu_eur(job, place)
        return Quote(
            deadline,
            place,
            blocked_by(stand, place) or ("the plan has no room for it",),
            cost_eur=stand.cost_of(place) - (gpu_eur or 0.0),
            carbon_kg=stand.carbon_of(place),
            energy_kwh=float(added_kw @ pue) * problem.horizon.slot_hours,
            gpu_hours=self._gpu_hours(job, place),
            gpu_eur=gpu_eur,
        )

    def _gpu_hours(self, job: Job, placement: Placement) -> float:
        hours = self.room.problem.horizon.slot_hours
        return hours * sum(job.point(point).gpus for _, point in placement.slots())

    def _gpu_eur(self, job: Job, placement: Placement) -> float | None:
        if self.plan.prices is None:
            return None
        return gpu_hours_eur(
            job, placement, self.gpu_eur_per_gpu_hour, self.room.problem.horizon.slot_hours
        )


def _cost(quote: Quote) -> float:
    return quote.cost_eur or 0.0


def _by_end(asked: tuple[int, int, Priced | None]) -> tuple[int, int]:
    return asked[:2]


def _cheapest_by(
    stand: Stand, offer: Offer, window: Window, ends: Sequence[int]
) -> list[Priced | None]:
    """Return the cheapest placement that is done by each of ``ends``."""
    problem = stand.room.problem
    points = usable_points(stand.job, stand.room.links, problem.horizon.slot_hours)
    found = cheapest_each(problem, stand.job, points, offer, window, deadlines=ends)
    return [
        min((one for one in row if one), key=lambda one: one.cost_eur, default=None)
        for row in found
    ]


def _too_short(stand: Stand, deadline: int) -> str:
    """Say by how much the window is too short for the job at its fastest, and alone."""
    problem, job, links = stand.room.problem, stand.job, stand.room.links
    if not usable_points(job, links, problem.horizon.slot_hours):
        return "no link brings its data to a site it may run at"
    needed = least_slots(problem, job, links)
    end = min(deadline, problem.horizon.n_slots)
    has = max(0, end - job.release_slot)
    return (
        f"it takes {needed} slots at least, and from {stand.name_slot(job.release_slot)} to"
        f" {stand.name_slot(end)} there are {has}"
    )
