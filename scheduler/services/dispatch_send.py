"""Commands on their way out: each sent once, with what came of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from uuid import UUID

from connectors.errors import ConnectorError, GpusBusy, Rejected
from connectors.protocols import Cluster
from connectors.types import JobState
from scheduler.db.models import CommandKind, CommandOutcome
from scheduler.services.dispatch_lines import Lines
from scheduler.services.dispatch_observe import ANSWER_S
from scheduler.services.dispatch_orders import transfer_key
from scheduler.services.dispatch_types import TRANSFER_KINDS, Command
from scheduler.services.outside import Outside

log = logging.getLogger(__name__)

# What frees GPUs goes before what needs them.
_ORDER = (
    CommandKind.BATTERY_POWER,
    CommandKind.CANCEL,
    CommandKind.STAGE_CANCEL,
    CommandKind.SUSPEND,
    CommandKind.STAGE_PAUSE,
    CommandKind.POWER_CAP,
    CommandKind.RESUME,
    CommandKind.SUBMIT,
    CommandKind.STAGE,
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A command that stands in the database as pending."""

    id: UUID
    command: Command


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of a command; ``error`` is empty where it was done.

    ``state`` says where an order got its job to.
    """

    recorded: Recorded
    outcome: CommandOutcome
    error: str = ""
    state: JobState | None = None


def send_all(
    lines: Lines, outside: Outside, commands: Sequence[Recorded], answer_s: float = ANSWER_S
) -> Iterator[Sent]:
    """Send on all lines at once, to each cluster in an order that frees GPUs first.

    Yields what came of each command as it comes. A line that takes longer than ``answer_s`` over
    one is left to it, and sent nothing more.
    """
    came: SimpleQueue[tuple[Hashable, Sent]] = SimpleQueue()
    sendings = {
        line: _Sending([one for one in commands if _line(one) == line])
        for line in dict.fromkeys(map(_line, commands))
    }
    for line, sending in sendings.items():
        lines.start(line, partial(_send_one_by_one, outside, line, sending, came))
    try:
        yield from _as_they_come(sendings, came, answer_s)
    finally:
        for sending in sendings.values():
            sending.is_over = True


class _Sending:
    """Commands of one line: what of them nothing came of yet, and since when that is waited for."""

    def __init__(self, commands: Iterable[Recorded]) -> None:
        self.commands = sorted(commands, key=lambda one: _ORDER.index(one.command.kind))
        self.left = list(self.commands)
        self.since = time.monotonic()
        self.is_over = False


def _as_they_come(
    sendings: Mapping[Hashable, _Sending],
    came: SimpleQueue[tuple[Hashable, Sent]],
    answer_s: float,
) -> Iterator[Sent]:
    waiting = dict(sendings)
    while waiting:
        first = min(waiting, key=lambda line: waiting[line].since)
        try:
            wait_s = max(0.0, waiting[first].since + answer_s - time.monotonic())
            line, sent = came.get(timeout=wait_s)
        except Empty:
            late = waiting.pop(first)
            late.is_over = True
            for one in late.left:
                yield Sent(one, CommandOutcome.RETRY, f"no answer within {answer_s:g} s")
            continue
        if line in waiting:
            sending = waiting[line]
            sending.left.remove(sent.recorded)
            sending.since = time.monotonic()
            if not sending.left:
                del waiting[line]
            yield sent


async def _send_one_by_one(
    outside: Outside,
    line: Hashable,
    sending: _Sending,
    came: SimpleQueue[tuple[Hashable, Sent]],
) -> None:
    for recorded in sending.commands:
        if sending.is_over:
            return
        came.put((line, await _send(outside, recorded)))


def _line(recorded: Recorded) -> Hashable:
    """Lines are named as those at their end: clusters by site, batteries by site and name."""
    command = recorded.command
    if command.kind is CommandKind.BATTERY_POWER:
        return command.site, command.detail["battery"]
    return command.site


async def _send(outside: Outside, recorded: Recorded) -> Sent:
    command = recorded.command
    state = None
    try:
        if command.kind is CommandKind.BATTERY_POWER:
            battery = outside.batteries[command.site, command.detail["battery"]]
            await battery.set_power(command.detail["power_kw"])
        else:
            state = await _send_to_cluster(outside.clusters[command.site], command)
    except GpusBusy as error:
        return Sent(recorded, CommandOutcome.BUSY, str(error))
    except Rejected as error:
        return Sent(recorded, CommandOutcome.REFUSED, str(error))
    except ConnectorError as error:
        return Sent(recorded, CommandOutcome.RETRY, str(error))
    except Exception as error:  # a fault of one connector is not the trouble of the others
        log.exception("%s at %s", command.kind.value, command.site)
        return Sent(recorded, CommandOutcome.RETRY, f"{type(error).__name__}: {error}")
    return Sent(recorded, CommandOutcome.DONE, state=state)


def _key(command: Command) -> str:
    """Return the key of the order a command is about."""
    if command.job_id is not None and command.kind in TRANSFER_KINDS:
        return transfer_key(command.job_id, command.site)
    return str(command.job_id)


async def _send_to_cluster(cluster: Cluster, command: Command) -> JobState | None:
    key = _key(command)
    match command.kind:
        case CommandKind.SUBMIT if command.order is not None:
            return await cluster.submit(command.order)
        case CommandKind.STAGE if command.order is not None:
            is_begun = command.order.after_starts is not None
            await (cluster.resume if is_begun else cluster.submit)(command.order)
        case CommandKind.SUSPEND | CommandKind.STAGE_PAUSE:
            await cluster.suspend(key)
        case CommandKind.RESUME if command.order is not None:
            await cluster.resume(command.order)
        case CommandKind.CANCEL | CommandKind.STAGE_CANCEL:
            await cluster.cancel(key)
        case CommandKind.POWER_CAP:
            await cluster.set_power_cap(key, command.power_cap_w)
        case _:
            raise ValueError(f"a cluster cannot be sent {command.kind.value}")
    return None
