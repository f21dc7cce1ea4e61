"""What came of one policy: its account, how long jobs waited, and how its rounds went."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from optimizer import Problem, baselines
from scheduler.backtest.accounts import Account, account_of, cost_by_slot
from scheduler.backtest.replay import Round
from scheduler.backtest.truth import Told, told
from scheduler.backtest.world import Past, Scene, World


@dataclass(frozen=True, slots=True)
class Played:
    """What was played of a scene: what happened, what came of each round, how it stands."""

    past: Past
    rounds: tuple[Round, ...]
    last: World


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one policy came to; ``is_whole``: it was played to the end.

    Attributes
    ----------
    eur_by_day, kg_by_day
        Money and carbon of each day of the scene.
    not_done
        Jobs never started, or not done by the end.
    waits_h
        Time from submission to the end of each job, less its length [h].
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
    waits_h: Mapping[str, float] = field(default_factory=dict)
    n_rounds: int = 0
    n_refused: int = 0
    n_churned: int = 0
    gap_eur: float = math.nan

    @property
    def wait_h(self) -> float:
        """Mean of how long jobs waited [h]."""
        return sum(self.waits_h.values()) / max(1, len(self.waits_h))

    @property
    def wait_p95_h(self) -> float:
        """Wait that one job in twenty exceeds [h]."""
        return float(np.quantile([*self.waits_h.values()], 0.95)) if self.waits_h else 0.0


@dataclass(frozen=True, slots=True)
class Settled:
    """A past told as a plan of the true problem, and what it came to."""

    told: Told
    outcome: Outcome


def settled(scene: Scene, problem: Problem, played: Played) -> Settled:
    """Settle what was played on the ``true_problem`` of its scene."""
    whole = told(problem, scene, played.past, played.last)
    rounds = played.rounds
    outcome = Outcome(
        account_of(whole),
        *_by_day(whole),
        not_done=(*(left.job for left in whole.plan.unserved), *whole.unfinished),
        is_whole=played.last.now >= scene.end,
        waits_h=_waits_h(whole, problem),
        n_rounds=len(rounds),
        n_refused=sum(bool(one.refusal) for one in rounds),
        n_churned=sum(one.n_churned for one in rounds),
        gap_eur=_mean_gap_eur(rounds),
    )
    return Settled(whole, outcome)


def settled_run_now(problem: Problem) -> Settled:
    """Settle run-now: every job as soon as GPUs are free, lengths known, batteries idle."""
    plan = baselines.run_now(problem)
    whole = Told(problem, plan, late=(), unfinished=())
    not_done = tuple(left.job for left in plan.unserved)
    waits_h = _waits_h(whole, problem)
    outcome = Outcome(account_of(whole), *_by_day(whole), not_done=not_done, waits_h=waits_h)
    return Settled(whole, outcome)


def _by_day(whole: Told) -> tuple[tuple[float, ...], tuple[float, ...]]:
    hours = whole.problem.horizon.slot_hours
    pairs = zip(whole.problem.sites, whole.plan.flows, strict=True)
    by_slot = np.sum([cost_by_slot(site, flows, hours) for site, flows in pairs], axis=0)
    starts = np.arange(0, by_slot.shape[1], round(24 / hours))
    eur, kg = np.add.reduceat(by_slot, starts, axis=1).tolist()
    return tuple(eur), tuple(kg)


def _waits_h(whole: Told, problem: Problem) -> dict[str, float]:
    jobs = {job.name: job for job in problem.jobs}
    hours = problem.horizon.slot_hours
    return {
        placed.job: (placed.end_slot - jobs[placed.job].release_slot) * hours
        - jobs[placed.job].work / jobs[placed.job].points[0].work_per_hour
        for placed in whole.plan.placements
    }


def _mean_gap_eur(rounds: Sequence[Round]) -> float:
    gaps = [one.objective_eur - one.bound_eur for one in rounds if one.bound_eur is not None]
    return sum(gaps) / len(gaps) if gaps else math.nan
