"""Days of a backtest to look at one slot after another: which they are, and what happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from scheduler.specs.backtest import BacktestSpec
from scheduler.sweep.cases import Case
from scheduler.sweep.collecting import read_table
from scheduler.sweep.result import CaseResult

DAY = timedelta(days=1)
MOST_POLICIES = 6
MOST_SITES = 6
MOST_JOBS = 200
"""Jobs of one day and policy that are named."""


@dataclass(frozen=True, slots=True)
class ShownJob:
    """A job of the day: where it ran, and its first and last instant there."""

    job: str
    site: str
    gpus: int
    start_at: datetime
    end_at: datetime


@dataclass(frozen=True, slots=True, eq=False)
class ShownDay:
    """One day under one policy: ``slots`` as in slots.parquet, the jobs that ran, ``why`` shown."""

    policy: str
    begin: datetime
    why: str
    slots: pd.DataFrame
    jobs: tuple[ShownJob, ...]


def shown_days(
    spec: BacktestSpec, cases: Sequence[Case], results: Sequence[CaseResult]
) -> tuple[str, tuple[ShownDay, ...]]:
    """Return days of the first region and seed that has any, and what it is called.

    Those on which most and least was saved, and the one in the middle, under each policy.
    """
    done = {it.key: it for it in results}
    for region in spec.regions:
        for seed in spec.seeds:
            here = [
                case
                for case in cases
                if case.is_done and (case.region.name, case.seed) == (region.name, seed)
            ]
            if here:
                chosen = _chosen(spec, [done[region.name, seed, it.policy.label] for it in here])
                days = [
                    _day(case, spec.begin + number * DAY, why)
                    for number, why in chosen
                    for case in here[:MOST_POLICIES]
                ]
                return f"{region.name}, seed {seed}", tuple(days)
    return "", ()


def _chosen(spec: BacktestSpec, results: Sequence[CaseResult]) -> list[tuple[int, str]]:
    """Return days by number and why they are shown, in order of time."""
    others = [it for it in results if it.policy != spec.baseline]
    now = next((it for it in results if it.policy == spec.baseline), None)
    if now is None or not others:
        return [(0, "the first day")]
    best = min(others, key=lambda it: it.cost_eur)
    saved = np.asarray(now.eur_by_day) - np.asarray(best.eur_by_day)
    order = np.argsort(saved)
    found = {
        int(order[0]): f"{best.policy} saved least",
        int(order[len(order) // 2]): f"{best.policy} saved as on most days",
        int(order[-1]): f"{best.policy} saved most",
    }
    return sorted(found.items())


def _day(case: Case, begin: datetime, why: str) -> ShownDay:
    end = begin + DAY
    slots, jobs = read_table(case, "slots"), read_table(case, "jobs")
    slots = slots[(slots["start_at"] >= begin) & (slots["start_at"] < end)]
    sites = list(dict.fromkeys(slots["site"]))[:MOST_SITES]
    ran = jobs[(jobs["started_at"] < end) & (jobs["ended_at"] > begin)].head(MOST_JOBS)
    names = ("job", "site", "gpus", "started_at", "ended_at")
    shown = [
        ShownJob(job, site, int(gpus), start.to_pydatetime(), stop.to_pydatetime())
        for job, site, gpus, start, stop in zip(*(ran[name] for name in names), strict=True)
    ]
    kept = slots[slots["site"].isin(sites)].reset_index(drop=True)
    return ShownDay(case.policy.label, begin, why, kept, tuple(shown))
