"""What the jobs saw, beside what the scheduler says of them: what was lost, doubled or late."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.chaos.day import START, Kind
from scheduler.db.models import Job, JobStatus


@dataclass(frozen=True, slots=True)
class Seen:
    """What one job wrote: instants and words, in their order."""

    lines: tuple[tuple[datetime, str], ...]

    def count(self, word: str) -> int:
        """How often it wrote ``word``."""
        return sum(line.split()[0] == word for _, line in self.lines)

    @property
    def done_at(self) -> datetime | None:
        """When it was done."""
        return next((at for at, line in self.lines if line == "done"), None)


@dataclass(frozen=True, slots=True)
class Judged:
    """One job, and what is wrong with it; nothing where all is as it must be."""

    kind: Kind
    row: Job
    seen: Seen
    faults: tuple[str, ...]


def read_evidence(folder: Path, job: str) -> Seen:
    """Read what a job wrote; nothing where it never ran."""
    file = folder / job
    if not file.exists():
        return Seen(())
    lines = (line.split(" ", 1) for line in file.read_text().splitlines())
    return Seen(tuple((datetime.fromtimestamp(float(at), UTC), text) for at, text in lines))


def judge(row: Job, kind: Kind, seen: Seen, deadline: datetime) -> Judged:
    """Hold a job against what was promised; ``deadline`` is in real time, as its lines are."""
    return Judged(kind, row, seen, tuple(_faults(row, kind, seen, deadline)))


def _faults(row: Job, kind: Kind, seen: Seen, deadline: datetime) -> list[str]:
    is_done = seen.done_at is not None
    is_lost = row.status is JobStatus.FAILED and not kind.may_run_again and seen.count("start") == 1
    found = {
        "run twice at once": seen.count("twice") > 0,
        "run again though done": seen.count("again") > 0 or seen.count("done") > 1,
        "started again though that may not be": not kind.may_run_again and seen.count("start") > 1,
        "on GPUs that another had": seen.count("GPU") > 0,
        "said to be done, and is not": row.status is JobStatus.SUCCEEDED and not is_done,
        "done, and not said to be": row.status is not JobStatus.SUCCEEDED and is_done,
        "not done": not is_done and not is_lost,
        "late": is_done and seen.done_at is not None and seen.done_at > deadline,
    }
    return [what for what, is_so in found.items() if is_so]


def restarts(seen: Seen) -> int:
    """How often it was started after the first time."""
    return max(0, seen.count("start") - 1)


def real_time(instant: datetime, began: datetime, factor: float) -> datetime:
    """Return when the clock of the day, which showed its start at ``began``, shows ``instant``."""
    return began + (instant - START) / factor
