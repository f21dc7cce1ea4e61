"""Three sites, data that lies at one of them, and what moves it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select

from optimizer import Placement, Run
from scheduler.db.models import CommandKind, DataTransfer, Job
from scheduler.db.session import SessionFactory, transaction
from scheduler.services.carried_state import data_left_gb
from scheduler.services.outside import Outside
from scheduler.services.transfers import transfers_of
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.fakes import FakeCluster
from tests.services.play import HOUR, Play
from tests.services.scene import Scene

DATA: dict[str, Any] = {"site": "DE", "size_gb": 20.0, "command": ["rsync", "-a"], "retries": 1}
STAGE, SUBMIT = CommandKind.STAGE, CommandKind.SUBMIT


def links() -> list[dict[str, Any]]:
    """From DE to both others at 10 GB/h and 0.10 EUR/GB."""
    return [
        {"from_site": "DE", "to_site": to, "gb_per_hour": 10.0, "eur_per_gb": 0.1}
        for to in ("FR", "NO")
    ]


class Staging(Play):
    """Three sites; the data of ``train`` lies at DE, and it is 20 GB."""

    def __init__(self, sessions: SessionFactory) -> None:
        sites = [site_spec(name) for name in ("DE", "FR", "NO")]
        scene = Scene(sessions).set_up(fleet_spec(*sites, links=links()))
        super().__init__(scene, FakeCluster())
        self.fr, self.no = FakeCluster("FR"), FakeCluster("NO")
        self.outside = Outside({"DE": self.cluster, "FR": self.fr, "NO": self.no})

    def left_gb(self, hours: float, job: str = "train") -> dict[str, float]:
        """What a plan made now, for a window from so many hours from START, counts as left."""
        with transaction(self.scene.sessions) as session:
            left = data_left_gb(session, self.scene.fleet, START + hours * HOUR, self.scene.at)
            row = session.scalars(select(Job).where(Job.name == job)).one()
            return left.get(row.id, {})

    def transfer(self, job: UUID, site: str = "FR") -> DataTransfer:
        """What is on record of a transfer."""
        with transaction(self.scene.sessions) as session:
            return next(one for one in transfers_of(session, [job])[job] if one.site == site)


def at(site: str, start: int, job: str = "train") -> Placement:
    """Two hours at a site."""
    return Placement(job, site, (Run(f"{site}/a100x1", start, start + 2),))


def key(job: UUID, site: str = "FR") -> str:
    """Key of the order that brings the data of a job."""
    return f"data-{job}-{site}"
