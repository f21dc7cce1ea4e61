"""One start hour of the published table, replayed: plans, dispatch and settlement of production.

The table (decarbonization-potential, EuroSys'24) gives the least summed carbon intensity of a job
of 1, 6 or 24 h that may wait 24 or 168 h, in one piece or paused at will. A replay has them all at
one site of the zone with room for each, submitted at the start hour. It plans with true signals,
plans anew every two days, and carries out what the plans say in steps of five minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from connectors.types import SignalKind
from optimizer import Plan
from scheduler.backtest.accounts import account_of
from scheduler.backtest.policy import Policy
from scheduler.backtest.replay import play
from scheduler.backtest.truth import told, true_problem
from scheduler.backtest.world import Scene, TrueJob, joined
from scheduler.doubt import Doubt, solve_in_doubt
from scheduler.services.planning import Prepared
from scheduler.services.signal_inputs import with_origin
from scheduler.services.window import PlanWindow
from scheduler.specs import FleetSpec, JobSpec
from scheduler.specs.fleet import (
    ApprovalPolicy,
    GridSpec,
    PlanningSpec,
    PoolSpec,
    SiteSpec,
    WeightsSpec,
)
from scheduler.specs.job import OperatingPointSpec, PausingSpec

Floats = npt.NDArray[np.float64]

ZONES = ("AU-SA", "DE", "FR", "IE", "NO-NO2", "PL", "US-CAL-CISO", "US-NW-PACW", "US-NY-NYIS")
OPTIMUM = {False: "sum_ci_contiguous_optimum", True: "sum_ci_interruptible_optimum"}
YEAR = datetime(2022, 1, 1, tzinfo=UTC)
EVERY = timedelta(hours=48)
_HOUR = timedelta(hours=1)
TIME_LIMIT_S = 60.0
UNSERVED_EUR = 1e4  # far above any carbon here


@dataclass(frozen=True, slots=True)
class Found:
    """Summed intensity of one job [g/kWh]: as published, and as replayed and settled."""

    zone: str
    start_hour: int
    job_h: int
    slack_h: int
    is_paused: bool
    published: float
    replayed: float

    @property
    def difference(self) -> float:
        """Relative."""
        return abs(self.replayed / self.published - 1.0)


def read_zone(data: Path, zone: str) -> tuple[Floats, pd.DataFrame]:
    """Carbon intensity of 2022 by hour [g/kWh], and the published rows of a zone."""
    hourly = pd.read_csv(data / "carbon" / "ci_lca_2022_hourly.csv.gz")[zone]
    rows = pd.read_csv(data / "carbon" / "published_oracle_per_start_2022.csv.gz")
    return hourly.to_numpy(dtype=np.float64), rows[rows.zone == zone]


def replayed(zone: str, hourly: Floats, rows: pd.DataFrame) -> list[Found]:
    """Replay all ``rows``, which have one start hour.

    Raises
    ------
    ValueError
        A job was not done by its deadline, or a limit was broken.
    """
    start = int(rows.start_hour.iloc[0])
    asked = [(row, paused) for row in rows.to_dict("records") for paused in (False, True)]
    n_hours = int((rows.job_h + rows.slack_h).max())
    begin = YEAR + timedelta(hours=start)
    signals = _signals(zone, hourly[start : start + n_hours], begin)
    jobs = [
        _job(str(number), begin, int(row["job_h"]), int(row["slack_h"]), is_paused=paused)
        for number, (row, paused) in enumerate(asked)
    ]
    scene = Scene.of(_fleet(zone, len(jobs), n_hours), jobs, begin, begin + n_hours * _HOUR)
    emitted_kg = _played(scene, signals)
    return [
        Found(
            zone,
            start,
            int(row["job_h"]),
            int(row["slack_h"]),
            paused,
            float(row[OPTIMUM[paused]]),
            emitted_kg[str(number)] * 1e3,
        )
        for number, (row, paused) in enumerate(asked)
    ]


def _played(scene: Scene, signals: pd.DataFrame) -> dict[str, float]:
    """Play the scene to its end, and settle it: carbon of each job [kg]."""

    def knows(_window: PlanWindow, _now: datetime) -> pd.DataFrame:
        return signals

    # Known the moment it is submitted: no lead.
    policy = Policy("perfect", EVERY, knows, _solved, lead=timedelta(0), knows_lengths=True)
    rounds = list(play(scene, policy))
    past = joined([past for _, past, _ in rounds])
    account = account_of(told(true_problem(scene, signals), scene, past, rounds[-1][0].world))
    refused = [one.refusal for *_, one in rounds if one.refusal]
    wrong = (account.n_late, account.n_unserved, account.n_unfinished)
    if any(wrong) or account.breaches or refused:
        raise ValueError(f"late, unserved, unfinished: {wrong}; {account.breaches}; {refused}")
    (site,) = account.sites.values()
    return {name: share.carbon_kg for name, share in site.jobs.items()}


def _solved(prepared: Prepared, doubt: Doubt) -> Plan:
    return solve_in_doubt(
        prepared.assembled.problem, prepared.limits, doubt, last_plan=prepared.last_plan
    )


def _fleet(zone: str, gpus: int, horizon_hours: int) -> FleetSpec:
    planning = PlanningSpec(
        horizon_hours=horizon_hours,
        time_limit_s=TIME_LIMIT_S,
        mip_gap=0.0,
        approval=ApprovalPolicy.ALWAYS,
        weights=WeightsSpec(energy=0.0, carbon_eur_per_t=1000.0),
        carbon_intensity_name="zone average, lifecycle",
        max_signal_age_hours=horizon_hours,
    )
    site = SiteSpec(
        name=zone,
        time_zone="UTC",
        grid=GridSpec(import_limit_kw=2.0 * gpus),
        pools=(PoolSpec(name="gpu", gpus=gpus, kw_per_gpu=1.0),),
    )
    return FleetSpec(name="single-job", planning=planning, sites=(site,))


def _job(name: str, begin: datetime, job_h: int, slack_h: int, *, is_paused: bool) -> TrueJob:
    spec = JobSpec(
        name=name,
        work_hours=job_h,
        operating_points=(OperatingPointSpec(pool="gpu", gpus=1, kw=1.0),),
        release_at=begin,
        deadline_at=begin + (job_h + slack_h) * _HOUR,
        value_eur=UNSERVED_EUR,
        pausing=PausingSpec() if is_paused else None,
    )
    return TrueJob(spec, float(job_h))


def _signals(zone: str, hourly: Sequence[float] | Floats, begin: datetime) -> pd.DataFrame:
    instants = pd.date_range(begin, periods=len(hourly), freq="h")
    carbon = pd.DataFrame({"start_at": instants, "value": hourly}).assign(
        kind=SignalKind.CARBON_INTENSITY
    )
    price = carbon.assign(kind=SignalKind.PRICE, value=0.0)
    both = pd.concat([carbon, price], ignore_index=True).assign(
        site=zone, minutes=60, known_at=pd.Timestamp(begin)
    )
    return with_origin(both)
