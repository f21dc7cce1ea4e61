"""How a child of the supervisor becomes the job: record first, then the command."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from connectors.clusters.local.jobfolder import Assignment, JobFolder, Wanted
from connectors.clusters.local.processes import ProcessIdentity, identify

_CANNOT_RUN = 126
_NOT_FOUND = 127  # both as shells have it


def start_job(folder: JobFolder, assignment: Assignment, wanted: Wanted) -> ProcessIdentity:
    """Fork the job; return who it is once its command runs, or could not be run.

    The child inherits the job's lock and drops it only by running the command, which it does after
    its start is on disk. So whoever gets the lock sees either the start or that there was none,
    even where the supervisor is killed between fork and record.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(folder, assignment, wanted)
    os.close(writer)
    os.read(reader, 1)  # ends when the child runs the command, which closes its end of the pipe
    os.close(reader)
    return identify(pid)


def run_environment(
    folder: JobFolder, assignment: Assignment, wanted: Wanted, power_cap_w: float | None
) -> dict[str, str]:
    """Build the environment of one run; what the cluster sets wins over what the order asks."""
    order = assignment.order
    restarts = folder.starts(wanted.run - 1)
    environment = assignment.environment | order.environment
    environment.pop("GRIDTIDE_POWER_CAP_W", None)
    if power_cap_w is not None:
        environment["GRIDTIDE_POWER_CAP_W"] = f"{power_cap_w:g}"
    if order.data is not None:
        environment["GRIDTIDE_DATA_DIR"] = str(folder.data(order.data))
    return environment | {
        # CUDA by itself puts the fastest first; caps and power go by the order of the bus.
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": ",".join(str(index) for index in wanted.gpu_indices),
        "GRIDTIDE_JOB_KEY": order.key,
        "GRIDTIDE_RESTARTS": str(restarts),
        "GRIDTIDE_IS_CONTINUATION": "1" if restarts else "0",
        "GRIDTIDE_CHECKPOINT_DIR": str(folder.checkpoint),
        "GRIDTIDE_POWER_CAP_FILE": str(folder.power_cap_file),
    }


def _become(folder: JobFolder, assignment: Assignment, wanted: Wanted) -> NoReturn:
    code = _CANNOT_RUN
    try:
        os.setsid()
        _redirect(folder)
        environment = run_environment(folder, assignment, wanted, folder.power_cap_w())
        folder.write_start(wanted.run, identify(os.getpid()))
        os.chdir(assignment.working_folder or folder.path / "work")
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and exec would keep that
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execvpe(assignment.order.command[0], assignment.order.command, environment)  # noqa: S606
    except FileNotFoundError as error:
        code = _NOT_FOUND
        _say(error)
    except BaseException as error:  # noqa: BLE001 - a fork must never return into its parent's code
        _say(error)
    os._exit(code)


def _redirect(folder: JobFolder) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)


def _say(error: BaseException) -> None:
    sys.stderr.write(f"gridtide: the command could not be started: {error!r}\n")
    sys.stderr.flush()
