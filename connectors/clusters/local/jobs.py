"""All jobs of a local cluster, and that each is looked after by exactly one supervisor."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from connectors.clusters import durable
from connectors.clusters.folders import folder_name
from connectors.clusters.local.jobfolder import JobFolder
from connectors.clusters.local.processes import plain_environment, signal_process
from connectors.clusters.local.standing import Standing, read_standing
from connectors.errors import Rejected, Unavailable

_PACKAGES = Path(__file__).resolve().parents[3]
_SETTLE_WITHIN_S = 60.0


class Jobs:
    """The folders of all jobs under ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._jobs = path / "jobs"
        self._over: dict[Path, tuple[int, Standing]] = {}  # read once for each run wanted

    def lock(self) -> AbstractContextManager[bool]:
        """Hold what every change of ``wanted`` and every choice of GPUs is made under."""
        self._jobs.mkdir(mode=0o700, parents=True, exist_ok=True)
        return durable.lock(self._path / "lock")

    def folder(self, key: str) -> JobFolder:
        """Return where the job ``key`` is or would be; ``Rejected`` where it makes no name."""
        return JobFolder(self._jobs / folder_name(key))

    def known(self, key: str) -> JobFolder:
        """Return where the job ``key`` is; ``Rejected`` where there is none."""
        folder = self.folder(key)
        if not folder.path.exists():
            raise Rejected(f"job {key}: not known here")
        return folder

    def drop_unfinished(self) -> None:
        """Remove folders whose creator died before they were whole. Call it under the lock."""
        for path in self._jobs.glob(".new-*"):
            shutil.rmtree(path)

    def standings(self) -> list[Standing]:
        """Read where every job stands, in the order of their folders' names."""
        try:
            names = [path.name for path in self._jobs.iterdir()]
        except FileNotFoundError:
            return []
        jobs = sorted(name for name in names if name.startswith("job-"))
        return [self._standing(self._jobs / name) for name in jobs]

    def looked_after(self) -> list[Standing]:
        """Read where every job stands once each that needs a supervisor has one."""
        standings = self.standings()
        needing = [one.order.key for one in standings if one.needs_supervisor]
        alone = [folder for folder in map(self.folder, needing) if _is_alone(folder)]
        for folder in alone:
            self.look_after(folder)
        return self.standings() if alone else standings

    def look_after(self, folder: JobFolder) -> None:
        """See to it that the job has a supervisor and that it knows what is wanted now."""
        if not read_standing(folder).needs_supervisor:
            return
        if _is_alone(folder):
            _start_supervisor(folder)
            return
        supervisor = folder.supervisor()
        if supervisor is not None:
            signal_process(supervisor, signal.SIGUSR1)

    def _standing(self, path: Path) -> Standing:
        folder = JobFolder(path)
        wanted_at = folder.wanted_at()
        kept = self._over.get(path)
        if kept is not None and kept[0] == wanted_at:
            return kept[1]
        standing = read_standing(folder)
        if standing.final is not None:
            self._over[path] = wanted_at, standing
        return standing


def _is_alone(folder: JobFolder) -> bool:
    """Whether nobody looks after the job."""
    with folder.lock(wait_s=0) as is_held:
        return is_held


def _start_supervisor(folder: JobFolder) -> None:
    """Start a supervisor and wait until it has taken over, or found that another one has.

    Racing ones are harmless: the job's lock decides.
    """
    import_path = [str(_PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
    with (folder.path / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "connectors.clusters.local.supervisor", str(folder.path)],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd="/",
            env=plain_environment() | {"PYTHONPATH": os.pathsep.join(import_path)},
        )
    try:
        code = process.wait(_SETTLE_WITHIN_S)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{folder.path}: no supervisor after {_SETTLE_WITHIN_S:g} s") from error
    if code != 0:
        raise Unavailable(f"{folder.path}: supervisor ended with {code}, see supervisor.log there")
