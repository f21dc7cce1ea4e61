"""Which pods have GPUs here that this agent may have set caps on, in files.

One is written before a GPU of its pod is touched, and removed once the GPUs have their default
again. So whatever is left after a crash says what may still be to do.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from connectors.clusters.durable import write_json

log = logging.getLogger(__name__)

_SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class Record:
    """A pod, and the GPUs it was given."""

    uid: str
    namespace: str
    name: str
    gpus: tuple[str, ...]


class Records:
    """Those in a folder, which is made where it is missing. Read once: nobody else writes there."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._known = {
            record.uid: record
            for path in folder.glob(f"*{_SUFFIX}")
            if (record := _read(path)) is not None
        }

    def __iter__(self) -> Iterator[Record]:
        return iter(list(self._known.values()))

    def get(self, uid: str) -> Record | None:
        """Return the record of a pod."""
        return self._known.get(uid)

    def add(self, record: Record) -> None:
        """Write a record down, before anything is done that it would be needed for."""
        write_json(self._folder / f"{record.uid}{_SUFFIX}", asdict(record))
        self._known[record.uid] = record

    def remove(self, record: Record) -> None:
        """Forget a pod."""
        (self._folder / f"{record.uid}{_SUFFIX}").unlink(missing_ok=True)
        del self._known[record.uid]


def _read(path: Path) -> Record | None:
    try:
        fields = json.loads(path.read_text())
        record = Record(
            str(fields["uid"]), str(fields["namespace"]), str(fields["name"]), tuple(fields["gpus"])
        )
    except (ValueError, KeyError, TypeError) as error:
        # Somebody else has spoilt it; the GPUs of its pod cannot be known from it.
        log.error("%s is left out: %r", path, error)  # noqa: TRY400 - says all there is
        return None
    return record
