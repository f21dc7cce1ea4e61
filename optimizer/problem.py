"""A whole planning problem: sites, jobs, obligations, and what the operator values.

Frozen and comparable, so that the same problem and seed give the same plan and a problem can be
sent to another process and kept beside its plan.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from optimizer.checks import require_above, require_at_least, require_finite, require_unique
from optimizer.errors import InvalidProblem
from optimizer.events import DemandEvent
from optimizer.horizon import Horizon
from optimizer.jobs import Job
from optimizer.positions import Position
from optimizer.reserves import ReserveProduct
from optimizer.sites import Site


@dataclass(frozen=True, slots=True)
class Link:
    """How data moves from one site to another."""

    from_site: str
    to_site: str
    gb_per_hour: float
    eur_per_gb: float = 0.0
    kwh_per_gb: float = 0.0

    def __post_init__(self) -> None:
        owner = f"link {self.from_site} -> {self.to_site}"
        require_above(owner, "gb_per_hour", self.gb_per_hour, 0.0)
        require_at_least(owner, "eur_per_gb", self.eur_per_gb, 0.0)
        require_at_least(owner, "kwh_per_gb", self.kwh_per_gb, 0.0)


@dataclass(frozen=True, slots=True)
class CapacityLimit:
    """An obligation to import no more than ``limit_kw`` in [start_slot, end_slot).

    Breaking it is possible at ``breach_eur_per_kwh``, and is then a named violation of the plan.
    The physical rating of the connection is apart, in ``GridConnection``.
    """

    name: str
    site: str
    start_slot: int
    end_slot: int
    limit_kw: float
    breach_eur_per_kwh: float

    def __post_init__(self) -> None:
        owner = f"capacity limit {self.name}"
        require_at_least(owner, "start_slot", self.start_slot, 0)
        require_at_least(owner, "end_slot", self.end_slot, self.start_slot + 1)
        require_at_least(owner, "limit_kw", self.limit_kw, 0.0)
        require_at_least(owner, "breach_eur_per_kwh", self.breach_eur_per_kwh, 0.0)


@dataclass(frozen=True, slots=True)
class Weights:
    """What the operator values: multipliers of the objective's terms, and the price of carbon.

    A weight of 1 means euro for euro; 0 leaves the term out of the decision, not out of the report.
    """

    energy: float = 1.0
    network: float = 1.0
    peak: float = 1.0
    generation: float = 1.0
    storage_wear: float = 1.0
    storage_value: float = 1.0
    restarts: float = 1.0
    data_transfer: float = 1.0
    lateness: float = 1.0
    unserved: float = 1.0
    carbon_eur_per_t: float = 0.0
    churn_eur_per_job: float = 0.0

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            require_at_least("weights", name, getattr(self, name), 0.0)


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Limits over the whole horizon; exceeding one is a priced, named violation."""

    carbon_budget_kg: float | None = None
    cost_ceiling_eur: float | None = None

    def __post_init__(self) -> None:
        if self.carbon_budget_kg is not None:
            require_at_least("ceilings", "carbon_budget_kg", self.carbon_budget_kg, 0.0)
        if self.cost_ceiling_eur is not None:
            require_finite("ceilings", "cost_ceiling_eur", self.cost_ceiling_eur)


@dataclass(frozen=True, slots=True)
class Penalties:
    """Prices of the physically or contractually undesirable; far above any ordinary cost."""

    shortfall_eur_per_kwh: float = 100.0
    soc_short_eur_per_kwh: float = 20.0
    carbon_over_eur_per_kg: float = 50.0
    cost_over_eur_per_eur: float = 50.0

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            require_above("penalties", name, getattr(self, name), 0.0)


@dataclass(frozen=True, slots=True)
class Problem:
    """Everything a plan is made from.

    Raises
    ------
    InvalidProblem
        A name is used twice or unknown, or a series is not as long as the horizon.
    """

    horizon: Horizon
    sites: tuple[Site, ...]
    jobs: tuple[Job, ...]
    links: tuple[Link, ...] = ()
    capacity_limits: tuple[CapacityLimit, ...] = ()
    weights: Weights = field(default_factory=Weights)
    ceilings: Ceilings = field(default_factory=Ceilings)
    penalties: Penalties = field(default_factory=Penalties)
    carbon_intensity_name: str = "location-based average"
    events: tuple[DemandEvent, ...] = ()
    reserves: tuple[ReserveProduct, ...] = ()
    positions: tuple[Position, ...] = ()

    def __post_init__(self) -> None:
        if not self.sites:
            raise InvalidProblem("problem", "sites", (), "at least one site")
        require_unique("problem", "site", (site.name for site in self.sites))
        require_unique("problem", "job", (job.name for job in self.jobs))
        require_unique("problem", "capacity limit", (limit.name for limit in self.capacity_limits))
        require_unique("problem", "event", (event.name for event in self.events))
        require_unique("problem", "reserve", (product.name for product in self.reserves))
        require_unique("problem", "position", (position.name for position in self.positions))
        require_unique("problem", "link", (f"{k.from_site} -> {k.to_site}" for k in self.links))
        self._require_series_lengths()
        self._require_known_names()
        self._require_acyclic_precedence()

    def _require_series_lengths(self) -> None:
        n_slots = self.horizon.n_slots
        for site in self.sites:
            for name, values in site.series().items():
                if len(values) != n_slots:
                    raise InvalidProblem(
                        f"site {site.name}", f"len({name})", len(values), f"{n_slots}"
                    )

        for position in self.positions:
            if len(position.net_kw) != n_slots:
                owner = f"position {position.name}"
                raise InvalidProblem(owner, "len(net_kw)", len(position.net_kw), f"{n_slots}")

    def _require_known_names(self) -> None:
        sites = {site.name for site in self.sites}
        self._require_known_sites(sites)
        self._require_known_of_jobs(sites)

    def _require_known_sites(self, sites: set[str]) -> None:
        for limit in self.capacity_limits:
            _require_known(f"capacity limit {limit.name}", "site", limit.site, sites)
        asked = [(f"event {event.name}", event.sites) for event in self.events]
        asked += [(f"reserve {product.name}", product.sites) for product in self.reserves]
        asked += [(f"position {position.name}", position.sites) for position in self.positions]
        for owner, names in asked:
            for name in names:
                _require_known(owner, "sites", name, sites)
        for link in self.links:
            owner = f"link {link.from_site} -> {link.to_site}"
            _require_known(owner, "from_site", link.from_site, sites)
            _require_known(owner, "to_site", link.to_site, sites)

    def _require_known_of_jobs(self, sites: set[str]) -> None:
        pools = {f"{site.name}/{pool.name}" for site in self.sites for pool in site.pools}
        jobs = {job.name for job in self.jobs}
        for job in self.jobs:
            owner = f"job {job.name}"
            for point in job.points:
                where = f"{point.site}/{point.pool}"
                _require_known(owner, f"pool of point {point.name}", where, pools)
            if job.data is not None:
                _require_known(owner, "data.site", job.data.site, sites)
                for site, _ in job.data.left_gb:
                    _require_known(owner, "data.left_gb", site, sites)
            for name in job.after:
                _require_known(owner, "after", name, jobs)

    def _require_acyclic_precedence(self) -> None:
        waits_for = {job.name: set(job.after) for job in self.jobs if job.after}
        while waits_for:
            free = [name for name, others in waits_for.items() if not others & waits_for.keys()]
            if not free:
                cycle = ", ".join(sorted(waits_for))
                raise InvalidProblem("problem", "after", cycle, "free of cycles")
            for name in free:
                del waits_for[name]

    def site(self, name: str) -> Site:
        """Return the site called ``name``."""
        return next(site for site in self.sites if site.name == name)


def _require_known(owner: str, field_name: str, name: str, known: set[str]) -> None:
    if name not in known:
        raise InvalidProblem(owner, field_name, name, f"one of: {', '.join(sorted(known)[:10])}")
