"""Which faults happen when: drawn from a seed, before anything runs. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tests.peers.gate import Trouble


class Kill(StrEnum):
    """What is ended by SIGKILL, and started again after a while."""

    DISPATCHER = "dispatcher"
    SUPERVISOR = "supervisor of a local job"
    SLURMCTLD = "slurmctld"
    SLURMD = "slurmd of a node"
    SLURM_NODE = "a Slurm node, with all that runs there"
    SLURMRESTD = "slurmrestd"
    API_SERVER = "kube-apiserver"
    CONTROLLERS = "kube-controller-manager"
    SCHEDULER = "kube-scheduler"
    KUBERNETES_NODE = "a Kubernetes node, with all that runs there"


SLURM, KUBERNETES = "slurm", "kubernetes"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes
    ----------
    at_s
        When, since the beginning [s].
    lasts_s
        After what time it is over [s].
    where
        The cluster that network trouble lies in front of, else empty.
    number
        Chooses among several of a kind: nodes, supervisors.
    """

    at_s: float
    what: Kill | Trouble
    where: str
    lasts_s: float
    number: int


# What happens how often, and for how many seconds at least and at most.
_KINDS: tuple[tuple[Kill | Trouble, str, float, tuple[float, float]], ...] = (
    (Kill.DISPATCHER, "", 6, (0, 4)),
    (Kill.SUPERVISOR, "", 2, (0, 0)),
    (Kill.SLURMCTLD, "", 2, (1, 6)),
    (Kill.SLURMD, "", 2, (1, 20)),
    (Kill.SLURM_NODE, "", 1, (5, 20)),
    (Kill.SLURMRESTD, "", 1, (1, 5)),
    (Kill.API_SERVER, "", 2, (1, 6)),
    (Kill.CONTROLLERS, "", 1, (1, 6)),
    (Kill.SCHEDULER, "", 1, (1, 6)),
    (Kill.KUBERNETES_NODE, "", 1, (5, 20)),
    *((trouble, cluster, 1.5, (1, 8)) for trouble in Trouble for cluster in (SLURM, KUBERNETES)),
)


def draw_faults(
    seed: int, count: int, within_s: float, can_be: Callable[[Kill | Trouble, str], bool]
) -> list[Fault]:
    """Draw ``count`` faults of those that can be, ``within_s`` of the beginning, in their order."""
    random_of = random.Random(seed)
    kinds = [kind for kind in _KINDS if can_be(kind[0], kind[1])]
    at_s = sorted(random_of.uniform(0, within_s) for _ in range(count))
    drawn = random_of.choices(kinds, [often for _, _, often, _ in kinds], k=count)
    return [
        Fault(at, what, where, random_of.uniform(*lasts), random_of.randrange(1 << 16))
        for at, (what, where, _, lasts) in zip(at_s, drawn, strict=True)
    ]
