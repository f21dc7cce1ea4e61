r"""No wait that errors do not warrant: jobs start at the earliest slot as good as their own.

A plan has jobs wait for hours that look cheaper. What that gains is known only as well as what it
rests on. With g_s what a job's own place gains over an earlier one in scenario s, the job takes the
earliest place at which

.. math::
    \bar g \le k \sigma_g, \qquad \bar g = \sum_s \pi_s g_s, \quad
        \sigma_g^2 = \sum_s \pi_s (g_s - \bar g)^2                                \tag{Z1}

sigma is the standard error of the gain: by how much one future differs from what is expected of it.
It is not divided by the number of scenarios: more paths of the past do not make a forecast better.
Errors that both places share are in g once and cancel. One scenario, the forecast, has no error:
then only ties move, to the earliest of equal slots.

Where something was announced, staying there is looked at first, whether that is earlier or later.
Jobs take their turn in order of start, on top of all others as they stand, so what is moved always
has its GPUs and its power. Batteries are operated anew at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.errors import SolverFailed
from optimizer.jobs import Job
from optimizer.placements.slot_costs import Window
from optimizer.plan import KeptEarly, Placement, Plan, Rung, SiteFlows
from optimizer.problem import Problem
from optimizer.progress import SolveLimits
from optimizer.room import Room
from optimizer.scenarios.candidates import Candidates, candidates_at, one_of
from optimizer.scenarios.extensive import flows_with
from optimizer.scenarios.futures import Floats, Scenario
from optimizer.settlement import settle
from optimizer.solving.solve import DEFAULT_LIMITS
from optimizer.tariffs import SiteTariff, tariff_of
from optimizer.verify import verify

DEFAULT_CONFIDENCE = 1.0
"""k of (Z1): a gain smaller than its own standard error is not worth a wait."""
SAME_SHARE, SAME_EUR = 1e-6, 1e-6
"""Costs no further apart than this share of them, or this, are the same."""


def start_early(
    problem: Problem,
    plan: Plan,
    scenarios: Sequence[Scenario] = (),
    confidence: float = DEFAULT_CONFIDENCE,
    *,
    limits: SolveLimits = DEFAULT_LIMITS,
    battery_slots: int = 0,
) -> Plan:
    """Return ``plan`` with every job at the earliest place that is as good as its own by (Z1).

    The plan keeps every limit it kept, or is returned as it was, with a note of why.

    Parameters
    ----------
    scenarios
        How the forecasts may turn out; none: only ties are moved.
    confidence
        k of (Z1); 0: only what gains nothing on average is moved.
    battery_slots
        Batteries keep doing what ``plan`` has them do before this slot.
    """
    moving = _Moving.of(problem, plan, scenarios, confidence)
    kept = tuple(moving.run())
    if not kept:
        return plan
    placements = tuple(moving.placements[placed.job] for placed in plan.placements)
    try:
        flows = flows_with(problem, placements, limits, plan.flows, battery_slots)
    except SolverFailed as error:
        return replace(plan, notes=(*plan.notes, f"no job was kept early: {error}"))
    early = _settled(problem, plan, placements, flows, kept)
    is_dearer = early.objective > plan.objective + _same(plan.objective)
    if is_dearer and not scenarios:
        return plan  # ties of what energy costs at the margin were none of all costs
    breaches = verify(problem, early)
    if breaches:
        return replace(plan, notes=(*plan.notes, f"no job was kept early: {breaches[0]}"))
    return replace(early, rung=Rung.BEST_FOUND) if is_dearer else early


def _settled(
    problem: Problem,
    plan: Plan,
    placements: tuple[Placement, ...],
    flows: tuple[SiteFlows, ...],
    kept: tuple[KeptEarly, ...],
) -> Plan:
    settlement = settle(problem, placements, flows)
    bound = None if plan.bound is None else min(plan.bound, settlement.objective)
    return replace(
        plan,
        placements=placements,
        flows=flows,
        terms=settlement.terms,
        violations=settlement.violations,
        objective=settlement.objective,
        bound=bound,
        marginal=None,
        kept_early=kept,
    )


def _same(eur: float) -> float:
    return max(SAME_EUR, SAME_SHARE * abs(eur))


@dataclass(slots=True)
class _Moving:
    """A plan whose jobs move one after another; ``room`` and ``placements`` change as they do."""

    problem: Problem
    room: Room
    placements: dict[str, Placement]
    followers: dict[str, list[str]]
    sites: tuple[SiteFutures, ...]
    probability: Floats
    confidence: float

    @classmethod
    def of(
        cls, problem: Problem, plan: Plan, scenarios: Sequence[Scenario], confidence: float
    ) -> _Moving:
        problems = [scenario.put_into(problem) for scenario in scenarios] or [problem]
        shares = [scenario.probability for scenario in scenarios] or [1.0]
        followers: dict[str, list[str]] = {}
        for job in problem.jobs:
            for before in job.after:
                followers.setdefault(before, []).append(job.name)
        return cls(
            problem,
            Room.filled(problem, plan.placements),
            plan.placements_by_job(),
            followers,
            tuple(SiteFutures.of(problems, row, flow) for row, flow in enumerate(plan.flows)),
            np.array(shares),
            confidence,
        )

    def run(self) -> Iterator[KeptEarly]:
        """Give every job its turn; yield those that move."""
        jobs = {job.name: job for job in self.problem.jobs}
        order = sorted(self.placements.values(), key=lambda placed: (placed.start_slot, placed.job))
        for placed in order:
            job = jobs[placed.job]
            if job.pin is not None:
                continue
            self.room.put(job, placed, sign=-1)
            found = self._earlier(job, placed)
            if found is not None:
                self.placements[job.name], kept = found
                yield kept
            self.room.put(job, self.placements[job.name])

    def _earlier(self, job: Job, own: Placement) -> tuple[Placement, KeptEarly] | None:
        """Return the first place that (Z1) prefers to ``own``, if there is one."""
        window = self._window(job)
        if window is None:
            return None
        own_eur = self._cost_eur(one_of(self.problem, self.room, job, own))[:, 0]
        found = [
            (some, self._cost_eur(some))
            for some in candidates_at(self.problem, self.room, job, window)
        ]
        promise = job.announced
        if promise is not None:
            if (own.site, own.start_slot) == (promise.site, promise.start_slot):
                return None
            at = [
                (some, int(k), eur[:, k])
                for some, eur in found
                for k in np.flatnonzero(some.start_slot == promise.start_slot)
                if some.site == promise.site
            ]
            stays = self._first_as_good(own, own_eur, at)
            if stays is not None:
                return stays
        starts = sorted(
            {int(t) for some, _ in found for t in some.start_slot if t < own.start_slot}
        )
        for start in starts:
            at = [
                (some, int(k), eur[:, k])
                for some, eur in found
                for k in np.flatnonzero(some.start_slot == start)
            ]
            best = self._first_as_good(own, own_eur, at)
            if best is not None:
                return best
        return None

    def _first_as_good(
        self, own: Placement, own_eur: Floats, others: Sequence[tuple[Candidates, int, Floats]]
    ) -> tuple[Placement, KeptEarly] | None:
        """Return the cheapest of ``others`` that ``own`` is not better than by (Z1)."""
        best: tuple[float, Placement, KeptEarly] | None = None
        for some, k, eur in others:
            if not np.isfinite(eur).all():
                continue
            gain = eur - own_eur
            mean = float(self.probability @ gain)
            error = float(np.sqrt(self.probability @ (gain - mean) ** 2))
            limit = self.confidence * error + _same(float(self.probability @ own_eur))
            if mean <= limit and (best is None or mean < best[0]):
                kept = KeptEarly(own.job, own.start_slot, own.site, mean, error)
                best = mean, some.placement(k), kept
        return None if best is None else best[1:]

    def _window(self, job: Job) -> Window | None:
        """Slots between the jobs before and after it; ``None`` where one before it is missing."""
        windows = self.room.windows(job)
        if not windows:
            return None
        starts = [
            self.placements[name].start_slot
            for name in self.followers.get(job.name, ())
            if name in self.placements
        ]
        return Window(windows[-1].start_slot, min([windows[-1].end_slot, *starts]))

    def _cost_eur(self, some: Candidates) -> Floats:
        """Cost of each candidate [scenario, candidate]."""
        row = self.room.row(some.site)
        energy = self.sites[row].extra_eur(self.room.it_load_kw[row], some.it_kw, some.n_slots)
        cost: Floats = energy + some.own_eur
        return cost


@dataclass(frozen=True, slots=True)
class SiteFutures:
    """What load costs a site in each scenario; ``tariff`` and ``base_kw`` are [scenario, 1, slot].

    ``base_kw`` has the batteries of the plan in it; ``pue`` is [slot].
    """

    tariff: SiteTariff
    base_kw: Floats
    pue: Floats

    @classmethod
    def of(cls, problems: Sequence[Problem], row: int, flow: SiteFlows) -> SiteFutures:
        """Put the scenarios of one site together."""
        sites = [problem.sites[row] for problem in problems]
        tariffs = [tariff_of(*pair) for pair in zip(problems, sites, strict=True)]

        def stacked(name: str) -> NDArray[np.float64]:
            return np.array([getattr(tariff, name) for tariff in tariffs])[:, None, :]

        battery_kw = np.zeros(len(sites[0].pue))
        for charge, discharge in zip(flow.charge_kw, flow.discharge_kw, strict=True):
            battery_kw += np.asarray(charge) - np.asarray(discharge)
        tariff = replace(
            tariffs[0],
            renewable_kw=stacked("renewable_kw"),
            import_eur_per_kwh=stacked("import_eur_per_kwh"),
            export_eur_per_kwh=stacked("export_eur_per_kwh"),
        )
        base_kw = np.array([site.base_load_kw for site in sites])[:, None, :] + battery_kw
        return cls(tariff, base_kw, np.asarray(sites[0].pue))

    def extra_eur(self, it_kw: Floats, more_it_kw: Floats, n_slots: int) -> Floats:
        """Cost of ``more_it_kw`` [candidate, slot] on top of ``it_kw`` [slot]: by scenario too.

        A higher peak is shared over ``n_slots`` slots.
        """
        load_kw = self.base_kw + self.pue * it_kw
        billed_kw = self.tariff.billed_kw(load_kw)
        extra = self.tariff.extra_eur(load_kw, self.pue * more_it_kw, billed_kw, max(1, n_slots))
        cost: Floats = extra.sum(axis=-1)
        return cost
