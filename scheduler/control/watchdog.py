"""Who has gone silent, and what that leaves to do. Pure.

Each has a limit of its own. Without a plan batteries rest and go on to defend the limits of the
site; without a meter they rest; a battery that is silent is told to rest, as long as it may be
listening, and ends by itself what it was told once its time is over. Whoever speaks again is taken
at its word with the next tick; the ramp begins at what is in force.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each may be silent before it counts as such [s]."""

    plan_s: float
    meter_s: float
    battery_s: float


@dataclass(frozen=True, slots=True)
class Silence:
    """How long nothing was heard of each [s]; infinite: never yet."""

    plan_s: float
    meter_s: float
    batteries_s: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose word holds, and why that of others does not."""

    has_plan: bool
    has_meter: bool
    batteries: frozenset[str]
    reasons: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nobody is silent."""
        return not self.reasons


def trust(silence: Silence, patience: Patience) -> Trust:
    """Say whose word holds."""
    batteries = sorted(silence.batteries_s.items())
    waited = (
        ("the scheduler", silence.plan_s, patience.plan_s),
        ("the meter", silence.meter_s, patience.meter_s),
        *((f"battery {name}", age_s, patience.battery_s) for name, age_s in batteries),
    )
    return Trust(
        has_plan=silence.plan_s <= patience.plan_s,
        has_meter=silence.meter_s <= patience.meter_s,
        batteries=frozenset(name for name, age_s in batteries if age_s <= patience.battery_s),
        reasons=tuple(
            f"{who} is silent {_since(age_s)}, at most {most_s:g} s"
            for who, age_s, most_s in waited
            if age_s > most_s
        ),
    )


def _since(age_s: float) -> str:
    return "since the beginning" if age_s == float("inf") else f"for {age_s:.1f} s"
