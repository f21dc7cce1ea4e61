"""One real GPU: trained on, paused, resumed, frozen; its power read as a fleet's is.

``python -m benchmarks.one_gpu`` needs an NVIDIA GPU that nobody uses, PyTorch and ``nvidia-ml-py``;
it takes eight minutes and prints what is in RESULTS.md. It changes no setting of the GPU, unless
``--cap-command`` names who does.

Energy is what Gridtide makes of its readings, beside the counter of the GPU itself: read once a
minute, as the power watch does, and once a second, which is too often for means by the counter, so
that these are what was drawn at an instant.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pynvml

from benchmarks.wording import number, table
from connectors.clusters.local.cluster import LocalCluster, LocalPool
from connectors.power.nvml import NvmlPower
from connectors.types import JobObservation, JobOrder, JobState, SuspendBy, Window
from scheduler.services.power import Reading, integrate

POOL = "gpu"
JOB = (sys.executable, str(Path(__file__).with_name("job.py")))
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
WITHIN_S = 90.0
_J_PER_KWH = 3.6e6
_TOO_LOW_W = 1.0
NOTHING, KEPT, FROZEN, AFTER = "nothing runs", "training", "frozen", "nothing runs any more"


@dataclass(frozen=True, slots=True)
class Phase:
    """A span in which one thing went on, and what the counter of the GPU says it took [kWh]."""

    what: str
    window: Window
    counted_kwh: float


class Bench:
    """A local cluster of one GPU, and what was read of it."""

    def __init__(self, cluster: LocalCluster) -> None:
        self.cluster = cluster
        self.by_second: list[Reading] = []
        self.by_minute: list[Reading] = []
        self.counted_kwh: dict[datetime, float] = {}  # by the GPU, when a reading was taken
        self.problems: set[str] = set()
        self.phases: list[Phase] = []
        self._gpu = pynvml.nvmlDeviceGetHandleByIndex(0)

    async def read_on(self, cluster: LocalCluster, into: list[Reading], every: timedelta) -> None:
        """Read the power again and again until cancelled."""
        while True:
            at = datetime.now(UTC)
            self.counted_kwh[at] = self._counted_kwh()
            power = await cluster.power()
            if power.reason:
                self.problems.add(power.reason)
            into.append(Reading(at, power.kw, power.is_measured, power.source, None))
            await asyncio.sleep((at + every - datetime.now(UTC)) / SECOND)

    async def stay(self, what: str, seconds: float) -> None:
        """Let things go on as they are, and note what they take."""
        start, before = datetime.now(UTC), self._counted_kwh()
        await asyncio.sleep(seconds)
        window = Window(start, datetime.now(UTC))
        self.phases.append(Phase(what, window, self._counted_kwh() - before))
        print(f"{what}: {_mean_w(self.phases[-1]):.0f} W", flush=True)

    async def seen_as(self, key: str, state: JobState) -> JobObservation:
        """Wait until a job is in ``state``; ``SystemExit`` where it never is."""
        give_up_at = time.monotonic() + WITHIN_S
        while time.monotonic() < give_up_at:
            (job,) = [job for job in await self.cluster.observe() if job.key == key]
            if job.state is state:
                return job
            await asyncio.sleep(0.1)
        raise SystemExit(f"{key}: {job}, not {state} within {WITHIN_S:g} s")

    async def printed(self, key: str, beginning: str, times: int = 1) -> str:
        """Wait until a job has printed such lines ``times`` times; return the last one."""
        give_up_at = time.monotonic() + WITHIN_S
        while time.monotonic() < give_up_at:
            lines = [line async for line in self.cluster.logs(key)]
            found = [line for line in lines if line.startswith(beginning)]
            if len(found) >= times:
                return found[-1]
            await asyncio.sleep(0.1)
        raise SystemExit(f"{key}: no {beginning!r} within {WITHIN_S:g} s:\n" + "\n".join(lines))

    def _counted_kwh(self) -> float:
        """Return what the GPU has drawn since its driver was loaded, as it counts it."""
        counted_mj = float(pynvml.nvmlDeviceGetTotalEnergyConsumption(self._gpu))
        return counted_mj / 1000 / _J_PER_KWH


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description="One real GPU under the local cluster.")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on how long phases take")
    parser.add_argument("--cap-command", default="", help="sets caps, as power_cap_command does")
    asked = parser.parse_args()
    pynvml.nvmlInit()
    with TemporaryDirectory() as name:
        command = shlex.split(asked.cap_command)
        asyncio.run(_measure(Path(name), command, asked.scale))


def _cluster(folder: Path, cap_command: Sequence[str] = ()) -> LocalCluster:
    """Return the cluster in ``folder``, with a source of its own."""
    pools = [LocalPool(POOL, 1)]
    source = NvmlPower(1)
    return LocalCluster("here", folder, pools, power_source=source, power_cap_command=cap_command)


async def _measure(folder: Path, cap_command: Sequence[str], scale: float) -> None:
    bench = Bench(_cluster(folder, cap_command))
    has_caps = bool(cap_command)
    readers = [
        asyncio.create_task(bench.read_on(_cluster(folder), bench.by_second, SECOND)),
        asyncio.create_task(bench.read_on(_cluster(folder), bench.by_minute, scale * MINUTE)),
    ]
    try:
        await _by_checkpoint(bench, scale, has_caps)
        await _by_freezing(bench, scale, has_caps)
    finally:
        for job in await bench.cluster.observe():
            await bench.cluster.cancel(job.key)
        for reader in readers:
            reader.cancel()
    print(report(bench))


async def _by_checkpoint(bench: Bench, scale: float, has_caps: bool) -> None:
    gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
    default_w = pynvml.nvmlDeviceGetPowerManagementDefaultLimit(gpu) / 1000
    await bench.stay(NOTHING, 60 * scale)
    order = JobOrder("kept", JOB, POOL, 1, power_cap_w=default_w, checkpoint_grace_s=60)
    await bench.cluster.submit(order)
    await bench.printed("kept", "step", 3)
    await bench.stay(KEPT, 120 * scale)
    _say_cap(await bench.seen_as("kept", JobState.RUNNING), has_caps)
    before = time.monotonic()
    await bench.cluster.suspend("kept")
    await bench.seen_as("kept", JobState.SUSPENDED)
    print(f"{await bench.printed('kept', 'saved')}, in {time.monotonic() - before:.1f} s")
    await bench.stay("paused by checkpoint", 60 * scale)
    n_steps = len([line async for line in bench.cluster.logs("kept") if line.startswith("step")])
    before = time.monotonic()
    await bench.cluster.resume(order)
    first = await bench.printed("kept", "step", n_steps + 1)
    print(f"goes on at {first}, after {time.monotonic() - before:.1f} s", flush=True)
    await bench.stay("training, gone on", 60 * scale)
    await bench.cluster.cancel("kept")
    await bench.seen_as("kept", JobState.CANCELLED)


async def _by_freezing(bench: Bench, scale: float, has_caps: bool) -> None:
    order = JobOrder("frozen", JOB, POOL, 1, power_cap_w=_TOO_LOW_W, suspend_by=SuspendBy.FREEZE)
    await bench.cluster.submit(order)
    await bench.printed("frozen", "step", 3)
    await bench.stay("training, cap refused" if has_caps else "training again", 30 * scale)
    _say_cap(await bench.seen_as("frozen", JobState.RUNNING), has_caps)
    await bench.cluster.suspend("frozen")
    await bench.seen_as("frozen", JobState.SUSPENDED)
    await bench.stay(FROZEN, 60 * scale)
    await bench.cluster.resume(order)
    await bench.seen_as("frozen", JobState.RUNNING)
    await bench.stay("training, thawed", 30 * scale)
    await bench.cluster.cancel("frozen")
    await bench.seen_as("frozen", JobState.CANCELLED)
    await bench.stay(AFTER, 15 * scale)


def _say_cap(job: JobObservation, has_caps: bool) -> None:
    if has_caps:
        in_force, problem = job.power_cap_in_force_w, job.power_cap_problem
        print(f"{job.key}: cap {job.power_cap_w} W, in force {in_force} W, {problem!r}")


def report(bench: Bench) -> str:
    """Return the tables: each phase, and energy while both kinds of readings were taken."""
    rows = [
        [
            phase.what,
            number(_seconds(phase.window)),
            number(_mean_w(phase)),
            number(_read_kwh(bench.by_second, phase.window) * _J_PER_KWH / _seconds(phase.window)),
        ]
        for phase in bench.phases
    ]
    head = ["What went on", "Seconds", "Mean by the counter [W]", "Mean by readings [W]"]
    phases_kwh = sum(phase.counted_kwh for phase in bench.phases)
    of_phases_kwh = sum(_read_kwh(bench.by_second, phase.window) for phase in bench.phases)
    whole = Window(bench.by_minute[0].at, bench.by_minute[-1].at)
    all_readings = [*bench.by_second, *bench.by_minute]
    measured = sum(one.is_measured for one in all_readings)
    counted_kwh = bench.counted_kwh[whole.end] - bench.counted_kwh[whole.start]
    by_way = {
        "once a second": _read_kwh(bench.by_second, whole),
        "once a minute": _read_kwh(bench.by_minute, whole),
        "once a minute, what is drawn at that instant": _read_kwh(_at_instants(bench), whole),
    }
    return "\n".join(
        [
            table(head, rows),
            "",
            f"{measured} of {len(all_readings)} readings measured {sorted(bench.problems) or ''}",
            f"phases: counter {1000 * phases_kwh:.2f} Wh, readings {1000 * of_phases_kwh:.2f} Wh"
            f" ({of_phases_kwh / phases_kwh - 1:+.2%})",
            f"from the first minute to the last: counter {1000 * counted_kwh:.2f} Wh",
            *(
                f"  read {way}: {1000 * kwh:.2f} Wh ({kwh / counted_kwh - 1:+.2%})"
                for way, kwh in by_way.items()
            ),
        ]
    )


def _at_instants(bench: Bench) -> list[Reading]:
    """Return of the readings by second those nearest to the readings by minute."""
    return [min(bench.by_second, key=lambda one: abs(one.at - m.at)) for m in bench.by_minute]


def _read_kwh(readings: Sequence[Reading], window: Window) -> float:
    return integrate("here", window, readings).kwh


def _mean_w(phase: Phase) -> float:
    return phase.counted_kwh * _J_PER_KWH / _seconds(phase.window)


def _seconds(window: Window) -> float:
    return (window.end - window.start) / timedelta(seconds=1)


if __name__ == "__main__":
    main()
