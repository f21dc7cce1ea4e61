"""The scene and the signals of one region and seed. Pure: the same inputs draw the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zlib import crc32

import numpy as np
import pandas as pd

from connectors.types import SignalKind
from scheduler.backtest.known import SignalHistory, Signals, day_ahead_known_at
from scheduler.backtest.world import STEP, Failure, Scene, TrueJob
from scheduler.files.backtest_jobs import BacktestJobRow
from scheduler.specs import FleetSpec, JobSpec
from scheduler.specs.backtest import BacktestSpec, RegionSpec
from scheduler.specs.fleet import ApprovalPolicy
from scheduler.specs.job import OperatingPointSpec, PausingSpec
from scheduler.sweep.inputs import SweepInputs, pools_of, sites_of

_SAMPLE, _LENGTHS, _FAILURES = range(3)
_INTERVAL = ["site", "kind", "start_at"]


class NothingToPlay(ValueError):
    """No job of the table lies within the span."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """What is replayed; ``n_outside``: jobs left out that come before the begin or end after it."""

    scene: Scene
    signals: Signals
    n_outside: int


def draw(inputs: SweepInputs, region: RegionSpec, seed: int) -> Drawn:
    """Draw what one seed replays in one region.

    Raises
    ------
    NothingToPlay
        See there.
    ValueError
        A signal is known twice at one instant; names it.
    """
    spec = inputs.spec
    fleet = fleet_of(inputs.fleet, spec, region)
    rows = [located.row for located in inputs.rows]
    factors = np.random.default_rng([seed, _LENGTHS]).uniform(*spec.jobs.stated_factor, len(rows))
    jobs = [
        _true_job(row, float(factor), fleet, spec)
        for row, factor in zip(rows, factors, strict=True)
    ]
    inside = [
        it for it in jobs if spec.begin <= it.spec.release_at and it.spec.deadline_at <= spec.end
    ]
    if not inside:
        raise NothingToPlay(
            f"none of {len(jobs)} jobs is submitted and due within {spec.begin.isoformat()} .."
            f" {spec.end.isoformat()}"
        )
    if spec.jobs.sample is not None and spec.jobs.sample < len(inside):
        rng = np.random.default_rng([seed, _SAMPLE])
        chosen = rng.choice(len(inside), spec.jobs.sample, replace=False)
        chosen_jobs = [inside[position] for position in sorted(chosen.tolist())]
    else:
        chosen_jobs = inside
    names = {site.name for site in fleet.sites}
    scene = Scene.of(
        fleet,
        chosen_jobs,
        spec.begin,
        spec.end,
        failures=[*_failures(fleet, spec, seed)],
        calls=[call for call in inputs.calls if call.notice.site in names],
        save_every_hours=spec.failures.save_every_hours,
    )
    return Drawn(scene, signals_of(inputs, fleet, region), len(jobs) - len(inside))


def fleet_of(fleet: FleetSpec, spec: BacktestSpec, region: RegionSpec) -> FleetSpec:
    """Return the sites of a region, planned for as the backtest says; every plan is approved."""
    sites = sites_of(fleet, region)
    names = {site.name for site in sites}
    changes = {
        "approval": ApprovalPolicy.ALWAYS,
        "time_limit_s": spec.time_limit_s,
        "horizon_hours": spec.horizon_hours or fleet.planning.horizon_hours,
    }
    links = tuple(link for link in fleet.links if {link.from_site, link.to_site} <= names)
    planning = fleet.planning.model_copy(update=changes)
    return fleet.model_copy(update={"planning": planning, "sites": sites, "links": links})


def signals_of(inputs: SweepInputs, fleet: FleetSpec, region: RegionSpec) -> Signals:
    """Return what was known when of the region's sites, and what truly came: what was known last.

    Raises
    ------
    ValueError
        A signal is known twice at one instant; names it.
    """
    end = pd.Timestamp(inputs.spec.end)
    frames = []
    hours, minutes = map(int, inputs.spec.signals.prices_known_at.split(":"))
    published = timedelta(hours=hours, minutes=minutes)
    for site in fleet.sites:
        name = region.signals_of.get(site.name, site.name)
        of_site = inputs.signals[inputs.signals["site"] == name].assign(site=site.name)
        is_price = of_site["kind"].isin([SignalKind.PRICE, SignalKind.EXPORT_PRICE])
        at_end = of_site["start_at"] + pd.to_timedelta(of_site["minutes"], unit="min")
        day_ahead = day_ahead_known_at(of_site["start_at"], site.time_zone, published)
        otherwise = day_ahead.where(is_price, at_end)
        frames.append(of_site.assign(known_at=of_site["known_at"].fillna(otherwise)))
    whole = pd.concat(frames, ignore_index=True)
    history = SignalHistory.of(whole)
    truth = history.table[history.table["start_at"] < end]
    truth = truth.drop_duplicates(_INTERVAL, keep="last").reset_index(drop=True)
    first = inputs.spec.begin if truth.empty else truth["start_at"].min()
    return Signals(history, truth.assign(known_at=pd.Timestamp(first)))


def _true_job(row: BacktestJobRow, factor: float, fleet: FleetSpec, spec: BacktestSpec) -> TrueJob:
    true_hours = _in_steps(row.true_hours)
    stated_hours = _in_steps(row.stated_hours or row.true_hours * factor)
    # The inputs are refused where those it fits in do not all say the same.
    pool = next(pool for pool in pools_of(row, fleet.sites) if pool.gpus >= row.gpus)
    kw = row.gpus * pool.kw_per_gpu if row.kw is None else row.kw
    slack = timedelta(hours=spec.jobs.slack_hours)
    here = tuple(site.name for site in fleet.sites if site.name in row.sites)
    job = JobSpec(
        name=row.name,
        work_hours=stated_hours,
        operating_points=(OperatingPointSpec(pool=pool.name, gpus=row.gpus, kw=kw),),
        release_at=row.submitted_at,
        deadline_at=row.deadline_at or row.submitted_at + timedelta(hours=stated_hours) + slack,
        pausing=PausingSpec(**row.pausing) if row.pausable else None,
        sites=here or None,
    )
    return TrueJob(job, true_hours)


def _in_steps(hours: float) -> float:
    """Round to whole steps of the world, one at least [h]."""
    step_hours = STEP / timedelta(hours=1)
    return max(1, round(hours / step_hours)) * step_hours


def _failures(fleet: FleetSpec, spec: BacktestSpec, seed: int) -> Iterator[Failure]:
    names = {site.name for site in fleet.sites}
    for it in spec.failures.listed:
        if it.site in names and it.end_at > spec.begin and it.start_at < spec.end:
            yield Failure(it.site, it.pool, it.gpus, it.start_at, it.end_at, it.first_gpu)
    chance = spec.failures.random
    if chance is None:
        return
    n_steps = (spec.end - spec.begin) // STEP
    repair = -(-timedelta(hours=chance.repair_hours) // STEP) * STEP
    per_step = STEP / timedelta(hours=chance.node_hours)
    for site in fleet.sites:
        for pool in site.pools:
            named = crc32(f"{site.name}/{pool.name}".encode())
            for first in range(0, pool.gpus, chance.gpus_per_node):
                gpus = min(chance.gpus_per_node, pool.gpus - first)
                rng = np.random.default_rng([seed, _FAILURES, named, first])
                for start in _falls(rng, per_step, n_steps, repair // STEP, spec.begin):
                    yield Failure(site.name, pool.name, gpus, start, start + repair, first)


def _falls(
    rng: np.random.Generator, per_step: float, n_steps: int, repair_steps: int, begin: datetime
) -> Iterator[datetime]:
    """Yield when one node fails; one that is being repaired does not."""
    step = int(rng.geometric(per_step))
    while step < n_steps:
        yield begin + step * STEP
        step += repair_steps + int(rng.geometric(per_step))
