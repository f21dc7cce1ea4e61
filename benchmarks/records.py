"""What was measured, kept as JSON: one file per measurement, so that no interruption loses any."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.apart import ROOT, Outcome, run_apart
from benchmarks.parts import MOST_MB, Measurement

BYTES_PER_GB = 1e9


@dataclass(frozen=True, slots=True)
class Record:
    """What came of a measurement.

    Attributes
    ----------
    asked, code
        What was called with what, and a digest of the code it measured.
    machine, taken_on
        Where, and on which day in UTC.
    load
        Processes that ran or waited before it began, on average over a minute.
    value, failure
        As in ``Outcome``; of a rival, what it found without its places.
    verdict
        What the judge says of a rival; ``None`` for what is no rival.
    """

    name: str
    asked: str
    code: str
    machine: str
    taken_on: str
    load: float
    value: Any
    failure: str | None
    peak_mb: float
    verdict: Any = None


class Records:
    """The records in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def read(self, name: str) -> Record | None:
        """Return what is on record of a measurement."""
        path = self._folder / f"{name}.json"
        if not path.exists():
            return None
        return Record(**json.loads(path.read_text(encoding="utf-8")))

    def all(self) -> list[Record]:
        """Return every record there is."""
        names = sorted(path.stem for path in self._folder.glob("*.json"))
        return [record for name in names if (record := self.read(name)) is not None]

    def has(self, measurement: Measurement) -> bool:
        """Whether just this was measured with the code as it is."""
        record = self.read(measurement.name)
        return record is not None and (record.asked, record.code) == (
            asked(measurement),
            code(measurement),
        )

    def keep(self, record: Record) -> None:
        """Put ``record`` on file, in one step: half a record is none."""
        path = self._folder / f"{record.name}.json"
        text = json.dumps(dataclasses.asdict(record), indent=1)
        draft = path.with_suffix(".draft")
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)


def take(measurement: Measurement) -> Record:
    """Measure, and let a rival's places be judged."""
    load, digest = os.getloadavg()[0], code(measurement)
    outcome = run_apart(
        measurement.function,
        *measurement.arguments,
        allowed_s=measurement.allowed_s,
        most_mb=MOST_MB,
    )
    value, failure, verdict = outcome.value, outcome.failure, None
    if measurement.judged is not None and value is not None:
        judged = _judged(measurement, value)
        value = dataclasses.replace(value, places=())
        verdict, failure = _plain(judged.value), judged.failure
    return Record(
        name=measurement.name,
        asked=asked(measurement),
        code=digest,
        machine=machine(),
        taken_on=datetime.now(UTC).date().isoformat(),
        load=load,
        value=_plain(value),
        failure=failure,
        peak_mb=outcome.peak_mb,
        verdict=verdict,
    )


def _judged(measurement: Measurement, found: Any) -> Outcome:
    return run_apart(
        "benchmarks.judge:judge",
        measurement.judged,
        found,
        allowed_s=measurement.allowed_s,
        most_mb=MOST_MB,
    )


def asked(measurement: Measurement) -> str:
    """Return what is called with what."""
    return f"{measurement.function}{measurement.arguments!r}"


def code(measurement: Measurement) -> str:
    """Return a digest of the code that is measured, and of the versions it runs on."""
    digest = hashlib.sha256((ROOT / "requirements.lock").read_bytes())
    for source in measurement.sources:
        path = ROOT / source
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def machine() -> str:
    """Return what the figures depend on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / BYTES_PER_GB
    versions = ", ".join(f"{name} {_version(name)}" for name in ("highspy", "pyomo", "ortools"))
    return (
        f"{cores} cores, {memory_gb:.0f} GB of memory, {platform.system()} {platform.machine()},"
        f" Python {platform.python_version()}, {versions}"
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _plain(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value  # type: ignore[arg-type]
