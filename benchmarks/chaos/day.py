"""What is to be done: three sites, prices that move, and jobs of which nothing may go wrong.

Three kinds of jobs: those that keep checkpoints and may be started again at will; those that begin
anew where they were cut short; and those that may be started once.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.types import SignalKind
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import fleet as fleets
from scheduler.services.jobs import submit_job
from scheduler.services.signals import SignalPoint, insert_values
from scheduler.specs import FleetSpec, JobSpec

START = datetime(2021, 7, 5, tzinfo=UTC)
HOURS = 42
"""Planned ahead, and allowed in all."""
POOL = "gpu"
STEP_S = 0.5
DUE_AFTER_HOURS = 3.0
OVERHEAD = 0.93
"""Share of the planned time that jobs work: the rest is what starting a process takes here."""
ACTOR = "chaos"
_SCRIPT = Path(__file__).with_name("job.sh")
_RETRIES = 20


@dataclass(frozen=True, slots=True)
class Kind:
    """What a job may bear."""

    name: str
    share: float
    changes: Mapping[str, Any]

    @property
    def may_run_again(self) -> bool:
        """Whether it may be started again after it was cut short."""
        return "retries" in self.changes


KINDS = (
    Kind(
        "keeps checkpoints",
        0.6,
        {"pausing": {"restart_minutes": 3, "min_run_minutes": 30}, "retries": _RETRIES},
    ),
    Kind("begins anew", 0.2, {"retries": _RETRIES}),
    Kind("started once", 0.2, {}),
)


def fleet_of(clusters: Mapping[str, Mapping[str, Any]], gpus: int) -> FleetSpec:
    """Return a fleet with a site for each cluster."""
    sites = [
        {
            "name": name,
            "time_zone": "UTC",
            "grid": {"import_limit_kw": 100.0},
            "pools": [{"name": POOL, "gpus": gpus}],
            "cluster": cluster,
        }
        for name, cluster in clusters.items()
    ]
    planning = {
        "slot_minutes": 30,
        "approval": "always",
        "max_signal_age_hours": 2 * HOURS,
        "weights": {"carbon_eur_per_t": 0.0},
    }
    return FleetSpec.model_validate({"sites": sites, "planning": planning})


@dataclass(frozen=True, slots=True)
class Load:
    """Jobs to draw.

    Attributes
    ----------
    within_hours
        They are released within so many hours of the beginning.
    evidence
        Folder they write to what they see.
    """

    seed: int
    count: int
    within_hours: float
    seconds_per_hour: float
    evidence: Path


def draw_jobs(load: Load, sites: list[str]) -> list[tuple[JobSpec, Kind]]:
    """Draw jobs, each of a kind; one in two may run at one site only."""
    random_of = random.Random(load.seed)
    kinds = random_of.choices(KINDS, [kind.share for kind in KINDS], k=load.count)
    return [(_job(number, kind, random_of, sites, load), kind) for number, kind in enumerate(kinds)]


def _job(
    number: int, kind: Kind, random_of: random.Random, sites: list[str], load: Load
) -> JobSpec:
    hours = random_of.uniform(0.5, 2.5)
    release = START + timedelta(hours=random_of.uniform(0, load.within_hours))
    gpus = random_of.choice((1, 1, 2, 4))
    steps = int(hours * load.seconds_per_hour * OVERHEAD / STEP_S)
    is_bound = random_of.random() < 0.5
    document = {
        "name": f"job-{number:03d}",
        "work_hours": hours,
        "operating_points": [{"pool": POOL, "gpus": gpus, "kw": 0.7 * gpus}],
        "release_at": release,
        # What waits for a cheap hour just before its deadline loses it to the first outage.
        "due_at": release + timedelta(hours=hours + DUE_AFTER_HOURS),
        "lateness_eur_per_hour": 1.0,
        "deadline_at": release + timedelta(hours=random_of.uniform(16, 20)),
        "sites": [random_of.choice(sites)] if is_bound else None,
        "command": ["bash", str(_SCRIPT), str(steps)],
        "checkpoint_grace_s": 3.0,
        "environment": {
            "EVIDENCE": str(load.evidence),
            "RESUMES": "1" if "pausing" in kind.changes else "0",
        },
    }
    return JobSpec.model_validate(document | dict(kind.changes))


def take_in(
    sessions: SessionFactory, fleet: FleetSpec, jobs: list[tuple[JobSpec, Kind]], seed: int
) -> None:
    """Put fleet, prices and jobs into an empty database."""
    random_of = random.Random(seed)
    hours = 2 * HOURS + 1
    with transaction(sessions) as session:
        fleets.replace_fleet(session, fleet, ACTOR, START)
        points = [
            SignalPoint(
                site=site.name,
                kind=kind,
                start_at=START + timedelta(hours=hour),
                minutes=60,
                value=random_of.uniform(20, 120),
                known_at=START,
            )
            for site in fleet.sites
            for kind in (SignalKind.PRICE, SignalKind.CARBON_INTENSITY)
            for hour in range(hours)
        ]
        insert_values(session, points, ACTOR)
        for spec, _ in jobs:
            submit_job(session, spec, ACTOR, START)
