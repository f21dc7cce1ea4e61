"""The shared folder of a Slurm cluster: its name, its jobs, the script that runs on the nodes."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import AbstractAsyncContextManager
from importlib.resources import files
from pathlib import Path

from connectors.clusters import durable
from connectors.clusters.folders import folder_name
from connectors.clusters.identity import FolderIdentity
from connectors.clusters.slurm.folder import GONE, NEW, JobFolder
from connectors.errors import Rejected
from connectors.types import JobObservation


class Finished:
    """Jobs that are over, read once. One that failed may go on: then another run is wanted."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[int, JobObservation]] = {}

    def get(self, folder: JobFolder, wanted_at: int) -> JobObservation | None:
        """Return what was kept of a job, while nothing else is wanted of it."""
        kept = self._kept.get(folder.path.name)
        return None if kept is None or kept[0] != wanted_at else kept[1]

    def keep(self, folder: JobFolder, wanted_at: int, seen: JobObservation) -> None:
        """Keep what was seen of a job that is over; ``wanted_at`` was read before it was seen."""
        self._kept[folder.path.name] = wanted_at, seen


class Memory:
    """The folder ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._jobs = root / "jobs"
        self.identity = FolderIdentity(root)

    def lock(self) -> AbstractAsyncContextManager[None]:
        """Hold what every choice of GPUs is made under."""
        self._jobs.mkdir(mode=0o700, parents=True, exist_ok=True)
        return durable.lock_async(self._root / "lock")

    def script(self) -> Path:
        """Return the script that looks after a run; it is put there where it is missing."""
        text = files(__package__).joinpath("job.sh").read_text()
        path = self._root / f"job-{hashlib.sha256(text.encode()).hexdigest()[:12]}.sh"
        if not path.exists():
            durable.write_text(path, text)
        return path

    def folder(self, key: str) -> JobFolder:
        """Return where the job ``key`` is or would be; ``Rejected`` where it makes no name."""
        return JobFolder(self._jobs / folder_name(key))

    def known(self, key: str) -> JobFolder:
        """Return where the job ``key`` is; ``Rejected`` where there is none."""
        folder = self.folder(key)
        if not folder.path.exists():
            raise Rejected(f"job {key}: not known here")
        return folder

    def folders(self) -> list[JobFolder]:
        """Return those of all jobs, in the order of their names."""
        try:
            names = [path.name for path in self._jobs.iterdir()]
        except FileNotFoundError:
            return []
        return [JobFolder(self._jobs / name) for name in sorted(names) if name.startswith("job-")]

    def drop_unfinished(self) -> None:
        """Remove what was never a job, or is none any more. Call it under the lock."""
        for path in self._jobs.iterdir():
            if path.name.startswith((NEW, GONE)):
                shutil.rmtree(path, ignore_errors=True)
