"""A real gridstatus in a Python of its own. ``make peer-gridstatus`` installs it."""

from __future__ import annotations

from pathlib import Path

from tests.peers.processes import peers

_PINNED = Path(__file__).parents[2] / "deploy" / "peers" / "gridstatus" / "requirements.in"
HOW_TO_GET_IT = "gridstatus is not installed (make peer-gridstatus): its tests are skipped"


def python() -> Path | None:
    """Return the Python that has it, or None where it is not installed."""
    version = _PINNED.read_text().strip().partition("==")[2]
    folder = peers() / f"gridstatus-{version}"
    return folder / "bin" / "python" if (folder / ".complete").exists() else None
