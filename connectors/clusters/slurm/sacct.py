"""What slurmdbd answers about jobs, by ``sacct`` and by REST, from 22.05 to today.

Where nothing measures energy, Slurm says nothing, 0, or a number that stands for none (NO_VAL), and
older releases say what they get by subtracting from that. All of it is silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from connectors.clusters.slurm.transport import JobAccount, StepAccount
from connectors.errors import ContractBroken

_FIELDS = (
    *("JobIDRaw", "Start", "End", "Suspended", "ConsumedEnergyRaw", "TRESUsageInMin"),
    *("NNodes", "AllocCPUS", "NodeList", "JobName"),  # what may hold a separator comes last
)
SACCT = (
    *("env", "SLURM_TIME_FORMAT=%s", "sacct", "--parsable2", "--noheader", "--duplicates"),
    *(f"--format={','.join(_FIELDS)}", "--jobs"),
)
"""The command; the numbers of jobs come after it, with commas between them."""

_STEP = re.compile(r"(\d+)\.(\S+)")
_NO_VALUES = frozenset((0, 0xFFFFFFFE, 0xFFFFFFFF))  # NO_VAL, INFINITE
_NO_VALUES_FROM = 2**62  # NO_VAL64, INFINITE64, and what comes of reckoning with them


def read_account_lines(text: str) -> tuple[JobAccount, ...]:
    """Read what ``SACCT`` prints: every allocation, and after it its steps."""
    found: list[tuple[Sequence[str], list[StepAccount]]] = []
    try:
        for line in text.splitlines():
            fields = line.split("|", len(_FIELDS) - 1)
            if fields[0].isdigit():
                found.append((fields, []))
            elif (step := _STEP.fullmatch(fields[0])) is not None and found:
                found[-1][1].append(_step_of_line(step[2], fields))
        return tuple(_job_of_line(fields, steps) for fields, steps in found if _started(fields))
    except (IndexError, ValueError) as error:
        raise ContractBroken(f"sacct: {type(error).__name__}: {error}") from error


def read_accounts(answer: Mapping[str, Any]) -> tuple[JobAccount, ...]:
    """Read the answer of ``GET /slurmdb/.../jobs``."""
    try:
        return tuple(_job(record) for record in answer["jobs"] if _number(record["time"]["start"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ContractBroken(f"slurmdbd's jobs: {type(error).__name__}: {error}") from error


def _started(fields: Sequence[str]) -> bool:
    return fields[1].isdigit()


def _job_of_line(fields: Sequence[str], steps: Iterable[StepAccount]) -> JobAccount:
    number, start, end, suspended, _, _, _, cpus, nodes, name = fields
    return JobAccount(
        job_id=int(number),
        name=name,
        start_at=float(start),
        end_at=_instant(end),
        was_suspended=bool(re.search("[1-9]", suspended)),
        nodes=nodes,
        cpus=int(cpus),
        steps=tuple(steps),
    )


def _step_of_line(name: str, fields: Sequence[str]) -> StepAccount:
    _, start, end, _, joules, least, nodes, *_ = fields
    of_node = re.search(r"\benergy=(\d+)", least)
    return StepAccount(
        name=name,
        nodes=int(nodes or 0),
        start_at=float(start) if start.isdigit() else 0.0,
        end_at=_instant(end),
        joules=_joules(int(joules) if joules else None),
        is_silent_somewhere=of_node is not None and _joules(int(of_node[1])) is None,
    )


def _job(record: Mapping[str, Any]) -> JobAccount:
    time = record["time"]
    return JobAccount(
        job_id=int(record["job_id"]),
        name=record["name"] or "",
        start_at=float(_number(time["start"]) or 0),
        end_at=_number(time["end"]) or None,
        was_suspended=bool(_number(time["suspended"])),
        nodes=record["nodes"] or "",
        cpus=int(_count(record["tres"]["allocated"], "cpu") or 0),
        steps=tuple(_step(step) for step in record["steps"]),
    )


def _step(record: Mapping[str, Any]) -> StepAccount:
    time = record["time"]
    which = str(record["step"]["id"])  # "batch", or since v0.0.40 "123.batch"
    of_node = _count(record["tres"]["requested"]["min"], "energy")
    return StepAccount(
        name=which.rpartition(".")[2],
        nodes=int(record["nodes"]["count"]),
        start_at=float(_number(time["start"]) or 0),
        end_at=_number(time["end"]) or None,
        joules=_joules(_number(record["statistics"]["energy"]["consumed"])),
        is_silent_somewhere=of_node is not None and _joules(of_node) is None,
    )


def _count(tres: Iterable[Mapping[str, Any]], kind: str) -> float | None:
    return next((_number(one["count"]) for one in tres if one["type"] == kind), None)


def _number(found: Any) -> float | None:
    if isinstance(found, Mapping):
        found = found["number"] if found["set"] and not found["infinite"] else None
    return None if found is None else float(found)


def _joules(found: float | None) -> float | None:
    """Return what was measured; ``None`` for every number that says nothing was."""
    if found is None or found in _NO_VALUES or not 0 < found < _NO_VALUES_FROM:
        return None
    return float(found)


def _instant(text: str) -> float | None:
    """Read an instant; ``Unknown`` stands where it is not over."""
    return float(text) if text.isdigit() else None
