"""Whether the cluster that answers is the one that was given the jobs.

A state folder whose volume is not mounted answers like a cluster without jobs. To believe it would
end every job that runs, and start each of them a second time.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from scheduler.db.inserts import insert_new
from scheduler.db.models import ClusterIdentity
from scheduler.services.dispatch_observe import ClusterReport, Observed
from scheduler.services.transfers import forget_transfers

log = logging.getLogger(__name__)


def keep_known(
    session: Session, observed: Observed, busy_sites: Collection[str], now: datetime
) -> Observed:
    """Leave out clusters that are not those that were given the jobs of ``busy_sites``.

    The first cluster heard at a site is known from then on. Another one takes its place where no
    job is in its care.
    """
    known = _known(session)
    new = {site: one for site, one in observed.clusters.items() if site not in known}
    if new:
        rows = [_row(site, report, now) for site, report in new.items()]
        insert_new(session, ClusterIdentity, rows)
        known = _known(session)
    kept, silent = dict(observed.clusters), dict(observed.silent)
    for site, report in observed.clusters.items():
        if report.identity == known[site]:
            continue
        if site in busy_sites:
            silent[site] = (
                f"its jobs were given to cluster {known[site]}, but {report.identity} answers; is"
                " its state folder mounted? Nothing is assumed of it; see gridtide clusters forget"
            )
            log.error("site %s: %s", site, silent[site])
            del kept[site]
        else:
            log.warning("site %s has another cluster now: %s", site, report.identity)
            _learn(session, site, report.identity, now)
    return replace(observed, clusters=kept, silent=silent)


def forget(session: Session, site: str) -> str | None:
    """Forget the cluster of a site, so that whichever answers next is taken for it; return it.

    What data was brought there for jobs that are not over is forgotten with it.
    """
    found = session.get(ClusterIdentity, site)
    if found is None:
        return None
    session.delete(found)
    forget_transfers(session, site)
    return found.identity


def _known(session: Session) -> dict[str, str]:
    rows = session.execute(select(ClusterIdentity.site, ClusterIdentity.identity))
    return dict(rows.all())


def _row(site: str, report: ClusterReport, now: datetime) -> dict[str, object]:
    return {"site": site, "identity": report.identity, "seen_at": now}


def _learn(session: Session, site: str, identity: str, now: datetime) -> None:
    session.execute(
        update(ClusterIdentity)
        .where(ClusterIdentity.site == site)
        .values(identity=identity, seen_at=now)
        .execution_options(synchronize_session=False)
    )
