"""Small scenes to replay: two sites, a day of generated signals, half a dozen jobs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from connectors.types import SignalKind, Window
from optimizer import Plan
from scheduler.backtest.accounts import Account, account_of
from scheduler.backtest.known import SignalHistory
from scheduler.backtest.policy import Knows, Policy
from scheduler.backtest.replay import ReplayState, Round, play
from scheduler.backtest.truth import told, true_problem
from scheduler.backtest.world import Past, Scene, TrueJob, joined
from scheduler.doubt import Doubt, solve_in_doubt
from scheduler.services.assemble import FILL_HISTORY
from scheduler.services.planning import Prepared
from scheduler.services.window import PlanWindow
from scheduler.specs import FleetSpec, JobSpec
from tests.services.builders import START, fleet_spec, job_spec, signal_rows, site_spec

HOURS = 24
GPUS = 4
KINDS = (SignalKind.PRICE, SignalKind.CARBON_INTENSITY, SignalKind.PV)


def fleet(**planning: Any) -> FleetSpec:
    """Two sites of four GPUs; PV and a battery at the first."""
    battery = {"power_kw": 2.0, "capacity_kwh": 4.0, "soc_initial_kwh": 2.0}
    sites = (
        site_spec(
            "DE",
            pools=[{"name": "a100", "gpus": GPUS, "idle_kw_per_gpu": 0.1}],
            has_pv=True,
            base_load_kw=0.5,
            pue=1.2,
            batteries=[battery | {"wear_per_kwh": 0.001, "terminal_value_per_kwh": 0.05}],
            grid={"import_limit_kw": 100.0, "export_limit_kw": 10.0},
        ),
        site_spec("FR", pools=[{"name": "a100", "gpus": GPUS}]),
    )
    whole = {
        "horizon_hours": HOURS,
        "mip_gap": 0.0,
        "approval": "always",
        "weights": {"carbon_eur_per_t": 80.0},
    }
    return fleet_spec(*sites, planning=whole | planning)


def truth(seed: int = 0, hours: int = HOURS) -> pd.DataFrame:
    """What truly comes: prices above 0, carbon, PV by day; known from the outset.

    Below 0 a plan leaves its PV unused to buy more, which nobody tells the plant.
    """
    rng = np.random.default_rng(seed)
    day = np.sin(2 * np.pi * (np.arange(hours) - 6) / 24)
    frames = []
    for site in ("DE", "FR"):
        price = np.maximum(5.0, 60 + 60 * rng.standard_normal(hours) - 40 * day)
        carbon = np.maximum(20.0, 300 - 150 * day + 60 * rng.standard_normal(hours))
        frames.append(signal_rows(site, SignalKind.PRICE, price.tolist()))
        frames.append(signal_rows(site, SignalKind.CARBON_INTENSITY, carbon.tolist()))
    frames.append(signal_rows("DE", SignalKind.PV, np.maximum(0.0, 3 * day).tolist()))
    return pd.concat(frames, ignore_index=True)


def as_if_known(signals: pd.DataFrame) -> Knows:
    """See ``signals`` at any time."""

    def knows(_window: PlanWindow, _now: datetime) -> pd.DataFrame:
        return signals

    return knows


def as_known(table: pd.DataFrame) -> Knows:
    """See of ``table`` what was known then."""
    history = SignalHistory.of(table)

    def knows(window: PlanWindow, now: datetime) -> pd.DataFrame:
        return history.as_known(Window(window.start - FILL_HISTORY, window.end), now)

    return knows


def job(
    name: str, true_hours: float = 2.0, stated_hours: float | None = None, **changes: Any
) -> TrueJob:
    """One GPU for two hours, in the scene's day."""
    whole = {
        "deadline_at": START + timedelta(hours=HOURS),
        "work_hours": stated_hours or true_hours,
    }
    return TrueJob(job_spec(name, **whole | changes), true_hours)


def some_jobs(
    seed: int = 0,
    n_jobs: int = 6,
    *,
    at_once: bool = False,
    stated: tuple[float, float] = (1.0, 1.0),
) -> list[TrueJob]:
    """Jobs of one to five hours on one or two GPUs; every third may pause."""
    rng = np.random.default_rng(seed)
    jobs = []
    for number in range(n_jobs):
        hours = float(rng.integers(1, 6))
        release = timedelta(0) if at_once else timedelta(minutes=int(rng.integers(0, 10 * 60)))
        gpus = int(rng.integers(1, 3))
        spec: dict[str, Any] = {
            "operating_points": [{"pool": "a100", "gpus": gpus, "kw": 1.0 * gpus}],
            "release_at": START + release,
        }
        if number % 3 == 2:
            spec["pausing"] = {"restart_minutes": 15.0, "restart_kwh": 0.1}
        factor = float(rng.uniform(*stated))
        jobs.append(job(f"job-{number}", hours, hours * factor, **spec))
    return jobs


def scene(jobs: Sequence[TrueJob], **planning: Any) -> Scene:
    """Return the day."""
    return Scene.of(fleet(**planning), jobs, START, START + timedelta(hours=HOURS))


def exactly(prepared: Prepared, doubt: Doubt) -> Plan:
    """Solve to the end; these are small."""
    return solve_in_doubt(
        prepared.assembled.problem,
        prepared.limits,
        doubt,
        last_plan=prepared.last_plan,
        clock=time.monotonic,
    )


def policy(knows: Knows, every_hours: int = 6, **changes: Any) -> Policy:
    """Plan every six hours, from what is known five minutes before."""
    return Policy("test", timedelta(hours=every_hours), knows, exactly, **changes)


def played(scene: Scene, policy: Policy) -> tuple[ReplayState, Past, tuple[Round, ...]]:
    """Play it to the end."""
    rounds = list(play(scene, policy))
    return rounds[-1][0], joined([past for _, past, _ in rounds]), tuple(it for *_, it in rounds)


def accounted(scene: Scene, policy: Policy, signals: pd.DataFrame) -> Account:
    """Play it to the end, and settle it on what truly came."""
    state, past, _ = played(scene, policy)
    return account_of(told(true_problem(scene, signals), scene, past, state.world))


def spec_of(job: TrueJob, **changes: Any) -> JobSpec:
    """Return its spec, changed."""
    return job.spec.model_copy(update=changes)
