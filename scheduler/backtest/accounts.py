r"""What a past cost and emitted: settled as plans are, checked, and shared out to sites and jobs.

``optimizer.verify`` checks that no job ran before it came, no GPU was given twice and no battery
did what it cannot; ``optimizer.settle`` settles the whole, and each site alone. What every slot of
a site cost and emitted is then shared out by the energy that each job drew in it. What idle GPUs
and the base load drew is the site's own, as are slots in which nothing was drawn and what was sold.

.. math::
    \text{bought} + \text{generated} + \text{discharged} + \text{short}
        = \text{used} + \text{charged} + \text{curtailed} + \text{sold}          \tag{A1}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from optimizer import (
    Breach,
    ObjectiveTerms,
    Placement,
    Problem,
    Site,
    SiteFlows,
    add_it_load,
    generator_starts,
    gpus_used,
    links_of,
    pieces_of,
    restarts_of,
    settle,
    verify,
)
from scheduler.backtest.truth import Told

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EnergyOf:
    """Energy of one site [kWh], each term of (A1); ``stored_kwh`` is the change of its charge."""

    bought_kwh: float
    generated_kwh: float
    discharged_kwh: float
    short_kwh: float
    used_kwh: float
    charged_kwh: float
    curtailed_kwh: float
    sold_kwh: float
    stored_kwh: float

    @property
    def imbalance(self) -> float:
        """By how much (A1) is missed, as a share of its sides."""
        there = self.bought_kwh + self.generated_kwh + self.discharged_kwh + self.short_kwh
        gone = self.used_kwh + self.charged_kwh + self.curtailed_kwh + self.sold_kwh
        return abs(there - gone) / max(there, gone, 1e-9)


@dataclass(frozen=True, slots=True)
class Share:
    """What one job, or a site without its jobs, has of cost and carbon, and the energy it drew.

    ``kwh`` is at the meter: with PUE.
    """

    eur: float
    carbon_kg: float
    kwh: float


@dataclass(frozen=True, slots=True)
class SiteAccount:
    """One site: settled alone, its energy, what its jobs have of it, and what is its own."""

    terms: ObjectiveTerms
    energy: EnergyOf
    jobs: Mapping[str, Share]
    own: Share

    @property
    def unshared(self) -> float:
        """What is missing of money or carbon when all shares are added up, relative."""
        shares = [*self.jobs.values(), self.own]
        eur = self.terms.money_eur - sum(share.eur for share in shares)
        kg = self.terms.carbon_kg - sum(share.carbon_kg for share in shares)
        moved = sum(abs(share.eur) for share in shares)
        return max(abs(eur) / max(moved, 1e-9), abs(kg) / max(abs(self.terms.carbon_kg), 1e-9))


@dataclass(frozen=True, slots=True)
class Account:
    """A whole past. ``breaches`` are limits of the true problem that it broke."""

    terms: ObjectiveTerms
    sites: Mapping[str, SiteAccount]
    breaches: tuple[Breach, ...]
    n_late: int
    n_unserved: int
    n_unfinished: int

    @property
    def cost_eur(self) -> float:
        """Money paid, less what the charge left in batteries is worth."""
        return self.terms.money_eur - self.terms.storage_value_eur

    @property
    def worst_error(self) -> float:
        """Largest relative error: energy, sums over jobs, sums over sites."""
        errors = [error for site in self.sites.values() for error in _errors(site)]
        for name in ("money_eur", "carbon_kg"):
            total = getattr(self.terms, name)
            parts = [getattr(site.terms, name) for site in self.sites.values()]
            scale = max(abs(total), sum(map(abs, parts)), 1e-9)
            errors.append(abs(total - sum(parts)) / scale)
        return max(errors)


def _errors(site: SiteAccount) -> tuple[float, float]:
    return site.energy.imbalance, site.unshared


def account_of(told: Told) -> Account:
    """Check, settle and share out a past."""
    problem, plan = told.problem, told.plan
    return Account(
        terms=plan.terms,
        sites={
            site.name: _site_account(problem, site, flows, plan.placements)
            for site, flows in zip(problem.sites, plan.flows, strict=True)
        },
        breaches=verify(problem, plan),
        n_late=len(told.late),
        n_unserved=len(plan.unserved),
        n_unfinished=len(told.unfinished),
    )


def _site_account(
    problem: Problem, site: Site, flows: SiteFlows, placements: Sequence[Placement]
) -> SiteAccount:
    here = [placement for placement in placements if placement.site == site.name]
    names = {placement.job for placement in here}
    jobs = tuple(
        replace(job, points=tuple(p for p in job.points if p.site == site.name), after=())
        for job in problem.jobs
        if job.name in names
    )
    alone = replace(
        problem, sites=(site,), jobs=jobs, links=(), capacity_limits=(), events=(), reserves=()
    )
    loads = list(_loads(alone, here))
    own_kw = np.asarray(site.base_load_kw) + np.asarray(site.pue) * _idle_kw(alone, here)
    terms = settle(alone, here, (flows,)).terms
    shares, own = _shared_out(alone, flows, loads, own_kw)
    beside_slots = replace(own, eur=own.eur + terms.peak_eur + _starts_eur(site, flows))
    return SiteAccount(terms, _energy(alone, flows, loads, own_kw), shares, beside_slots)


@dataclass(frozen=True, slots=True)
class _Load:
    """What one job drew of IT power in the slots of ``part`` [kW], and its own cost [EUR]."""

    job: str
    part: slice
    it_kw: Floats
    own_eur: float


def _loads(alone: Problem, placements: Sequence[Placement]) -> Iterator[_Load]:
    jobs = {job.name: job for job in alone.jobs}
    links, hours = links_of(alone), alone.horizon.slot_hours
    for placement in placements:
        job = jobs[placement.job]
        part = slice(placement.start_slot, placement.end_slot)
        kw = np.zeros(placement.end_slot)
        add_it_load(kw, job, placement, links, hours)
        restarts = restarts_of(job, pieces_of(job, placement)) if job.pausing is not None else []
        eur = len(restarts) * job.pausing.restart_eur if job.pausing is not None else 0.0
        yield _Load(job.name, part, kw[part], eur)


def _idle_kw(alone: Problem, placements: Sequence[Placement]) -> Floats:
    """Return the IT power of GPUs that no job holds [slot]."""
    used = gpus_used(alone, placements)
    (site,) = alone.sites
    idle = np.zeros(alone.horizon.n_slots)
    for pool in site.pools:
        idle += pool.idle_kw_per_gpu * (np.asarray(pool.gpus) - used[site.name, pool.name])
    return idle


def _energy(alone: Problem, flows: SiteFlows, loads: Sequence[_Load], own_kw: Floats) -> EnergyOf:
    (site,), hours = alone.sites, alone.horizon.slot_hours
    pue = np.asarray(site.pue)

    def kwh(rows: Iterable[npt.ArrayLike]) -> float:
        return sum(float(np.sum(np.asarray(row))) for row in rows) * hours

    available = [plant.available_kw for plant in site.renewables]
    return EnergyOf(
        bought_kwh=kwh([flows.import_kw]),
        generated_kwh=kwh([*available, *flows.generator_kw]),
        discharged_kwh=kwh(flows.discharge_kw),
        short_kwh=kwh([flows.shortfall_kw]),
        used_kwh=kwh([own_kw, *(pue[load.part] * load.it_kw for load in loads)]),
        charged_kwh=kwh(flows.charge_kw),
        curtailed_kwh=kwh(available) - kwh(flows.renewable_kw),
        sold_kwh=kwh([flows.export_kw]),
        stored_kwh=sum(soc[-1] for soc in flows.soc_kwh)
        - sum(unit.soc_initial_kwh for unit in site.storage),
    )


def _shared_out(
    alone: Problem, flows: SiteFlows, loads: Sequence[_Load], own_kw: Floats
) -> tuple[dict[str, Share], Share]:
    """Share every slot's cost and carbon out by what was drawn in it."""
    (site,), hours = alone.sites, alone.horizon.slot_hours
    net_eur, kg = cost_by_slot(site, flows, hours)
    sold_eur = _sold_eur(site, flows, hours)
    eur = net_eur + sold_eur
    pue = np.asarray(site.pue)
    drawn_kw = own_kw + pue * 0.0
    for load in loads:
        drawn_kw[load.part] += pue[load.part] * load.it_kw
    is_drawn = drawn_kw > 0.0
    per_kw = np.where(is_drawn, 1.0 / np.where(is_drawn, drawn_kw, 1.0), 0.0)

    def share(part: slice, kw: Floats, own_eur: float) -> Share:
        weight = kw * per_kw[part]
        return Share(
            eur=float(weight @ eur[part]) + own_eur,
            carbon_kg=float(weight @ kg[part]),
            kwh=float(kw.sum()) * hours,
        )

    shares = {
        load.job: share(load.part, pue[load.part] * load.it_kw, load.own_eur) for load in loads
    }
    own = share(slice(None), own_kw, float(eur[~is_drawn].sum() - sold_eur.sum()))
    return shares, replace(own, carbon_kg=own.carbon_kg + float(kg[~is_drawn].sum()))


def cost_by_slot(site: Site, flows: SiteFlows, hours: float) -> tuple[Floats, Floats]:
    """Money [EUR] and carbon [kg] of each slot; not what is paid once."""
    grid = site.grid
    bought = np.asarray(flows.import_kw) * hours
    price = np.asarray(grid.import_price_eur_per_mwh) + np.asarray(grid.network_fee_eur_per_mwh)
    eur = bought * price / 1000.0 - _sold_eur(site, flows, hours)
    kg = bought * np.asarray(grid.carbon_g_per_kwh) / 1000.0
    for unit, charge, discharge in zip(
        site.storage, flows.charge_kw, flows.discharge_kw, strict=True
    ):
        eur = eur + unit.wear_eur_per_kwh * (np.asarray(charge) + np.asarray(discharge)) * hours
    for generator, output in zip(site.generators, flows.generator_kw, strict=True):
        kwh = np.asarray(output) * hours
        eur = eur + generator.fuel_eur_per_kwh * kwh
        kg = kg + generator.emissions_g_per_kwh * kwh / 1000.0
    return eur, kg


def _sold_eur(site: Site, flows: SiteFlows, hours: float) -> Floats:
    """Return what exports earned in each slot [EUR]."""
    sold = np.asarray(flows.export_kw) * hours
    earned: Floats = sold * np.asarray(site.grid.export_price_eur_per_mwh) / 1000.0
    return earned


def _starts_eur(site: Site, flows: SiteFlows) -> float:
    """Return what starting generators cost [EUR]."""
    return sum(
        generator.start_eur * generator_starts(generator, np.asarray(output))
        for generator, output in zip(site.generators, flows.generator_kw, strict=True)
    )
