r"""One slot of a site: its balance is closed, settled by the one settlement, and shared out.

.. math::
    \text{bought} + \text{generated} + \text{discharged}
        = \text{used} + \text{charged} + \text{curtailed} + \text{sold}          \tag{L1}

.. math::
    \text{used} = \text{jobs} + \text{idle} + \text{overhead} + \text{base load}
        + \text{unexplained}                                                     \tag{L2}

Where the connection is metered, what the meter says beyond all that is known is ``unexplained``,
which may be negative. Where it is not, bought and sold are what closes (L1).

What a slot cost and emitted is shared out by what was drawn in it, as in ``scheduler.backtest``.
Slots in which nothing was drawn, and what was sold, are the site's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from optimizer import Horizon, Problem, Site, SiteFlows, settle
from scheduler.ledger.metering import BothWays


class Holder(StrEnum):
    """Whose a share is."""

    JOB = "job"
    IDLE = "idle"  # GPUs that no job held
    BASE_LOAD = "base_load"
    UNEXPLAINED = "unexplained"  # beyond all that is known
    SITE = "site"  # no energy used: what was sold, and cost of slots in which nothing was drawn


class Basis(StrEnum):
    """How well the energy of a share is known."""

    MEASURED = "measured"  # by who keeps account of it alone
    SHARED = "shared"  # out of a measured whole, by what was modelled of its parts
    MODELLED = "modelled"


@dataclass(frozen=True, slots=True)
class Work:
    """What one job did in a slot.

    ``modelled_kwh`` is IT energy by its operating points, ``own_kwh`` what was measured of it
    alone; ``None``: nothing. ``embodied_kg`` is its GPUs' share of what making them emitted.
    """

    job_id: UUID
    job: str
    tenant: str
    project: str
    modelled_kwh: float
    gpu_hours: float
    own_kwh: float | None = None
    embodied_kg: float | None = None
    tokens: float | None = None


@dataclass(frozen=True, slots=True)
class SlotFacts:
    """What is known of one slot; energies in kWh.

    Attributes
    ----------
    grid
        By the meter of the connection; ``None``: not metered.
    it_kwh
        What the cluster was measured to draw, before PUE; ``None``: not measured.
    produced_kwh
        By every renewable plant: measured, or what it could give.
    is_produced_measured
        Whether all of it is: then nothing is known of what was curtailed.
    storage
        Charged and discharged by every battery of the site.
    generators_kwh
        By every generator of the site.
    export_limit_kwh
        What the connection takes in a slot.
    """

    hours: float
    grid: BothWays | None
    it_kwh: float | None
    produced_kwh: tuple[float, ...]
    is_produced_measured: bool
    storage: tuple[BothWays, ...]
    generators_kwh: tuple[float, ...]
    base_load_kwh: float
    pue: float
    idle_kwh: float
    export_limit_kwh: float
    work: tuple[Work, ...]


@dataclass(frozen=True, slots=True)
class Energy:
    """Each term of (L1) and (L2) [kWh]; all but ``unexplained_kwh`` are >= 0.

    ``generated_kwh`` has what was curtailed in it. ``jobs_kwh`` and ``idle_kwh`` are IT energy.
    """

    bought_kwh: float
    sold_kwh: float
    generated_kwh: float
    curtailed_kwh: float
    charged_kwh: float
    discharged_kwh: float
    jobs_kwh: float
    idle_kwh: float
    overhead_kwh: float
    base_load_kwh: float
    unexplained_kwh: float


@dataclass(frozen=True, slots=True)
class Money:
    """What a slot cost and earned [EUR], as ``optimizer.settle`` says."""

    energy_eur: float
    network_eur: float
    sold_eur: float
    generation_eur: float
    storage_wear_eur: float

    @property
    def spent_eur(self) -> float:
        """All of it but what was earned."""
        return self.energy_eur + self.network_eur + self.generation_eur + self.storage_wear_eur


@dataclass(frozen=True, slots=True)
class Share:
    """What one holder has of a slot; ``kwh`` is at the meter, with PUE."""

    holder: Holder
    basis: Basis
    kwh: float
    it_kwh: float
    eur: float
    carbon_kg: float
    marginal_kg: float | None
    work: Work | None = None


@dataclass(frozen=True, slots=True)
class SlotAccount:
    """A slot, closed, settled and shared out."""

    energy: Energy
    money: Money
    carbon_kg: float
    marginal_kg: float | None
    shares: tuple[Share, ...]


def account_of(site: Site, marginal_g_per_kwh: float | None, facts: SlotFacts) -> SlotAccount:
    """Close, settle and share out one slot of ``site``, whose series are of this slot alone."""
    parts = _it_parts(facts)
    energy = _close(facts, parts)
    flows = _flows(site, facts, energy)
    hours = Horizon(1, facts.hours)
    terms = settle(Problem(hours, (site,), ()), (), (flows,)).terms
    marginal_kg = None
    if marginal_g_per_kwh is not None:
        grid = replace(site.grid, carbon_g_per_kwh=(marginal_g_per_kwh,))
        at_margin = replace(site, grid=grid)
        marginal_kg = settle(Problem(hours, (at_margin,), ()), (), (flows,)).terms.carbon_kg
    money = Money(
        energy_eur=terms.energy_bought_eur,
        network_eur=terms.network_eur,
        sold_eur=terms.energy_sold_eur,
        generation_eur=terms.generation_eur,
        storage_wear_eur=terms.storage_wear_eur,
    )
    shares = _shared_out(facts, parts, energy, (money, terms.carbon_kg, marginal_kg))
    return SlotAccount(energy, money, terms.carbon_kg, marginal_kg, shares)


_LEAST_KWH = 1e-9
"""Below this nobody is known to have drawn anything that the rest could be shared by."""


@dataclass(frozen=True, slots=True)
class _ItParts:
    """IT energy of each job and of idle GPUs [kWh], and how it is known."""

    jobs: tuple[tuple[float, Basis], ...]
    idle: tuple[float, Basis]


def _it_parts(facts: SlotFacts) -> _ItParts:
    """Take what is known of parts, and of a measured whole let the rest be shared."""
    known = [work.own_kwh for work in facts.work]
    taken = [
        (work.modelled_kwh, Basis.MODELLED) if own is None else (own, Basis.MEASURED)
        for work, own in zip(facts.work, known, strict=True)
    ]
    if facts.it_kwh is None:
        return _ItParts(tuple(taken), (facts.idle_kwh, Basis.MODELLED))
    fixed = sum(own for own in known if own is not None)
    rest = facts.it_kwh - fixed
    shared = sum(kwh for kwh, basis in taken if basis is Basis.MODELLED) + facts.idle_kwh
    if rest >= 0.0 and shared > _LEAST_KWH:
        scale = rest / shared
        jobs = [
            (kwh, basis) if basis is Basis.MEASURED else (kwh * scale, Basis.SHARED)
            for kwh, basis in taken
        ]
        return _ItParts(tuple(jobs), (facts.idle_kwh * scale, Basis.SHARED))
    if rest >= 0.0:
        return _ItParts(tuple(taken), (rest, Basis.SHARED))
    # Accounts of jobs say more than the whole was measured to be: the whole stands.
    scale = facts.it_kwh / (fixed + shared)
    jobs = [(kwh * scale, Basis.SHARED) for kwh, _ in taken]
    return _ItParts(tuple(jobs), (facts.idle_kwh * scale, Basis.SHARED))


def _close(facts: SlotFacts, parts: _ItParts) -> Energy:
    jobs = sum(kwh for kwh, _ in parts.jobs)
    idle = parts.idle[0]
    overhead = (facts.pue - 1.0) * (jobs + idle)
    known = jobs + idle + overhead + facts.base_load_kwh
    charged = sum(unit.inward_kwh for unit in facts.storage)
    discharged = sum(unit.outward_kwh for unit in facts.storage)
    produced, by_generators = sum(facts.produced_kwh), sum(facts.generators_kwh)
    there = produced + by_generators + discharged
    curtailed = unexplained = 0.0
    if facts.grid is not None:
        bought, sold = facts.grid.inward_kwh, facts.grid.outward_kwh
        unexplained = bought + there - known - charged - sold
    else:
        net = known + charged - there
        bought, surplus = max(net, 0.0), max(-net, 0.0)
        sold = min(surplus, facts.export_limit_kwh)
        may_curtail = 0.0 if facts.is_produced_measured else produced
        curtailed = min(surplus - sold, may_curtail)
        unexplained = surplus - sold - curtailed
    return Energy(
        bought_kwh=bought,
        sold_kwh=sold,
        generated_kwh=produced + by_generators,
        curtailed_kwh=curtailed,
        charged_kwh=charged,
        discharged_kwh=discharged,
        jobs_kwh=jobs,
        idle_kwh=idle,
        overhead_kwh=overhead,
        base_load_kwh=facts.base_load_kwh,
        unexplained_kwh=unexplained,
    )


def _flows(site: Site, facts: SlotFacts, energy: Energy) -> SiteFlows:
    """Return the slot as flows [kW], as plans have them."""
    hours = facts.hours
    used_share = 1.0 - energy.curtailed_kwh / max(sum(facts.produced_kwh), 1e-300)
    return SiteFlows(
        site=site.name,
        it_load_kw=((energy.jobs_kwh + energy.idle_kwh) / hours,),
        import_kw=(energy.bought_kwh / hours,),
        export_kw=(energy.sold_kwh / hours,),
        shortfall_kw=(0.0,),
        renewable_kw=tuple((kwh * used_share / hours,) for kwh in facts.produced_kwh),
        charge_kw=tuple((unit.inward_kwh / hours,) for unit in facts.storage),
        discharge_kw=tuple((unit.outward_kwh / hours,) for unit in facts.storage),
        soc_kwh=tuple((unit.soc_initial_kwh,) for unit in site.storage),
        generator_kw=tuple((kwh / hours,) for kwh in facts.generators_kwh),
    )


def _shared_out(
    facts: SlotFacts,
    parts: _ItParts,
    energy: Energy,
    settled: tuple[Money, float, float | None],
) -> tuple[Share, ...]:
    """Share what a slot came to out by what was drawn in it."""
    money, carbon_kg, marginal_kg = settled
    drawn: list[tuple[Holder, Basis, float, float, Work | None]] = [
        (Holder.JOB, basis, facts.pue * kwh, kwh, work)
        for work, (kwh, basis) in zip(facts.work, parts.jobs, strict=True)
    ]
    idle_kwh, basis = parts.idle
    drawn += [
        (Holder.IDLE, basis, facts.pue * idle_kwh, idle_kwh, None),
        (Holder.BASE_LOAD, Basis.MODELLED, energy.base_load_kwh, 0.0, None),
    ]
    if energy.unexplained_kwh:
        known_as = Basis.MODELLED if facts.grid is None else Basis.MEASURED
        drawn.append((Holder.UNEXPLAINED, known_as, energy.unexplained_kwh, 0.0, None))
    whole = sum(max(kwh, 0.0) for _, _, kwh, _, _ in drawn)
    shares = []
    for holder, basis, kwh, it_kwh, work in drawn:
        part = max(kwh, 0.0) / whole if whole > 0.0 else 0.0
        shares.append(
            Share(
                holder=holder,
                basis=basis,
                kwh=kwh,
                it_kwh=it_kwh,
                eur=part * money.spent_eur,
                carbon_kg=part * carbon_kg,
                marginal_kg=None if marginal_kg is None else part * marginal_kg,
                work=work,
            )
        )
    left = 1.0 if whole <= 0.0 else 0.0
    own = Share(
        holder=Holder.SITE,
        basis=Basis.MODELLED if facts.grid is None else Basis.MEASURED,
        kwh=0.0,
        it_kwh=0.0,
        eur=left * money.spent_eur - money.sold_eur,
        carbon_kg=left * carbon_kg,
        marginal_kg=None if marginal_kg is None else left * marginal_kg,
    )
    return (*_of_something(shares), own)


def _of_something(shares: Sequence[Share]) -> Sequence[Share]:
    """Leave out what is nobody's: no job, and no energy."""
    return [share for share in shares if share.work is not None or share.kwh != 0.0]
