"""The optimiser: frozen problems in, frozen and verifiable plans out. What others may import."""

from optimizer import baselines
from optimizer.beyond_plan import Headroom, headroom
from optimizer.dispatch import StorageFlows, dispatch, followed, settled_plan
from optimizer.errors import InvalidProblem, OptimizerError, PlanRefused, SolverFailed
from optimizer.event_report import Delivered, EventReport, calls_of, event_report, without_event
from optimizer.events import DemandEvent
from optimizer.explain import Alternative, Explainer, Explanation, explain
from optimizer.flexibility import CallPrice, LevelCall, net_import_kw, price_call
from optimizer.horizon import Horizon
from optimizer.jobs import Announced, InputData, Job, OperatingPoint, Pausing, Pin, slots_to_do
from optimizer.pieces import Piece, links_of, pieces_of, restarts_of, transfer_to
from optimizer.plan import (
    KeptEarly,
    MarginalEnergy,
    ObjectiveTerms,
    Outlook,
    Placement,
    Plan,
    ReserveShare,
    Run,
    Rung,
    SiteFlows,
    SlotPrices,
    Unserved,
    Violation,
)
from optimizer.positions import Position
from optimizer.problem import CapacityLimit, Ceilings, Link, Penalties, Problem, Weights
from optimizer.progress import Clock, OnProgress, Progress, SolveLimits
from optimizer.quotes import Quote, Quoter
from optimizer.reserves import ReserveBlock, ReserveProduct
from optimizer.scenarios.early import start_early
from optimizer.scenarios.futures import Risk, Scenario, SiteFuture, UncertainProblem
from optimizer.scenarios.planning import plan_for_scenarios
from optimizer.settlement import (
    Settlement,
    add_it_load,
    billed_kw,
    generator_starts,
    gpus_used,
    it_load_kw,
    lateness_eur,
    settle,
    weighted_objective,
)
from optimizer.sites import (
    CoincidentPeak,
    Generator,
    GridConnection,
    PeakDemand,
    Pool,
    Renewable,
    Sheddable,
    Site,
    StorageUnit,
)
from optimizer.solving.freeing import SideBySide
from optimizer.solving.greedy import greedy, latest_safe_start
from optimizer.solving.lower_bound import lower_bound_eur
from optimizer.solving.marginal_energy import with_marginal_energy
from optimizer.solving.solve import solve
from optimizer.verify import Breach, require_verified, verify

__all__ = [
    "Alternative",
    "Announced",
    "Breach",
    "CallPrice",
    "CapacityLimit",
    "Ceilings",
    "Clock",
    "CoincidentPeak",
    "Delivered",
    "DemandEvent",
    "EventReport",
    "Explainer",
    "Explanation",
    "Generator",
    "GridConnection",
    "Headroom",
    "Horizon",
    "InputData",
    "InvalidProblem",
    "Job",
    "KeptEarly",
    "LevelCall",
    "Link",
    "MarginalEnergy",
    "ObjectiveTerms",
    "OnProgress",
    "OperatingPoint",
    "OptimizerError",
    "Outlook",
    "Pausing",
    "PeakDemand",
    "Penalties",
    "Piece",
    "Pin",
    "Placement",
    "Plan",
    "PlanRefused",
    "Pool",
    "Position",
    "Problem",
    "Progress",
    "Quote",
    "Quoter",
    "Renewable",
    "ReserveBlock",
    "ReserveProduct",
    "ReserveShare",
    "Risk",
    "Run",
    "Rung",
    "Scenario",
    "Settlement",
    "Sheddable",
    "SideBySide",
    "Site",
    "SiteFlows",
    "SiteFuture",
    "SlotPrices",
    "SolveLimits",
    "SolverFailed",
    "StorageFlows",
    "StorageUnit",
    "UncertainProblem",
    "Unserved",
    "Violation",
    "Weights",
    "add_it_load",
    "baselines",
    "billed_kw",
    "calls_of",
    "dispatch",
    "event_report",
    "explain",
    "followed",
    "generator_starts",
    "gpus_used",
    "greedy",
    "headroom",
    "it_load_kw",
    "lateness_eur",
    "latest_safe_start",
    "links_of",
    "lower_bound_eur",
    "net_import_kw",
    "pieces_of",
    "plan_for_scenarios",
    "price_call",
    "require_verified",
    "restarts_of",
    "settle",
    "settled_plan",
    "slots_to_do",
    "solve",
    "start_early",
    "transfer_to",
    "verify",
    "weighted_objective",
    "with_marginal_energy",
    "without_event",
]
