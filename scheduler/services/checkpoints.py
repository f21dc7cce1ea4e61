"""What a job's checkpoints are worth, from how it leaves a run and how it goes on. Pure.

Only the job knows what it saved. What it leaves with is taken for its word: a code that its spec
names says that it saved, any other, and SIGKILL at the end of its grace, that it did not. Then it
is worth what it was at its last good pause. A continuation that crashes at once says that what was
saved was of no use. After so many failures as its spec says a job is not paused any more: each
further pause would be a loss.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from connectors.types import JobObservation, SuspendBy
from scheduler.db.models import Job
from scheduler.services.work import speed_of, work_done_hours
from scheduler.specs import JobSpec

AT_ONCE_HOURS = 5 / 60  # a continuation that crashes within this time has read what was saved
_SIGNALLED = 128  # as shells tell the number of a signal
_KILLED = _SIGNALLED + 9


def pause_changes(
    row: Job, spec: JobSpec, seen: JobObservation, done_hours: float
) -> dict[str, Any]:
    """Return what follows from how a job left that is paused, having done ``done_hours``.

    Nothing where nobody saw how it left, or where it was frozen and so did not leave.
    """
    pausing = spec.pausing
    if pausing is None or spec.suspend_by is SuspendBy.FREEZE or seen.exit_code is None:
        return {}
    code = _SIGNALLED - seen.exit_code if seen.exit_code < 0 else seen.exit_code
    if code in pausing.saved_exit_codes:
        return {"work_saved_hours": done_hours}
    how = "it was killed in its grace" if code == _KILLED else f"it left with exit code {code}"
    failed = _failed(row, spec, f"when it was paused {how}")
    return failed | {
        "work_done_hours": row.work_saved_hours,
        "reason": f"{seen.reason}; {failed['checkpoint_problem']}",
    }


def crash_changes(row: Job, spec: JobSpec, seen: JobObservation, now: datetime) -> dict[str, Any]:
    """Return what follows from a crash for what had been saved; nothing unless it came at once."""
    has_saved = spec.keeps_checkpoints and row.work_saved_hours > 0 and seen.starts > 1
    since_hours = work_done_hours(row, spec, now) - row.work_saved_hours
    if not has_saved or since_hours > AT_ONCE_HOURS * speed_of(spec, row.point):
        return {}
    return _failed(row, spec, f"its continuation crashed at once ({seen.reason})")


def _failed(row: Job, spec: JobSpec, why: str) -> dict[str, Any]:
    failed = row.failed_checkpoints + 1
    most = "" if spec.pausing is None else f" of {spec.pausing.max_failed_checkpoints}"
    problem = f"checkpoint failed, {failed}{most}: {why}"
    if not spec.may_be_paused(failed):
        problem += "; it is not paused any more"
    return {"failed_checkpoints": failed, "checkpoint_problem": problem}
