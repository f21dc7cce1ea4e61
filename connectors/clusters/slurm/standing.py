"""Where a job stands, from what its folder says and what Slurm says. Pure."""

from __future__ import annotations

import re
from datetime import datetime

from connectors.clusters.caps import cap_in_force
from connectors.clusters.slurm.folder import End, How, Phase, Records
from connectors.clusters.slurm.transport import SlurmJob
from connectors.types import JobObservation, JobState

_NOT_LAUNCHED = "JobLaunchFailure"
_NOT_ITS_FAULT = frozenset(("BOOT_FAIL", "NODE_FAIL", "PREEMPTED"))
_SAID_BY_SLURM = (
    ("PREEMPTED", JobState.SUSPENDED, "preempted: PREEMPTED"),
    ("CANCELLED", JobState.CANCELLED, "cancelled on the cluster"),
    ("TIMEOUT", JobState.FAILED, "its time limit on the cluster was reached"),
    ("DEADLINE", JobState.FAILED, "its deadline on the cluster was reached"),
    ("OUT_OF_MEMORY", JobState.FAILED, "it ran out of memory"),
    ("NODE_FAIL", JobState.FAILED, "its node was lost"),
)
_GROUP = re.compile(r"([^,\[]+)(?:\[([^\]]*)\])?")


def state_of(records: Records, row: SlurmJob | None) -> JobState:
    """Return where a job stands; ``row`` is the Slurm job of its wanted run, if Slurm knows it.

    Until Slurm has its GPUs back it runs, whatever it wrote down before.
    """
    if holds_gpus(records, row):
        return JobState.SUSPENDED if records.is_frozen else JobState.RUNNING
    if records.end is not None and records.end.how is not How.EVICTED:
        return _after(records.end, records)  # its own word counts, also if it was seen late
    if records.conclusion is not None:
        return _unless_cancelled(records, records.conclusion.state)
    if records.end is not None:
        return _after(records.end, records)
    if records.is_withdrawn:
        return _unless_cancelled(records, JobState.SUSPENDED)
    return JobState.QUEUED


def holds_gpus(records: Records, row: SlurmJob | None) -> bool:
    """Whether the job has GPUs now, running or frozen."""
    if not records.is_started:
        return False
    if records.end is not None and records.end.how is How.EVICTED:
        return row is not None and row.is_completing  # what it has after that is another attempt's
    is_done = records.conclusion is not None or records.end is not None
    return not is_done or (row is not None and row.has_gpus)


def is_asleep(records: Records, row: SlurmJob | None) -> bool:
    """Whether nothing happens to it before it is told something: it is over, or paused."""
    state = state_of(records, row)
    is_paused = state is JobState.SUSPENDED and not holds_gpus(records, row)
    return state.is_final or is_paused


def conclusion(records: Records, row: SlurmJob | None) -> tuple[JobState, str] | None:
    """Say how a run ended of which Slurm says that it is over; ``None`` where its word stands."""
    is_evicted = records.end is not None and records.end.how is How.EVICTED
    if records.end is not None and not is_evicted:
        return None
    if records.wanted.phase is not Phase.RUN and (is_evicted or not records.is_started):
        return _unless_cancelled(records, JobState.SUSPENDED), "taken out of the queue of Slurm"
    states = frozenset() if row is None else row.states
    because = "" if row is None or row.reason in {"", "None"} else f" ({row.reason})"
    if row is not None and row.reason == _NOT_LAUNCHED:
        because = f" ({row.reason}: does its node see the folder of the cluster?)"
    if not records.is_started and states & _NOT_ITS_FAULT:
        return JobState.SUSPENDED, f"{' '.join(sorted(states))} before it was started{because}"
    for said, state, reason in _SAID_BY_SLURM:
        if said in states:
            return state, reason + because
    said = "Slurm knows it no more" if row is None else f"Slurm says {row.state}{because}"
    if records.end is not None:  # it was told to leave, and left
        return JobState.SUSPENDED, f"{records.end.reason}; {said}"
    word = "without a record of how it ended" if records.is_started else "before it was started"
    return JobState.FAILED, f"{said}, {word}"


def observation(records: Records, row: SlurmJob | None) -> JobObservation:
    """Return what the cluster reports of a job; ``row`` is its job in Slurm, if it knows one."""
    state = state_of(records, row)
    is_held = holds_gpus(records, row)
    nodes = host_names(records.nodes) if is_held else ()
    cap = cap_in_force(records.power_cap_w, records.caps if is_held else (), nodes)
    return JobObservation(
        key=records.order.key,
        state=state,
        pool=records.order.pool,
        gpus=records.order.gpus if is_held else 0,
        power_cap_w=records.power_cap_w,
        started_at=records.first_start_at,
        ended_at=_ended_at(records) if state.is_final else None,
        exit_code=_exit_code(records, state),
        starts=records.n_starts,
        reason=_reason(records, row, state),
        nodes=nodes,
        power_cap_in_force_w=cap.watts,
        power_cap_problem=cap.problem,
    )


def host_names(host_list: str) -> tuple[str, ...]:
    """Return the names in a host list such as ``n[1-2,07],login``."""
    names: list[str] = []
    for prefix, ranges in _GROUP.findall(host_list):
        if not ranges:
            names.append(prefix)
            continue
        for part in ranges.split(","):
            first, _, last = part.partition("-")
            numbers = range(int(first), int(last or first) + 1)
            names += [f"{prefix}{number:0{len(first)}d}" for number in numbers]
    return tuple(names)


def _after(end: End, records: Records) -> JobState:
    """Return where a job stands whose last attempt ended."""
    match end.how:
        case How.EXITED:
            return JobState.SUCCEEDED if end.exit_code == 0 else JobState.FAILED
        case How.PAUSED:
            return _unless_cancelled(records, JobState.SUSPENDED)
        case How.CANCELLED:
            return JobState.CANCELLED
        case How.EVICTED:  # Slurm may start it again: see conclusion
            return JobState.QUEUED


def _unless_cancelled(records: Records, state: JobState) -> JobState:
    is_cancelled = records.wanted.phase is Phase.CANCEL and not state.is_final
    return JobState.CANCELLED if is_cancelled else state


def _exit_code(records: Records, state: JobState) -> int | None:
    """Return what its last run left with, where it is over or left when we told it to pause."""
    end = records.end
    if end is None:
        return None
    has_left = state is JobState.SUSPENDED and records.is_started and end.how is How.PAUSED
    return end.exit_code if state.is_final or has_left else None


def _ended_at(records: Records) -> datetime | None:
    """Return when its node says that it ended; what we concluded is of our clock, and no end."""
    return None if records.end is None else records.end.at


def _reason(records: Records, row: SlurmJob | None, state: JobState) -> str:
    has_said = records.end is not None and records.end.how is not How.EVICTED
    if records.conclusion is not None and not has_said:
        return records.conclusion.reason
    if state is JobState.QUEUED:
        waits = "" if row is None or row.reason in {"", "None"} else f": {row.reason}"
        return f"in the queue of Slurm{waits}"
    if state is JobState.RUNNING:
        return "" if records.end is None else f"leaving: {records.end.reason}"
    if records.end is not None:
        is_exit = records.end.how is How.EXITED and records.end.exit_code != 0
        return f"exit code {records.end.exit_code}" if is_exit else records.end.reason
    if records.is_withdrawn:
        return f"{'cancelled' if state is JobState.CANCELLED else 'paused'} before it was started"
    return "frozen: in memory, its GPUs held" if records.is_frozen else ""
