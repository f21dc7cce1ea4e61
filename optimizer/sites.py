"""What a site is to the optimiser: GPUs, and everything behind and at its grid connection.

Power is in kW, energy in kWh, money in EUR (the fleet currency: the caller converts). Every
``Series`` has one value per slot of the horizon. Signs: see the glossary in ARCHITECTURE.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.checks import (
    Series,
    require_above,
    require_at_least,
    require_series,
    require_unique,
    require_within,
)
from optimizer.errors import InvalidProblem

ROUNDING = 1e-6
"""By which a sum of probabilities may exceed 1."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The GPUs of one model at one site.

    Attributes
    ----------
    gpus
        GPUs available to plan [slot].
    idle_kw_per_gpu
        IT power of an available GPU no job holds [kW], before PUE.
    """

    name: str
    gpus: Series
    idle_kw_per_gpu: float = 0.0

    def __post_init__(self) -> None:
        require_series(f"pool {self.name}", "gpus", self.gpus, 0.0)
        require_at_least(f"pool {self.name}", "idle_kw_per_gpu", self.idle_kw_per_gpu, 0.0)


@dataclass(frozen=True, slots=True)
class GridConnection:
    """The grid connection of a site and what energy costs there.

    Attributes
    ----------
    import_limit_kw, export_limit_kw
        Physical rating [slot].
    import_price_eur_per_mwh, export_price_eur_per_mwh
        Energy price bought and sold at [slot]; may be negative.
    network_fee_eur_per_mwh
        Fees and levies on imported energy [slot].
    carbon_g_per_kwh
        Intensity of imported energy [slot], of the kind ``Problem.carbon_intensity_name`` says.
    """

    import_limit_kw: Series
    export_limit_kw: Series
    import_price_eur_per_mwh: Series
    export_price_eur_per_mwh: Series
    network_fee_eur_per_mwh: Series
    carbon_g_per_kwh: Series

    def __post_init__(self) -> None:
        owner = "grid connection"
        require_series(owner, "import_limit_kw", self.import_limit_kw, 0.0)
        require_series(owner, "export_limit_kw", self.export_limit_kw, 0.0)
        require_series(owner, "import_price_eur_per_mwh", self.import_price_eur_per_mwh, None)
        require_series(owner, "export_price_eur_per_mwh", self.export_price_eur_per_mwh, None)
        require_series(owner, "network_fee_eur_per_mwh", self.network_fee_eur_per_mwh, 0.0)
        require_series(owner, "carbon_g_per_kwh", self.carbon_g_per_kwh, 0.0)


@dataclass(frozen=True, slots=True)
class PeakDemand:
    """A charge on the highest import of a billing period, of which the horizon holds a part.

    A site has one for each charge and billing period: a horizon across a month's end has two of
    each monthly charge.

    Attributes
    ----------
    charge_eur_per_kw
        Price of the period's peak [EUR/kW].
    so_far_kw
        Highest import of this period before the horizon [kW].
    counts
        1 in slots whose import counts (of this period, in its hours), 0 elsewhere [slot].
    name
        Which charge and billing period it is, e.g. ``"flat 2026-03"``.
    floor_kw
        Billed at least [kW]: a ratchet from earlier months, or where a tier of the charge begins.
    """

    charge_eur_per_kw: float
    so_far_kw: float
    counts: Series
    name: str = "peak"
    floor_kw: float = 0.0

    def __post_init__(self) -> None:
        owner = f"peak demand {self.name}"
        require_at_least(owner, "charge_eur_per_kw", self.charge_eur_per_kw, 0.0)
        require_at_least(owner, "so_far_kw", self.so_far_kw, 0.0)
        require_at_least(owner, "floor_kw", self.floor_kw, 0.0)
        if not set(self.counts) <= {0.0, 1.0}:
            raise InvalidProblem(owner, "counts", set(self.counts), "0 or 1 in each slot")

    @property
    def paid_kw(self) -> float:
        """What is billed whatever the horizon does [kW]; only what exceeds it costs more."""
        return max(self.so_far_kw, self.floor_kw)


@dataclass(frozen=True, slots=True)
class CoincidentPeak:
    """A charge on what a site imports when the whole grid peaks, which is known only afterwards.

    What is planned for is its expectation: the charge times the probability of each slot.

    Attributes
    ----------
    charge_eur_per_kw
        Price of import at the grid's peak [EUR/kW].
    probability
        That the one peak of the billing period falls into this slot [slot]; 1 in all at most,
        less where it may have been before the horizon or come after it.
    """

    name: str
    charge_eur_per_kw: float
    probability: Series

    def __post_init__(self) -> None:
        owner = f"coincident peak {self.name}"
        require_at_least(owner, "charge_eur_per_kw", self.charge_eur_per_kw, 0.0)
        require_series(owner, "probability", self.probability, 0.0)
        total = sum(self.probability)
        if total > 1.0 + ROUNDING:
            raise InvalidProblem(owner, "sum(probability)", total, "at most 1")


@dataclass(frozen=True, slots=True)
class Renewable:
    """A PV or wind plant behind the meter; what is not used is curtailed, free of charge."""

    name: str
    available_kw: Series

    def __post_init__(self) -> None:
        require_series(f"renewable {self.name}", "available_kw", self.available_kw, 0.0)


@dataclass(frozen=True, slots=True)
class StorageUnit:
    """A battery. Power is on the grid side; energy is inside the unit, at slot END.

    Attributes
    ----------
    charge_max_kw, discharge_max_kw
        Power limits [kW].
    capacity_kwh
        Energy it holds when full [kWh].
    charge_efficiency, discharge_efficiency
        One-way, in (0, 1].
    soc_initial_kwh
        Energy at the start of the horizon [kWh].
    soc_floor_kwh
        Kept for backup at every slot end [kWh]; falling short is a priced violation.
    soc_final_min_kwh
        Least energy at the end of the horizon [kWh]; falling short is a priced violation.
    terminal_value_eur_per_kwh
        Worth of energy left at the end [EUR/kWh].
    wear_eur_per_kwh
        Cost of every kWh charged and of every kWh discharged, grid side [EUR/kWh].
    """

    name: str
    charge_max_kw: float
    discharge_max_kw: float
    capacity_kwh: float
    soc_initial_kwh: float
    charge_efficiency: float = 1.0
    discharge_efficiency: float = 1.0
    soc_floor_kwh: float = 0.0
    soc_final_min_kwh: float = 0.0
    terminal_value_eur_per_kwh: float = 0.0
    wear_eur_per_kwh: float = 0.0

    def __post_init__(self) -> None:
        owner = f"storage {self.name}"
        require_at_least(owner, "charge_max_kw", self.charge_max_kw, 0.0)
        require_at_least(owner, "discharge_max_kw", self.discharge_max_kw, 0.0)
        require_at_least(owner, "capacity_kwh", self.capacity_kwh, 0.0)
        require_above(owner, "charge_efficiency", self.charge_efficiency, 0.0)
        require_above(owner, "discharge_efficiency", self.discharge_efficiency, 0.0)
        require_within(owner, "charge_efficiency", self.charge_efficiency, 0.0, 1.0)
        require_within(owner, "discharge_efficiency", self.discharge_efficiency, 0.0, 1.0)
        require_within(owner, "soc_initial_kwh", self.soc_initial_kwh, 0.0, self.capacity_kwh)
        require_within(owner, "soc_floor_kwh", self.soc_floor_kwh, 0.0, self.capacity_kwh)
        require_within(owner, "soc_final_min_kwh", self.soc_final_min_kwh, 0.0, self.capacity_kwh)
        require_at_least(owner, "wear_eur_per_kwh", self.wear_eur_per_kwh, 0.0)
        require_at_least(owner, "terminal_value_eur_per_kwh", self.terminal_value_eur_per_kwh, 0.0)


@dataclass(frozen=True, slots=True)
class Generator:
    """An on-site generator: off, or between its minimum load and its rating.

    Attributes
    ----------
    min_kw, max_kw
        Output while on [kW].
    fuel_eur_per_kwh, start_eur
        Running cost per kWh generated and cost of each start.
    emissions_g_per_kwh
        Per kWh generated.
    is_on_initially
        It runs in the slot before the horizon, so running on is not a start.
    """

    name: str
    min_kw: float
    max_kw: float
    fuel_eur_per_kwh: float
    start_eur: float = 0.0
    emissions_g_per_kwh: float = 0.0
    is_on_initially: bool = False

    def __post_init__(self) -> None:
        owner = f"generator {self.name}"
        require_at_least(owner, "max_kw", self.max_kw, 0.0)
        require_within(owner, "min_kw", self.min_kw, 0.0, self.max_kw)
        require_at_least(owner, "fuel_eur_per_kwh", self.fuel_eur_per_kwh, 0.0)
        require_at_least(owner, "start_eur", self.start_eur, 0.0)
        require_at_least(owner, "emissions_g_per_kwh", self.emissions_g_per_kwh, 0.0)


@dataclass(frozen=True, slots=True)
class Sheddable:
    """Part of a site's base load that can be shed: ``kw`` [slot], in so many seconds."""

    kw: Series
    within_s: float

    def __post_init__(self) -> None:
        require_series("sheddable load", "kw", self.kw, 0.0)
        require_at_least("sheddable load", "within_s", self.within_s, 0.0)


@dataclass(frozen=True, slots=True)
class Site:
    """One grid connection and what is behind it.

    Attributes
    ----------
    pue
        Facility power per unit of IT power [slot], >= 1.
    base_load_kw
        Inelastic facility load [slot], not multiplied by PUE.
    sheddable
        What of it can be shed for a reserve; jobs' load is apart.
    """

    name: str
    pools: tuple[Pool, ...]
    grid: GridConnection
    pue: Series
    base_load_kw: Series
    renewables: tuple[Renewable, ...] = ()
    storage: tuple[StorageUnit, ...] = ()
    generators: tuple[Generator, ...] = ()
    peaks: tuple[PeakDemand, ...] = ()
    coincident_peaks: tuple[CoincidentPeak, ...] = ()
    sheddable: tuple[Sheddable, ...] = ()

    def __post_init__(self) -> None:
        owner = f"site {self.name}"
        require_series(owner, "pue", self.pue, 1.0)
        require_series(owner, "base_load_kw", self.base_load_kw, 0.0)
        require_unique(owner, "pool", (pool.name for pool in self.pools))
        require_unique(owner, "storage", (unit.name for unit in self.storage))
        require_unique(owner, "renewable", (plant.name for plant in self.renewables))
        require_unique(owner, "generator", (generator.name for generator in self.generators))
        require_unique(owner, "peak demand", (peak.name for peak in self.peaks))
        require_unique(owner, "coincident peak", (peak.name for peak in self.coincident_peaks))

    @property
    def coincident_eur_per_kw(self) -> Series:
        """Expected coincident-peak charges on a kW imported throughout a slot [slot] in EUR/kW."""
        eur = [0.0] * len(self.pue)
        for peak in self.coincident_peaks:
            for slot, probability in enumerate(peak.probability):
                eur[slot] += peak.charge_eur_per_kw * probability
        return tuple(eur)

    def shed_kw(self, in_time_s: float, slot: int) -> float:
        """Return what of the base load is shed within ``in_time_s`` [kW]."""
        return sum(part.kw[slot] for part in self.sheddable if part.within_s <= in_time_s)

    def pool(self, name: str) -> Pool:
        """Return the pool called ``name``."""
        return next(pool for pool in self.pools if pool.name == name)

    def series(self) -> dict[str, Series]:
        """Every series of the site by a name a person can find it under."""
        grid = self.grid
        named = {
            "pue": self.pue,
            "base_load_kw": self.base_load_kw,
            "import_limit_kw": grid.import_limit_kw,
            "export_limit_kw": grid.export_limit_kw,
            "import_price_eur_per_mwh": grid.import_price_eur_per_mwh,
            "export_price_eur_per_mwh": grid.export_price_eur_per_mwh,
            "network_fee_eur_per_mwh": grid.network_fee_eur_per_mwh,
            "carbon_g_per_kwh": grid.carbon_g_per_kwh,
        }
        named |= {f"pool {pool.name}.gpus": pool.gpus for pool in self.pools}
        named |= {
            f"renewable {plant.name}.available_kw": plant.available_kw for plant in self.renewables
        }
        named |= {f"peak demand {peak.name}.counts": peak.counts for peak in self.peaks}
        named |= {
            f"coincident peak {peak.name}.probability": peak.probability
            for peak in self.coincident_peaks
        }
        named |= {f"sheddable {k}.kw": part.kw for k, part in enumerate(self.sheddable)}
        return named
