"""Values that the control loop decides on. Frozen; battery power is positive while charging."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Ratings:
    """What a battery may do: power on the grid side, energy inside, efficiencies one-way.

    ``ramp_kw_per_s`` is how fast its power may change; infinite: at once.
    """

    charge_max_kw: float
    discharge_max_kw: float
    capacity_kwh: float
    floor_kwh: float = 0.0
    charge_efficiency: float = 1.0
    discharge_efficiency: float = 1.0
    ramp_kw_per_s: float = float("inf")


@dataclass(frozen=True, slots=True)
class Unit:
    """A battery as it stands, and what the plan wants of it.

    ``last_kw`` is the setpoint in force, or what was measured where none was given yet;
    ``charge_max_kw`` and ``discharge_max_kw`` are what it says it can do now, where it says so.
    """

    ratings: Ratings
    soc_kwh: float
    last_kw: float
    wanted_kw: float = 0.0
    charge_max_kw: float = float("inf")
    discharge_max_kw: float = float("inf")


@dataclass(frozen=True, slots=True)
class SiteLimits:
    """What may flow at the grid connection; ``margin_kw`` is kept from both."""

    import_kw: float
    export_kw: float = 0.0
    margin_kw: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """How much time a decision is for.

    ``since_last_s`` is how long ago the last setpoints were given: power may have changed by the
    ramp times that. ``holds_s`` is how long these may stand if no others follow: for so long the
    charge must last.
    """

    since_last_s: float
    holds_s: float


class Bind(StrEnum):
    """What a setpoint is as it is for."""

    PLAN = "plan"
    BOUNDS = "bounds"  # of power or charge
    RAMP = "ramp"
    LIMIT = "limit"  # of the site
    REST = "rest"  # nobody knows what flows at the connection


@dataclass(frozen=True, slots=True)
class Decided:
    """Setpoints of all batteries, in their order, and by how much the site is beyond its limits.

    ``beyond_kw`` is what they cannot help: import above the limit, export where it is negative.
    """

    setpoints_kw: tuple[float, ...]
    binds: tuple[Bind, ...]
    beyond_kw: float = 0.0
