"""The workloads and the call of the field event, as far as they were published.

* Throughput and power of a GPU by its cap: measured, ``power_cap_sweep.csv``; caps between two that
  were swept are offered too, at the mean of both, which a concave curve does not fall below. The
  workload that was not swept, a larger pre-training, is taken for the pre-training that was.
* Tiers: a workload of tier 1, 2, 3 must keep 0.9, 0.75, 0.5 of its speed, taken over the event.
* GPUs of the three inferences are in their names (32, 48, 48 of 256). Those of the others were not
  published: 80 for fine-tuning and 24 for each pre-training, with which all of them together draw
  the 93.3 kW that were measured before the event.
* The ceiling is a share of that, from 16:30 on; told half an hour before.
* Work that the event displaces is done after it: each workload has the hours to the event's end at
  full speed left, and every GPU-hour it is late costs 5 cents, which is nothing beside power that
  is not there. Energy costs something after the event alone, so that nothing but the ceiling slows
  anybody down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from connectors.types import GridEventNotice, SignalKind, Window
from optimizer import Problem
from scheduler.services.assemble import JobToPlan, assemble
from scheduler.services.window import PlanWindow
from scheduler.specs import FleetSpec, JobSpec
from scheduler.specs.fleet import (
    BatterySpec,
    GridSpec,
    PlanningSpec,
    PoolSpec,
    SiteSpec,
    WeightsSpec,
)
from scheduler.specs.job import OperatingPointSpec

FOLDER = "demand_response"
TIME_ZONE = "America/Phoenix"
SITE, POOL = "Phoenix", "gpu"
SLOT_MINUTES: Literal[5] = 5
GPUS = 256
BEGIN = datetime(2025, 5, 4, 23, tzinfo=UTC)  # 16:00 in Phoenix
EVENT_BEGIN = BEGIN + timedelta(minutes=30)
END = BEGIN + timedelta(hours=6)
FLOORS = {"Flex 1": 0.9, "Flex 2": 0.75, "Flex 3": 0.5}
LATE_EUR_PER_GPU_HOUR = 0.05
EUR_PER_MWH_AFTER = 15.0
CAPS_W = tuple(float(cap_w) for cap_w in range(200, 401, 25))
BATTERY = BatterySpec(power_kw=50.0, capacity_kwh=100.0, soc_initial_kwh=95.0, soc_floor_kwh=5.0)
BREACH_EUR_PER_KWH = 1000.0


@dataclass(frozen=True, slots=True)
class Workload:
    """One workload: how its GPUs were swept, how many it has, and the least speed it keeps."""

    name: str
    swept_as: str
    gpus: int
    floor: float
    field_performance: float


@dataclass(frozen=True, slots=True)
class Call:
    """A ceiling of ``share`` of the power before, for ``hours`` from the event's begin."""

    share: float
    hours: float

    @property
    def end_at(self) -> datetime:
        """When it is over."""
        return EVENT_BEGIN + timedelta(hours=self.hours)


@dataclass(frozen=True, slots=True)
class Published:
    """What was published of the event."""

    workloads: tuple[Workload, ...]
    sweep: pd.DataFrame
    power_kw: pd.Series[float]

    @property
    def before_kw(self) -> float:
        """Mean power of the hour and a half before anything was slowed down [kW]."""
        return float(self.power_kw[self.power_kw.index < pd.Timestamp(BEGIN)].mean())


_SWEPT = {
    "ft_llama": "ft_llama_8b_dolly",
    "infer_llama": "infer_llama_8b",
    "pt_mpt": "pt_mpt_7b_fast",
}
_GPUS = {
    "ft_llama_8b_p3": 80,
    "infer_llama_8b_32g": 32,
    "infer_llama_8b_48g": 48,
    "pt_mpt_13b_sm": 24,
    "pt_mpt_7b_fast": 24,
}


def read_published(data: Path) -> Published:
    """Read the three files."""
    folder = data / FOLDER
    rows = pd.read_csv(folder / "srp_performance.csv").dropna(subset=["Flexibility"])
    workloads = tuple(
        Workload(
            name=row["Model"].strip(),
            swept_as=_SWEPT[_prefix(_SWEPT, row["Model"])],
            gpus=_GPUS[_prefix(_GPUS, row["Model"])],
            floor=FLOORS[row["Flexibility"].strip()],
            field_performance=float(row["Performance"]),
        )
        for _, row in rows.iterrows()
    )
    power = pd.read_csv(folder / "srp_total_power.csv")
    at = pd.to_datetime(power["timestamp"]).dt.tz_convert("UTC")
    power_kw = pd.Series(power["total"].to_numpy(float) / 1000.0, index=pd.DatetimeIndex(at))
    return Published(workloads, pd.read_csv(folder / "power_cap_sweep.csv"), power_kw)


def problem_of(published: Published, call: Call, battery: BatterySpec | None) -> Problem:
    """Return what is to be planned: as production makes it of a fleet, jobs and a call."""
    fleet = _fleet(battery)
    n_slots = (END - BEGIN) // timedelta(minutes=SLOT_MINUTES)
    window = PlanWindow(BEGIN, SLOT_MINUTES, n_slots)
    notice = GridEventNotice(
        event_id="field-event",
        site=SITE,
        window=Window(EVENT_BEGIN, call.end_at),
        limit_kw=limit_kw_of(published, call),
        breach_eur_per_kwh=BREACH_EUR_PER_KWH,
    )
    jobs = [_job(workload, published, call) for workload in published.workloads]
    assembled = assemble(fleet, jobs, _signals(call), [notice], window, now=BEGIN)
    return assembled.problem


def _fleet(battery: BatterySpec | None) -> FleetSpec:
    site = SiteSpec(
        name=SITE,
        time_zone=TIME_ZONE,
        currency="EUR",
        grid=GridSpec(import_limit_kw=200.0),
        pools=(PoolSpec(name=POOL, gpus=GPUS),),
        batteries=() if battery is None else (battery,),
    )
    planning = PlanningSpec(slot_minutes=SLOT_MINUTES, weights=WeightsSpec(carbon_eur_per_t=0.0))
    return FleetSpec(name="field-event", planning=planning, sites=(site,))


def limit_kw_of(published: Published, call: Call) -> float:
    """Return the ceiling [kW]."""
    return call.share * published.before_kw


def operating_points_of(workload: Workload, published: Published) -> tuple[OperatingPointSpec, ...]:
    """Return a workload's caps, with power and speed as swept."""
    swept = published.sweep[published.sweep["Workload"] == workload.swept_as]
    measured_w, gpu_w, speed = (
        swept[column].to_numpy(float)
        for column in ("GPU power cap", "power per GPU", "normalized throughput")
    )
    return tuple(
        OperatingPointSpec(
            pool=POOL,
            gpus=workload.gpus,
            kw=workload.gpus * float(np.interp(cap_w, measured_w, gpu_w)) / 1000.0,
            speed=float(np.interp(cap_w, measured_w, speed)),
            power_cap_w=cap_w,
        )
        for cap_w in CAPS_W
    )


def _job(workload: Workload, published: Published, call: Call) -> JobToPlan:
    """Return a workload that runs: it has the hours to the end of the call at full speed."""
    points = operating_points_of(workload, published)
    full = max(points, key=lambda point: point.speed)
    latest = call.end_at + (1 - workload.floor) * timedelta(hours=call.hours)
    spec = JobSpec(
        name=workload.name,
        work_hours=(call.end_at - BEGIN) / timedelta(hours=1),
        operating_points=points,
        release_at=BEGIN,
        due_at=call.end_at,
        deadline_at=latest,
        lateness_eur_per_hour=LATE_EUR_PER_GPU_HOUR * workload.gpus,
        is_elastic=True,
    )
    return JobToPlan(spec, spec.work_hours, site=SITE, point=full.name, is_running=True)


def _signals(call: Call) -> pd.DataFrame:
    """Return a price that is nothing to the end of the call, and no carbon."""
    starts = pd.date_range(BEGIN, END, freq=pd.Timedelta(minutes=SLOT_MINUTES), inclusive="left")
    is_after = starts >= pd.Timestamp(call.end_at)
    rows = {"site": SITE, "start_at": starts, "minutes": SLOT_MINUTES, "known_at": BEGIN}
    price = np.where(is_after, EUR_PER_MWH_AFTER, 0.0)
    return pd.concat(
        [
            pd.DataFrame(rows | {"kind": SignalKind.PRICE, "value": price}),
            pd.DataFrame(rows | {"kind": SignalKind.CARBON_INTENSITY, "value": 0.0}),
        ],
        ignore_index=True,
    )


def _prefix(known: Mapping[str, object], name: str) -> str:
    return next(prefix for prefix in known if name.startswith(prefix))
