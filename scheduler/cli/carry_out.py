"""Carries out the plan in force for a while, on a clock that runs faster than real time."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from connectors.protocols import Cluster
from scheduler.cli.console import UserError, stderr
from scheduler.db.models import CommandOutcome, DispatchCommand, Job, JobStatus
from scheduler.db.session import SessionFactory
from scheduler.services.dispatch import Dispatcher
from scheduler.services.outside import Outside
from scheduler.timekeeping import Now

TICK_S = 0.25
POLL_S = 0.1
END_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Tally:
    """What was carried out: jobs by where they stand, and commands by kind and outcome."""

    start: datetime
    end: datetime
    jobs: Counter[JobStatus]
    starts: int
    commands: Counter[str]
    outcomes: Counter[CommandOutcome]

    @property
    def is_clean(self) -> bool:
        """Whether no job failed and no command was refused."""
        refused = self.outcomes[CommandOutcome.REFUSED]
        return not self.jobs[JobStatus.FAILED] and not refused

    def __str__(self) -> str:
        span = f"{self.start:%H:%M} to {self.end:%H:%M} UTC"
        standing = ", ".join(f"{n} {status.value}" for status, n in sorted(self.jobs.items()))
        sent = ", ".join(f"{n} {kind}" for kind, n in sorted(self.commands.items()))
        return (
            f"Carried out from {span} with real processes: {self.starts} starts; {standing}.\n"
            f"Commands sent: {sent}; {self.outcomes[CommandOutcome.DONE]} done,"
            f" {self.outcomes[CommandOutcome.REFUSED]} refused."
        )


def carry_out(sessions: SessionFactory, outside: Outside, now: Now, span: timedelta) -> Tally:
    """Dispatch until ``span`` has passed on the clock ``now``; no job is left running."""
    start = now()
    dispatcher = Dispatcher(sessions, lambda _fleet: outside, now)
    try:
        with _live_line() as show:
            while (at := now()) < start + span:
                dispatcher.tick()
                show(f"{at:%H:%M} UTC  {_standing(sessions)}")
                time.sleep(TICK_S)
        return _tally(sessions, start, now())
    finally:
        end_all_jobs(outside)


def end_all_jobs(outside: Outside) -> None:
    """Cancel whatever runs on the clusters, and wait until it has ended."""
    for name, cluster in outside.clusters.items():
        left = asyncio.run(_cancel_all(cluster))
        if left:
            raise UserError(f"site {name}: jobs that will not end: {', '.join(left)}")


async def _cancel_all(cluster: Cluster) -> list[str]:
    """Keys of the jobs that are still there at the end of our patience."""
    until_s = time.monotonic() + END_WITHIN_S
    while True:
        left = [seen.key for seen in await cluster.observe() if not seen.state.is_final]
        if not left or time.monotonic() > until_s:
            return left
        for key in left:
            await cluster.cancel(key)
        await asyncio.sleep(POLL_S)


def _standing(sessions: SessionFactory) -> str:
    jobs = _jobs_by_status(sessions)
    return "  ".join(f"{n} {status.value}" for status, n in sorted(jobs.items()))


def _jobs_by_status(sessions: SessionFactory) -> Counter[JobStatus]:
    with sessions() as session:
        rows = session.execute(
            select(Job.status, func.count().label("n")).group_by(Job.status)
        ).all()
    return Counter({row.status: row.n for row in rows})


def _tally(sessions: SessionFactory, start: datetime, end: datetime) -> Tally:
    with sessions() as session:
        sent = session.execute(select(DispatchCommand.kind, DispatchCommand.outcome)).all()
        starts = session.scalar(select(func.sum(Job.starts))) or 0
    return Tally(
        start=start,
        end=end,
        jobs=_jobs_by_status(sessions),
        starts=starts,
        commands=Counter(row.kind.value.replace("_", " ") for row in sent),
        outcomes=Counter(row.outcome for row in sent),
    )


@contextmanager
def _live_line() -> Iterator[Callable[[str], None]]:
    """Show one line that changes, on a terminal; elsewhere, say once that it goes on."""
    console = stderr()
    if not console.is_terminal:
        console.print("Carrying out ...", markup=False, highlight=False)
        yield lambda _text: None
        return
    with console.status("Carrying out") as status:
        yield lambda text: status.update(f"Carrying out: {text}")
