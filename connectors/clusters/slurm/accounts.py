"""Energy of single jobs, from what slurmdbd keeps of their steps.

Every start of a job is asked for once it is over, by the number of the Slurm job that claimed its
run; see ``attribution`` for what its energy is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from connectors.clusters.folders import in_thread, on_files
from connectors.clusters.slurm.attribution import CLOCKS_S, attribute
from connectors.clusters.slurm.folder import PastStart
from connectors.clusters.slurm.memory import Memory
from connectors.clusters.slurm.speech import job_name
from connectors.clusters.slurm.transport import JobAccount, SlurmNode, SlurmTransport
from connectors.types import PowerScope, StartEnergy

_IDS_AT_ONCE = 500  # a question is an argument of a program, or the address of a page
_NODE_CLOCK_S = 300.0  # by which a node's is off at most: beyond it munge refuses the node


@dataclass(frozen=True, slots=True)
class _Asked:
    """A start that is over, and what Slurm calls its job."""

    key: str
    name: str
    start: PastStart
    over_at: float
    begun_at: tuple[float, ...]  # the starts of the same Slurm job, in order, by clocks of nodes


class SlurmAccounts:
    """Implements ``EnergyAccounts``.

    Parameters
    ----------
    folder
        That of the cluster.
    scope
        What the cluster's AcctGatherEnergyType counts; Slurm does not say.
    settle_s
        How long after its end a job is asked for [s]: its last step may be on record after it.
    give_up_after_s
        After so long [s] a start that is not on record never will be; it counts while slurmdbd is
        away.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        transport: SlurmTransport,
        scope: PowerScope = PowerScope.NODES,
        *,
        settle_s: float = 120.0,
        give_up_after_s: float = 6 * 24 * 3600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self._memory = Memory(folder)
        self._transport = transport
        self._scope = scope
        self._settle_s = settle_s
        self._give_up_after_s = give_up_after_s
        self._clock = clock

    @on_files
    async def energy(self, keys: Collection[str]) -> tuple[StartEnergy, ...]:
        """Everything settled, by one question to slurmdbd and one for the nodes; none for none.

        There are several where there are more than 500 Slurm jobs to ask for.
        """
        await in_thread(self.name, self._memory.identity.require_same)
        asked = await in_thread(self.name, lambda: list(self._over(keys)))
        if not asked:
            return ()
        ids = sorted({one.start.slurm_job for one in asked})
        accounts: list[JobAccount] = []
        for first in range(0, len(ids), _IDS_AT_ONCE):
            accounts += await self._transport.accounts(ids[first : first + _IDS_AT_ONCE])
        nodes = {node.name: node for node in await self._transport.nodes()}
        found = (self._settled(one, _account_of(one, accounts), nodes) for one in asked)
        return tuple(one for one in found if one is not None)

    def _over(self, keys: Collection[str]) -> Iterable[_Asked]:
        until = self._clock() - self._settle_s
        for key in keys:
            folder = self._memory.folder(key)
            if not folder.path.exists():
                continue
            starts = folder.starts()
            for start in starts:
                over_at = None if start.over_at is None else start.over_at.timestamp()
                if over_at is not None and over_at <= until:
                    name = job_name(folder.order(start.run), start.run)
                    same = [one for one in starts if one.run == start.run]
                    begun_at = tuple(one.at.timestamp() for one in same)
                    yield _Asked(key, name, start, over_at, begun_at)

    def _settled(
        self, asked: _Asked, account: JobAccount | None, nodes: Mapping[str, SlurmNode]
    ) -> StartEnergy | None:
        is_whole = (
            account is not None
            and account.end_at is not None
            and all(step.end_at is not None for step in account.steps)
        )
        if account is None or not is_whole:
            if self._clock() - asked.over_at < self._give_up_after_s:
                return None
            hours = self._give_up_after_s / 3600
            reason = f"not on record {hours:g} h after it was over"
            return self._answer(asked, account, None, reason)
        kwh, reason = attribute(account, nodes, self._scope)
        return self._answer(asked, account, kwh, reason)

    def _answer(
        self, asked: _Asked, account: JobAccount | None, kwh: float | None, reason: str
    ) -> StartEnergy:
        end_at = None if account is None else account.end_at
        return StartEnergy(
            key=asked.key,
            start=asked.start.number,
            started_at=asked.start.at,
            ended_at=None if end_at is None else datetime.fromtimestamp(end_at, UTC),
            kwh=kwh,
            source="slurmdbd",
            scope=self._scope,
            reason=reason,
        )


def _account_of(asked: _Asked, accounts: Iterable[JobAccount]) -> JobAccount | None:
    """Return the allocation a start was in: numbers are given again, and requeued jobs keep theirs.

    Where there are as many as starts, all of them equally late by their clocks, they come in the
    same order. Else it is the one that began nearest to it, unless another start is nearer to that:
    then its own is not on record yet.
    """
    at = asked.start.at.timestamp()
    wanted = asked.start.slurm_job, asked.name
    own = [one for one in accounts if (one.job_id, one.name) == wanted]
    own.sort(key=lambda one: one.start_at)
    if len(own) == len(asked.begun_at):
        late = [began - one.start_at for began, one in zip(asked.begun_at, own, strict=True)]
        if max(late) - min(late) <= CLOCKS_S:
            found = own[asked.begun_at.index(at)]
            return found if _fits(found, at) else None
    fitting = [one for one in own if _fits(one, at)]
    if not fitting:
        return None
    found = min(fitting, key=lambda one: abs(one.start_at - at))
    nearest = min(asked.begun_at, key=lambda began: abs(began - found.start_at))
    return found if nearest == at else None


def _fits(account: JobAccount, at: float) -> bool:
    """Whether it was there when a node's clock said ``at``."""
    is_begun = account.start_at <= at + _NODE_CLOCK_S
    return is_begun and (account.end_at is None or account.end_at >= at - _NODE_CLOCK_S)
