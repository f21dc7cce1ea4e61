"""Once a minute: what every cluster draws, and what the plan wants it to.

Beside dispatch and not in it: whoever measures may hang without holding up a command.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from connectors.protocols import Cluster
from connectors.types import PowerReading
from scheduler.db.inserts import insert_new
from scheduler.db.models import ClusterIdentity, ClusterPower
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import fleet as fleets
from scheduler.services.dispatch_lines import Lines
from scheduler.services.dispatch_observe import ANSWER_S, ask_all
from scheduler.services.dispatch_records import governing_plan
from scheduler.services.outside import OutsideOf
from scheduler.services.plan_document import PlanDocument
from scheduler.services.plans import read_document
from scheduler.specs import FleetSpec
from scheduler.timekeeping import Now, seconds_to_next_minute

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database says, and what the plan that governs wants each site to draw [kW]."""

    fleet: FleetSpec
    plan_id: UUID | None
    planned_kw: Mapping[str, float]
    identities: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Heard:
    """What a cluster says of its power, and which cluster that is."""

    identity: str
    reading: PowerReading


class PowerWatch:
    """Reads and records what clusters draw.

    ``history`` is how long readings are kept; ``answer_s`` how long a cluster has to answer
    [s of real time].
    """

    def __init__(
        self,
        sessions: SessionFactory,
        outside_of: OutsideOf,
        now: Now,
        history: timedelta,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._sessions = sessions
        self._outside_of = outside_of
        self._now = now
        self._history = history
        self._answer_s = answer_s
        self._lines = Lines()
        self._plan: tuple[UUID, PlanDocument] | None = None

    def look(self) -> None:
        """Read the power of every cluster once, for the minute it is now."""
        at = self._now().replace(second=0, microsecond=0)
        known = self._read(at)
        if known is None:
            return
        clusters = self._outside_of(known.fleet).clusters
        calls = {site: partial(_hear, cluster) for site, cluster in clusters.items()}
        heard = ask_all(self._lines, calls, self._answer_s)
        rows = [_row(site, at, one.reading, known) for site, one in heard.items()]
        rows = [row for row in rows if _is_credible(row, heard, known)]
        with transaction(self._sessions) as session:
            insert_new(session, ClusterPower, rows)
            session.execute(delete(ClusterPower).where(ClusterPower.at < at - self._history))

    def seconds_to_next(self) -> float:
        """Return how long it is to the next minute [s]."""
        return seconds_to_next_minute(self._now())

    def _read(self, at: datetime) -> _Known | None:
        with transaction(self._sessions) as session:
            version = fleets.find_current(session)
            if version is None:
                return None
            plan_id = governing_plan(session, at)
            plan = None if plan_id is None else self._document(session, plan_id)
            rows = session.execute(select(ClusterIdentity.site, ClusterIdentity.identity))
            planned = {} if plan is None else _planned_kw(plan, at)
            return _Known(fleets.spec_of(version), plan_id, planned, dict(rows.all()))

    def _document(self, session: Session, plan_id: UUID) -> PlanDocument:
        if self._plan is None or self._plan[0] != plan_id:
            self._plan = plan_id, read_document(session, plan_id)
        return self._plan[1]


async def _hear(cluster: Cluster) -> _Heard:
    return _Heard(await cluster.identity(), await cluster.power())


def _planned_kw(plan: PlanDocument, at: datetime) -> dict[str, float]:
    slot = plan.window.slot_of(at)
    return {flows.site: flows.it_load_kw[slot] for flows in plan.plan.flows}


def _row(site: str, at: datetime, reading: PowerReading, known: _Known) -> dict[str, object]:
    planned_kw = known.planned_kw.get(site)
    return {
        "site": site,
        "at": at,
        "kw": reading.kw,
        "is_measured": reading.is_measured,
        "source": reading.source,
        "scope": reading.scope,
        "reason": reading.reason,
        "plan_id": None if planned_kw is None else known.plan_id,
        "planned_kw": planned_kw,
    }


def _is_credible(row: Mapping[str, object], heard: Mapping[str, _Heard], known: _Known) -> bool:
    """Whether it is a power, and of the cluster that has the jobs: it is modelled from them."""
    site, kw = str(row["site"]), row["kw"]
    if not isinstance(kw, float) or not 0 <= kw < math.inf:
        log.error("site %s: its cluster draws %s kW, must be >= 0 and finite", site, kw)
        return False
    return known.identities.get(site, heard[site].identity) == heard[site].identity
