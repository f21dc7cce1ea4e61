"""What is measured for RESULTS.md: names, what is called, and how much each may take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.draws import SIZES, Size, capped, crowd
from scheduler.side_by_side import SearchPlace

FINE_GAP = 1e-4
"""Asked for where all the time allowed is to be used."""
LARGE_GAP = 0.015
"""Asked of XL: half its target."""
GROWTH_GAP = 0.02
MOST_MB = 12_000.0
EXTRA_S = 300.0
"""Beyond its limit, for making the problem, reading what came out and verifying it."""
N_WORKERS = 2
OURS = ("optimizer", "scheduler/side_by_side.py")
"""What most figures are figures of."""


@dataclass(frozen=True, slots=True)
class Target:
    """What an instance is held to.

    Attributes
    ----------
    bound_s
        Seconds until the bound is within 0.1 % of the reference bound.
    gaps
        Seconds, and the gap of the plan by then.
    most_mb
        Peak memory.
    """

    bound_s: float | None
    gaps: tuple[tuple[float, float], ...]
    most_mb: float | None = None

    @property
    def time_limit_s(self) -> float:
        """Seconds allowed: the last of the targets is measured at the end."""
        return self.gaps[-1][0]


TARGETS = {
    "S": Target(5.0, ((60.0, 0.013),)),
    "M": Target(10.0, ((60.0, 0.007),)),
    "L": Target(60.0, ((90.0, 0.02), (240.0, 0.01))),
    "XL": Target(None, ((1200.0, 0.03),), most_mb=8000.0),
}
RIVALS = {
    "milp": "benchmarks.rivals:pyomo_milp",
    "cp-sat-2": "benchmarks.cp_sat:search",
    "cp-sat-8": "benchmarks.cp_sat:search",
    "grid-prices": "benchmarks.rivals:at_grid_prices",
    "marginal-prices": "benchmarks.rivals:at_marginal_cost",
}
CP_SAT_THREADS = {"cp-sat-2": 2, "cp-sat-8": 8}
"""With few threads CP-SAT leaves most of its strategies out: more may help even on fewer cores."""
RIVALLED = ("S", "M", "L")
HOPELESS = {("L", "cp-sat-2")}
"""It leaves out most jobs of S already."""
CROWDS = (1_000, 3_000, 10_000, 30_000, 100_000)
CAPPED = (300, 1_000, 3_000)
"""Crowds whose jobs may change their power cap from slot to slot."""
PLACES = {"1": "one process", "2": f"{N_WORKERS} processes", "dask": f"Dask, {N_WORKERS} workers"}
CHURN_EUR = 0.5
"""About what the energy of a job costs, and a hundredth of what leaving one out does."""
PLACED = "M"
"""The instance that is solved at several places, and planned anew."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How large and how long: in full for RESULTS.md, or just to see that all of it works."""

    name: str
    sizes: dict[str, Size]
    limits_s: dict[str, float]
    crowds: tuple[int, ...]
    crowd_limit_s: float
    capped: tuple[int, ...]
    capped_limit_s: float
    rounds: int
    quotes_limit_s: float


FULL = Scale(
    name="full",
    sizes=SIZES,
    limits_s={name: target.time_limit_s for name, target in TARGETS.items()},
    crowds=CROWDS,
    crowd_limit_s=300.0,
    capped=CAPPED,
    capped_limit_s=60.0,
    rounds=25,
    quotes_limit_s=60.0,
)
QUICK = Scale(
    name="quick",
    sizes={
        "S": SIZES["S"],
        "M": Size(600, 5, 60),
        "L": Size(700, 6, 72),
        "XL": Size(800, 6, 72),
    },
    limits_s=dict.fromkeys(TARGETS, 5.0),
    crowds=(500, 1_000),
    crowd_limit_s=6.0,
    capped=(60,),
    capped_limit_s=6.0,
    rounds=2,
    quotes_limit_s=5.0,
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One call in a process of its own.

    Attributes
    ----------
    judged
        Size of the instance for which a rival's places are judged; ``None`` for what is no rival.
    sources
        Files and folders without a change in which it need not be measured again.
    """

    name: str
    function: str
    arguments: tuple[Any, ...]
    allowed_s: float
    judged: Size | None = None
    sources: tuple[str, ...] = OURS


def measurements(scale: Scale) -> Iterator[Measurement]:
    """Everything RESULTS.md needs, in the order of its tables."""
    for name, size in scale.sizes.items():
        limit_s = scale.limits_s[name]
        gap = LARGE_GAP if name == "XL" else FINE_GAP
        yield _follow(f"reference-{name}", size, limit_s, gap)
    yield from _rivals(scale)
    for n_jobs in scale.crowds:
        yield _follow(f"growth-{n_jobs}", crowd(n_jobs), scale.crowd_limit_s, GROWTH_GAP)
    for n_jobs in scale.capped:
        size, limit_s = capped(n_jobs), scale.capped_limit_s
        yield _follow(f"capped-{n_jobs}", size, limit_s, FINE_GAP)
        yield Measurement(
            name=f"capped-{n_jobs}-milp",
            function=RIVALS["milp"],
            arguments=(size, limit_s),
            allowed_s=limit_s + EXTRA_S / 5,
        )
    yield from _places(scale)
    size, limit_s = scale.sizes[PLACED], scale.limits_s[PLACED]
    many = 8 * limit_s + EXTRA_S
    yield Measurement("replans", "benchmarks.replans:replans", (size, limit_s, CHURN_EUR), many)
    yield Measurement(
        name="quotes",
        function="benchmarks.printed:lines",
        arguments=("quotes", scale.quotes_limit_s),
        allowed_s=scale.quotes_limit_s + EXTRA_S,
        sources=("optimizer", "scheduler"),
    )


def _follow(name: str, size: Size, limit_s: float, gap: float, *more: Any) -> Measurement:
    return Measurement(
        name, "benchmarks.ours:follow", (size, limit_s, gap, *more), limit_s + EXTRA_S
    )


def _rivals(scale: Scale) -> Iterator[Measurement]:
    for name in RIVALLED:
        size, limit_s = scale.sizes[name], scale.limits_s[name]
        for rival, function in RIVALS.items():
            if (name, rival) in HOPELESS:
                continue
            is_apart = rival in CP_SAT_THREADS
            more = (CP_SAT_THREADS[rival],) if is_apart else ()
            yield Measurement(
                name=f"rivals-{name}-{rival}",
                function=function,
                arguments=(size, limit_s, *more),
                allowed_s=limit_s + EXTRA_S / 5,
                judged=size,
                sources=("benchmarks/cp_sat.py", "benchmarks/draws.py") if is_apart else OURS,
            )


def _places(scale: Scale) -> Iterator[Measurement]:
    """By the clock, and ended by rounds with far more time than they take."""
    size, limit_s = scale.sizes[PLACED], scale.limits_s[PLACED]
    for kind, seconds, rounds in (("clock", limit_s, None), ("rounds", 1e4, scale.rounds)):
        for key in PLACES:
            name, allowed_s = f"places-{kind}-{key}", limit_s + 2 * EXTRA_S
            arguments: tuple[Any, ...] = (size, seconds, FINE_GAP)
            if key == "dask":
                function = "benchmarks.ours:follow_on_cluster"
                yield Measurement(name, function, (*arguments, N_WORKERS, rounds), allowed_s)
            else:
                place = SearchPlace(int(key))
                function = "benchmarks.ours:follow"
                yield Measurement(name, function, (*arguments, place, rounds), allowed_s)
