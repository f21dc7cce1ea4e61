"""The fleet: sites with their pools, grid connections, batteries, PV, and how to plan for them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from scheduler.specs.base import (
    MONTH_MINUTES,
    MOST,
    YEAR_HOURS,
    Name,
    NonNegative,
    Positive,
    Spec,
    Text,
    TimeZone,
    require_unique,
)
from scheduler.specs.clusters import ClusterSpec, LocalClusterSpec
from scheduler.specs.commitments import BackupSpec, CommitmentsSpec
from scheduler.specs.feeds import FeedSpec
from scheduler.specs.forecast import ForecastMethod, MarginsSpec
from scheduler.specs.plants import (
    Latitude,
    Longitude,
    PvSpec,
    WindSpec,
    require_a_place,
    with_what_is_described,
)
from scheduler.specs.replan import ReplanSpec
from scheduler.specs.run_times import RunTimesSpec
from scheduler.specs.settlement import SettlementSpec
from scheduler.specs.site_control import BatteryConnectionSpec, ControlSpec, require_control
from scheduler.specs.tariff import PriceSignal, TariffSpec
from scheduler.specs.uncertainty import UncertaintySpec

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Efficiency = Annotated[float, Field(gt=0, le=1)]
Hour = Annotated[int, Field(ge=0, le=24)]


class PoolSpec(Spec):
    """GPUs of one model at a site: at most so many, whatever the cluster has.

    ``kw_per_gpu`` is what one draws at work, where nobody says: jobs of others, and power that is
    modelled. ``embodied_kg_per_gpu`` is what making one and its share of the server emitted, which
    the ledger spreads over ``lifetime_years`` of it; without, it is left out.
    """

    name: Name
    gpus: Annotated[int, Field(ge=0, le=1_000_000)]
    idle_kw_per_gpu: NonNegative = 0.0
    kw_per_gpu: NonNegative = 0.7
    embodied_kg_per_gpu: NonNegative | None = None
    lifetime_years: Annotated[float, Field(gt=0, le=100)] = 5.0


class GridSpec(Spec):
    """Grid connection: ratings, fees, and what exported energy earns.

    The export price is its own signal where one is given, else the price signal times
    ``export_price_share``, and what a tariff pays, less ``export_fee_per_mwh`` (site currency).
    """

    import_limit_kw: NonNegative
    export_limit_kw: NonNegative = 0.0
    network_fee_per_mwh: NonNegative = 0.0
    export_price_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    export_fee_per_mwh: NonNegative = 0.0


class PeakSpec(Spec):
    """Charge on the month's highest import, in site currency."""

    charge_per_kw: NonNegative
    so_far_kw: NonNegative = 0.0
    local_hours: tuple[Hour, Hour] = (0, 24)  # [from, to) in site-local hours; from > to wraps

    @model_validator(mode="after")
    def _some_hours(self) -> Self:
        first, last = self.local_hours
        if first == last:
            raise ValueError(
                f"peak: local_hours = ({first}, {last}), must differ; all day: (0, 24)"
            )
        return self


class BatterySpec(Spec):
    """A battery behind the meter; money in site currency. Without a connection it is simulated."""

    name: Name = "battery"
    power_kw: NonNegative
    capacity_kwh: NonNegative
    charge_efficiency: Efficiency = 0.95
    discharge_efficiency: Efficiency = 0.95
    soc_initial_kwh: NonNegative = 0.0
    soc_floor_kwh: NonNegative = 0.0
    soc_final_min_kwh: NonNegative = 0.0
    terminal_value_per_kwh: NonNegative = 0.0
    wear_per_kwh: NonNegative = 0.0
    ramp_kw_per_s: Positive | None = None  # None: its power changes at once
    connection: BatteryConnectionSpec | None = None

    @model_validator(mode="after")
    def _within_capacity(self) -> Self:
        for field in ("soc_initial_kwh", "soc_floor_kwh", "soc_final_min_kwh"):
            value = getattr(self, field)
            if value > self.capacity_kwh:
                raise ValueError(
                    f"battery {self.name}: {field} = {value:g},"
                    f" must be <= capacity_kwh = {self.capacity_kwh:g}"
                )
        return self


class GeneratorSpec(Spec):
    """An on-site generator; money in site currency."""

    name: Name = "generator"
    min_kw: NonNegative = 0.0
    max_kw: NonNegative
    fuel_per_kwh: NonNegative
    start_cost: NonNegative = 0.0
    emissions_g_per_kwh: NonNegative = 0.0
    is_on_initially: bool = False

    @model_validator(mode="after")
    def _least_below_most(self) -> Self:
        if self.min_kw > self.max_kw:
            raise ValueError(
                f"generator {self.name}: min_kw = {self.min_kw:g},"
                f" must be <= max_kw = {self.max_kw:g}"
            )
        return self


class SiteSpec(Spec):
    """One grid connection and what is behind it.

    ``cluster`` runs its jobs; ``group`` says when its daily plan is made.
    PV and wind come as signals in kW, scaled by nothing: the signal is the plant's own output.
    Of what ``pv`` and ``wind`` describe, a feed can tell it from the weather at the site.
    Under a ``tariff`` energy costs what that says, by the local clock; ``peak`` and the fees of
    ``grid`` come on top.
    """

    name: Name
    time_zone: TimeZone
    currency: Currency = "EUR"
    group: Name = "default"
    cluster: ClusterSpec = LocalClusterSpec()
    pue: Annotated[float, Field(ge=1, le=10)] = 1.0
    base_load_kw: NonNegative = 0.0
    grid: GridSpec
    pools: Annotated[tuple[PoolSpec, ...], Field(max_length=100)]
    peak: PeakSpec | None = None
    tariff: TariffSpec | None = None
    has_pv: bool = False
    has_wind: bool = False
    latitude_deg: Latitude | None = None
    longitude_deg: Longitude | None = None
    pv: Annotated[tuple[PvSpec, ...], Field(max_length=50)] = ()
    wind: Annotated[tuple[WindSpec, ...], Field(max_length=50)] = ()
    batteries: Annotated[tuple[BatterySpec, ...], Field(max_length=100)] = ()
    generators: Annotated[tuple[GeneratorSpec, ...], Field(max_length=100)] = ()
    feeds: Annotated[tuple[FeedSpec, ...], Field(max_length=50)] = ()
    settlement: SettlementSpec = SettlementSpec()
    control: ControlSpec | None = None  # None: the dispatcher tells batteries, once a slot
    backup: BackupSpec | None = None  # what the batteries must be able to carry alone

    @property
    def needs_price_signal(self) -> bool:
        """Whether energy cannot be priced without one."""
        return self.tariff is None or self.tariff.price_signal is PriceSignal.ADDED

    @model_validator(mode="after")
    def _no_share_of_a_price_there_is_not(self) -> Self:
        share = self.grid.export_price_share
        if not self.needs_price_signal and share != 1.0:
            raise ValueError(
                f"site {self.name}: grid.export_price_share = {share:g}, must be left out under a"
                " tariff that replaces the price signal: exports earn what it says"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _has_what_it_describes(cls, site: Any) -> Any:
        return with_what_is_described(site)

    @model_validator(mode="after")
    def _plants_have_a_place(self) -> Self:
        has_plants = bool(self.pv or self.wind)
        place = (self.latitude_deg, self.longitude_deg)
        require_a_place(f"site {self.name}", *place, has_plants=has_plants)
        return self

    @model_validator(mode="after")
    def _connected_batteries_are_looked_after(self) -> Self:
        connected = [unit.name for unit in self.batteries if unit.connection is not None]
        require_control(f"site {self.name}", self.control, connected)
        return self

    @model_validator(mode="after")
    def _unique_names(self) -> Self:
        owner = f"site {self.name}"
        require_unique(owner, "pool", (pool.name for pool in self.pools))
        require_unique(owner, "battery", (unit.name for unit in self.batteries))
        require_unique(owner, "generator", (unit.name for unit in self.generators))
        # Two of one kind would take turns in saying what the one signal is.
        require_unique(owner, "feed of", (feed.kind.value for feed in self.feeds))
        return self

    @model_validator(mode="after")
    def _backup_is_there(self) -> Self:
        if self.backup is None:
            return self
        given_kwh = sum(
            unit.discharge_efficiency * (unit.capacity_kwh - unit.soc_floor_kwh)
            for unit in self.batteries
        )
        needed = {
            "critical_kw": (self.backup.critical_kw, sum(unit.power_kw for unit in self.batteries)),
            "critical_kw * hours": (self.backup.critical_kw * self.backup.hours, given_kwh),
        }
        for name, (value, limit) in needed.items():
            if value > limit:
                raise ValueError(
                    f"site {self.name}: backup.{name} = {value:g},"
                    f" must be <= {limit:g}, which its full batteries give"
                )
        return self

    @model_validator(mode="after")
    def _known_pools(self) -> Self:
        if isinstance(self.cluster, LocalClusterSpec):
            return self
        known = [pool.name for pool in self.pools]
        for name in self.cluster.pools:
            if name not in known:
                raise ValueError(
                    f"site {self.name}: cluster has pool {name!r}, must be one of {known}"
                )
        return self


class LinkSpec(Spec):
    """How data moves from one site to another; cost in fleet currency."""

    from_site: Name
    to_site: Name
    gb_per_hour: Annotated[float, Field(ge=0.001, le=MOST)]
    eur_per_gb: NonNegative = 0.0
    kwh_per_gb: NonNegative = 0.0


class ApprovalPolicy(StrEnum):
    """Who puts a verified plan in force."""

    MANUAL = "manual"
    IF_NOT_WORSE = "if_not_worse"  # automatic where it costs no more than the one in force
    ALWAYS = "always"


class WeightsSpec(Spec):
    """What the operator values; see ``optimizer.Weights`` for each."""

    energy: NonNegative = 1.0
    network: NonNegative = 1.0
    peak: NonNegative = 1.0
    generation: NonNegative = 1.0
    storage_wear: NonNegative = 1.0
    storage_value: NonNegative = 1.0
    restarts: NonNegative = 1.0
    data_transfer: NonNegative = 1.0
    lateness: NonNegative = 1.0
    unserved: NonNegative = 1.0
    carbon_eur_per_t: NonNegative = 80.0
    churn_eur_per_job: NonNegative = 0.0


class PlanningSpec(Spec):
    """How plans are made and approved."""

    slot_minutes: Literal[5, 15, 30, 60] = 60
    horizon_hours: Annotated[int, Field(ge=1, le=24 * 31)] = 48
    time_limit_s: Annotated[float, Field(gt=0, le=24 * 3600)] = 60.0
    mip_gap: Annotated[float, Field(ge=0, lt=1)] = 0.001
    others_stay_hours: Annotated[float, Field(ge=0, le=24 * 31)] = 24.0  # jobs not ours
    silent_minutes: Annotated[float, Field(ge=0, le=MONTH_MINUTES)] = 30.0  # then: nothing new
    freeze_minutes: Annotated[int, Field(ge=0, le=MONTH_MINUTES)] = 0
    max_signal_age_hours: Annotated[float, Field(gt=0, le=YEAR_HOURS)] = 36.0
    approval: ApprovalPolicy = ApprovalPolicy.MANUAL
    carbon_intensity_name: Annotated[Text, Field(max_length=120)] = "location-based average"
    carbon_budget_kg: NonNegative | None = None
    cost_ceiling_eur: Annotated[float, Field(ge=-MOST, le=MOST)] | None = None
    weights: WeightsSpec = WeightsSpec()
    forecast: ForecastMethod = ForecastMethod.BLEND  # of what is published too short
    correct_published: bool = True  # carbon and wind, by how far off they lately were
    margins: MarginsSpec = MarginsSpec()
    uncertainty: UncertaintySpec | None = None  # None: forecasts are taken at their word
    run_times: RunTimesSpec | None = None  # None: hours are read as stated
    replan: ReplanSpec | None = None  # None: at the times of the clock and for grid events alone
    unserved_eur_per_gpu_hour: Positive = 20.0  # value of a job that states none


class TriggerSpec(Spec):
    """When the daily plan of a site group is made, in the group's own time zone."""

    group: Name = "default"
    time_zone: TimeZone = "UTC"
    local_time: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "13:30"
    replan_minutes: Annotated[int, Field(ge=5, le=MONTH_MINUTES)] | None = None  # None: no rolling

    @model_validator(mode="after")
    def _outside_clock_change(self) -> Self:
        # Between 02:00 and 03:00 an hour is missing once a year and doubled once.
        if self.local_time.startswith("02:"):
            raise ValueError(
                f"trigger {self.group}: local_time = {self.local_time!r},"
                " must be outside 02:00-02:59, which clock changes skip or repeat"
            )
        return self


class FleetSpec(Spec):
    """All sites, how they are linked, and how to plan for them. Fleet currency is EUR."""

    name: Name = "fleet"
    eur_per_unit: dict[Currency, Positive] = Field(default_factory=dict)  # EUR per 1 USD, ...
    planning: PlanningSpec = PlanningSpec()
    triggers: Annotated[tuple[TriggerSpec, ...], Field(max_length=1000)] = ()  # one per group
    sites: Annotated[tuple[SiteSpec, ...], Field(min_length=1, max_length=1000)]
    links: Annotated[tuple[LinkSpec, ...], Field(max_length=100_000)] = ()
    commitments: CommitmentsSpec = CommitmentsSpec()

    def eur_rate(self, currency: str) -> float:
        """EUR per one unit of ``currency``."""
        return 1.0 if currency == "EUR" else self.eur_per_unit[currency]

    def site(self, name: str) -> SiteSpec:
        """Return the site called ``name``."""
        return next(site for site in self.sites if site.name == name)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        owner = f"fleet {self.name}"
        names = {site.name for site in self.sites}
        require_unique(owner, "site", (site.name for site in self.sites))
        require_unique(owner, "link", (f"{it.from_site} -> {it.to_site}" for it in self.links))
        # A run is known by group and day: of two triggers of one group the second never fires.
        require_unique(owner, "trigger of group", (trigger.group for trigger in self.triggers))
        for site in self.sites:
            if site.currency != "EUR" and site.currency not in self.eur_per_unit:
                raise ValueError(
                    f"site {site.name}: currency {site.currency} has no rate in eur_per_unit"
                )
        for link in self.links:
            for name in (link.from_site, link.to_site):
                if name not in names:
                    raise ValueError(f"link {link.from_site} -> {link.to_site}: no site {name!r}")
        for wrong in self.commitments.unknown_sites(names):
            raise ValueError(wrong)
        groups = {trigger.group for trigger in self.triggers}
        for site in self.sites:
            if self.triggers and site.group not in groups:
                raise ValueError(f"site {site.name}: group {site.group!r} has no trigger")
        return self
