"""What the optimiser answers: one placement per job, energy flows per site, and how good it is.

A plan is frozen; it is superseded, never edited. Arrays of a site are ``[slot]``, of its units
``[unit][slot]``, in the order of the problem.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from optimizer.checks import Series
from optimizer.progress import relative_gap


class Rung(StrEnum):
    """How a plan was found; the first that gives one is taken."""

    EXACT = "exact"
    BEST_FOUND = "best_found"
    GREEDY = "greedy"
    LAST_PLAN = "last_plan"
    LATEST_SAFE_START = "latest_safe_start"
    BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class Run:
    """A job at one operating point in [start_slot, end_slot).

    Adjacent runs of one ``OperatingPoint.configuration`` are one piece; anything else between two
    runs is a restart.
    """

    point: str
    start_slot: int
    end_slot: int


@dataclass(frozen=True, slots=True)
class Placement:
    """One complete way to run one job: a site and its runs in order of time."""

    job: str
    site: str
    runs: tuple[Run, ...]

    @property
    def start_slot(self) -> int:
        """First slot it runs in."""
        return self.runs[0].start_slot

    @property
    def end_slot(self) -> int:
        """Slot by whose start it is done."""
        return self.runs[-1].end_slot

    def slots(self) -> Iterator[tuple[int, str]]:
        """Every slot it runs in, with the operating point there."""
        for run in self.runs:
            for slot in range(run.start_slot, run.end_slot):
                yield slot, run.point


@dataclass(frozen=True, slots=True)
class Unserved:
    """A job the plan leaves out: why, the limit that stands against it, and by how much.

    ``is_deferred``: its deadline lies beyond the horizon, so a later plan can still serve it.
    """

    job: str
    reason: str
    is_deferred: bool = False


@dataclass(frozen=True, slots=True)
class SiteFlows:
    """Energy flows of one site, all >= 0 [kW] by slot, state of charge at slot end [kWh].

    ``it_load_kw`` is what jobs, data transfers and idle GPUs draw, before PUE.
    ``shortfall_kw`` is load that no source covers: a violation. ``declined`` names the events the
    site takes no part in; of an event that asks several sites, all or none of them. ``reserves``
    are those its sources hold.
    """

    site: str
    it_load_kw: Series
    import_kw: Series
    export_kw: Series
    shortfall_kw: Series
    renewable_kw: tuple[Series, ...]
    charge_kw: tuple[Series, ...]
    discharge_kw: tuple[Series, ...]
    soc_kwh: tuple[Series, ...]
    generator_kw: tuple[Series, ...]
    declined: tuple[str, ...] = ()
    reserves: tuple[ReserveShare, ...] = ()


@dataclass(frozen=True, slots=True)
class ReserveShare:
    """What one source of a site holds for a reserve, up and down [slot] in kW.

    ``source`` is the name of a battery, or empty for load that is shed.
    """

    product: str
    source: str
    up_kw: Series
    down_kw: Series


MONEY_TERMS: dict[str, float] = {
    "energy_bought_eur": 1.0,
    "energy_sold_eur": -1.0,
    "network_eur": 1.0,
    "peak_eur": 1.0,
    "generation_eur": 1.0,
    "storage_wear_eur": 1.0,
    "restarts_eur": 1.0,
    "data_transfer_eur": 1.0,
    "commitment_earned_eur": -1.0,
    "commitment_paid_eur": 1.0,
}
"""What is really paid, by field of ``ObjectiveTerms``, and what is earned."""


@dataclass(frozen=True, slots=True)
class ObjectiveTerms:
    """Each term on its own line, in EUR before weights; carbon also in kg."""

    energy_bought_eur: float
    energy_sold_eur: float  # revenue, counted against cost
    network_eur: float
    peak_eur: float
    generation_eur: float
    storage_wear_eur: float
    storage_value_eur: float  # worth of energy left, counted against cost
    restarts_eur: float
    data_transfer_eur: float
    lateness_eur: float
    unserved_eur: float
    deferred_eur: float  # expected cost of doing the deferred jobs later
    churned_jobs: int
    violations_eur: float
    carbon_kg: float
    commitment_earned_eur: float = 0.0  # by events and reserves, counted against cost
    commitment_paid_eur: float = 0.0  # fees of events declined, and deviations

    @property
    def money_eur(self) -> float:
        """What is really paid, as ``MONEY_TERMS`` says; penalties are apart."""
        return sum(sign * float(getattr(self, term)) for term, sign in MONEY_TERMS.items())


@dataclass(frozen=True, slots=True)
class Violation:
    """An obligation the plan does not meet: what, where, when, by how much, at what price."""

    kind: str  # shortfall | capacity_limit | demand_response | rebound | reserve_up | reserve_down
    # | soc_floor | soc_final | carbon_budget | cost_ceiling
    owner: str  # e.g. "site DE", "capacity limit dr-7", "storage DE/battery"
    slot: int | None
    amount: float
    unit: str
    limit: float
    penalty_eur: float

    def __str__(self) -> str:
        when = "" if self.slot is None else f" in slot {self.slot}"
        return (
            f"{self.owner}: {self.kind}{when} misses its limit of {self.limit:g} {self.unit}"
            f" by {self.amount:.4g} {self.unit} (penalty {self.penalty_eur:.2f} EUR)"
        )


@dataclass(frozen=True, slots=True)
class SlotPrices:
    """Duals of the LP relaxation: what one more unit would cost, by slot.

    Attributes
    ----------
    it_eur_per_kwh
        One more kWh of IT load [site][slot], PUE included.
    gpu_eur_per_gpu_hour
        One more GPU-hour [site][pool][slot]; 0 where GPUs are not scarce.
    """

    it_eur_per_kwh: tuple[Series, ...]
    gpu_eur_per_gpu_hour: tuple[tuple[Series, ...], ...]


@dataclass(frozen=True, slots=True)
class MarginalEnergy:
    """What one more kWh of facility load costs and emits, jobs staying where they are.

    See ``optimizer.solving.marginal_energy`` for what exactly that means.

    Attributes
    ----------
    eur_per_kwh
        Rise of the objective [site][slot]: weighted, carbon at its price.
    carbon_g_per_kwh
        Rise of the settled carbon [site][slot]; negative where more load makes a battery move
        import to a cleaner slot.
    """

    eur_per_kwh: tuple[Series, ...]
    carbon_g_per_kwh: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a plan made for several scenarios comes to in them; objectives, in EUR.

    Attributes
    ----------
    scenario_eur, probability
        Of each scenario, its own later decisions included.
    expected_eur, spread_eur
        Mean and standard deviation of ``scenario_eur``.
    cvar_eur
        Mean of the dearest 1 - ``cvar_alpha`` of all futures.
    cvar_alpha, cvar_weight
        Its level, and its weight against the mean in what was minimised.
    minimised_eur, bound_eur
        The mean and CVaR so weighted, and a proven lower bound of that; ``None``: none proven.
    first_slots
        Jobs that begin before this slot have the same placement in all scenarios.
    """

    scenario_eur: tuple[float, ...]
    probability: tuple[float, ...]
    expected_eur: float
    spread_eur: float
    cvar_eur: float
    cvar_alpha: float
    cvar_weight: float
    minimised_eur: float
    bound_eur: float | None
    first_slots: int

    @property
    def gap(self) -> float | None:
        """Relative distance of what was minimised from its bound."""
        return relative_gap(self.minimised_eur, self.bound_eur)


@dataclass(frozen=True, slots=True)
class KeptEarly:
    """A job that does not wait, because what waiting would gain is within its error.

    Attributes
    ----------
    later_slot, later_site
        When and where it would have started.
    gain_eur, error_eur
        What that was expected to gain, and the standard error of it. Both 0: nothing to choose.
    """

    job: str
    later_slot: int
    later_site: str
    gain_eur: float
    error_eur: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer to a ``Problem``.

    Attributes
    ----------
    placements, unserved
        Every job of the problem is in exactly one of them.
    flows
        In the order of ``Problem.sites``.
    objective
        Weighted sum the solver minimised [EUR], penalties and carbon price included.
    bound
        Proven lower bound of the objective [EUR]; ``None`` where nothing was proven.
    prices
        ``None`` where no LP was solved.
    marginal
        ``None`` where nobody asked for it.
    notes
        Why a better rung was not reached, one sentence each.
    outlook
        ``None`` where it was made for one future alone. ``objective`` is of that as forecast.
    kept_early
        Jobs that start earlier than would be cheapest as forecast.
    """

    rung: Rung
    placements: tuple[Placement, ...]
    unserved: tuple[Unserved, ...]
    flows: tuple[SiteFlows, ...]
    terms: ObjectiveTerms
    violations: tuple[Violation, ...]
    objective: float
    bound: float | None
    prices: SlotPrices | None = None
    marginal: MarginalEnergy | None = None
    notes: tuple[str, ...] = ()
    outlook: Outlook | None = None
    kept_early: tuple[KeptEarly, ...] = ()

    @property
    def gap(self) -> float | None:
        """Relative distance between objective and bound; ``None`` where nothing was proven."""
        return relative_gap(self.objective, self.bound)

    def placement(self, job: str) -> Placement | None:
        """Placement of ``job``, or ``None`` where it is unserved."""
        return next((placed for placed in self.placements if placed.job == job), None)

    def placements_by_job(self) -> dict[str, Placement]:
        """Return every placement by its job, for whoever asks for many."""
        return {placed.job: placed for placed in self.placements}
