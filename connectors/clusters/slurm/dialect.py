"""Slurm's JSON, of commands and of REST, from 22.05 to today.

The newer dialects (data_parser v0.0.40 and later) wrap some numbers as ``{"set", "infinite",
"number"}``, give states as lists, and the comment as one of three.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from connectors.clusters.slurm.transport import NodePower, RunRef, SlurmJob, SlurmNode
from connectors.errors import ContractBroken

_BRACKETS = re.compile(r"\([^)]*\)")
_NAME = re.compile(r"\bNodeName=(\S+)")
_WATTS = re.compile(r"\bCurrentWatts=(\d+)")
_NO_VALUE = 0xFFFFFFFE  # NO_VAL
_THOUSANDS = {"K": 1024, "M": 1024**2, "G": 1024**3}


def read_jobs(answer: Mapping[str, Any]) -> tuple[SlurmJob, ...]:
    """Read the answer that lists jobs."""
    return tuple(_each(answer, "jobs", _job))


def read_nodes(answer: Mapping[str, Any]) -> tuple[SlurmNode, ...]:
    """Read the answer that lists nodes."""
    return tuple(_each(answer, "nodes", _node))


def read_time(answer: Mapping[str, Any]) -> float:
    """Read the time of the controller in the answer that tells its statistics [s since 1970]."""
    try:
        found = _number(answer["statistics"]["req_time"])
    except (KeyError, TypeError, ValueError) as error:
        raise ContractBroken(f"Slurm's statistics: {type(error).__name__}: {error}") from error
    if not found:
        raise ContractBroken(f"Slurm's statistics: req_time = {found}, must be a time")
    return found


def read_node_power(answer: Mapping[str, Any]) -> dict[str, NodePower]:
    """Read what the answer that lists nodes says of their power; dialects before 23.02 nothing.

    Without a plugin that measures Slurm says 0 W, collected never.
    """
    found = _each(answer, "nodes", lambda node: (node["name"], _power(node.get("energy") or {})))
    return {name: power for name, power in found if power is not None}


def read_node_power_lines(text: str) -> dict[str, NodePower]:
    """Read the same of ``scontrol show node --oneliner``, which does not say how old it is."""
    found: dict[str, NodePower] = {}
    for line in text.splitlines():
        name, watts = _NAME.search(line), _WATTS.search(line)
        if name is not None and watts is not None and 0 < int(watts[1]) < _NO_VALUE:
            found[name[1]] = NodePower(float(watts[1]), None)
    return found


def read_gpus(gres: str) -> dict[str, int]:
    """Read ``gpu:a100:4(S:0-1),nic:1`` as GPUs by type, ``gpu:4`` as those without one."""
    found: dict[str, int] = {}
    for part in _BRACKETS.sub("", gres).split(","):
        name, *rest = part.strip().split(":")
        if name != "gpu" or not rest:
            continue
        kind = rest[0] if len(rest) > 1 else ""
        found[kind] = found.get(kind, 0) + _count(rest[-1])
    return found


def _each(answer: Mapping[str, Any], what: str, read: Any) -> Iterable[Any]:
    try:
        return [read(record) for record in answer[what]]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ContractBroken(f"Slurm's list of {what}: {type(error).__name__}: {error}") from error


def _job(record: Mapping[str, Any]) -> SlurmJob:
    comment = record.get("comment") or ""
    if isinstance(comment, Mapping):
        comment = comment.get("job") or ""
    # None of ours is an array: what bears our comment and is one was copied from us by a job.
    is_of_array = bool(_number(record.get("array_job_id")))
    return SlurmJob(
        id=int(record["job_id"]),
        ref=None if is_of_array else RunRef.read(comment),
        states=_states(record["job_state"]),
        reason=record.get("state_reason") or "",
    )


def _node(record: Mapping[str, Any]) -> SlurmNode:
    return SlurmNode(
        name=record["name"],
        states=_states(record["state"]) | _states(record.get("state_flags") or []),
        partitions=frozenset(record["partitions"]),
        features=frozenset(_listed(record.get("active_features") or "")),
        gpus=read_gpus(record.get("gres") or ""),
        gpus_used=read_gpus(record.get("gres_used") or ""),
        cpus=int(_number(record.get("effective_cpus") or record.get("cpus")) or 0),
    )


def _power(energy: Mapping[str, Any]) -> NodePower | None:
    watts = _number(energy.get("current_watts"))
    at = _number(energy.get("last_collected"))
    return NodePower(watts, at) if watts and at else None


def _number(found: Any) -> float | None:
    if isinstance(found, Mapping):
        found = found["number"] if found["set"] and not found["infinite"] else None
    return None if found is None or found == _NO_VALUE else float(found)


def _states(found: str | list[str]) -> frozenset[str]:
    names = [found] if isinstance(found, str) else found
    return frozenset(name.upper() for name in names)


def _listed(found: str | list[str]) -> list[str]:
    return found.split(",") if isinstance(found, str) else found


def _count(text: str) -> int:
    unit = _THOUSANDS.get(text[-1:].upper())
    return int(text) if unit is None else int(text[:-1]) * unit
