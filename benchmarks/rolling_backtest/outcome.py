"""What came of one policy: its account, and how its rounds went."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.rolling_backtest.instance import PLANTS, Settings, scene_of
from benchmarks.rolling_backtest.signals import read_signals
from optimizer import Problem, baselines
from scheduler.backtest.accounts import Account, account_of, cost_by_slot
from scheduler.backtest.keeping import Folder
from scheduler.backtest.replay import Round
from scheduler.backtest.truth import Told, told, true_problem
from scheduler.backtest.world import Scene, joined


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one policy came to; ``is_whole``: it was played to the end.

    Attributes
    ----------
    eur_by_day, kg_by_day
        Money and carbon of each day of the scene.
    not_done
        Jobs never started, or not done by the end.
    wait_h
        Mean time from submission to the end of a job, less its length [h].
    n_refused
        Rounds whose plan was not put in force.
    gap_eur
        Mean of objective less bound over rounds that have a bound [EUR].
    """

    account: Account
    eur_by_day: tuple[float, ...]
    kg_by_day: tuple[float, ...]
    not_done: tuple[str, ...] = ()
    is_whole: bool = True
    wait_h: float = 0.0
    n_rounds: int = 0
    n_refused: int = 0
    n_churned: int = 0
    gap_eur: float = math.nan
    rungs: tuple[tuple[str, int], ...] = ()


def outcome_of(data: Path, settings: Settings, folder: Folder) -> Outcome:
    """Settle what a folder holds."""
    kept = folder.read_state()
    if kept is None:
        raise ValueError(f"{folder.path}: nothing is kept there")
    scene, problem = _problem(data, settings)
    chapters = folder.read_chapters(kept.n_chapters)
    past = joined([chapter.past for chapter in chapters])
    whole = told(problem, scene, past, kept.state.world)
    rounds = [one for chapter in chapters for one in chapter.rounds]
    return Outcome(
        account_of(whole),
        *_by_day(whole),
        not_done=(*(left.job for left in whole.plan.unserved), *whole.unfinished),
        is_whole=kept.state.world.now >= scene.end,
        wait_h=_wait_h(whole, problem),
        n_rounds=len(rounds),
        n_refused=sum(bool(one.refusal) for one in rounds),
        n_churned=sum(one.n_churned for one in rounds),
        gap_eur=_mean_gap_eur(rounds),
        rungs=tuple(sorted(Counter(one.rung for one in rounds).items())),
    )


def run_now_outcome(data: Path, settings: Settings) -> Outcome:
    """Settle run-now: every job as soon as GPUs are free, lengths known, batteries idle."""
    _, problem = _problem(data, settings)
    plan = baselines.run_now(problem)
    whole = Told(problem, plan, late=(), unfinished=())
    return Outcome(account_of(whole), *_by_day(whole), wait_h=_wait_h(whole, problem))


def _problem(data: Path, settings: Settings) -> tuple[Scene, Problem]:
    scene = scene_of(data, settings)
    truth = read_signals(data, PLANTS, settings.begin, settings.end).truth
    return scene, true_problem(scene, truth)


def _by_day(whole: Told) -> tuple[tuple[float, ...], tuple[float, ...]]:
    hours = whole.problem.horizon.slot_hours
    pairs = zip(whole.problem.sites, whole.plan.flows, strict=True)
    by_slot = np.sum([cost_by_slot(site, flows, hours) for site, flows in pairs], axis=0)
    starts = np.arange(0, by_slot.shape[1], round(24 / hours))
    eur, kg = np.add.reduceat(by_slot, starts, axis=1).tolist()
    return tuple(eur), tuple(kg)


def _wait_h(whole: Told, problem: Problem) -> float:
    jobs = {job.name: job for job in problem.jobs}
    hours = problem.horizon.slot_hours
    waits = [
        (placed.end_slot - jobs[placed.job].release_slot) * hours
        - jobs[placed.job].work / jobs[placed.job].points[0].work_per_hour
        for placed in whole.plan.placements
    ]
    return sum(waits) / max(1, len(waits))


def _mean_gap_eur(rounds: Sequence[Round]) -> float:
    gaps = [one.objective_eur - one.bound_eur for one in rounds if one.bound_eur is not None]
    return sum(gaps) / len(gaps) if gaps else math.nan
