"""The folder of one job, shared by the scheduler and the nodes: all that is true of it is in here.

====================  ======================  ====================================================
file                  written by              says
====================  ======================  ====================================================
order-N.json          submit, resume          what to run as run N; run 1 before the folder has
                                              its name
run-N.sh              submit, resume          its command, with the environment of the order
wanted                the cluster, under      which run is wanted, and whether to run, pause,
                      the job's lock          freeze or cancel it
power_cap_w           the cluster             the cap now [W per GPU], or nothing
slurm-N               the cluster             the Slurm job that was submitted for run N
claim-N               Slurm job or cluster    a link that names the one Slurm job which runs it, or
                                              ``nobody``: it was withdrawn before it began
begin-N.M             job.sh                  attempt M (Slurm requeued it M times) looks for others
start-N.M             job.sh                  attempt M was started: when, on which nodes
beat-N.M              job.sh                  touched while it lives
frozen-N.M            job.sh                  it is held in memory
end-N.M               job.sh                  how it ended, by itself or told to
concluded-N           the cluster             how it ended, in Slurm's words, where it left no word
capped-J-NODE         the node's agent        which cap is in force there for Slurm job J, or what
                                              keeps it from being; where there is such an agent
output.log            the job                 what it printed, all runs
checkpoint/ work/     the job                 its own
====================  ======================  ====================================================

What the nodes read or write is plain text, one line: they need no more than a shell.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from connectors.clusters import durable
from connectors.clusters.caps import CapReport, read_report
from connectors.clusters.folders import folder_name
from connectors.types import JobOrder, JobState, SuspendBy

NOBODY = "nobody"
NEW, GONE = ".new-", ".gone-"  # folders that are not jobs yet, or are none any more
# What the cluster sets in the environment of a job stands against what its order asks for.
_SET_BY_CLUSTER = re.compile(r"GRIDTIDE_|SLURM_|CUDA_VISIBLE_DEVICES$|ROCR_VISIBLE_DEVICES$")
_KEPT_OF_ORDER = {
    "GRIDTIDE_JOB",
    "GRIDTIDE_CRASHES",
    "GRIDTIDE_BATCH_SIZE",
    *(f"GRIDTIDE_DATA_{name}" for name in ("SITE", "SIZE_GB", "PATH", "DIR")),
    *("GRIDTIDE_ARRAY", "GRIDTIDE_ARRAY_INDEX", "SLURM_ARRAY_TASK_ID"),
    *(f"GRIDTIDE_ARRAY_{name}" for name in ("MIN", "MAX", "STEP", "COUNT")),
    *(f"SLURM_ARRAY_TASK_{name}" for name in ("MIN", "MAX", "STEP", "COUNT")),
}
_ATTEMPT = re.compile(r"(begin|start|end|frozen|beat)-(\d+)\.(\d+)$")


class Phase(StrEnum):
    """What the cluster wants of the current run."""

    RUN = "run"
    PAUSE = "pause"
    FREEZE = "freeze"
    CANCEL = "cancel"


class How(StrEnum):
    """How an attempt ended."""

    EXITED = "exited"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    EVICTED = "evicted"  # by Slurm: preempted, requeued, cancelled by another, out of time


@dataclass(frozen=True, slots=True)
class Wanted:
    """Run number ``run`` (from 1) is wanted, in ``phase``."""

    run: int
    phase: Phase


@dataclass(frozen=True, slots=True)
class End:
    """How an attempt ended, as the node wrote it."""

    at: datetime
    how: How
    exit_code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Conclusion:
    """How a run ended that left no word itself, or was evicted for good."""

    at: datetime
    state: JobState
    reason: str


@dataclass(frozen=True, slots=True)
class Records:
    """What the folder of a job says, read once."""

    order: JobOrder
    wanted: Wanted
    power_cap_w: float | None
    slurm_job: int | None  # submitted for the wanted run
    claim: str | None
    n_starts: int  # of all runs
    first_start_at: datetime | None
    nodes: str  # of the last attempt of the wanted run, as a host list
    is_started: bool
    is_frozen: bool
    end: End | None
    conclusion: Conclusion | None
    beat_at: float | None  # by the file server's clock
    caps: tuple[CapReport, ...] = ()  # of the Slurm job that has the claim, by node

    @property
    def is_withdrawn(self) -> bool:
        """Whether the wanted run can never begin."""
        return self.claim == NOBODY


@dataclass(frozen=True, slots=True)
class PastStart:
    """A start of a job, of all its runs and attempts: which, by which Slurm job, from when to when.

    ``over_at`` is ``None`` while nobody wrote that it is over.
    """

    number: int  # from 1
    run: int
    slurm_job: int
    at: datetime
    over_at: datetime | None


class JobFolder:
    """Reads and writes the records of one job."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def log(self) -> Path:
        """What the job printed, all runs."""
        return self.path / "output.log"

    @property
    def power_cap_file(self) -> Path:
        """Where the job and its node read the cap."""
        return self.path / "power_cap_w"

    def create(self, order: JobOrder) -> None:
        """Make the folder with its first records; it has its name only once it is whole.

        Raises
        ------
        FileExistsError
            The job is known already.
        """
        building = JobFolder(self.path.with_name(f"{NEW}{self.path.name}-{os.getpid()}-{id(self)}"))
        building.path.mkdir(mode=0o700)
        (building.path / "checkpoint").mkdir()
        (building.path / "work").mkdir()
        building.want_run(1, order)
        try:
            building.path.rename(self.path)
        except OSError as error:
            shutil.rmtree(building.path)
            if self.path.exists():
                raise FileExistsError(self.path) from error
            raise
        durable.sync_folder(self.path.parent)

    def lock(self) -> AbstractAsyncContextManager[None]:
        """Hold what every change of ``wanted`` and every submission to Slurm is made under."""
        return durable.lock_async(self.path / "lock")

    def want_run(self, run: int, order: JobOrder) -> None:
        """Say what is to be run, and then that it is wanted."""
        durable.write_json(self.path / f"order-{run}.json", asdict(order))
        data = {} if order.data is None else {"GRIDTIDE_DATA_DIR": str(self._data(order.data))}
        durable.write_text(self.path / f"run-{run}.sh", _script(order, data))
        self.write_power_cap(order.power_cap_w)
        self._write_wanted(Wanted(run, Phase.RUN))

    def want(self, phase: Phase) -> None:
        """Change the phase of the current run."""
        self._write_wanted(replace(self.wanted(), phase=phase))

    def wanted(self) -> Wanted:
        """Read what the cluster wants."""
        run, phase = (self.path / "wanted").read_text().split()
        return Wanted(int(run), Phase(phase))

    def wanted_at(self) -> int:
        """Return when what is wanted was last changed, by the file server's clock [ns]."""
        return os.stat(f"{self.path}/wanted").st_mtime_ns  # noqa: PTH116 - once a pass for each

    def write_power_cap(self, power_cap_w: float | None) -> None:
        """Change the cap [W per GPU]; None lifts it."""
        text = "" if power_cap_w is None else f"{power_cap_w:.15g}\n"
        durable.write_text(self.power_cap_file, text)

    def write_slurm_job(self, run: int, job_id: int) -> None:
        """Say which Slurm job was submitted for ``run``."""
        durable.write_text(self.path / f"slurm-{run}", f"{job_id}\n")

    def withdraw(self, run: int) -> bool:
        """See to it that ``run`` never begins; False where it has begun."""
        claim = self.path / f"claim-{run}"
        try:
            claim.symlink_to(NOBODY)
        except FileExistsError:
            return str(claim.readlink()) == NOBODY
        durable.sync_folder(self.path)
        return True

    def take_back(self, run: int) -> None:
        """Keep ``run`` from ever beginning, unless it has; with the first one, forget the job.

        A later run of a job stands withdrawn, which is paused. The folder loses its name in one
        step: what is left of it, with the lock that is held in it, is nobody's.
        """
        if self.withdraw(run) and run == 1:
            gone = self.path.with_name(f"{GONE}{self.path.name}-{os.getpid()}-{id(self)}")
            self.path.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)

    def conclude(self, run: int, state: JobState, reason: str) -> None:
        """Say how ``run`` ended, as it does not itself."""
        at = datetime.now(UTC).timestamp()
        durable.write_text(self.path / f"concluded-{run}", f"{at} {state.value} {reason}\n")

    def read(self) -> Records:
        """Read everything. ``wanted`` comes first: what ends meanwhile is then seen as ended."""
        wanted = self.wanted()
        names = {entry.name for entry in self.path.iterdir()}
        attempts = [found.groups() for name in names if (found := _ATTEMPT.fullmatch(name))]
        starts = sorted((int(run), int(n)) for kind, run, n in attempts if kind == "start")
        own = [int(n) for kind, run, n in attempts if int(run) == wanted.run and kind != "beat"]
        last = max(own, default=None)
        this = f"{wanted.run}.{last}"
        is_started = (wanted.run, last) in starts

        def line(name: str) -> str | None:
            return self._line(name) if name in names else None

        first = line(f"start-{starts[0][0]}.{starts[0][1]}") if starts else None
        slurm_job = line(f"slurm-{wanted.run}")
        return Records(
            order=self._order(wanted.run),
            wanted=wanted,
            power_cap_w=self._power_cap_w(),
            slurm_job=int(slurm_job) if slurm_job else None,
            claim=self._claim(wanted.run) if f"claim-{wanted.run}" in names else None,
            n_starts=len(starts),
            first_start_at=None if first is None else _instant(first.split()[0]),
            nodes=_rest(line(f"start-{this}"), 1) if is_started else "",
            is_started=is_started,
            is_frozen=f"frozen-{this}" in names,
            end=_end(line(f"end-{this}")),
            conclusion=_conclusion(line(f"concluded-{wanted.run}")),
            beat_at=self._beat_at(f"beat-{this}") if f"beat-{this}" in names else None,
            caps=self._caps(wanted.run, names) if is_started else (),
        )

    def starts(self) -> list[PastStart]:
        """Read every start of the job there was, in order."""
        names = {entry.name for entry in self.path.iterdir()}
        found = (_ATTEMPT.fullmatch(name) for name in names)
        attempts = sorted((int(one[2]), int(one[3])) for one in found if one and one[1] == "start")
        at = [self._instant_in(f"start-{run}.{attempt}") for run, attempt in attempts]
        starts = []
        for index, (run, attempt) in enumerate(attempts):
            over_at = self._instant_in(f"end-{run}.{attempt}") or next(iter(at[index + 1 :]), None)
            over_at = over_at or self._instant_in(f"concluded-{run}")
            claim, begun_at = self._claim(run), at[index]
            if begun_at is not None and claim is not None and claim != NOBODY:
                starts.append(PastStart(index + 1, run, int(claim), begun_at, over_at))
        return starts

    def order(self, run: int) -> JobOrder:
        """Read what was to be run as ``run``."""
        return self._order(run)

    def _instant_in(self, name: str) -> datetime | None:
        line = self._line(name)
        return None if line is None else _instant(line.split()[0])

    def _data(self, name: str) -> Path:
        """Return the folder of input data that orders of this name share; it is made if need be."""
        folder = self.path.parent.parent / "data" / folder_name(name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def _caps(self, run: int, names: Collection[str]) -> tuple[CapReport, ...]:
        of_job = f"capped-{self._claim(run)}-"
        nodes = sorted(name.removeprefix(of_job) for name in names if name.startswith(of_job))
        lines = ((node, self._line(f"{of_job}{node}")) for node in nodes)
        return tuple(read_report(node, line) for node, line in lines if line is not None)

    def _write_wanted(self, wanted: Wanted) -> None:
        durable.write_text(self.path / "wanted", f"{wanted.run} {wanted.phase.value}\n")

    def _order(self, run: int) -> JobOrder:
        record = durable.read_json(self.path / f"order-{run}.json")
        if record is None:
            raise FileNotFoundError(self.path / f"order-{run}.json")
        record["command"] = tuple(record["command"])
        record["suspend_by"] = SuspendBy(record["suspend_by"])
        return JobOrder(**record)

    def _power_cap_w(self) -> float | None:
        text = (durable.read_text(self.power_cap_file) or "").strip()
        return float(text) if text else None

    def _claim(self, run: int) -> str | None:
        try:
            return str((self.path / f"claim-{run}").readlink())
        except FileNotFoundError:
            return None

    def _beat_at(self, name: str) -> float | None:
        try:
            return (self.path / name).stat().st_mtime
        except FileNotFoundError:
            return None

    def _line(self, name: str) -> str | None:
        text = durable.read_text(self.path / name)
        return None if text is None else text.rstrip("\n")


def _script(order: JobOrder, data: dict[str, str]) -> str:
    """Return the shell script that becomes the command, with the environment of its order."""
    kept = {
        name: value
        for name, value in order.environment.items()
        if name in _KEPT_OF_ORDER or not _SET_BY_CLUSTER.match(name)
    }
    given = kept | {"GRIDTIDE_JOB_KEY": order.key} | data
    variables = [f"{name}={value}" for name, value in given.items()]
    command = ["env", *variables, "sh", "-c", 'exec "$@"', "sh", *order.command]
    return f"exec {shlex.join(command)}\n"


def _instant(seconds: str) -> datetime:
    return datetime.fromtimestamp(float(seconds), UTC)


def _rest(line: str | None, after: int) -> str:
    parts = (line or "").split(" ", after)
    return parts[after] if len(parts) > after else ""


def _end(line: str | None) -> End | None:
    if line is None:
        return None
    at, how, code = line.split(" ", 3)[:3]
    return End(_instant(at), How(how), int(code), _rest(line, 3))


def _conclusion(line: str | None) -> Conclusion | None:
    if line is None:
        return None
    at, state, reason = line.split(" ", 2)
    return Conclusion(_instant(at), JobState(state), reason)
