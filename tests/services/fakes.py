"""A cluster and a battery in memory, which can be made to fail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime

from connectors.errors import GpusBusy, Rejected, Unavailable
from connectors.types import (
    JobObservation,
    JobOrder,
    JobState,
    PoolCapacity,
    PowerReading,
    StorageTelemetry,
)
from scheduler.timekeeping import Now


class FakeCluster:
    """Implements ``Cluster``; jobs end when the test says so.

    ``is_silent``: nothing is answered. ``loses_answers``: commands are carried out, and the answer
    is lost. ``is_queueing``: what is submitted waits until the test starts it. ``leaves_with`` is
    the exit code of what is told to pause; ``None``: nobody sees it.
    """

    def __init__(self, name: str = "DE", gpus: int = 8, pool: str = "a100") -> None:
        self.name = name
        self.memory = f"cluster {name}"
        self.gpus = gpus
        self.gpus_of_others = 0
        self.pool = pool
        self.jobs: dict[str, JobObservation] = {}
        self.orders: dict[str, JobOrder] = {}
        self.starts: list[str] = []
        self.is_silent = False
        self.loses_answers = False
        self.is_queueing = False
        self.leaves_with: int | None = None
        self.clock_ahead: float | None = None
        self.reading = PowerReading(0.0, is_measured=False)

    def _answer(self) -> None:
        if self.is_silent or self.loses_answers:
            raise Unavailable(f"cluster {self.name} is silent")

    def _listen(self) -> None:
        if self.is_silent:
            raise Unavailable(f"cluster {self.name} is silent")

    def end(self, key: str, state: JobState = JobState.SUCCEEDED, exit_code: int = 0) -> None:
        """Let a job end."""
        self.jobs[key] = replace(self.jobs[key], state=state, exit_code=exit_code, gpus=0)

    def add_suspended(self, key: str, pool: str) -> None:
        """Know a job that was paused and holds nothing."""
        self.jobs[key] = JobObservation(key, JobState.SUSPENDED, pool, 0, None, None, None, None, 1)

    async def identity(self) -> str:
        """Its name, unless the test gave it another memory."""
        self._listen()
        return self.memory

    async def capacity(self) -> tuple[PoolCapacity, ...]:
        """GPUs of its only pool."""
        self._listen()
        others = self.gpus_of_others
        used = sum(job.gpus for job in self.jobs.values()) + others
        return (PoolCapacity(self.pool, self.gpus, self.gpus, used, others),)

    async def clock_ahead_s(self) -> float | None:
        """What the test says."""
        self._listen()
        return self.clock_ahead

    async def observe(self) -> tuple[JobObservation, ...]:
        """Every job it was given."""
        self._listen()
        return tuple(self.jobs.values())

    def start(self, key: str) -> None:
        """Give a queued job its GPUs."""
        gpus = self.orders[key].gpus
        starts = self.jobs[key].starts + 1
        self.jobs[key] = replace(self.jobs[key], state=JobState.RUNNING, gpus=gpus, starts=starts)

    async def submit(self, order: JobOrder) -> JobState:
        """Start a job once, or queue it, or say why not."""
        self._listen()
        if order.key not in self.jobs:
            if order.pool != self.pool or order.gpus > self.gpus:
                raise Rejected(f"job {order.key}: never")
            if sum(job.gpus for job in self.jobs.values()) + order.gpus > self.gpus:
                raise GpusBusy(f"job {order.key}: not now")
            self.orders[order.key] = order
            self.starts.append(order.key)
            cap = order.power_cap_w
            self.jobs[order.key] = JobObservation(
                order.key, JobState.QUEUED, order.pool, 0, cap, None, None, None, 0, "full"
            )
            if not self.is_queueing:
                self.start(order.key)
        self._answer()
        return self.jobs[order.key].state

    async def suspend(self, key: str) -> None:
        """Pause at once."""
        self._listen()
        if self.jobs[key].state in {JobState.QUEUED, JobState.RUNNING}:
            was_up = self.jobs[key].state is JobState.RUNNING
            code = self.leaves_with if was_up else None
            self.jobs[key] = replace(
                self.jobs[key], state=JobState.SUSPENDED, gpus=0, exit_code=code
            )
        self._answer()

    async def resume(self, order: JobOrder) -> None:
        """Go on as ordered, at once or through the queue."""
        self._listen()
        job = self.jobs[order.key]
        may_go_on = job.state is JobState.SUSPENDED or (
            job.state is JobState.FAILED and order.after_starts == job.starts
        )
        if may_go_on:
            self.orders[order.key] = order
            self.jobs[order.key] = replace(
                job, state=JobState.QUEUED, pool=order.pool, power_cap_w=order.power_cap_w
            )
            if not self.is_queueing:
                self.start(order.key)
        self._answer()

    async def cancel(self, key: str) -> None:
        """End at once."""
        self._listen()
        if not self.jobs[key].state.is_final:
            self.end(key, JobState.CANCELLED, -15)
        self._answer()

    async def set_power_cap(self, key: str, power_cap_w: float | None) -> None:
        """Note the cap."""
        self._listen()
        self.jobs[key] = replace(self.jobs[key], power_cap_w=power_cap_w)
        self._answer()

    async def power(self) -> PowerReading:
        """What the test says."""
        self._listen()
        return self.reading

    async def logs(
        self,
        key: str,
        *,
        follow: bool = False,  # noqa: ARG002
    ) -> AsyncIterator[str]:
        """The key, as if it had been printed."""
        yield key


class FakeBattery:
    """Implements ``Battery``; remembers what it was told."""

    def __init__(self, name: str, now: Now, soc_kwh: float = 1.0) -> None:
        self.name = name
        self.told: list[tuple[datetime, float]] = []
        self.soc_kwh = soc_kwh
        self._now = now

    async def telemetry(self) -> StorageTelemetry:
        """What it was told last, at a charge that stands still."""
        power_kw = self.told[-1][1] if self.told else 0.0
        return StorageTelemetry(self._now(), self.soc_kwh, power_kw)

    async def set_power(
        self,
        power_kw: float,
        hold_s: float | None = None,  # noqa: ARG002
    ) -> None:
        """Note it."""
        self.told.append((self._now(), power_kw))

    async def close(self) -> None:
        """Nothing is held."""
