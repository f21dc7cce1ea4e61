"""How long it takes from an event to the verified plan that knows of it, in force, for 500 jobs.

``python -m benchmarks.event_to_plan`` prints what is in RESULTS.md. A worker and a clock run as
they do in earnest, as processes on a database; the jobs, sites and prices are those of the
reference instance S. An event is recorded as its part of the scheduler would record it: the time
runs from its commit to the instant at which the new plan is in force.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from uuid import UUID

import numpy as np
from sqlalchemy import select

from benchmarks.draws import (
    KW_PER_GPU,
    ONE_WAY_EFFICIENCY,
    SIZES,
    UNSERVED_EUR_PER_GPU_HOUR,
    WEAR_EUR_PER_KWH,
    Draw,
)
from benchmarks.wording import seconds, table
from connectors.types import GridEventNotice, SignalKind, Window
from optimizer import verify
from scheduler.cli.database import upgraded_sessions
from scheduler.db.models import PlanningRun, PlanStatus, PoolState, StoredPlan
from scheduler.db.session import SessionFactory, transaction
from scheduler.services.events import create_event
from scheduler.services.fleet import replace_fleet
from scheduler.services.jobs import submit_job
from scheduler.services.plan_document import PlanDocument
from scheduler.services.plans import read_document
from scheduler.services.signals import SignalPoint, insert_values
from scheduler.settings import Settings
from scheduler.specs import FleetSpec, JobSpec

SITES = tuple(f"site-{number}" for number in range(SIZES["S"].n_sites))
POOL = "gpu"
BY = "benchmark"
FIRST_PLAN_WITHIN_S, PLAN_WITHIN_S = 180.0, 60.0
DAY_LIMIT_S, REPLAN_LIMIT_S = 60.0, 3.0
LOOK_EVERY_S = 0.05
REPLAN = {
    "spacing_minutes": 0,
    "time_limit_s": REPLAN_LIMIT_S,
    "regret_eur": 0.5,  # the whole plan costs 200
    "regret_share": 0.0,
}


@dataclass(frozen=True, slots=True)
class Took:
    """What became of one event."""

    event: str
    seconds: float
    solver_s: float
    n_moved: int
    reason: str


def main() -> None:
    """Measure every kind of event at several sites, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--times", type=int, default=3, help="of each event, at other sites")
    times: int = parser.parse_args().times
    if not 1 <= times <= len(SITES):
        raise SystemExit(f"--times = {times}, must be within [1, {len(SITES)}]")
    with TemporaryDirectory() as folder:
        took = _measured(Path(folder), times)
    events = list(dict.fromkeys(one.event for one in took))
    rows = []
    for event in events:
        its = [one for one in took if one.event == event]
        rows.append(
            [
                event,
                seconds(median(one.seconds for one in its)),
                seconds(max(one.seconds for one in its)),
                ", ".join(str(one.n_moved) for one in its),
                its[0].reason,
            ]
        )
    head = [
        "Event",
        "Median [s]",
        "Longest [s]",
        "Jobs moved",
        "Why, for example",
    ]
    print(table(head, rows))


def _measured(folder: Path, times: int) -> list[Took]:
    settings = Settings(state_dir=folder)
    sessions = upgraded_sessions(settings)
    start = _next_hour()
    draw = Draw.of(SIZES["S"])
    with transaction(sessions) as session:
        replace_fleet(session, _fleet(draw), BY, start)
        insert_values(session, _signals(draw, start), BY)
        for spec in _jobs(draw, start):
            submit_job(session, spec, BY, _now())
    events: dict[str, Callable[[str], None]] = {
        "prices of a site revised": lambda site: _revise(sessions, draw, site, start),
        "half of a pool lost": lambda site: _lose(sessions, draw, site),
        "a call to import less for two hours": lambda site: _call(sessions, site, start),
    }
    took = []
    with _processes(folder):
        before = _newer_plan(sessions, None, FIRST_PLAN_WITHIN_S)
        print(f"first plan: {_gap_of(sessions, before)}", file=sys.stderr)
        for name, happens in events.items():
            for site in SITES[:times]:
                began = time.monotonic()
                happens(site)
                after = _newer_plan(sessions, before, PLAN_WITHIN_S)
                lasted_s = time.monotonic() - began
                took.append(_took(sessions, name, lasted_s, before, after))
                print(f"{name}, {site}: {lasted_s:.1f} s", file=sys.stderr)
                before = after
    return took


def _now() -> datetime:
    return datetime.now(UTC)


def _next_hour() -> datetime:
    return _now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


@contextmanager
def _processes(folder: Path) -> Iterator[None]:
    """Run a worker and a clock meanwhile."""
    environment = os.environ | {"GRIDTIDE_STATE_DIR": str(folder)}
    log = (folder / "log").open("w")
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "scheduler", name], env=environment, stdout=log, stderr=log
        )
        for name in ("worker", "clock")
    ]
    try:
        yield
    except BaseException:
        print((folder / "log").read_text(), file=sys.stderr)
        raise
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(30)
        log.close()


def _newer_plan(sessions: SessionFactory, before: UUID | None, within_s: float) -> UUID:
    """Wait for another plan than ``before`` to be in force."""
    give_up_at = time.monotonic() + within_s
    wanted = select(StoredPlan.id).where(StoredPlan.status == PlanStatus.IN_FORCE)
    while time.monotonic() < give_up_at:
        with transaction(sessions) as session:
            found = session.scalar(wanted)
        if found is not None and found != before:
            return found
        time.sleep(LOOK_EVERY_S)
    raise SystemExit(f"no other plan was in force within {within_s:g} s")


def _took(sessions: SessionFactory, event: str, lasted_s: float, before: UUID, after: UUID) -> Took:
    with transaction(sessions) as session:
        old, new = read_document(session, before), read_document(session, after)
        run = session.get_one(PlanningRun, session.get_one(StoredPlan, after).run_id)
        if run.started_at is None or run.finished_at is None:
            raise RuntimeError(f"run {run.id} made a plan and has not ended")
        worked_s = (run.finished_at - run.started_at).total_seconds()
        reason = run.reason
    if verify(new.problem, new.plan):
        raise RuntimeError(f"the plan after {event} does not hold")
    return Took(event, lasted_s, worked_s, _moved(old, new), reason)


def _moved(old: PlanDocument, new: PlanDocument) -> int:
    """Count jobs of both that do not run in the same slots of the same site as before."""

    def runs(document: PlanDocument) -> dict[str, object]:
        at = document.window.instant
        return {
            placed.job: (
                placed.site,
                tuple((run.point, at(run.start_slot), at(run.end_slot)) for run in placed.runs),
            )
            for placed in document.plan.placements
        }

    before, after = runs(old), runs(new)
    return sum(before.get(job) != placed for job, placed in after.items())


def _gap_of(sessions: SessionFactory, plan: UUID) -> str:
    with transaction(sessions) as session:
        stored = session.get_one(StoredPlan, plan)
        n_jobs = len(read_document(session, plan).plan.placements)
        return f"{n_jobs} jobs, gap {stored.gap}"


def _revise(sessions: SessionFactory, draw: Draw, site: str, start: datetime) -> None:
    """Publish the prices of a site anew, half a day later: what was dear is cheap."""
    row = np.roll(draw.import_eur_per_mwh[SITES.index(site)], 12)
    _publish(sessions, [_point(site, SignalKind.PRICE, start, k, v) for k, v in enumerate(row)])


def _publish(sessions: SessionFactory, points: list[SignalPoint]) -> None:
    with transaction(sessions) as session:
        insert_values(session, points, BY)


def _lose(sessions: SessionFactory, draw: Draw, site: str) -> None:
    """Record what a dispatcher does whose cluster says that half of its nodes are down."""
    with transaction(sessions) as session:
        session.merge(
            PoolState(
                site=site,
                pool=POOL,
                gpus_total=draw.gpus_per_site,
                gpus_available=draw.gpus_per_site // 2,
                gpus_in_use=0,
                gpus_of_others=0,
                seen_at=_now(),
            )
        )


def _call(sessions: SessionFactory, site: str, start: datetime) -> None:
    """Call for an import of nearly nothing from the third hour on."""
    window = Window(start + timedelta(hours=2), start + timedelta(hours=4))
    with transaction(sessions) as session:
        create_event(session, GridEventNotice(f"call-{site}", site, window, 1.0, 1.0), BY, _now())


def _point(site: str, kind: SignalKind, start: datetime, hour: int, value: float) -> SignalPoint:
    return SignalPoint(site, kind, start + timedelta(hours=hour), 60, float(value), _now())


def _signals(draw: Draw, start: datetime) -> list[SignalPoint]:
    """Prices, which hold the carbon already, and PV; a day beyond the horizon."""
    n_slots = draw.size.n_slots
    points = []
    for row, site in enumerate(SITES):
        for hour in range(n_slots + 24):
            price = draw.import_eur_per_mwh[row, hour % n_slots]
            points.append(_point(site, SignalKind.PRICE, start, hour, price))
            points.append(_point(site, SignalKind.CARBON_INTENSITY, start, hour, 0.0))
            points.append(_point(site, SignalKind.PV, start, hour, draw.pv_kw[hour % n_slots]))
    return points


def _fleet(draw: Draw) -> FleetSpec:
    battery = {
        "power_kw": draw.battery_kw,
        "capacity_kwh": draw.battery_kwh,
        "charge_efficiency": ONE_WAY_EFFICIENCY,
        "discharge_efficiency": ONE_WAY_EFFICIENCY,
        "wear_per_kwh": WEAR_EUR_PER_KWH,
    }
    sites = [
        {
            "name": site,
            "time_zone": "UTC",
            "grid": {"import_limit_kw": 1e5},
            "pools": [{"name": POOL, "gpus": draw.gpus_per_site}],
            "has_pv": True,
            "batteries": [battery],
        }
        for site in SITES
    ]
    planning = {
        "horizon_hours": draw.size.n_slots,
        "time_limit_s": DAY_LIMIT_S,
        "mip_gap": 0.01,
        "approval": "always",
        "weights": {"churn_eur_per_job": 0.01},
        "replan": REPLAN,
    }
    return FleetSpec.model_validate({"planning": planning, "sites": sites})


def _jobs(draw: Draw, start: datetime) -> list[JobSpec]:
    columns = (draw.duration, draw.gpus, draw.is_interruptible, draw.release, draw.deadline)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [
        JobSpec.model_validate(
            {
                "name": f"job-{n}",
                "work_hours": float(hours),
                "operating_points": [{"pool": POOL, "gpus": gpus, "kw": KW_PER_GPU * gpus}],
                "release_at": start + timedelta(hours=release),
                "deadline_at": start + timedelta(hours=deadline),
                "value_eur": UNSERVED_EUR_PER_GPU_HOUR * gpus * hours,
                "pausing": {} if may_pause else None,
                "command": ["true"],
            }
        )
        for n, (hours, gpus, may_pause, release, deadline) in enumerate(rows)
    ]


if __name__ == "__main__":
    main()
