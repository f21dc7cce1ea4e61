"""What the scheduler asks of the outside. Each Protocol has a contract suite under tests/contracts.

Every method raises only ``connectors.errors.ConnectorError``; see there what to do on each.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Protocol

import pandas as pd

from connectors.source_info import SourceInfo
from connectors.types import (
    GridEventNotice,
    GridSignal,
    JobObservation,
    JobOrder,
    JobState,
    MeasuredPower,
    MeterReading,
    PoolCapacity,
    PowerReading,
    PowerScope,
    Report,
    ReportRequest,
    SignalKind,
    StartEnergy,
    StorageTelemetry,
    StreamMessage,
    Window,
)


class SignalSource(Protocol):
    """Somebody who publishes signals of zones: bidding zones, countries, regions or places."""

    info: SourceInfo

    def time_zone(self, zone: str) -> str:
        """IANA name of the time that a day of ``zone`` is counted in.

        Raises ``Rejected`` where the source knows no such zone.
        """
        ...

    async def fetch(self, zone: str, kind: SignalKind, window: Window) -> pd.DataFrame:
        """Values of one kind in one zone whose intervals start within ``window``.

        Returns
        -------
        pandas.DataFrame
            One row for each interval, in order, without overlaps: ``start_at`` (UTC), ``minutes``
            (its length), ``value`` (finite), ``unit`` (``kind.unit``; a price may name its
            currency, as ``EUR/MWh``), ``known_at`` (UTC: when the source says it published the
            value, NaT where it does not say). What it does not have is absent, never NaN: no rows
            at all where nothing was published yet.

        Raises
        ------
        Rejected
            It knows no such zone, has no such kind there, or a secret is missing or refused.
        """
        ...


class Cluster(Protocol):
    """A cluster that runs jobs on pools of GPUs. Every command may be sent twice without harm.

    Every method that takes a key, but ``submit``, raises ``Rejected`` where the key is unknown.
    """

    name: str

    async def identity(self) -> str:
        """Name of what it remembers its jobs in, the same for every client and for good.

        Another name means another memory: that a job is not known there says nothing about it.
        Raises ``Unavailable`` where the memory is gone.
        """
        ...

    async def capacity(self) -> tuple[PoolCapacity, ...]:
        """GPUs of every pool."""
        ...

    async def clock_ahead_s(self) -> float | None:
        """How far its clock is ahead of this machine's [s]; ``None`` where it does not tell.

        The instants of an observation are by its clock.
        """
        ...

    async def observe(self) -> tuple[JobObservation, ...]:
        """Every job this cluster was ever given and still remembers."""
        ...

    async def submit(self, order: JobOrder) -> JobState:
        """Start ``order``, or queue it where the cluster takes its time; say which.

        A key already known changes nothing: it returns where the job stands.

        Raises ``GpusBusy`` where the GPUs asked for are not free now, ``Rejected`` where the order
        can never be run: unknown pool, more GPUs than it has, or an order that makes no sense.
        """
        ...

    async def suspend(self, key: str) -> None:
        """Pause a running job as its order says; nothing to do where it is not running.

        Returns once the request will be carried out whatever happens. Until the job has saved and
        left, within its grace, it is observed running and holds its GPUs. One that is queued leaves
        the queue, and is suspended without having been started.
        """
        ...

    async def resume(self, order: JobOrder) -> None:
        """Let a suspended job go on as ``order`` says, which has its key.

        A failed one goes on as well where ``after_starts`` says after which start. Its environment
        says that it is a continuation. Other GPUs, another pool, cap or environment than before
        hold from now on. Nothing to do where it is neither, or was started otherwise often than
        ``after_starts``: an order that comes late or twice starts nothing. Raises ``GpusBusy``
        where it gave its GPUs back and those asked for are not free now, ``Rejected`` where the
        order can never be run, or asks a frozen job for anything but another cap.
        """
        ...

    async def cancel(self, key: str) -> None:
        """End a job for good and free its GPUs, after its grace; nothing to do where it is over."""
        ...

    async def set_power_cap(self, key: str, power_cap_w: float | None) -> None:
        """Change the power cap of a job [W per GPU]; None lifts it.

        It is asked for; what is in force on its GPUs an observation says, where anybody does.
        """
        ...

    async def power(self) -> PowerReading:
        """Power the cluster's GPUs draw now: measured if all of it is, else modelled, with why."""
        ...

    def logs(self, key: str, *, follow: bool = False) -> AsyncIterator[str]:
        """Lines the job wrote, oldest first, without line ends; with ``follow``, until it ends."""
        ...


class PowerSource(Protocol):
    """Somebody who measures the power of a cluster's GPUs."""

    name: str
    scope: PowerScope

    async def read(self) -> MeasuredPower:
        """Power now. Every GPU counts once; what is not told, or too old, is no zero."""
        ...


class EnergyAccounts(Protocol):
    """Somebody who keeps account of the energy of single jobs on a cluster."""

    async def energy(self, keys: Collection[str]) -> tuple[StartEnergy, ...]:
        """Everything settled of starts of these jobs; the same, however often it is asked.

        A start that goes on, or is not on record yet, is left out: it is to be asked for again.
        """
        ...


class Battery(Protocol):
    """A battery that can be told what to do for the next interval. One writer at a time."""

    name: str

    async def telemetry(self) -> StorageTelemetry:
        """State now.

        Raises ``Unavailable`` where nothing was heard lately, ``ContractBroken`` where what is
        told cannot be true, or the state of charge or the power is not told.
        """
        ...

    async def set_power(self, power_kw: float, hold_s: float | None = None) -> None:
        """Charge (positive) or discharge (negative) at this power until told otherwise.

        With ``hold_s`` [s] it goes to rest by itself once that has passed: whoever tells it may be
        gone. Returns once it holds itself to it, as it says. Raises ``Rejected`` where the power is
        beyond its rating, or it takes no orders.
        """
        ...

    async def close(self) -> None:
        """Let go of the connection; what it was told stands."""
        ...


class Meter(Protocol):
    """A meter at the grid connection of a site, or of its load."""

    name: str

    async def read(self) -> MeterReading:
        """Power now; raises as ``Battery.telemetry`` does."""
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


class VirtualPowerPlant(Protocol):
    """The grid side: calls events, takes reports."""

    async def events(self) -> tuple[GridEventNotice, ...]:
        """Every event that is not over, cancelled ones marked.

        One that was listed and is no longer has been called off.
        """
        ...

    def may_still_hold(self, event_id: str) -> bool:
        """Whether one that was not listed last is not called off: it could not be read."""
        ...

    def signals(self) -> tuple[GridSignal, ...]:
        """Return prices and intensities that hold now or later, by what was listed last."""
        ...

    def reports_due(self) -> tuple[ReportRequest, ...]:
        """Return what is to be reported by now, by what was listed last, the oldest first.

        Also what was sent already: who sent it knows it by its name.
        """
        ...

    async def report(self, report: Report) -> None:
        """Send a report that was asked for. The same twice replaces the first.

        Raises ``Rejected`` where nobody asks for it.
        """
        ...


class MessageSource(Protocol):
    """Somebody who passes on what senders tell: each message again and again until acknowledged.

    What was received and not acknowledged comes again to whoever takes this one's place, under the
    same name, also where this one was killed. It connects by itself when it is first asked, and
    anew after a loss: at once, then more and more seldom.
    """

    name: str

    @property
    def is_connected(self) -> bool:
        """Whether messages can come now."""
        ...

    async def receive(self) -> tuple[StreamMessage, ...]:
        """Wait until there are messages; return them, oldest first.

        Where as many as it may have out are not acknowledged, it waits: the sender's side is held
        up, and nothing is dropped. Raises ``Unavailable`` for each loss of a connection and each
        try to make one that failed, ``Rejected`` where it was refused; ask again after either.
        """
        ...

    async def acknowledge(self, messages: Sequence[StreamMessage]) -> None:
        """See to it that these do not come again, and touch no others.

        Nothing to do for those of a connection that is lost: they come again all the same.
        """
        ...

    async def backlog(self) -> int | None:
        """How many messages wait that were not received; ``None`` where nobody tells."""
        ...

    async def close(self) -> None:
        """Leave; what is not acknowledged is kept for the next one of this name."""
        ...
