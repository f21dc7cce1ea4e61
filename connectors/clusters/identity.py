"""A state folder knows its own name, so that an empty one is not taken for one without jobs.

A volume that is not mounted, or a path that means another folder today, looks like a cluster that
was never given a job. Its name tells: it is given at random at the first use, and stays.
"""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from connectors.clusters import durable
from connectors.errors import Unavailable


class FolderIdentity:
    """The name of ``folder``, and whether it is still the folder it was."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "cluster.json"
        self._known: str | None = None

    def read(self) -> str:
        """Return the name; one is given where this object has never seen any.

        Raises
        ------
        Unavailable
            It had one and has none now.
        """
        found = self._find()
        if found is None and self._known is not None:
            raise Unavailable(f"{self._folder}: what was there is gone; is its volume mounted?")
        self._known = found or self._give()
        return self._known

    def require_same(self) -> None:
        """Raise ``Unavailable`` where the folder is not the one whose name was read last."""
        if self._known is None:
            self.read()
        elif self._find() != self._known:
            raise Unavailable(
                f"{self._folder}: it is not the folder it was; what is mounted there?"
            )

    def _find(self) -> str | None:
        record = durable.read_json(self._file)
        return None if record is None else str(record["identity"])

    def _give(self) -> str:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with durable.lock(self._folder / "lock"):
            found = self._find()
            if found is None:
                found = uuid4().hex
                durable.write_json(self._file, {"identity": found})
        return found
