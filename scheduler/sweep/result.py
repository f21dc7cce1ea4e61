"""What one case came to: figures for tables and pages, as one JSON file, and three tables beside.

==============  ===================================================================================
jobs.parquet    one row per job: what it asked, where and when it ran, what it cost and emitted
slots.parquet   one row per site and slot of the fleet: mean powers, GPUs, prices, cost and carbon
plans.parquet   one row per plan: its window, how it was found, what it left out, why it was refused
==============  ===================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
from pydantic import TypeAdapter

from scheduler.backtest.accounts import SiteAccount
from scheduler.backtest.comparing import shares_by_job
from scheduler.backtest.forecast_quality import ForecastScore
from scheduler.backtest.outcome import Settled
from scheduler.backtest.replay import Round
from scheduler.backtest.world import Past, Scene
from scheduler.sweep.slots import gpu_hours, slot_table

TABLES = ("jobs", "slots", "plans")
MOST_ERROR = 1e-9
"""Relative, of sums that are equal."""


@dataclass(frozen=True, slots=True)
class SiteResult:
    """One site: what it paid and emitted, its highest import, its energy, and GPUs in use.

    ``energy_kwh`` are the terms of (A1) in ``backtest.accounts`` by name.
    """

    site: str
    cost_eur: float
    carbon_kg: float
    highest_import_kw: float
    gpu_hours_held: float
    gpu_hours_there: float
    energy_kwh: Mapping[str, float]

    @property
    def gpu_share(self) -> float:
        """Share of the GPU-hours there that jobs held."""
        return self.gpu_hours_held / self.gpu_hours_there if self.gpu_hours_there else 0.0


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What one region, seed and policy came to.

    Attributes
    ----------
    cost_eur
        Money paid, less the worth of the charge that is left.
    wait_mean_h, wait_p95_h
        From submission to the end of a job, less its length.
    not_done
        Jobs never started, or not done by the end.
    worst_error
        Largest relative error of sums: energy, and money and carbon over jobs and sites.
    breaches
        Limits of the true problem that were broken; the first ten.
    n_outside
        Jobs of the table that lie outside of the span.
    """

    region: str
    seed: int
    policy: str
    begin: datetime
    end: datetime
    n_jobs: int
    n_outside: int
    cost_eur: float
    carbon_kg: float
    used_kwh: float
    wait_mean_h: float
    wait_p95_h: float
    n_late: int
    not_done: tuple[str, ...]
    n_failures: int
    lost_hours: float
    n_plans: int
    n_refused: int
    worst_error: float
    breaches: tuple[str, ...]
    marks: tuple[str, ...]
    eur_by_day: tuple[float, ...]
    kg_by_day: tuple[float, ...]
    sites: tuple[SiteResult, ...]
    forecasts: tuple[ForecastScore, ...]

    @property
    def key(self) -> tuple[str, int, str]:
        """Which case it is."""
        return self.region, self.seed, self.policy

    @property
    def is_sound(self) -> bool:
        """Whether nothing happened that cannot, and everything adds up."""
        return not self.breaches and self.worst_error <= MOST_ERROR


RESULT = TypeAdapter(CaseResult)


@dataclass(frozen=True, slots=True)
class About:
    """What a result says beside its account."""

    region: str
    seed: int
    policy: str
    n_outside: int
    marks: tuple[str, ...]
    forecasts: tuple[ForecastScore, ...]


def result_of(scene: Scene, done: Settled, past: Past, about: About) -> CaseResult:
    """Put the figures of a case together."""
    outcome, account = done.outcome, done.outcome.account
    problem, plan = done.told.problem, done.told.plan
    hours = gpu_hours(problem, plan)
    sites = tuple(
        _site_result(name, its, max(flows.import_kw, default=0.0), *hours[name])
        for (name, its), flows in zip(account.sites.items(), plan.flows, strict=True)
    )
    return CaseResult(
        region=about.region,
        seed=about.seed,
        policy=about.policy,
        begin=scene.begin,
        end=scene.end,
        n_jobs=len(scene.jobs),
        n_outside=about.n_outside,
        cost_eur=account.cost_eur,
        carbon_kg=account.terms.carbon_kg,
        used_kwh=sum(its.energy.used_kwh for its in account.sites.values()),
        wait_mean_h=outcome.wait_h,
        wait_p95_h=outcome.wait_p95_h,
        n_late=account.n_late,
        not_done=outcome.not_done,
        n_failures=len(scene.failures),
        lost_hours=sum(loss.lost_hours for loss in past.losses),
        n_plans=outcome.n_rounds,
        n_refused=outcome.n_refused,
        worst_error=account.worst_error,
        breaches=tuple(str(breach) for breach in account.breaches[:10]),
        marks=about.marks,
        eur_by_day=outcome.eur_by_day,
        kg_by_day=outcome.kg_by_day,
        sites=sites,
        forecasts=about.forecasts,
    )


def _site_result(
    name: str, its: SiteAccount, highest_import_kw: float, held_hours: float, there_hours: float
) -> SiteResult:
    energy = {field: getattr(its.energy, field) for field in its.energy.__dataclass_fields__}
    cost_eur = its.terms.money_eur - its.terms.storage_value_eur
    carbon_kg = its.terms.carbon_kg
    return SiteResult(name, cost_eur, carbon_kg, highest_import_kw, held_hours, there_hours, energy)


def tables_of(
    scene: Scene, done: Settled, past: Past, rounds: tuple[Round, ...], about: About
) -> dict[str, pd.DataFrame]:
    """Return the three tables, each row with the case it is of."""
    frames = {
        "jobs": _jobs(scene, done, past),
        "slots": slot_table(scene, done.told.problem, done.told.plan),
        "plans": _plans(rounds),
    }
    for frame in frames.values():
        frame.insert(0, "policy", about.policy)
        frame.insert(0, "seed", about.seed)
        frame.insert(0, "region", about.region)
    return frames


def _jobs(scene: Scene, done: Settled, past: Past) -> pd.DataFrame:
    account, problem = done.outcome.account, done.told.problem
    shares = shares_by_job(account)
    placed = {one.job: one for one in done.told.plan.placements}
    late, unfinished = set(done.told.late), set(done.outcome.not_done)
    lost: dict[str, float] = {}
    for loss in past.losses:
        lost[loss.job] = lost.get(loss.job, 0.0) + loss.lost_hours
    rows = []
    step = (scene.end - scene.begin) / problem.horizon.n_slots
    for job in scene.jobs:
        spec = job.spec
        where, share = placed.get(spec.name), shares.get(spec.name)
        rows.append(
            {
                "job": spec.name,
                "site": None if where is None else where.site,
                "gpus": spec.operating_points[0].gpus,
                "submitted_at": spec.release_at,
                "deadline_at": spec.deadline_at,
                "stated_hours": spec.work_hours,
                "true_hours": job.true_work_hours,
                "started_at": None if where is None else scene.begin + where.start_slot * step,
                "ended_at": None if where is None else scene.begin + where.end_slot * step,
                "n_runs": 0 if where is None else len(where.runs),
                "wait_hours": done.outcome.waits_h.get(spec.name),
                "lost_hours": lost.get(spec.name, 0.0),
                "is_late": spec.name in late,
                "is_done": spec.name not in unfinished,
                "kwh": 0.0 if share is None else share.kwh,
                "cost_eur": 0.0 if share is None else share.eur,
                "carbon_kg": 0.0 if share is None else share.carbon_kg,
            }
        )
    frame = pd.DataFrame(rows)
    for name in ("submitted_at", "deadline_at", "started_at", "ended_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True)
    return frame


def _plans(rounds: tuple[Round, ...]) -> pd.DataFrame:
    columns = (
        "refusal",
        "rung",
        "objective_eur",
        "bound_eur",
        "n_jobs",
        "n_left_out",
        "n_deferred",
        "n_churned",
    )
    table = pd.DataFrame(
        [{name: getattr(one, name) for name in columns} for one in rounds], columns=list(columns)
    )
    starts = pd.to_datetime([one.window.start for one in rounds], utc=True)
    ends = pd.to_datetime([one.window.end for one in rounds], utc=True)
    table.insert(0, "window_end", ends)
    table.insert(0, "window_start", starts)
    return table
