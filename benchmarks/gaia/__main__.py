"""Reproduce GAIA's published figures, then drop its assumptions: ``make bench-gaia``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.gaia import report
from benchmarks.gaia.conditions import ALL, PRICED, under
from benchmarks.gaia.outcomes import IN_ONE_PIECE, PLANNED, Outcome, outcomes
from benchmarks.gaia.planned import in_one_piece, paused
from benchmarks.gaia.week import (
    PUBLISHED,
    PUBLISHED_KG,
    GaiaJob,
    expected_work,
    policies,
    read_carbon,
    read_jobs,
    week,
)
from optimizer import (
    Pausing,
    Placement,
    Problem,
    Rung,
    SolveLimits,
    dispatch,
    require_verified,
    settled_plan,
)

TOLERANCE = 1e-5
SUSPENDING = {"suspend_resume", "wait_awhile"}
PARTS = PUBLISHED_PART, WITHOUT_PART = "published", "without"


def main() -> None:
    """Run both parts, tell, and check the first."""
    parser = argparse.ArgumentParser(description="GAIA's week: its policies and the planner.")
    parser.add_argument("--time-limit", type=float, default=20.0, help="CPU seconds of each plan")
    parser.add_argument("--part", choices=PARTS, help="one part alone")
    parser.add_argument("--write", action="store_true", help="write the sections of RESULTS.md")
    arguments = parser.parse_args()
    named = os.environ.get("GRIDTIDE_DATA")
    if not named:
        sys.exit("GRIDTIDE_DATA is not set: it names the folder with carbon/, jobs/ and sites/")
    data = Path(named)
    jobs = read_jobs(data)
    missed = []
    if arguments.part in {None, PUBLISHED_PART}:
        found = dict(_as_published(data, jobs, arguments.time_limit))
        print(report.reproduced(found), flush=True)
        missed = _missed(found)
        if arguments.write:
            report.write_published(found)
    if arguments.part in {None, WITHOUT_PART}:
        columns: dict[str, list[Outcome]] = {}
        for conditions in ALL:
            _tell(f"{conditions.name} ...")
            problem = under(conditions, data, jobs)
            columns[conditions.name] = list(outcomes(problem, arguments.time_limit))
            if arguments.write:  # what is done is kept if the rest is broken off
                report.write_without(columns, PRICED)
        print(report.without(columns, PRICED))
    if missed:
        sys.exit(f"not as published: {'; '.join(missed)}")


def _missed(found: Mapping[str, float]) -> list[str]:
    """Name what is not as published, or not as good as the best that was."""
    relative = {name: kg / PUBLISHED_KG for name, kg in found.items()}
    missed = [
        f"{name}: {relative[name]:.6f}, published {published:.6f}"
        for name, published in PUBLISHED.items()
        if abs(relative[name] - published) > TOLERANCE * published
    ]
    return missed + [
        f"{name}: {relative[name]:.6f}, must be at most {PUBLISHED[best]:.6f}"
        for name, best in report.OF_PLANNER.items()
        if relative[name] > PUBLISHED[best] * (1.0 + TOLERANCE)
    ]


def _as_published(
    data: Path, jobs: list[GaiaJob], time_limit_s: float
) -> Iterator[tuple[str, float]]:
    """Yield the carbon of each published policy, and of the planner, under GAIA's rules [kg]."""
    unbroken, free = week(data, jobs, None), week(data, jobs, Pausing())
    for name, policy in policies(expected_work(data, jobs)).items():
        _tell(f"{name} ...")
        yield name, policy(free if name in SUSPENDING else unbroken).terms.carbon_kg
    carbon = read_carbon(data)
    _tell(f"{IN_ONE_PIECE} ...")
    limits = SolveLimits(time_limit_s, mip_gap=1e-4)
    yield IN_ONE_PIECE, _settled_kg(unbroken, in_one_piece(jobs, carbon, limits))
    _tell(f"{PLANNED} ...")
    yield PLANNED, _settled_kg(free, list(paused(jobs, carbon)))


def _settled_kg(problem: Problem, placements: list[Placement]) -> float:
    """Carbon of placements in ticks, which keep every limit [kg]."""
    flows = dispatch(problem, placements, {})
    plan = settled_plan(problem, Rung.BEST_FOUND, placements, (), flows)
    require_verified(problem, plan)
    return plan.terms.carbon_kg


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
