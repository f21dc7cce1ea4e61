"""The folder of one job: all that is true of it is in here, so that any process may die.

========================  ============================  =========================================
file                      written by                    says
========================  ============================  =========================================
order.json                submit, before the folder     what to run; never changes
                          gets its name
order-N.json              resume, before run N is       what to run from run N on, in its place
                          wanted
wanted.json               the cluster, under its lock   which run is wanted, on which GPUs, and
                                                        whether to pause or cancel it
power_cap_w               the cluster, under its lock   the cap now [W per GPU], or nothing
capped-N                  the supervisor                which cap is in force, as read back
lock                      supervisor or starting job    held while somebody looks after the job
supervisor.json           the supervisor                who to wake when ``wanted`` changes
start-N.json              the job, before its command   run N was started, as this process
told-N.json               the supervisor                run N lives and is now told to leave
pause-N.json              the supervisor                run N was paused and has ended
final-N.json              the supervisor                run N has ended, and with it the job, unless
                                                        it failed and another run is wanted
output.log                the job                       what it printed, all runs
checkpoint/ work/         the job                       its own
========================  ============================  =========================================

Only the holder of ``lock`` writes ``start-N``, ``told-N``, ``pause-N`` and ``final-N``.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from connectors.clusters import durable
from connectors.clusters.caps import CapReport, read_report
from connectors.clusters.folders import folder_name
from connectors.clusters.local.processes import ProcessIdentity
from connectors.types import JobOrder, JobState, SuspendBy

_HERE = "this machine"


class Phase(StrEnum):
    """What the cluster wants of the current run."""

    RUN = "run"
    PAUSE = "pause"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the cluster wants: run number ``run`` (from 1) on ``gpu_indices``, in ``phase``."""

    run: int
    phase: Phase
    gpu_indices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """That a run was started, when, and as which process (the leader of its group)."""

    leader: ProcessIdentity
    at: datetime


@dataclass(frozen=True, slots=True)
class Pause:
    """How a run left that was told to pause."""

    exit_code: int | None  # as in ``Final``; None also where it was never started
    reason: str


@dataclass(frozen=True, slots=True)
class Final:
    """How a job ended."""

    state: JobState
    exit_code: int | None  # negative: killed by that signal; None: nobody saw it
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """An order with what the cluster adds to it: where it runs and with which environment."""

    order: JobOrder
    environment: dict[str, str]  # complete, apart from what changes between runs
    working_folder: str | None  # None: the job's own
    power_cap_command: tuple[str, ...] = ()  # sets caps on GPUs; empty: nobody does


class JobFolder:
    """Reads and writes the records of one job."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def log(self) -> Path:
        """What the job printed, all runs."""
        return self.path / "output.log"

    @property
    def checkpoint(self) -> Path:
        """The job's own, kept between runs."""
        return self.path / "checkpoint"

    @property
    def power_cap_file(self) -> Path:
        """Where the job reads the cap."""
        return self.path / "power_cap_w"

    def create(self, assignment: Assignment, wanted: Wanted) -> None:
        """Make the folder with its first records; it has its name only once it is whole."""
        building = JobFolder(self.path.with_name(f".new-{self.path.name}"))
        building.path.mkdir(mode=0o700)
        building.checkpoint.mkdir()
        (building.path / "work").mkdir()
        durable.write_json(building.path / "order.json", _assignment_record(assignment))
        building.write_wanted(wanted)
        building.write_power_cap(assignment.order.power_cap_w)
        building.path.rename(self.path)
        durable.sync_folder(self.path.parent)

    def data(self, name: str) -> Path:
        """Return the folder of input data that orders of this name share; it is made if need be."""
        folder = self.path.parent.parent / "data" / folder_name(name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def lock(self, wait_s: float) -> AbstractContextManager[bool]:
        """Try for ``wait_s`` to become the one who looks after this job."""
        return durable.lock(self.path / "lock", wait_s=wait_s)

    def assignment(self, run: int) -> Assignment:
        """Read the order ``run`` has, and what was added to it."""
        record = durable.read_json(self.path / f"order-{run}.json")
        if record is None:
            record = durable.read_json(self.path / "order.json")
        if record is None:
            raise FileNotFoundError(self.path / "order.json")
        order = record["order"]
        order["command"] = tuple(order["command"])
        order["suspend_by"] = SuspendBy(order["suspend_by"])
        return Assignment(
            JobOrder(**order),
            record["environment"],
            record["working_folder"],
            tuple(record.get("power_cap_command", ())),
        )

    def write_order(self, run: int, order: JobOrder) -> None:
        """Say what is to run in ``run``, before it is wanted; what was added to it stays."""
        assignment = replace(self.assignment(run - 1), order=order)
        durable.write_json(self.path / f"order-{run}.json", _assignment_record(assignment))

    def wanted(self) -> Wanted:
        """Read what the cluster wants."""
        record = durable.read_json(self.path / "wanted.json")
        if record is None:
            raise FileNotFoundError(self.path / "wanted.json")
        return Wanted(record["run"], Phase(record["phase"]), tuple(record["gpu_indices"]))

    def wanted_at(self) -> int:
        """Return when what is wanted was last changed [ns]."""
        return os.stat(f"{self.path}/wanted.json").st_mtime_ns  # noqa: PTH116 - once a pass each

    def write_wanted(self, wanted: Wanted) -> None:
        """Change what the cluster wants."""
        durable.write_json(self.path / "wanted.json", asdict(wanted))

    def want(self, phase: Phase) -> None:
        """Change the phase of the current run."""
        self.write_wanted(replace(self.wanted(), phase=phase))

    def power_cap_w(self) -> float | None:
        """Read the cap in force [W per GPU]."""
        text = self.power_cap_text()
        return float(text) if text else None

    def write_power_cap(self, power_cap_w: float | None) -> None:
        """Change the cap [W per GPU]; None lifts it."""
        text = "" if power_cap_w is None else f"{power_cap_w!r}\n"
        durable.write_text(self.power_cap_file, text)

    def power_cap_text(self) -> str:
        """Read the cap as it is written; nothing where there is none."""
        return (durable.read_text(self.power_cap_file) or "").strip()

    def capped(self, run: int) -> CapReport | None:
        """Read which cap is in force for ``run``, or None where nobody says."""
        line = durable.read_text(self.path / f"capped-{run}")
        return None if line is None else read_report(_HERE, line)

    def write_capped(self, run: int, line: str) -> None:
        """Say which cap is in force for ``run``."""
        durable.write_text(self.path / f"capped-{run}", line)

    def supervisor(self) -> ProcessIdentity | None:
        """Read who last looked after the job; it need not live."""
        record = durable.read_json(self.path / "supervisor.json")
        return None if record is None else ProcessIdentity(**record)

    def write_supervisor(self, identity: ProcessIdentity) -> None:
        """Say who looks after the job."""
        durable.write_json(self.path / "supervisor.json", asdict(identity))

    def start(self, run: int) -> Start | None:
        """Read the start of ``run``, or None where it never started."""
        record = durable.read_json(self.path / f"start-{run}.json")
        if record is None:
            return None
        leader = ProcessIdentity(**record["leader"])
        return Start(leader, datetime.fromisoformat(record["at"]))

    def starts(self, run: int) -> int:
        """Count the runs up to and including ``run`` whose command was started."""
        return sum((self.path / f"start-{n}.json").exists() for n in range(1, run + 1))

    def write_start(self, run: int, leader: ProcessIdentity) -> None:
        """Say that ``run`` starts now as ``leader``."""
        record = {"leader": asdict(leader), "at": datetime.now(UTC).isoformat()}
        durable.write_json(self.path / f"start-{run}.json", record)

    def was_told_to_leave(self, run: int) -> bool:
        """Whether ``run`` was still there when it was told to leave."""
        return (self.path / f"told-{run}.json").exists()

    def write_told_to_leave(self, run: int) -> None:
        """Say that ``run`` is there and is about to be told to leave."""
        durable.write_json(self.path / f"told-{run}.json", {})

    def pause(self, run: int) -> Pause | None:
        """Read how ``run`` was paused, or None where it was not."""
        record = durable.read_json(self.path / f"pause-{run}.json")
        return None if record is None else Pause(record.get("exit_code"), record["reason"])

    def write_pause(self, run: int, exit_code: int | None, reason: str) -> None:
        """Say that ``run`` was paused and holds no GPUs."""
        record = {"exit_code": exit_code, "reason": reason}
        durable.write_json(self.path / f"pause-{run}.json", record)

    def final(self) -> Final | None:
        """Read how the job ended, or None where it has not."""
        return self.final_of(self.wanted().run)

    def final_of(self, run: int) -> Final | None:
        """Read how the job ended if ``run`` is the last one wanted of it."""
        record = durable.read_json(self.path / f"final-{run}.json")
        if record is None:
            return None
        return Final(
            JobState(record["state"]),
            record["exit_code"],
            datetime.fromisoformat(record["at"]),
            record["reason"],
        )

    def write_final(self, state: JobState, exit_code: int | None, reason: str) -> None:
        """Say that the job ended now."""
        record = {
            "state": state,
            "exit_code": exit_code,
            "at": datetime.now(UTC).isoformat(),
            "reason": reason,
        }
        durable.write_json(self.path / f"final-{self.wanted().run}.json", record)


def _assignment_record(assignment: Assignment) -> dict[str, object]:
    return {
        "order": asdict(assignment.order),
        "environment": assignment.environment,
        "working_folder": assignment.working_folder,
        "power_cap_command": assignment.power_cap_command,
    }
