"""A small day on a real Slurm and on this machine, while everything in between fails.

``python -m benchmarks.chaos`` is the same with Kubernetes, more jobs and two hundred faults.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.chaos.faults import SLURM, Kill
from benchmarks.chaos.run import Asked, run
from tests.peers import slurm

WHY_NOT = slurm.why_not()
ASKED = Asked(
    seed=20210705,
    n_faults=20,
    n_jobs=12,
    clusters=(SLURM,),
    seconds_per_hour=8.0,
    faults_within_hours=8.0,
    released_within_hours=5.0,
    plan_every_s=12.0,
)


@pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
def test_no_job_is_lost_doubled_or_late(tmp_path: Path) -> None:
    """Whatever is killed, cut, slow, lost or sent twice."""
    outcome = run(ASKED, tmp_path, show=lambda _: None)
    assert {fault.what for fault in outcome.faults} >= {Kill.DISPATCHER, Kill.SLURMCTLD}
    assert len(outcome.judged) == ASKED.n_jobs
    assert {one.row.name: one.faults for one in outcome.judged if one.faults} == {}
