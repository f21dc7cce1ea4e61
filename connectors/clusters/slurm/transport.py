"""How Slurm is spoken to, whichever way; what is asked of it and what it answers. Frozen."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

_MARK = "gridtide"


@dataclass(frozen=True, slots=True)
class RunRef:
    """Which run of which job a Slurm job is for, kept in its comment.

    ``memory`` names the folder the job is kept in: others may use the same cluster.
    """

    memory: str
    run: int
    key: str

    @property
    def comment(self) -> str:
        """As Slurm keeps it."""
        return f"{_MARK} {self.memory} {self.run} {self.key}"

    @classmethod
    def read(cls, comment: str) -> RunRef | None:
        """Read a comment; ``None`` where it is somebody else's."""
        mark, *rest = comment.split(" ", 3)
        if mark != _MARK or len(rest) != 3 or not rest[1].isdigit():
            return None
        return cls(rest[0], int(rest[1]), rest[2])


@dataclass(frozen=True, slots=True)
class SlurmJob:
    """A job as Slurm knows it; ``ref`` is ``None`` where it is not ours."""

    id: int
    ref: RunRef | None
    states: frozenset[str]
    reason: str  # why it waits, or why it is over

    @property
    def is_over(self) -> bool:
        """Whether it will not run any more."""
        return not self.states & _ACTIVE

    @property
    def has_gpus(self) -> bool:
        """Whether GPUs are given to it now."""
        return not self.is_over and not self.states & _WITHOUT_GPUS

    @property
    def is_completing(self) -> bool:
        """Whether it is being cleared away, its GPUs not yet free."""
        return "COMPLETING" in self.states

    @property
    def is_held(self) -> bool:
        """Whether it waits to be released by its owner."""
        return "PENDING" in self.states and self.reason == "JobHeldUser"

    @property
    def state(self) -> str:
        """Its states in words."""
        return " ".join(sorted(self.states)) or "nothing"


_WITHOUT_GPUS = frozenset(("PENDING", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"))
_ACTIVE = frozenset(
    (
        "PENDING",
        "RUNNING",
        "SUSPENDED",
        "CONFIGURING",
        "COMPLETING",
        "REQUEUED",
        "REQUEUE_HOLD",
        "REQUEUE_FED",
        "RESIZING",
        "SIGNALING",
        "SPECIAL_EXIT",
        "STAGE_OUT",
        "STOPPED",
    )
)


@dataclass(frozen=True, slots=True)
class SlurmNode:
    """A node as Slurm knows it; GPUs by type, under ``""`` those without one."""

    name: str
    states: frozenset[str]
    partitions: frozenset[str]
    features: frozenset[str]
    gpus: dict[str, int]
    gpus_used: dict[str, int]
    cpus: int = 0  # that jobs may have


@dataclass(frozen=True, slots=True)
class NodePower:
    """What a node last told its controller that it draws; ``at`` [s since 1970] where known."""

    watts: float
    at: float | None


@dataclass(frozen=True, slots=True)
class StepAccount:
    """What slurmdbd has on record of a step, on all its nodes; ``joules`` where anybody measured.

    ``is_silent_somewhere``: one of its nodes told none.
    """

    name: str  # "batch", "extern", or its number
    nodes: int
    start_at: float  # [s since 1970], as all instants here
    end_at: float | None
    joules: float | None
    is_silent_somewhere: bool = False


@dataclass(frozen=True, slots=True)
class JobAccount:
    """What slurmdbd has on record of one allocation: a job that was requeued had several.

    ``end_at`` is ``None`` while it has them.
    """

    job_id: int
    name: str
    start_at: float
    end_at: float | None
    was_suspended: bool  # by Slurm, for however long
    nodes: str  # as a host list
    cpus: int
    steps: tuple[StepAccount, ...]


@dataclass(frozen=True, slots=True)
class Submission:
    """A job to be submitted."""

    name: str
    ref: RunRef
    script: str
    folder: str  # where it starts
    output: str  # what the script itself prints
    partition: str
    nodes: int
    gres: str | None  # per node, e.g. gpu:a100:2
    features: tuple[str, ...]
    account: str | None
    qos: str | None
    reservation: str | None
    cpus: int | None  # per node
    memory_mb: int | None  # per node
    time_limit_minutes: int | None
    is_requeued: bool  # by Slurm itself, where its node is lost or it is preempted


class SlurmTransport(Protocol):
    """A way to speak to one Slurm cluster. Raises only ``connectors.errors.ConnectorError``."""

    async def jobs(self) -> tuple[SlurmJob, ...]:
        """Every job Slurm knows, those over a while ago excepted."""
        ...

    async def nodes(self) -> tuple[SlurmNode, ...]:
        """Every node."""
        ...

    async def time(self) -> float:
        """Now by the clock of the controller, in whole seconds since 1970."""
        ...

    async def node_power(self) -> dict[str, NodePower]:
        """Power of the nodes of which Slurm knows any, by name."""
        ...

    async def accounts(self, job_ids: Collection[int]) -> tuple[JobAccount, ...]:
        """Everything slurmdbd has of these jobs, in one call; of one it does not know, nothing."""
        ...

    async def submit_held(self, submission: Submission) -> int:
        """Submit a job that waits to be released; return its id."""
        ...

    async def release(self, job_id: int) -> None:
        """Let a held job start; nothing to do where it is over."""
        ...

    async def cancel(self, job_id: int) -> None:
        """End a job; nothing to do where it is over."""
        ...
