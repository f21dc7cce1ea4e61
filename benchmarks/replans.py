"""How fast a plan is mended after one change, and how many jobs it leaves where they were.

Jobs carry what the plan before announced, breaking that costs something, and the older plan
is where the search begins, as when the scheduler plans anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.apart import Tell
from benchmarks.draws import Size
from benchmarks.instances import drawn
from benchmarks.ours import Track, followed
from optimizer import Announced, Placement, Plan, Problem, Site, SolveLimits

DEARER = 1.3
LOST_SLOTS = 24
ASKED_GAP = 0.007
"""Asked of the plan before; the plans after are asked for what it had."""


@dataclass(frozen=True, slots=True)
class Change:
    """A problem after one change, and the jobs that cannot stay as they are."""

    name: str
    problem: Problem
    touched: frozenset[str]


@dataclass(frozen=True, slots=True)
class Replan:
    """What came of one change.

    Attributes
    ----------
    warm, cold
        Planned from the plan before; and from nothing, as if nothing had been announced.
    n_moved
        Jobs that could have stayed and run in other slots or elsewhere, out of ``n_untouched``.
    n_broken
        Those of them that do not start where and when they were announced to.
    """

    change: str
    warm: Track
    cold: Track
    n_moved: int
    n_broken: int
    n_untouched: int

    @classmethod
    def of(cls, record: dict[str, Any]) -> Replan:
        """Read what ``dataclasses.asdict`` made of it."""
        return cls(**record | {key: Track.of(record[key]) for key in ("warm", "cold")})


@dataclass(frozen=True, slots=True)
class Replans:
    """The plan before any change, and what came of each; ``gap`` is what all are asked for."""

    first: Track
    gap: float
    after: tuple[Replan, ...]

    @classmethod
    def of(cls, record: dict[str, Any]) -> Replans:
        """Read what ``dataclasses.asdict`` made of it."""
        after = tuple(Replan.of(one) for one in record["after"])
        return cls(Track.of(record["first"]), record["gap"], after)


def replans(tell: Tell, size: Size, time_limit_s: float, churn_eur: float) -> Replans:
    """Plan the instance of ``size``, then once for each change until its gap is as small.

    Parameters
    ----------
    churn_eur
        What a job costs that does not start where and when it was announced to.
    """
    problem = drawn(size)
    plan, first = followed(tell, problem, SolveLimits(time_limit_s, ASKED_GAP))
    if plan.gap is None:
        raise AssertionError("the prices of the first plan give a bound")
    gap, after = plan.gap, []
    limits = SolveLimits(time_limit_s, gap)
    for change in changes(problem, plan):
        announced = promised(change.problem, plan, churn_eur)
        new, warm = followed(tell, announced, limits, warm_start=plan)
        _, cold = followed(tell, change.problem, limits)
        counts = _moved(plan, new, change.touched)
        after.append(Replan(change.name, warm, cold, *counts))
    return Replans(first, gap, tuple(after))


def promised(problem: Problem, plan: Plan, churn_eur: float) -> Problem:
    """Return ``problem`` with the sites and starts of ``plan`` announced, and churn at a price."""
    placed = {placement.job: placement for placement in plan.placements}
    jobs = tuple(
        replace(job, announced=Announced(placed[job.name].site, placed[job.name].start_slot))
        if job.name in placed
        else job
        for job in problem.jobs
    )
    weights = replace(problem.weights, churn_eur_per_job=churn_eur)
    return replace(problem, jobs=jobs, weights=weights)


def changes(problem: Problem, plan: Plan) -> Iterator[Change]:
    """Change one thing at a time, each at the first site or after the first job."""
    site, *others = problem.sites
    dearer = tuple(DEARER * price for price in site.grid.import_price_eur_per_mwh)
    grid = replace(site.grid, import_price_eur_per_mwh=dearer)
    yield Change(
        f"price {DEARER - 1:+.0%} at one site",
        _with_sites(problem, replace(site, grid=grid), others),
        frozenset(),
    )
    longest = max(problem.jobs, key=lambda job: job.work)
    new = replace(longest, name="one more")
    more = replace(problem, jobs=(*problem.jobs, new))
    yield Change("one job more", more, frozenset())
    pool, *pools = site.pools
    lost = replace(pool, gpus=(0.0,) * LOST_SLOTS + pool.gpus[LOST_SLOTS:])
    touched = frozenset(
        placement.job
        for placement in plan.placements
        if placement.site == site.name and placement.start_slot < LOST_SLOTS
    )
    yield Change(
        "a pool lost for a day",
        _with_sites(problem, replace(site, pools=(lost, *pools)), others),
        touched,
    )


def _with_sites(problem: Problem, site: Site, others: list[Site]) -> Problem:
    return replace(problem, sites=(site, *others))


def _moved(before: Plan, after: Plan, touched: frozenset[str]) -> tuple[int, int, int]:
    """Count jobs that moved without need, those of them that start so too, and all without need."""
    now = {placement.job: placement for placement in after.placements}
    untouched = [placed for placed in before.placements if placed.job not in touched]
    moved = [placed for placed in untouched if now.get(placed.job) != placed]
    broken = [placed for placed in moved if _start(now.get(placed.job)) != _start(placed)]
    return len(moved), len(broken), len(untouched)


def _start(placed: Placement | None) -> tuple[str, int] | None:
    return None if placed is None else (placed.site, placed.start_slot)
