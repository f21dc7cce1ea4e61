"""GPUs by slot: what the spec allows, what the cluster has, what others hold, what must go on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from optimizer import Job, Pool, Site
from scheduler.services.assemble_signals import Values
from scheduler.services.window import PlanWindow
from scheduler.specs.fleet import FleetSpec, PoolSpec, SiteSpec

_OLD_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class PoolSeen:
    """What a cluster said of one pool: GPUs that are there, and those others have of them.

    ``silent_since``: it has not answered from then on.
    """

    gpus_available: int
    gpus_of_others: int
    seen_at: datetime
    silent_since: datetime | None = None


PoolsSeen = Mapping[tuple[str, str], PoolSeen]
"""By site and pool."""


@dataclass(frozen=True, slots=True)
class PoolsBySlot:
    """Pools of a site, what others draw there by slot [kW of IT load], and marks."""

    pools: tuple[Pool, ...]
    others_kw: Values
    marks: tuple[str, ...]


def assemble_pools(
    fleet: FleetSpec, spec: SiteSpec, window: PlanWindow, seen: PoolsSeen, now: datetime
) -> PoolsBySlot:
    """Return the pools of a site as its cluster last saw them; as the spec says where it did not.

    Others keep what they have for ``others_stay_hours`` from now. Nobody knows better. Where the
    cluster has been silent for ``silent_minutes`` nothing new is planned: what could start there
    can start elsewhere, and what may run there is left to it.
    """
    patience = timedelta(minutes=fleet.planning.silent_minutes)
    stays = timedelta(hours=fleet.planning.others_stay_hours)
    is_theirs = np.array([window.instant(slot) < now + stays for slot in range(window.n_slots)])
    pools, marks = [], []
    others_kw = np.zeros(window.n_slots)
    for pool in spec.pools:
        gpus = np.full(window.n_slots, float(pool.gpus))
        said = seen.get((spec.name, pool.name))
        if said is not None:
            others = np.where(is_theirs, said.gpus_of_others, 0)
            is_away = said.silent_since is not None and now - said.silent_since >= patience
            available = 0 if is_away else said.gpus_available
            gpus = np.clip(available - others, 0, gpus)
            others_kw += others * pool.kw_per_gpu
            marks += _marks(spec, pool, said, now, stays, is_away=is_away)
        pools.append(Pool(pool.name, tuple(gpus.tolist()), pool.idle_kw_per_gpu))
    return PoolsBySlot(tuple(pools), others_kw, tuple(marks))


def with_room_for_pinned(
    sites: tuple[Site, ...], jobs: Iterable[Job]
) -> tuple[tuple[Site, ...], list[str]]:
    """Give every pool the GPUs that jobs already committed to it need; a mark where it had fewer.

    What runs, runs, although its node may be on its way out; and starts that are frozen stand.
    """
    needed: dict[tuple[str, str], Values] = {}
    for job in jobs:
        if job.pin is None:
            continue
        point = next(point for point in job.points if point.name == job.pin.point)
        of_pool = needed.setdefault((point.site, point.pool), np.zeros(len(sites[0].pue)))
        of_pool[job.pin.start_slot : job.pin.start_slot + job.pin.n_slots] += point.gpus
    marks = []

    def enlarged(site: Site, pool: Pool) -> Pool:
        least = needed.get((site.name, pool.name), np.zeros(len(site.pue)))
        n_short = int((least > np.asarray(pool.gpus)).sum())
        if n_short == 0:
            return pool
        marks.append(
            f"{site.name} pool {pool.name}: {n_short} slots with fewer GPUs than jobs that run or"
            " whose starts are frozen hold, taken as enough for them"
        )
        return replace(pool, gpus=tuple(np.maximum(pool.gpus, least).tolist()))

    found = tuple(
        replace(site, pools=tuple(enlarged(site, pool) for pool in site.pools)) for site in sites
    )
    return found, marks


def _marks(
    spec: SiteSpec,
    pool: PoolSpec,
    said: PoolSeen,
    now: datetime,
    stays: timedelta,
    *,
    is_away: bool,
) -> list[str]:
    name = f"{spec.name} pool {pool.name}"
    marks = []
    if is_away:
        return [f"{name}: its cluster does not answer; nothing new is planned there"]
    if said.gpus_available < pool.gpus:
        marks.append(f"{name}: {said.gpus_available} of {pool.gpus} GPUs are there")
    if said.gpus_of_others:
        hours = stays / timedelta(hours=1)
        marks.append(f"{name}: others have {said.gpus_of_others} GPUs, taken to last {hours:g} h")
    if marks and now - said.seen_at > _OLD_AFTER:
        age_h = (now - said.seen_at) / timedelta(hours=1)
        marks.append(f"{name}: its cluster was last heard {age_h:.1f} h ago")
    return marks
