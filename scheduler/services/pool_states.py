"""What clusters say of their pools: kept for the next plan, and for people to see."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.types import PoolCapacity
from scheduler.db.models import PoolState
from scheduler.services.assemble_pools import PoolSeen
from scheduler.services.dispatch_observe import Observed
from scheduler.specs import FleetSpec
from scheduler.specs.fleet import PoolSpec

log = logging.getLogger(__name__)

# Beyond this somebody has to look after the clocks: logs and records of both would not match.
CLOCK_LIMIT_S = 30.0
# What has not changed is written again this often, so that its age can be told.
_SAY_AGAIN_AFTER = timedelta(minutes=1)


def record_pools(session: Session, observed: Observed, fleet: FleetSpec, now: datetime) -> None:
    """Write down what the clusters say of their pools, where it is news, and who does not answer.

    A cluster that was never heard is taken to have what the fleet says, until it has been silent
    for too long.
    """
    known = {(row.site, row.pool): row for row in session.scalars(select(PoolState))}
    _warn_of_clocks(known, observed)
    for site, capacity in _said(observed):
        row = known.get((site, capacity.pool))
        ahead_s = observed.clusters[site].clock_ahead_s
        if row is None:
            row = PoolState(site=site, pool=capacity.pool)
            session.add(row)
        elif not _is_news(row, capacity, ahead_s, now):
            continue
        row.gpus_total = capacity.gpus_total
        row.gpus_available = capacity.gpus_available
        row.gpus_in_use = capacity.gpus_in_use
        row.gpus_of_others = capacity.gpus_of_others
        row.clock_ahead_s = ahead_s
        row.seen_at = now
        row.silent_since = None
        row.silence = ""
    for spec in fleet.sites:
        if spec.name not in observed.clusters:
            for pool in spec.pools:
                row = known.get((spec.name, pool.name)) or _unheard(session, spec.name, pool, now)
                row.silent_since = row.silent_since or now
                row.silence = observed.silent.get(spec.name, "")


def _warn_of_clocks(known: Mapping[tuple[str, str], PoolState], observed: Observed) -> None:
    """Say once which clocks are further apart than they may be."""
    rows = (known.get((site, capacity.pool)) for site, capacity in _said(observed))
    before = {row.site: row.clock_ahead_s for row in rows if row is not None}
    for site, report in observed.clusters.items():
        if _is_apart(report.clock_ahead_s) and not _is_apart(before.get(site)):
            log.warning(
                "site %s: the clock of its cluster is %+.0f s apart from this machine's, must be"
                " within %g s; nothing is started twice or lost by that",
                site,
                report.clock_ahead_s,
                CLOCK_LIMIT_S,
            )


def _is_apart(ahead_s: float | None) -> bool:
    return ahead_s is not None and abs(ahead_s) > CLOCK_LIMIT_S


def _unheard(session: Session, site: str, pool: PoolSpec, now: datetime) -> PoolState:
    row = PoolState(
        site=site,
        pool=pool.name,
        gpus_total=pool.gpus,
        gpus_available=pool.gpus,
        gpus_in_use=0,
        gpus_of_others=0,
        seen_at=now,
    )
    session.add(row)
    return row


def list_pools(session: Session) -> list[PoolState]:
    """Return what was last said of every pool, by site and pool."""
    return list(session.scalars(select(PoolState).order_by(PoolState.site, PoolState.pool)))


def clocks_ahead_s(session: Session) -> dict[str, float]:
    """Return how far the clock of each cluster that tells it is ahead of the dispatcher's [s]."""
    by_age = sorted(list_pools(session), key=lambda row: row.seen_at)  # pools may be gone
    told = ((row.site, row.clock_ahead_s) for row in by_age)
    return {site: ahead_s for site, ahead_s in told if ahead_s is not None}


def pools_seen(session: Session) -> dict[tuple[str, str], PoolSeen]:
    """Return the same for a plan, by site and pool."""
    return {
        (row.site, row.pool): PoolSeen(
            row.gpus_available, row.gpus_of_others, row.seen_at, row.silent_since
        )
        for row in list_pools(session)
    }


def _said(observed: Observed) -> Iterator[tuple[str, PoolCapacity]]:
    for site, report in observed.clusters.items():
        for capacity in report.pools:
            yield site, capacity


def _is_news(row: PoolState, said: PoolCapacity, ahead_s: float | None, now: datetime) -> bool:
    before = (row.gpus_total, row.gpus_available, row.gpus_in_use, row.gpus_of_others)
    found = (said.gpus_total, said.gpus_available, said.gpus_in_use, said.gpus_of_others)
    is_back = row.silent_since is not None
    is_set = _is_apart(row.clock_ahead_s) != _is_apart(ahead_s)
    return is_back or is_set or before != found or now - row.seen_at >= _SAY_AGAIN_AFTER
