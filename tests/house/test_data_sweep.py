"""The sweep that the documentation gives lists data of jobs that are over, and none else."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "clusters.md"
FOLDER = "/shared/gridtide/data"
JOBS = {
    "done": ("succeeded", ["succeeded", "cancelled"]),
    "failed": ("failed", []),
    "expired": ("expired", ["failed"]),
    "running": ("running", ["succeeded"]),
    "still-moving": ("cancelled", ["running"]),
    "paused": ("suspended", ["succeeded"]),
}


def test_the_sweep_lists_what_is_over(tmp_path: Path) -> None:
    """A job that runs on data that has arrived keeps it; so does what nobody knows."""
    blocks = DOCUMENT.read_text(encoding="utf-8").split("```")
    (script,) = (block for block in blocks if f"cd {FOLDER}" in block)
    data = tmp_path / "data"
    for name, (status, transfers) in JOBS.items():
        (data / f"job-{name}").mkdir(parents=True)
        shown = {"transfers": [{"status": one} for one in transfers], "status": status}
        (tmp_path / name).write_text(json.dumps(shown))
    (data / "job-unknown").mkdir()
    program = tmp_path / "gridtide"
    program.write_text(f'#!/bin/sh\ncat "{tmp_path}/$3"\n')
    program.chmod(0o755)
    listed = subprocess.run(
        ["bash", "-c", script.replace(FOLDER, str(data))],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    names = {line.rpartition("/job-")[2] for line in listed.stdout.splitlines()}
    assert names == {"done", "failed", "expired"}
