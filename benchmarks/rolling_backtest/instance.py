"""The fleet and the jobs of the rolling backtest, from public data and a seed.

* 60 GPUs at each of DE, CISO and NYISO, at 0.8125 kW each (an eighth of a DGX A100's 6.5 kW).
* Batteries of 75 kW / 225 kWh, 95 % each way; wear 0.0167 EUR for every kWh in and every kWh out.
* PV of 60 kW at DE and CISO, wind of 60 kW at DE and NYISO (the data has no solar there).
* Energy is bought at the day-ahead price and a network fee, and sold at the day-ahead price.
* Philly jobs of 2 to 36 hours on at most 16 GPUs are drawn by a seed, each put at its own weekday
  and time of day into a week drawn as well, until the GPU-hours asked for are there. Every third
  may pause: in pieces of an hour and more, and each restart takes 15 minutes. Due 24 h after the
  earliest that their stated length could end.
* The stated length is the true one times a factor drawn per job.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.rolling_backtest.signals import ZONES, Plant
from connectors.types import SignalKind
from scheduler.backtest.world import STEP, Scene, TrueJob
from scheduler.specs import FleetSpec, JobSpec
from scheduler.specs.fleet import (
    ApprovalPolicy,
    BatterySpec,
    GridSpec,
    PlanningSpec,
    PoolSpec,
    SiteSpec,
    WeightsSpec,
)
from scheduler.specs.job import OperatingPointSpec, PausingSpec

FIRST_DAY = datetime(2021, 7, 1, 1, tzinfo=UTC)
LAST_DAY = datetime(2021, 12, 31, 22, tzinfo=UTC)  # NYISO's data ends here
EUR_PER_USD = 1 / 1.1827  # European Central Bank, average of 2021
GPUS = 60
KW_PER_GPU = 6.5 / 8
SLACK = timedelta(hours=24)
LONGEST_HOURS, SHORTEST_HOURS, MOST_GPUS = 36.0, 2.0, 16
WEAR_EUR_PER_KWH = 200 / (2 * 6000)
CURRENCY = {"DE": "EUR", "CISO": "USD", "NYISO": "USD"}
NETWORK_FEE_PER_MWH = {"DE": 60.0, "CISO": 50.0, "NYISO": 50.0}  # in the site's currency
PLANTS = {
    "DE": (Plant(SignalKind.PV, 60.0), Plant(SignalKind.WIND, 60.0)),
    "CISO": (Plant(SignalKind.PV, 60.0),),
    "NYISO": (Plant(SignalKind.WIND, 60.0),),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What an instance is drawn from.

    ``stated_factors`` bound the factor by which lengths are overstated; (1, 1): they are exact.
    ``every_hours`` is the time from one plan to the next, of all policies but one plan a day.
    """

    begin: datetime = FIRST_DAY
    end: datetime = LAST_DAY
    seed: int = 1
    used: float = 0.7
    stated_factors: tuple[float, float] = (1.0, 2.5)
    carbon_eur_per_t: float = 80.0
    every_hours: float = 6.0
    horizon_hours: int = 96
    time_limit_s: float = 1.0
    mip_gap: float = 0.002

    @property
    def last_release(self) -> datetime:
        """After this no job comes: the longest one must be able to end, as stated."""
        return self.end - SLACK - timedelta(hours=LONGEST_HOURS * self.stated_factors[1])

    @property
    def gpu_hours(self) -> float:
        """GPU-hours there are while jobs come."""
        return GPUS * len(ZONES) * ((self.last_release - self.begin) / timedelta(hours=1))


def scene_of(data: Path, settings: Settings) -> Scene:
    """Draw the scene."""
    jobs = _jobs(pd.read_csv(data / "jobs" / "philly_jobs.csv.gz"), settings)
    return Scene.of(fleet_of(settings), jobs, settings.begin, settings.end)


def fleet_of(settings: Settings) -> FleetSpec:
    """Return the three sites."""
    return FleetSpec(
        name="rolling-backtest",
        eur_per_unit={"USD": EUR_PER_USD},
        planning=PlanningSpec(
            slot_minutes=60,
            horizon_hours=settings.horizon_hours,
            time_limit_s=settings.time_limit_s,
            mip_gap=settings.mip_gap,
            approval=ApprovalPolicy.ALWAYS,
            weights=WeightsSpec(carbon_eur_per_t=settings.carbon_eur_per_t),
            carbon_intensity_name="zone average, lifecycle",
            max_signal_age_hours=96,
        ),
        sites=tuple(_site(zone) for zone in ZONES),
    )


def _site(zone: str) -> SiteSpec:
    per_eur = 1.0 if CURRENCY[zone] == "EUR" else 1 / EUR_PER_USD
    kinds = {plant.kind for plant in PLANTS[zone]}
    return SiteSpec(
        name=zone,
        time_zone=ZONES[zone],
        currency=CURRENCY[zone],
        grid=GridSpec(
            import_limit_kw=200.0,
            export_limit_kw=200.0,
            network_fee_per_mwh=NETWORK_FEE_PER_MWH[zone],
        ),
        pools=(PoolSpec(name="gpu", gpus=GPUS, kw_per_gpu=KW_PER_GPU),),
        has_pv=SignalKind.PV in kinds,
        has_wind=SignalKind.WIND in kinds,
        batteries=(
            BatterySpec(
                power_kw=75.0,
                capacity_kwh=225.0,
                soc_initial_kwh=112.5,
                terminal_value_per_kwh=0.08 * per_eur,
                wear_per_kwh=WEAR_EUR_PER_KWH * per_eur,
            ),
        ),
    )


def _jobs(philly: pd.DataFrame, settings: Settings) -> list[TrueJob]:
    hours = philly["duration_s"] / 3600
    fits = hours.between(SHORTEST_HOURS, LONGEST_HOURS) & (philly["gpus"] <= MOST_GPUS)
    chosen = philly[fits]
    rng = np.random.default_rng(settings.seed)
    wanted = settings.used * settings.gpu_hours
    n_weeks = -(-(settings.last_release - settings.begin) // timedelta(weeks=1))
    jobs: list[TrueJob] = []
    while wanted > 0.0:
        row = chosen.iloc[int(rng.integers(len(chosen)))]
        second_of_week = float(row["submit_time_s"]) % (7 * 86400)
        release = settings.begin + timedelta(
            weeks=int(rng.integers(n_weeks)), minutes=int(second_of_week // 60)
        )
        factor = float(rng.uniform(*settings.stated_factors))
        if release >= settings.last_release:
            continue
        true_hours = _in_steps(float(row["duration_s"]) / 3600)
        gpus = int(row["gpus"])
        wanted -= gpus * true_hours
        jobs.append(_job(len(jobs), release, true_hours, factor, gpus))
    return jobs


def _job(number: int, release: datetime, true_hours: float, factor: float, gpus: int) -> TrueJob:
    stated_hours = _in_steps(true_hours * factor)
    pausing = None
    if number % 3 == 2:
        pausing = PausingSpec(min_run_minutes=60.0, restart_minutes=15.0)
    spec = JobSpec(
        name=f"philly-{number:05d}",
        work_hours=stated_hours,
        operating_points=(OperatingPointSpec(pool="gpu", gpus=gpus, kw=gpus * KW_PER_GPU),),
        release_at=release,
        deadline_at=release + timedelta(hours=stated_hours) + SLACK,
        pausing=pausing,
    )
    return TrueJob(spec, true_hours)


def _in_steps(hours: float) -> float:
    """Round to whole steps of the world, one at least [h]."""
    step_hours = STEP / timedelta(hours=1)
    return max(1, round(hours / step_hours)) * step_hours
