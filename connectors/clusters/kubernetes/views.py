"""What we keep of the objects a cluster shows: parsed once, frozen, small."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from connectors.clusters.kubernetes import names
from connectors.clusters.kubernetes.orders import from_text
from connectors.clusters.kubernetes.quantities import whole
from connectors.errors import ContractBroken
from connectors.types import JobOrder

Object = Mapping[str, Any]


class Wanted(StrEnum):
    """What a run has been told; one that was told nothing yet is not released."""

    RUN = "run"
    PAUSE = "pause"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a run's pods, kept on its Job because pods do not last."""

    started_at: datetime | None = None
    ended_at: datetime | None = None
    exit_code: int | None = None
    reason: str = ""

    def as_text(self) -> str:
        """Return it for the annotation."""
        fields = asdict(self)
        at = {name: None if fields[name] is None else fields[name].isoformat() for name in _TIMES}
        return json.dumps(fields | at, sort_keys=True)

    @classmethod
    def from_text(cls, text: str | None) -> Seen:
        """Return what ``as_text`` wrote, or that nothing was seen."""
        if not text:
            return cls()
        fields = json.loads(text)
        return cls(**fields | {name: _instant(fields.get(name)) for name in _TIMES})


_TIMES = ("started_at", "ended_at")


@dataclass(frozen=True, slots=True)
class RunView:
    """A Job: one run of the job ``order.key``."""

    name: str
    uid: str
    version: int
    number: int
    order: JobOrder
    wanted: Wanted | None
    is_suspended: bool
    is_put_out: bool  # the controller has taken its pods away, or was not asked to make any
    has_succeeded: bool
    has_failed: bool
    ended_at: datetime | None
    message: str  # why it failed, in the controller's words
    power_cap_w: float | None
    seen: Seen
    created_at: datetime
    queue: str | None  # of Kueue, which then suspends it

    @property
    def has_ended(self) -> bool:
        """Whether the controller is done with it."""
        return self.has_succeeded or self.has_failed


@dataclass(frozen=True, slots=True)
class PodView:
    """A pod: a part of one of our runs, or something of others that holds GPUs."""

    name: str
    namespace: str
    uid: str
    run: str | None  # name of the Job it belongs to, where that is ours
    created_at: datetime
    node: str | None
    phase: str
    is_leaving: bool
    requests: Mapping[str, int]  # GPUs by resource
    power_cap: str | None
    capped: str | None  # what an agent on its node says of the cap
    seen: Seen
    waits_for: str  # why its container does not run yet
    index: int = 0

    @property
    def is_live(self) -> bool:
        """Whether it may still hold what it was given."""
        return self.phase not in {"Succeeded", "Failed"}


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node and its GPUs by resource."""

    name: str
    labels: Mapping[str, str]
    is_ready: bool
    is_cordoned: bool
    taints: tuple[tuple[str, str, str], ...]  # key, value, effect
    capacity: Mapping[str, int]
    allocatable: Mapping[str, int]


def run_view(job: Object) -> RunView | None:
    """Parse a Job; None where it is not one of ours."""
    meta = job["metadata"]
    notes = meta.get("annotations") or {}
    if names.ORDER not in notes:
        return None
    where = f"Job {meta['namespace']}/{meta['name']}"
    conditions = _conditions(job)
    over = conditions.get("Complete") or conditions.get("Failed") or {}
    status = job.get("status") or {}
    try:
        return RunView(
            name=meta["name"],
            uid=meta["uid"],
            version=int(meta["resourceVersion"]),
            number=int(meta["labels"][names.RUN_LABEL]),
            order=from_text(notes[names.ORDER], where),
            wanted=Wanted(notes[names.WANTED]) if names.WANTED in notes else None,
            is_suspended=bool(job["spec"].get("suspend")),
            is_put_out="Suspended" in conditions,
            has_succeeded="Complete" in conditions,
            has_failed="Failed" in conditions,
            ended_at=_instant(status.get("completionTime") or over.get("lastTransitionTime")),
            message=_join(over.get("reason"), over.get("message")) if over else "",
            power_cap_w=float(notes[names.POWER_CAP]) if notes.get(names.POWER_CAP) else None,
            seen=Seen.from_text(notes.get(names.SEEN)),
            created_at=_required_instant(meta["creationTimestamp"]),
            queue=meta["labels"].get(names.QUEUE_LABEL),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise ContractBroken(f"{where}: not as we made it: {error!r}") from error


def pod_view(pod: Object, namespace: str, resources: Iterable[str]) -> PodView | None:
    """Parse a pod; None where it is none of ours and holds no GPU."""
    meta, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    labels = meta.get("labels") or {}
    is_ours = meta["namespace"] == namespace and labels.get(names.MANAGED_BY) == names.OURS
    notes = meta.get("annotations") or {}
    requests = _requests(spec, resources)
    if not is_ours and (not requests or status.get("phase") in {"Succeeded", "Failed"}):
        return None
    return PodView(
        name=meta["name"],
        namespace=meta["namespace"],
        uid=meta["uid"],
        run=labels.get(names.OF_JOB_LABEL) if is_ours else None,
        created_at=_required_instant(meta["creationTimestamp"]),
        node=spec.get("nodeName"),
        phase=status.get("phase", "Pending"),
        is_leaving="deletionTimestamp" in meta,
        requests=requests,
        power_cap=notes.get(names.POWER_CAP),
        capped=notes.get(names.CAPPED) if is_ours else None,
        seen=_seen(pod),
        waits_for=_waits_for(pod),
        index=int(labels.get("batch.kubernetes.io/job-completion-index", 0)),
    )


def node_view(node: Object) -> NodeView:
    """Parse a node."""
    spec, status = node.get("spec") or {}, node.get("status") or {}
    return NodeView(
        name=node["metadata"]["name"],
        labels=node["metadata"].get("labels") or {},
        is_ready="Ready" in _conditions(node),
        is_cordoned=bool(spec.get("unschedulable")),
        taints=tuple(
            (taint["key"], taint.get("value", ""), taint["effect"])
            for taint in spec.get("taints") or []
        ),
        capacity=_gpus(status.get("capacity")),
        allocatable=_gpus(status.get("allocatable")),
    )


def _gpus(amounts: Mapping[str, Any] | None) -> dict[str, int]:
    # Only extended resources have a domain, and only those count whole things.
    return {name: whole(amount) for name, amount in (amounts or {}).items() if "/" in name}


def _requests(spec: Object, resources: Iterable[str]) -> dict[str, int]:
    def asked(container: Object, resource: str) -> int:
        amounts = container.get("resources") or {}
        both = {**(amounts.get("limits") or {}), **(amounts.get("requests") or {})}
        return whole(both.get(resource, 0))

    found = {}
    for resource in resources:
        together = sum(asked(container, resource) for container in spec["containers"])
        first = [asked(container, resource) for container in spec.get("initContainers") or []]
        most = max([together, *first])
        if most > 0:
            found[resource] = most
    return found


def _conditions(of: Object) -> dict[str, Object]:
    """Return the conditions that hold, by type."""
    conditions = (of.get("status") or {}).get("conditions") or []
    return {one["type"]: one for one in conditions if one["status"] == "True"}


def _seen(pod: Object) -> Seen:
    status = pod.get("status") or {}
    of_container: Object = next(iter(status.get("containerStatuses") or []), {})
    state = of_container.get("state") or {}
    ended = state.get("terminated") or {}
    started_at = _instant((state.get("running") or ended).get("startedAt"))
    if status.get("phase") not in {"Succeeded", "Failed"}:
        return Seen(started_at=started_at)
    seen = Seen(started_at, _instant(ended.get("finishedAt")), ended.get("exitCode"))
    disruption = _conditions(pod).get("DisruptionTarget")
    if disruption is not None:
        words = _join(disruption.get("reason"), disruption.get("message"))
        return replace(seen, exit_code=None, reason=f"disrupted: {words}")
    if status.get("reason"):
        words = _join(status["reason"], status.get("message"))
        return replace(seen, exit_code=None, reason=words)
    return replace(seen, reason=_describe(ended))


def _describe(ended: Object) -> str:
    """Say how a container ended that nobody but itself and its limits ended."""
    code = ended.get("exitCode")
    if not code:
        return ""
    words = f"exit code {code}"
    reason = ended.get("reason") or "Error"
    return words if reason == "Error" else f"{_join(reason, ended.get('message'))}, {words}"


def _waits_for(pod: Object) -> str:
    """Say why a pod's container does not run yet."""
    status = pod.get("status") or {}
    for container in status.get("containerStatuses") or []:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in {None, "ContainerCreating", "PodInitializing"}:
            return _join(waiting["reason"], waiting.get("message"))
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return _join(condition.get("reason"), condition.get("message"))
    return ""


def _join(reason: object, message: object) -> str:
    return ": ".join(str(part) for part in (reason, message) if part)


def _instant(text: str | None) -> datetime | None:
    return None if not text else _required_instant(text)


def _required_instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
