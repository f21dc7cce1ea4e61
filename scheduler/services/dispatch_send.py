"""Commands on their way out: each sent once, with what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from connectors.errors import ConnectorError, GpusBusy, Rejected
from connectors.protocols import Cluster
from scheduler.db.models import CommandKind, CommandOutcome
from scheduler.services.dispatch_decide import Command
from scheduler.services.dispatch_observe import ANSWER_S
from scheduler.services.outside import Outside

# What frees GPUs goes before what needs them.
_ORDER = (
    CommandKind.BATTERY_POWER,
    CommandKind.CANCEL,
    CommandKind.SUSPEND,
    CommandKind.POWER_CAP,
    CommandKind.RESUME,
    CommandKind.SUBMIT,
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A command that stands in the database as pending."""

    id: UUID
    command: Command


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of a command; ``error`` is empty where it was done."""

    recorded: Recorded
    outcome: CommandOutcome
    error: str = ""


async def send_all(outside: Outside, commands: Sequence[Recorded]) -> tuple[Sent, ...]:
    """Send to all sites at once, to each in an order that frees GPUs first."""
    sites = {recorded.command.site for recorded in commands}

    async def send_to(site: str) -> list[Sent]:
        mine = [recorded for recorded in commands if recorded.command.site == site]
        mine.sort(key=lambda recorded: _ORDER.index(recorded.command.kind))
        return [await _send(outside, recorded) for recorded in mine]

    by_site = await asyncio.gather(*(send_to(site) for site in sorted(sites)))
    return tuple(sent for of_site in by_site for sent in of_site)


async def _send(outside: Outside, recorded: Recorded) -> Sent:
    command = recorded.command
    try:
        async with asyncio.timeout(ANSWER_S + _grace_s(command)):
            if command.kind is CommandKind.BATTERY_POWER:
                battery = outside.batteries[command.site, command.detail["battery"]]
                await battery.set_power(command.detail["power_kw"])
            else:
                await _send_to_cluster(outside.clusters[command.site], command)
    except GpusBusy as error:
        return Sent(recorded, CommandOutcome.BUSY, str(error))
    except Rejected as error:
        return Sent(recorded, CommandOutcome.REFUSED, str(error))
    except TimeoutError:
        return Sent(recorded, CommandOutcome.RETRY, "no answer in time")
    except ConnectorError as error:
        return Sent(recorded, CommandOutcome.RETRY, str(error))
    return Sent(recorded, CommandOutcome.DONE)


def _grace_s(command: Command) -> float:
    return 0.0 if command.order is None else command.order.checkpoint_grace_s


async def _send_to_cluster(cluster: Cluster, command: Command) -> None:
    key = str(command.job_id)
    match command.kind:
        case CommandKind.SUBMIT if command.order is not None:
            await cluster.submit(command.order)
        case CommandKind.SUSPEND:
            await cluster.suspend(key)
        case CommandKind.RESUME:
            await cluster.resume(key)
        case CommandKind.CANCEL:
            await cluster.cancel(key)
        case CommandKind.POWER_CAP:
            await cluster.set_power_cap(key, command.power_cap_w)
        case _:
            raise ValueError(f"a cluster cannot be sent {command.kind.value}")
