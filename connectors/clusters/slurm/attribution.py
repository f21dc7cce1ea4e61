"""Whose energy it is that slurmdbd keeps of the steps of a job. Pure.

A step that was on all nodes of its job from beginning to end tells the energy of the job: the
``extern`` step, which ``PrologFlags=Contain`` makes, or on one node that of the batch script. Steps
are not added up, since those that run side by side on a node each count it whole. Nor is the figure
of the allocation taken: one that was requeued has none.

The counter of a node does not say who used it. So a job that shared its nodes, or stood still in
memory while others had them, has no energy of its own, and that is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from connectors.clusters.slurm.standing import host_names
from connectors.clusters.slurm.transport import JobAccount, SlurmNode, StepAccount
from connectors.types import PowerScope

CLOCKS_S = 60.0  # by which clocks of nodes and controller differ, and steps begin late, at most
_WHOLE = 0.9  # of its job, as a share, is at least a step that was there from beginning to end
_ROUNDED_S = 1.0  # both are on record in whole seconds
_JOULES_PER_KWH = 3.6e6
_MOST_KW_PER_NODE = 100.0


def attribute(
    account: JobAccount, nodes: Mapping[str, SlurmNode], scope: PowerScope
) -> tuple[float | None, str]:
    """Return the energy of ``account``, which is over [kWh]; or ``None`` and why nobody knows it.

    ``nodes`` are those of the cluster, by name.
    """
    step = _whole_step(account)
    reason = next(_objections(account, step, nodes, scope), "")
    if reason or step is None or step.joules is None:
        return None, reason
    return step.joules / _JOULES_PER_KWH, ""


def _objections(
    account: JobAccount,
    step: StepAccount | None,
    nodes: Mapping[str, SlurmNode],
    scope: PowerScope,
) -> Iterator[str]:
    """Say what stands against taking the energy of ``step`` for that of its job."""
    names = host_names(account.nodes)
    if all(one.joules is None for one in account.steps):
        yield "slurmdbd has no energy of it: nothing measures it, see AcctGatherEnergyType"
    if account.was_suspended:
        yield "Slurm suspended it for a while, in which others may have had its nodes"
    if scope is PowerScope.NODES:
        yield from _shared(account, names, nodes)
    if step is None:
        yield (
            f"no step of it was on its {len(names)} nodes from beginning to end; with"
            " PrologFlags=Contain one is"
        )
    elif step.joules is None:
        yield f"its step {step.name} has no energy on record"
    elif step.is_silent_somewhere:
        yield f"not all of its {len(names)} nodes told their energy"
    else:
        hours = max(1.0, (account.end_at or 0.0) - account.start_at) / 3600
        kw = step.joules / _JOULES_PER_KWH / hours / len(names)
        if kw > _MOST_KW_PER_NODE:
            yield f"{kw:.4g} kW for each of its nodes, must be <= {_MOST_KW_PER_NODE:g}"


def _shared(
    account: JobAccount, names: tuple[str, ...], nodes: Mapping[str, SlurmNode]
) -> Iterator[str]:
    """Say where others may have used its nodes. Who has all CPUs of a node has it alone."""
    unknown = [name for name in names if name not in nodes or nodes[name].cpus == 0]
    if unknown or not names:
        node = f"node {unknown[0]}" if unknown else "its node"
        yield f"{node} is not known any more, so nor is whether it had it alone"
        return
    there = sum(nodes[name].cpus for name in names)
    if account.cpus < there:
        yield (
            f"it shared its nodes, whose energy Slurm counts whole: it had {account.cpus} of"
            f" {there} CPUs"
        )


def _whole_step(account: JobAccount) -> StepAccount | None:
    """Return a step that was everywhere all the time; of several the one that counted most."""
    n_nodes = len(host_names(account.nodes))
    end_at = account.start_at if account.end_at is None else account.end_at
    least_s = _WHOLE * (end_at - account.start_at) - _ROUNDED_S
    whole = [
        step
        for step in account.steps
        if step.nodes == n_nodes
        and step.start_at <= account.start_at + CLOCKS_S
        and step.end_at is not None
        and account.end_at is not None
        and step.end_at >= account.end_at - CLOCKS_S
        and step.end_at - step.start_at >= least_s
    ]
    return max(whole, key=lambda step: step.joules or 0.0, default=None)
