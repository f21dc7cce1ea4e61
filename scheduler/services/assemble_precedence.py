"""Which jobs a window holds once predecessors are looked at: done, failed, cut or left out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from optimizer import Job


@dataclass(slots=True)
class Sorting:
    """Jobs while they are sorted into those a window holds and those it does not, by name.

    ``cut`` are those of ``kept`` that are not done within the window.
    """

    done: set[str]
    failed: set[str]
    kept: dict[str, Job] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    left_out: dict[str, str] = field(default_factory=dict)
    marks: list[str] = field(default_factory=list)


def apply_precedence(sorting: Sorting) -> tuple[Job, ...]:
    """Drop predecessors that are done; leave out jobs whose predecessor cannot be done here.

    Adds the reason for each to ``sorting.left_out``. A job that began has its predecessors behind
    it.
    """
    pending = True
    while pending:
        obstacles = {name: _obstacle(job, sorting) for name, job in sorting.kept.items()}
        blocked = {name: reason for name, reason in obstacles.items() if reason is not None}
        for name, reason in blocked.items():
            del sorting.kept[name]
            sorting.left_out[name] = reason
        pending = bool(blocked)
    return tuple(
        replace(job, after=tuple(name for name in job.after if _is_awaited(name, job, sorting)))
        for job in sorting.kept.values()
    )


def _has_begun(job: Job) -> bool:
    return job.had_started or (job.pin is not None and job.pin.is_running)


def _is_awaited(name: str, job: Job, sorting: Sorting) -> bool:
    return name in sorting.kept and not _has_begun(job)


def _obstacle(job: Job, sorting: Sorting) -> str | None:
    if _has_begun(job):
        return None
    for name in job.after:
        if name in sorting.done:
            continue
        if name in sorting.failed:
            return f"its predecessor {name} did not succeed"
        if name in sorting.cut:
            return f"its predecessor {name} is not done within the window"
        if name not in sorting.kept:
            return f"its predecessor {name} is not in the plan"
    return None
