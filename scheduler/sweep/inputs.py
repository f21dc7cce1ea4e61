"""What a backtest is made from, read once: its files, checked together, and what tells them apart.

Everything that is wrong is told before anything is played.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path

import pandas as pd

from scheduler.backtest.policies import POLICIES, day_ahead
from scheduler.backtest.world import STEP, Call
from scheduler.files import BadFile, read_bytes, read_fleet, read_grid_script
from scheduler.files.backtest_jobs import BacktestJobRow, LocatedRow, read_backtest_jobs
from scheduler.files.fleet import read_spec
from scheduler.main import read_parquet_table, read_signal_file
from scheduler.specs import FleetSpec
from scheduler.specs.backtest import BacktestSpec, PolicySpec, RegionSpec
from scheduler.specs.fleet import PoolSpec, SiteSpec
from scheduler.sweep.store import read_store

RUN_NOW = "run_now"
_OWN_TIMES = {RUN_NOW: "it makes no plans", day_ahead.__name__: "it plans once a day"}
_NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True, eq=False)
class SweepInputs:
    """A backtest and what its files hold.

    Attributes
    ----------
    signals
        As files and store have them: columns of ``read_signals``; ``known_at`` NaT: not stated.
    digest
        Of everything that was read but the backtest itself.
    """

    spec: BacktestSpec
    fleet: FleetSpec
    rows: tuple[LocatedRow, ...]
    signals: pd.DataFrame
    calls: tuple[Call, ...]
    digest: str


def read_inputs(path: Path) -> SweepInputs:
    """Read a backtest and all that it names, paths relative to its own folder.

    Raises
    ------
    BadFile, ConnectorError
        A file cannot be used; names it with what is wrong.
    """
    spec = read_spec(path, BacktestSpec)
    place = path.parent
    fleet = read_fleet(place / spec.fleet)
    rows = read_backtest_jobs(place / spec.jobs.file, read_parquet_table)
    calls: tuple[Call, ...] = ()
    files = [place / spec.jobs.file]
    if spec.grid_events is not None:
        files.append(place / spec.grid_events)
        calls = tuple(Call(*known) for known in read_grid_script(files[-1]))
    problems = [*_contradictions(spec, fleet), *_misfits(spec, fleet, rows)]
    if problems:
        raise BadFile(path, problems)
    # Of what the fleet says, not of its file: it names others, such as tariffs.
    whole = hashlib.sha256(fleet.model_dump_json().encode())
    if spec.signals.store:
        signals = read_store(fleet, spec.begin, spec.end)
        whole.update(pd.util.hash_pandas_object(signals.astype(str)).to_numpy().tobytes())
    else:
        named = [place / file for file in spec.signals.files]
        signals = pd.concat([read_signal_file(file) for file in named], ignore_index=True)
        files += named
    for file in files:
        whole.update(hashlib.sha256(read_bytes(file)).digest())
    return SweepInputs(spec, fleet, rows, signals, calls, whole.hexdigest())


def _contradictions(spec: BacktestSpec, fleet: FleetSpec) -> Iterator[str]:
    slot = timedelta(minutes=fleet.planning.slot_minutes)
    for name in ("begin", "end"):
        at = getattr(spec, name)
        if at.timestamp() % slot.total_seconds():
            yield f"{name} = {at.isoformat()}, must be a multiple of {slot} of the fleet's slots"
    hours = {"every_hours": spec.every_hours}
    hours |= {f"policies.{it.label}.every_hours": it.every_hours or 1.0 for it in spec.policies}
    for name, every in hours.items():
        if timedelta(hours=every) % slot:
            yield f"{name} = {every:g}, must be whole slots of the fleet: {slot}"
    names = {site.name for site in fleet.sites}
    for region in spec.regions:
        for site in (*region.sites, *region.signals_of):
            if site not in names:
                yield f"region {region.name}: site {site!r}, must be one of {_some(names)}"
    yield from _unread(spec.policies)
    yield from _not_replayed(fleet)
    yield from _impossible_outages(spec, fleet)


def _unread(policies: Sequence[PolicySpec]) -> Iterator[str]:
    """Name what is said of policies that they do not look at."""
    for it in policies:
        of_it, not_given = f"policies.{it.label}", "must not be given"
        if it.every_hours is not None and it.use in _OWN_TIMES:
            yield f"{of_it}.every_hours = {it.every_hours:g}, {not_given}: {_OWN_TIMES[it.use]}"
        if it.time_limit_s is not None and it.use not in POLICIES:
            yield f"{of_it}.time_limit_s = {it.time_limit_s:g}, {not_given}: it has no limit"


def _impossible_outages(spec: BacktestSpec, fleet: FleetSpec) -> Iterator[str]:
    pools = {(site.name, pool.name): pool.gpus for site in fleet.sites for pool in site.pools}
    for outage in spec.failures.listed:
        owner = f"failures.listed: {outage.site}/{outage.pool}"
        gpus = pools.get((outage.site, outage.pool))
        if gpus is None:
            yield f"{owner} is no pool of the fleet"
        elif outage.first_gpu + outage.gpus > gpus:
            last = outage.first_gpu + outage.gpus
            yield f"{owner}: first_gpu + gpus = {last}, must be <= {gpus}, which are there"
        for at in (outage.start_at, outage.end_at):
            if at.timestamp() % STEP.total_seconds():
                yield f"{owner}: {at.isoformat()}, must be a multiple of {STEP}"


def _not_replayed(fleet: FleetSpec) -> Iterator[str]:
    """Name what a fleet may say that nothing in a replay follows."""
    if fleet.commitments != type(fleet.commitments)():
        yield "fleet: commitments are given, must not be: a replay answers no calls and sells none"
    if fleet.planning.run_times is not None:
        yield "fleet: planning.run_times is given, must not be: a replay keeps no run times"
    if fleet.planning.carbon_budget_kg is not None or fleet.planning.cost_ceiling_eur is not None:
        yield "fleet: planning has a carbon budget or cost ceiling, must not: they are of one plan"


def _misfits(spec: BacktestSpec, fleet: FleetSpec, rows: tuple[LocatedRow, ...]) -> Iterator[str]:
    """Name jobs that could run nowhere in some region, or draw nobody knows what."""
    names = {pool.name for site in fleet.sites for pool in site.pools}
    found = (
        problem
        for region in spec.regions
        for located in rows
        for problem in _misfit(located, region.name, sites_of(fleet, region), names)
    )
    return islice(found, _NAMES_SHOWN)


def _misfit(
    located: LocatedRow, region: str, sites: Sequence[SiteSpec], names: set[str]
) -> Iterator[str]:
    row, owner = located.row, f"jobs.file, line {located.line}, job {located.row.name}"
    if row.pool is None and len(names) > 1:
        yield f"{owner}: pool is missing, must be one of {_some(names)}"
        return
    pools = pools_of(row, sites)
    where = f"pool {row.pool or next(iter(names), '')!r} of the sites it may run at in region"
    most = max((pool.gpus for pool in pools), default=0)
    if row.gpus > most:
        yield f"{owner}: gpus = {row.gpus}, must be <= {most}, the most in {where} {region!r}"
    draws = sorted({pool.kw_per_gpu for pool in pools if pool.gpus >= row.gpus})
    if row.kw is None and len(draws) > 1:
        several = ", ".join(f"{kw:g}" for kw in draws)
        yield f"{owner}: kw is missing, must be given: {where} {region!r} says {several} a GPU"


def sites_of(fleet: FleetSpec, region: RegionSpec) -> tuple[SiteSpec, ...]:
    """Return the sites of a region."""
    return tuple(it for it in fleet.sites if it.name in region.sites or not region.sites)


def pools_of(row: BacktestJobRow, sites: Sequence[SiteSpec]) -> list[PoolSpec]:
    """Return the pools of ``sites`` that a job may run in."""
    return [
        pool
        for site in sites
        if not row.sites or site.name in row.sites
        for pool in site.pools
        if row.pool in {None, pool.name}
    ]


def _some(names: set[str]) -> str:
    return ", ".join(sorted(names)[:_NAMES_SHOWN]) + (" ..." if len(names) > _NAMES_SHOWN else "")
