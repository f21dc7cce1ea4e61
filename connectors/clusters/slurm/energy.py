"""Slurm's own counters of power, as a source of measured power."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from connectors.clusters.slurm.config import SlurmPool
from connectors.clusters.slurm.gpus import gpus_of, is_away
from connectors.clusters.slurm.transport import NodePower, SlurmTransport
from connectors.errors import ConnectorError
from connectors.types import MeasuredPower, PowerScope


class SlurmCounters:
    """Implements ``PowerSource``: what the nodes of the pools last told their controller.

    Parameters
    ----------
    scope
        What the cluster's AcctGatherEnergyType counts; Slurm does not say.
    stale_after_s
        A figure that is older by the controller's clock is none. How often it is taken is
        AcctGatherNodeFreq of the cluster; by default never. Before 23.02 Slurm does not say how old
        it is.
    """

    name = "slurm"

    def __init__(
        self,
        transport: SlurmTransport,
        pools: Sequence[SlurmPool],
        scope: PowerScope = PowerScope.NODES,
        stale_after_s: float = 300.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.scope = scope
        self._transport = transport
        self._pools = tuple(pools)
        self._stale_after_s = stale_after_s
        self._clock = clock

    async def read(self) -> MeasuredPower:
        """Power now. A node that is away has no say; any other that does not tell is silent."""
        nodes = [node for node in await self._transport.nodes() if not is_away(node)]
        told = await self._transport.node_power()
        now = await self._now()
        gpus: dict[str, int] = {}
        for pool in self._pools:
            for one in gpus_of(pool, nodes):
                gpus[one.node] = gpus.get(one.node, 0) + one.total
        silent = {name: self._why_silent(told.get(name), now) for name in sorted(gpus)}
        heard = [name for name in gpus if not silent[name]]
        return MeasuredPower(
            sum(told[name].watts for name in heard) / 1000,
            sum(gpus[name] for name in heard),
            tuple(f"node {name}: {why}" for name, why in silent.items() if why),
        )

    async def _now(self) -> float:
        """Return the time by the clock of the cluster, by which its figures are dated."""
        try:
            return await self._transport.time()
        except ConnectorError:
            return self._clock()  # the figures may be had where this may not

    def _why_silent(self, power: NodePower | None, now: float) -> str:
        if power is None:
            return "its power is not known to Slurm"
        if power.at is None:
            return ""
        age_s = now - power.at
        is_stale = age_s > self._stale_after_s
        return f"its power is {age_s:.0f} s old, AcctGatherNodeFreq?" if is_stale else ""
