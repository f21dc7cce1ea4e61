"""What the optimiser does with an instance, followed while it does it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from benchmarks.apart import Tell
from benchmarks.draws import Size
from benchmarks.instances import drawn
from optimizer import Plan, Problem, Progress, SideBySide, SolveLimits, solve, verify
from scheduler.side_by_side import HERE, SearchPlace, side_by_side

FIRST_PHASE, LAST_PHASE = "build", "flows"
BEGINNINGS = frozenset({"columns", "search", "prove", "flows"})
"""Phases that are told of when they begin, and not only as they go on."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What was known at one time of the solve, in EUR; ``None`` until known."""

    phase: str
    seconds: float
    best_eur: float | None
    bound_eur: float | None


@dataclass(frozen=True, slots=True)
class Track:
    """One solve from its first moment to its plan, which is the last moment.

    Attributes
    ----------
    breaches
        What ``verify`` says against the plan; empty where it accepts it.
    digest
        Of the placements: equal plans have equal ones.
    draw_s, verify_s
        Seconds for making the problem before, and for verifying the plan once more after.
    """

    moments: tuple[Moment, ...]
    rung: str
    n_unserved: int
    breaches: tuple[str, ...]
    digest: str
    draw_s: float
    verify_s: float

    @classmethod
    def of(cls, record: dict[str, Any]) -> Track:
        """Read what ``dataclasses.asdict`` made of a track."""
        moments = tuple(Moment(**moment) for moment in record["moments"])
        return cls(**record | {"moments": moments, "breaches": tuple(record["breaches"])})

    @property
    def end(self) -> Moment:
        """The plan, and when it was there."""
        return self.moments[-1]

    def gap_at(self, seconds: float) -> float | None:
        """Proven relative gap of what was known after ``seconds``."""
        known = [moment for moment in self.moments if moment.seconds <= seconds]
        return _gap(known[-1].best_eur, known[-1].bound_eur) if known else None

    def first_plan_s(self) -> float | None:
        """Seconds until there was a plan."""
        return self._first(lambda moment: moment.best_eur is not None)

    def bound_within_s(self, bound_eur: float, share: float) -> float | None:
        """Seconds until the proven bound was within ``share`` of ``bound_eur``."""
        least = bound_eur - share * abs(bound_eur)
        return self._first(
            lambda moment: moment.bound_eur is not None and moment.bound_eur >= least
        )

    def plan_within_s(self, share: float) -> float | None:
        """Seconds until the plan was within ``share`` of the bound proven by then."""

        def is_within(moment: Moment) -> bool:
            gap = _gap(moment.best_eur, moment.bound_eur)
            return gap is not None and gap <= share

        return self._first(is_within)

    def rounds(self) -> int:
        """Count the rounds of the search; its first moment is its beginning."""
        return max(0, sum(moment.phase == "search" for moment in self.moments) - 1)

    def phase_seconds(self) -> dict[str, float]:
        """Seconds by phase, in order. A moment ends a stretch of its phase, or begins its phase.

        What comes after prices is putting jobs in, though the last of it is not told of.
        """
        spent: dict[str, float] = {}
        phase = FIRST_PHASE
        for number, (before, after) in enumerate(pairwise(self.moments)):
            if number > 0 and before.phase == "price" != after.phase:
                phase = "insert"
            elif number > 0 and (after.phase == phase or after.phase not in BEGINNINGS):
                phase = LAST_PHASE if after.phase == "end" else after.phase
            spent[phase] = spent.get(phase, 0.0) + after.seconds - before.seconds
            if after.phase in BEGINNINGS:
                phase = after.phase
        return spent

    def _first(self, holds: Callable[[Moment], bool]) -> float | None:
        return next((moment.seconds for moment in self.moments if holds(moment)), None)


def relative_gap(objective_eur: float, bound_eur: float) -> float:
    """Distance of an objective from a bound as a share of the objective."""
    return (objective_eur - bound_eur) / abs(objective_eur)


def _gap(best_eur: float | None, bound_eur: float | None) -> float | None:
    if best_eur is None or bound_eur is None:
        return None
    return relative_gap(best_eur, bound_eur)


def followed(
    tell: Tell,
    problem: Problem,
    limits: SolveLimits,
    *,
    searching: SideBySide = map,
    warm_start: Plan | None = None,
    most_rounds: int | None = None,
) -> tuple[Plan, Track]:
    """Solve ``problem`` and return the plan, and what was known when.

    Parameters
    ----------
    most_rounds
        Rounds of the search after which it is stopped.
    """
    moments: list[Moment] = []
    left = -1 if most_rounds is None else most_rounds + 1

    def note(progress: Progress) -> bool:
        nonlocal left
        moments.append(Moment(progress.phase, progress.seconds, progress.best, progress.bound))
        tell(progress.phase)
        left -= progress.phase == "search"
        return left != 0

    began = time.monotonic()
    plan = solve(
        problem,
        limits,
        warm_start=warm_start,
        on_progress=note,
        clock=time.monotonic,
        side_by_side=searching,
    )
    moments.append(Moment("end", time.monotonic() - began, plan.objective, plan.bound))
    tell("verifying")
    began = time.monotonic()
    breaches = tuple(str(breach) for breach in verify(problem, plan))
    return plan, Track(
        moments=tuple(moments),
        rung=str(plan.rung),
        n_unserved=len(plan.unserved),
        breaches=breaches,
        digest=hashlib.sha256(repr(plan.placements).encode()).hexdigest()[:12],
        draw_s=0.0,
        verify_s=time.monotonic() - began,
    )


def follow(
    tell: Tell,
    size: Size,
    time_limit_s: float,
    mip_gap: float,
    place: SearchPlace = HERE,
    most_rounds: int | None = None,
) -> Track:
    """Solve the instance of ``size`` and return what was known when.

    Parameters
    ----------
    place
        Where the search solves its small MILPs.
    most_rounds
        See ``followed``.
    """
    tell("making the problem")
    began = time.monotonic()
    problem = drawn(size)
    draw_s = time.monotonic() - began
    limits = SolveLimits(time_limit_s, mip_gap)
    with side_by_side(place) as searching:
        _, track = followed(tell, problem, limits, searching=searching, most_rounds=most_rounds)
    return replace(track, draw_s=draw_s)


def follow_on_cluster(
    tell: Tell,
    size: Size,
    time_limit_s: float,
    mip_gap: float,
    n_workers: int,
    most_rounds: int | None = None,
) -> Track:
    """Do the same with a Dask cluster of ``n_workers`` processes on this machine."""
    from distributed import LocalCluster  # noqa: PLC0415 - an extra: only this needs it

    tell("starting the cluster")
    with LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=None) as cluster:
        place = SearchPlace(dask_scheduler=cluster.scheduler_address)
        return follow(tell, size, time_limit_s, mip_gap, place, most_rounds)
