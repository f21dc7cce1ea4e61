"""Values that cross the border to the outside. Frozen; instants are aware and in UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open span of time [start, end), both aware."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.utcoffset() is None or self.end.utcoffset() is None:
            raise ValueError(f"window {self.start} .. {self.end}: instants must carry a time zone")
        if self.end <= self.start:
            raise ValueError(f"window {self.start} .. {self.end}: end must be after start")


class SignalKind(StrEnum):
    """What a signal is about, and its unit."""

    PRICE = "price"  # site currency per MWh
    EXPORT_PRICE = "export_price"  # site currency per MWh
    CARBON_INTENSITY = "carbon_intensity"  # g/kWh, average
    PV = "pv"  # kW available
    WIND = "wind"  # kW available
    BASE_LOAD = "base_load"  # kW
    PUE = "pue"  # ratio
    MARGINAL_CARBON_INTENSITY = "marginal_carbon_intensity"  # g/kWh
    # Of the whole zone, not of a site.
    ZONE_LOAD = "zone_load"  # MW, measured
    ZONE_SOLAR = "zone_solar"  # MW, measured
    ZONE_WIND = "zone_wind"  # MW, measured, on and off shore
    ZONE_LOAD_FORECAST = "zone_load_forecast"  # MW, as published before
    ZONE_SOLAR_FORECAST = "zone_solar_forecast"  # MW, as published before
    ZONE_WIND_FORECAST = "zone_wind_forecast"  # MW, as published before
    # At a place.
    IRRADIANCE = "irradiance"  # W/m2, global, on the level
    AIR_TEMPERATURE = "air_temperature"  # degC
    WIND_SPEED = "wind_speed"  # m/s

    @property
    def unit(self) -> str:
        """Unit of every value of this kind; a price is in the currency of its site."""
        return _UNITS[self]


_UNITS = {
    SignalKind.PRICE: "currency/MWh",
    SignalKind.EXPORT_PRICE: "currency/MWh",
    SignalKind.CARBON_INTENSITY: "g/kWh",
    SignalKind.PV: "kW",
    SignalKind.WIND: "kW",
    SignalKind.BASE_LOAD: "kW",
    SignalKind.PUE: "1",
    SignalKind.MARGINAL_CARBON_INTENSITY: "g/kWh",
    SignalKind.ZONE_LOAD: "MW",
    SignalKind.ZONE_SOLAR: "MW",
    SignalKind.ZONE_WIND: "MW",
    SignalKind.ZONE_LOAD_FORECAST: "MW",
    SignalKind.ZONE_SOLAR_FORECAST: "MW",
    SignalKind.ZONE_WIND_FORECAST: "MW",
    SignalKind.IRRADIANCE: "W/m2",
    SignalKind.AIR_TEMPERATURE: "degC",
    SignalKind.WIND_SPEED: "m/s",
}


class JobState(StrEnum):
    """Where a job stands on its cluster."""

    QUEUED = "queued"  # the cluster has the order, and gave it no GPUs yet
    RUNNING = "running"
    SUSPENDED = "suspended"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


class SuspendBy(StrEnum):
    """How a job is paused."""

    CHECKPOINT = "checkpoint"  # SIGTERM, grace to save, GPUs given back; resume starts it again
    FREEZE = "freeze"  # SIGSTOP: stays in memory, GPUs stay held


@dataclass(frozen=True, slots=True)
class JobOrder:
    """Run this. ``key`` makes it idempotent: the same key twice is one job.

    ``environment`` is added to what the cluster gives every job; where both name a variable, the
    cluster's stands: GPUs, power cap, checkpoint folder, whether it is a continuation.

    Orders of the same ``data`` share a folder that lasts, ``GRIDTIDE_DATA_DIR``: what one puts
    there, another finds.
    """

    key: str
    command: tuple[str, ...]
    pool: str
    gpus: int
    environment: dict[str, str] = field(default_factory=dict)
    tenant: str = ""  # whose it is, where the cluster keeps accounts or queues by tenant
    image: str | None = None  # container to run the command in, where the cluster runs containers
    power_cap_w: float | None = None  # per GPU
    suspend_by: SuspendBy = SuspendBy.CHECKPOINT
    checkpoint_grace_s: float = 30.0
    # A resumption holds only where the job was started this often; None: whatever the count.
    after_starts: int | None = None
    is_restartable: bool = False  # by the cluster itself, where a node is lost or it is preempted
    data: str | None = None  # name of its input data on this cluster


@dataclass(frozen=True, slots=True)
class JobObservation:
    """What a cluster reports of one job."""

    key: str
    state: JobState
    pool: str
    gpus: int  # held now; 0 unless it holds any
    power_cap_w: float | None  # per GPU
    started_at: datetime | None  # first start
    ended_at: datetime | None
    # Of its last run where that has ended, also by a pause; None: it has not, or nobody saw it.
    exit_code: int | None  # ended by signal n: -n or 128 + n
    starts: int  # times its command was started; 1 + restarts
    reason: str = ""  # why it is where it is, in the cluster's words
    nodes: tuple[str, ...] = ()  # that it runs on now
    # Read back from its GPUs [W per GPU]; None: nobody says, or nothing is in force.
    power_cap_in_force_w: float | None = None
    power_cap_problem: str = ""  # why its cap is not in force on all of them, where somebody says


@dataclass(frozen=True, slots=True)
class PoolCapacity:
    """GPUs of one pool as the cluster sees them."""

    pool: str
    gpus_total: int
    gpus_available: int  # total less drained and failed
    gpus_in_use: int  # by whomever
    gpus_of_others: int = 0  # in use by jobs this connector was not given


class PowerScope(StrEnum):
    """What a power is the power of."""

    GPUS = "gpus"
    NODES = "nodes"  # whole servers: processors, memory and fans as well


@dataclass(frozen=True, slots=True)
class MeasuredPower:
    """What somebody measures now, and of how much; what is ``silent`` is not in it."""

    kw: float
    gpus: int  # it is the power of, or of the nodes that have them
    silent: tuple[str, ...] = ()  # who ought to have told and did not, in words


@dataclass(frozen=True, slots=True)
class PowerReading:
    """Power drawn by a cluster's GPUs and how it is known."""

    kw: float
    is_measured: bool  # False: modelled
    source: str = ""  # who measured it
    scope: PowerScope = PowerScope.GPUS
    reason: str = ""  # why it is modelled


@dataclass(frozen=True, slots=True)
class StartEnergy:
    """Energy that one start of a job used until it was over, as somebody keeps account of it.

    Where ``kwh`` is ``None``, ``reason`` says why it will never be known.
    """

    key: str  # of the job
    start: int  # which of its starts, from 1
    started_at: datetime
    ended_at: datetime | None  # None: not on record
    kwh: float | None
    source: str  # who keeps account
    scope: PowerScope
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StorageTelemetry:
    """State of a battery at one instant. Signed power is positive while charging.

    ``None`` is what it does not tell. ``setpoint_kw`` is what it holds itself to, read back.
    """

    at: datetime
    soc_kwh: float
    power_kw: float
    setpoint_kw: float | None = None
    charge_max_kw: float | None = None  # that it can do now
    discharge_max_kw: float | None = None
    problem: str = ""  # why it does not do as told, in its own words


@dataclass(frozen=True, slots=True)
class MeterReading:
    """Power at one instant; positive for import.

    ``includes_batteries``: it is of the whole connection; else of everything but the batteries.
    """

    at: datetime
    power_kw: float
    includes_batteries: bool = True


class GridEventKind(StrEnum):
    """What a call is to its sender; to us each is a limit."""

    LIMIT = "limit"  # draw no more
    SETPOINT = "setpoint"  # draw just that
    LEVEL = "level"  # one of a few levels that were agreed
    EMERGENCY = "emergency"  # the grid is in danger
    SUBSCRIPTION = "subscription"  # what is contracted: it holds where nothing else does


@dataclass(frozen=True, slots=True)
class GridEventNotice:
    """A call from the VPP: import at most ``limit_kw`` at ``site`` in ``window``.

    Attributes
    ----------
    breach_eur_per_kwh
        What each kWh above the limit costs.
    issued_at
        When its sender said it last; ``None`` where nobody tells.
    ramp_minutes
        How long the site may take from the start to come down to the limit.
    priority
        Of its sender among its own calls: 0 is the highest, ``None`` the lowest.
    payment_eur_per_kwh
        What each kWh that is not drawn is paid; one above the limit is not.
    rebound_kw, rebound_minutes, rebound_eur_per_kwh
        Import at most for so long directly after it, and what each kWh above that costs; ``None``:
        no such limit.
    """

    event_id: str
    site: str
    window: Window
    limit_kw: float
    breach_eur_per_kwh: float
    is_cancelled: bool = False
    kind: GridEventKind = GridEventKind.LIMIT
    issued_at: datetime | None = None
    ramp_minutes: float = 0.0
    priority: int | None = None
    payment_eur_per_kwh: float = 0.0
    rebound_kw: float | None = None
    rebound_minutes: float = 0.0
    rebound_eur_per_kwh: float = 0.0

    @property
    def rebound(self) -> Window | None:
        """When import is limited after it; ``None``: it never is."""
        if self.rebound_kw is None or self.rebound_minutes <= 0:
            return None
        end = self.window.end
        return Window(end, end + timedelta(minutes=self.rebound_minutes))


@dataclass(frozen=True, slots=True)
class GridSignal:
    """A price or an intensity of a site, in ``kind.unit``, as the grid side says it now.

    ``currency`` is that of a price; ``None`` where nobody tells.
    """

    site: str
    kind: SignalKind
    window: Window
    value: float
    currency: str | None = None


class Measure(StrEnum):
    """What may be asked of a site, interval by interval."""

    POWER = "power"  # what it drew
    PEAK = "peak"  # the highest it drew
    FORECAST = "forecast"  # what the plan in force wants
    BASELINE = "baseline"  # what it would have drawn without the call
    STATE = "state"  # whether it keeps to what was called
    STORAGE = "storage"  # what its batteries hold and can do
    FLEXIBILITY = "flexibility"  # what it could draw less and more


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """A report that the other side asks for: of each site and interval, these measures.

    Attributes
    ----------
    name
        What it is known by: the same report sent twice is one.
    event_id
        Of the sender's event that asks for it.
    asked, refused
        Words of the sender for what is asked, and for what is asked and nobody here can tell,
        each with the reason.
    by_slot
        Each interval may be told in parts.
    """

    name: str
    event_id: str
    sites: tuple[str, ...]
    due_at: datetime
    intervals: tuple[Window, ...]
    measures: frozenset[Measure]
    asked: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    by_slot: bool = False


@dataclass(frozen=True, slots=True)
class SiteFigures:
    """Of one site in one interval, what was asked for and is known; ``None``: it is not.

    Powers are means of net import at the connection, but of batteries and flexibility, which are
    never negative. ``is_measured``: ``import_kw`` and ``peak_kw`` are by a meter.
    """

    site: str
    window: Window
    import_kw: float | None = None
    is_measured: bool = False
    peak_kw: float | None = None
    planned_kw: float | None = None
    baseline_kw: float | None = None
    limit_kw: float | None = None  # it was called to; None: to none
    stored_kwh: float | None = None  # in all its batteries at the end; None: it has none
    storage_kwh: float | None = None  # what they hold when they are full
    charge_max_kw: float | None = None
    discharge_max_kw: float | None = None
    shed_kw: float | None = None  # load that could be taken off
    more_discharge_kw: float | None = None  # that batteries could give on top
    more_charge_kw: float | None = None  # that they could take more


@dataclass(frozen=True, slots=True)
class Report:
    """What was asked for, as far as it is known."""

    request: ReportRequest
    figures: tuple[SiteFigures, ...]


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """One message as it came, and what its source knows it by until it is acknowledged."""

    subject: str  # topic it came under, or who sent it
    body: bytes
    ticket: tuple[str | int, ...] = ()  # empty: it cannot be acknowledged, and does not come again
    sites: frozenset[str] | None = None  # those its sender may speak for; None: nobody says
