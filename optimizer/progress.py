"""What a solve is allowed to take, and what it tells while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from optimizer.checks import require_above, require_within


@dataclass(frozen=True, slots=True)
class SolveLimits:
    """When to stop: after this long, or once the gap is proven. The seed fixes the search."""

    time_limit_s: float = 60.0
    mip_gap: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        require_above("solve limits", "time_limit_s", self.time_limit_s, 0.0)
        require_within("solve limits", "mip_gap", self.mip_gap, 0.0, 1.0)


def relative_gap(best: float | None, bound: float | None) -> float | None:
    """Distance of ``best`` from ``bound`` as a share of ``best``; ``None`` where one is missing."""
    if best is None or bound is None:
        return None
    return max(0.0, best - bound) / max(abs(best), 1e-9)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a solve has come. ``seconds`` count from the start of the solver."""

    phase: str  # greedy | build | relax | prove | price | insert | columns | search | flows
    seconds: float
    best: float | None = None
    bound: float | None = None

    @property
    def gap(self) -> float | None:
        """Relative gap, once there are a plan and a bound."""
        return relative_gap(self.best, self.bound)


OnProgress = Callable[[Progress], bool]
"""Called now and then; returning False stops the solve with the best plan found so far."""


Clock = Callable[[], float]
"""Seconds on any steady clock. The optimiser has none of its own: whoever wants a time limit kept
to the second, building and placing included, lends it one."""
