"""Every table, so that ``Base.metadata`` is whole once this package is imported."""

from scheduler.db.models.api_key import ApiKey, Role
from scheduler.db.models.base import Base
from scheduler.db.models.bid import Bid
from scheduler.db.models.cluster_identity import ClusterIdentity
from scheduler.db.models.cluster_power import ClusterPower
from scheduler.db.models.data_transfer import DataTransfer
from scheduler.db.models.dispatch_command import CommandKind, CommandOutcome, DispatchCommand
from scheduler.db.models.event_settlement import EventSettlement
from scheduler.db.models.feed_state import FeedState
from scheduler.db.models.fleet import FleetVersion
from scheduler.db.models.forecast_fit import ForecastFit
from scheduler.db.models.grid_event import GridEvent
from scheduler.db.models.grid_report import GridReport
from scheduler.db.models.job import OPEN_STATUSES, Job, JobStatus
from scheduler.db.models.job_energy import JobEnergy
from scheduler.db.models.job_run import JobRun
from scheduler.db.models.ledger import LedgerDay, LedgerEntry, LedgerShare, LedgerSite
from scheduler.db.models.plan import PlanStatus, StoredPlan
from scheduler.db.models.planning_run import PlanningRun, RunStatus
from scheduler.db.models.pool_state import PoolState
from scheduler.db.models.signal import (
    SignalFlag,
    SignalSeries,
    SignalValue,
    SignalVerdict,
    Verdict,
)
from scheduler.db.models.signal_forecast import SignalForecast
from scheduler.db.models.site_control import SiteControl
from scheduler.db.models.stream import DeadLetter, SeenMessage, StreamState, TelemetryValue
from scheduler.db.models.wake_up import WakeUp

__all__ = [
    "OPEN_STATUSES",
    "ApiKey",
    "Base",
    "Bid",
    "ClusterIdentity",
    "ClusterPower",
    "CommandKind",
    "CommandOutcome",
    "DataTransfer",
    "DeadLetter",
    "DispatchCommand",
    "EventSettlement",
    "FeedState",
    "FleetVersion",
    "ForecastFit",
    "GridEvent",
    "GridReport",
    "Job",
    "JobEnergy",
    "JobRun",
    "JobStatus",
    "LedgerDay",
    "LedgerEntry",
    "LedgerShare",
    "LedgerSite",
    "PlanStatus",
    "PlanningRun",
    "PoolState",
    "Role",
    "RunStatus",
    "SeenMessage",
    "SignalFlag",
    "SignalForecast",
    "SignalSeries",
    "SignalValue",
    "SignalVerdict",
    "SiteControl",
    "StoredPlan",
    "StreamState",
    "TelemetryValue",
    "Verdict",
    "WakeUp",
]
