r"""The one settlement: what placements and energy flows cost, emit and fail to honour.

Plans, baselines and the ledger of what really happened are all settled here, so no policy is
flattered. Terms are unweighted; ``weighted_objective`` applies the operator's weights.

.. math::
    \text{it load}_{st} = \sum_j p_{jst}
        + \sum_q \text{idle}_q (\text{gpus}_{qt} - \text{used}_{qt})               \tag{E1}

Energy of a slot is power times the slot length; prices per MWh are divided by 1000.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimizer.jobs import Job
from optimizer.pieces import Links, links_of, pieces_of, restarts_of, transfer_to
from optimizer.plan import ObjectiveTerms, Placement, SiteFlows, Violation
from optimizer.pledges import lots_held
from optimizer.positions import Position
from optimizer.problem import Problem, Weights
from optimizer.sites import Generator, PeakDemand, Site
from optimizer.violations import ceiling_violations, declined_events, flow_violations

Floats = NDArray[np.float64]

ON_ABOVE_KW = 1e-6
"""A generator counts as on above this output [kW]."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """Every term in EUR before weights, the violations, and the weighted sum [EUR]."""

    terms: ObjectiveTerms
    violations: tuple[Violation, ...]
    objective: float


def settle(
    problem: Problem, placements: Sequence[Placement], flows: Sequence[SiteFlows]
) -> Settlement:
    """Settle ``placements`` and ``flows`` (in the order of the sites); other jobs are unserved.

    Raises
    ------
    KeyError, StopIteration
        A placement names a job or operating point the problem does not have.
    """
    served = {placement.job: placement for placement in placements}
    sites = [_site_terms(problem, *pair) for pair in zip(problem.sites, flows, strict=True)]
    sums = {name: sum(site[name] for site in sites) for name in sites[0]}
    sums |= _job_terms(problem, served)
    sums |= _commitment_terms(problem, flows)
    violations = flow_violations(problem, flows)
    unpenalised = ObjectiveTerms(
        **sums, churned_jobs=_churned_jobs(problem.jobs, served), violations_eur=0.0
    )
    violations += ceiling_violations(problem, unpenalised)
    penalty_eur = sum(violation.penalty_eur for violation in violations)
    terms = ObjectiveTerms(
        **sums, churned_jobs=unpenalised.churned_jobs, violations_eur=penalty_eur
    )
    return Settlement(terms, tuple(violations), weighted_objective(terms, problem.weights))


def objective_coefficients(weights: Weights) -> dict[str, float]:
    """Return what a plan minimises: EUR per unit of each field of ``ObjectiveTerms``."""
    return {
        "energy_bought_eur": weights.energy,
        "energy_sold_eur": -weights.energy,
        "network_eur": weights.network,
        "peak_eur": weights.peak,
        "generation_eur": weights.generation,
        "storage_wear_eur": weights.storage_wear,
        "storage_value_eur": -weights.storage_value,
        "restarts_eur": weights.restarts,
        "data_transfer_eur": weights.data_transfer,
        "lateness_eur": weights.lateness,
        "unserved_eur": weights.unserved,
        "deferred_eur": 1.0,
        "commitment_earned_eur": -1.0,
        "commitment_paid_eur": 1.0,
        "carbon_kg": weights.carbon_eur_per_t / 1000.0,
        "churned_jobs": weights.churn_eur_per_job,
        "violations_eur": 1.0,
    }


def weighted_objective(terms: ObjectiveTerms, weights: Weights) -> float:
    """Return the sum a plan minimises [EUR]: weighted terms, carbon price, churn, penalties."""
    per_unit = objective_coefficients(weights)
    return sum(price * float(getattr(terms, term)) for term, price in per_unit.items())


def gpus_used(problem: Problem, placements: Sequence[Placement]) -> dict[tuple[str, str], Floats]:
    """GPUs that jobs hold, by (site, pool) and there [slot]."""
    used = {
        (site.name, pool.name): np.zeros(problem.horizon.n_slots)
        for site in problem.sites
        for pool in site.pools
    }
    jobs = {job.name: job for job in problem.jobs}
    for placement in placements:
        job = jobs[placement.job]
        for run in placement.runs:
            point = job.point(run.point)
            used[point.site, point.pool][run.start_slot : run.end_slot] += point.gpus
    return used


def it_load_kw(problem: Problem, placements: Sequence[Placement]) -> Floats:
    """Return what jobs, restarts, data transfers and idle GPUs draw [site, slot] (E1)."""
    load = np.zeros((len(problem.sites), problem.horizon.n_slots))
    row_of = {site.name: row for row, site in enumerate(problem.sites)}
    jobs = {job.name: job for job in problem.jobs}
    links = links_of(problem)
    for placement in placements:
        add_it_load(
            load[row_of[placement.site]],
            jobs[placement.job],
            placement,
            links,
            problem.horizon.slot_hours,
        )
    used = gpus_used(problem, placements)
    for site in problem.sites:
        for pool in site.pools:
            if pool.idle_kw_per_gpu > 0.0:
                idle = np.asarray(pool.gpus) - used[site.name, pool.name]
                load[row_of[site.name]] += pool.idle_kw_per_gpu * idle
    return load


def add_it_load(
    load_kw: Floats, job: Job, placement: Placement, links: Links, slot_hours: float
) -> None:
    """Add to ``load_kw`` [slot] what one placement draws: runs, restarts and data transfer."""
    for run in placement.runs:
        load_kw[run.start_slot : run.end_slot] += job.point(run.point).power_kw
    if job.pausing is not None and job.pausing.restart_kwh > 0.0:
        for piece in restarts_of(job, pieces_of(job, placement)):
            load_kw[piece.start_slot] += job.pausing.restart_kwh / slot_hours
    transfer = transfer_to(job, placement.site, links, slot_hours)
    if transfer is not None and transfer.n_slots:
        start = placement.start_slot
        load_kw[start - transfer.n_slots : start] += transfer.it_kw


def generator_starts(generator: Generator, output_kw: Floats) -> int:
    """How often ``generator`` starts, given its output [slot]."""
    is_on = output_kw > ON_ABOVE_KW
    was_on = np.concatenate(([generator.is_on_initially], is_on[:-1]))
    return int(np.count_nonzero(is_on & ~was_on))


def billed_kw(site: Site, import_kw: Floats) -> Floats:
    """Return the demand that each peak charge is on after the horizon [charge] in kW."""
    return np.array([_billed_kw(peak, import_kw) for peak in site.peaks], dtype=np.float64)


def _billed_kw(peak: PeakDemand, import_kw: Floats) -> float:
    counted = import_kw[np.asarray(peak.counts) > 0.0]
    return max(peak.paid_kw, float(counted.max(initial=0.0)))


def _site_terms(problem: Problem, site: Site, flow: SiteFlows) -> dict[str, float]:
    hours = problem.horizon.slot_hours
    grid = site.grid
    bought_kwh = np.asarray(flow.import_kw) * hours
    sold_kwh = np.asarray(flow.export_kw) * hours
    generated = [np.asarray(output) for output in flow.generator_kw]
    generation_eur = carbon_kg = 0.0
    for generator, output in zip(site.generators, generated, strict=True):
        kwh = float(output.sum()) * hours
        generation_eur += generator.fuel_eur_per_kwh * kwh
        generation_eur += generator.start_eur * generator_starts(generator, output)
        carbon_kg += generator.emissions_g_per_kwh * kwh / 1000.0
    wear_eur = value_eur = 0.0
    for unit, charge, discharge, soc in zip(
        site.storage, flow.charge_kw, flow.discharge_kw, flow.soc_kwh, strict=True
    ):
        wear_eur += unit.wear_eur_per_kwh * (sum(charge) + sum(discharge)) * hours
        value_eur += unit.terminal_value_eur_per_kwh * soc[-1]
    billed = zip(site.peaks, billed_kw(site, np.asarray(flow.import_kw)), strict=True)
    peak_eur = sum(peak.charge_eur_per_kw * (kw - peak.paid_kw) for peak, kw in billed)
    peak_eur += float(np.asarray(flow.import_kw) @ np.asarray(site.coincident_eur_per_kw))
    return {
        "energy_bought_eur": float(bought_kwh @ grid.import_price_eur_per_mwh) / 1000.0,
        "energy_sold_eur": float(sold_kwh @ grid.export_price_eur_per_mwh) / 1000.0,
        "network_eur": float(bought_kwh @ grid.network_fee_eur_per_mwh) / 1000.0,
        "peak_eur": float(peak_eur),
        "generation_eur": generation_eur,
        "storage_wear_eur": wear_eur,
        "storage_value_eur": value_eur,
        "carbon_kg": carbon_kg + float(bought_kwh @ grid.carbon_g_per_kwh) / 1000.0,
    }


def _job_terms(problem: Problem, served: dict[str, Placement]) -> dict[str, float]:
    links = links_of(problem)
    sums = OwnCosts(0.0, 0.0, 0.0)
    unserved = deferred = 0.0
    for job in problem.jobs:
        placement = served.get(job.name)
        if placement is None:
            term, lost = left_out_term(job)
            deferred += lost if term == "deferred_eur" else 0.0
            unserved += lost if term == "unserved_eur" else 0.0
            continue
        own = own_costs(job, placement, links, problem.horizon.slot_hours)
        sums = OwnCosts(*(total + cost for total, cost in zip(sums, own, strict=True)))
    return sums._asdict() | {"unserved_eur": unserved, "deferred_eur": deferred}


def _commitment_terms(problem: Problem, flows: Sequence[SiteFlows]) -> dict[str, float]:
    """Payments of the events taken part in and the lots held, and fees of events declined."""
    declined = declined_events(flows)
    earned = sum(event.pay_eur for event in problem.events if event.name not in declined)
    for product in problem.reserves:
        for lots, block in zip(lots_held(product, flows), product.blocks, strict=True):
            if block.start_slot < problem.horizon.n_slots:
                earned += block.eur_per_kw * product.lot_kw * lots
    fees = sum(event.decline_eur or 0.0 for event in problem.events if event.name in declined)
    deviations = sum(_deviation_eur(problem, position, flows) for position in problem.positions)
    return {"commitment_earned_eur": earned, "commitment_paid_eur": fees + deviations}


def _deviation_eur(problem: Problem, position: Position, flows: Sequence[SiteFlows]) -> float:
    """Return what drawing more and less than agreed costs."""
    net = np.sum(
        [np.subtract(f.import_kw, f.export_kw) for f in flows if f.site in position.sites], axis=0
    )
    total = 0.0
    for slot, agreed_kw in position.agreed.items():
        over = float(net[slot]) - agreed_kw
        total += position.over_eur_per_kwh[slot] * max(0.0, over)
        total += position.under_eur_per_kwh[slot] * max(0.0, -over)
    return total * problem.horizon.slot_hours


class OwnCosts(NamedTuple):
    """What a placement costs apart from energy, before weights [EUR]."""

    restarts_eur: float
    data_transfer_eur: float
    lateness_eur: float

    def weighted_eur(self, weights: Weights) -> float:
        """Return what it adds to the objective [EUR]."""
        return (
            weights.restarts * self.restarts_eur
            + weights.data_transfer * self.data_transfer_eur
            + weights.lateness * self.lateness_eur
        )


def own_costs(job: Job, placement: Placement, links: Links, slot_hours: float) -> OwnCosts:
    """Restarts, data transfer and lateness of one placement."""
    restarts = 0.0
    if job.pausing is not None:
        n_restarts = len(restarts_of(job, pieces_of(job, placement)))
        restarts = job.pausing.restart_eur * n_restarts
    transfer = transfer_to(job, placement.site, links, slot_hours)
    moved = transfer.eur if transfer is not None else 0.0
    return OwnCosts(restarts, moved, lateness_eur(job, placement.end_slot))


def left_out_term(job: Job) -> tuple[str, float]:
    """Name and amount [EUR] of the term a job adds to when it is left out, before weights."""
    if job.can_wait:
        return "deferred_eur", job.unserved_eur
    return "unserved_eur", job.unserved_eur * job.priority


def left_out_eur(job: Job, weights: Weights) -> float:
    """Return what leaving ``job`` out adds to the objective, churn included [EUR]."""
    term, lost = left_out_term(job)
    weight = weights.unserved if term == "unserved_eur" else 1.0
    return weight * lost + weights.churn_eur_per_job * is_churned(job, None)


def lateness_eur(job: Job, end_slot: int) -> float:
    """Cost of finishing ``job`` by the start of ``end_slot``, before weights [EUR]."""
    if job.due_slot is None:
        return 0.0
    return job.lateness_eur_per_slot * job.priority * max(0, end_slot - job.due_slot)


def is_churned(job: Job, placement: Placement | None) -> bool:
    """Whether ``placement`` departs from what was announced; a running job never does."""
    if job.announced is None or (job.pin is not None and job.pin.is_running):
        return False
    if placement is None:
        return True
    return (placement.site, placement.start_slot) != (job.announced.site, job.announced.start_slot)


def _churned_jobs(jobs: Sequence[Job], served: dict[str, Placement]) -> int:
    return sum(is_churned(job, served.get(job.name)) for job in jobs)
