"""What is said where Slurm itself says too little: it leads to what can be mended."""

from __future__ import annotations

from connectors.clusters.slurm.folder import Phase, Records, Wanted
from connectors.clusters.slurm.standing import conclusion
from connectors.clusters.slurm.transport import SlurmJob
from connectors.types import JobOrder, JobState


def test_a_node_that_could_not_launch_a_job_leads_to_the_folder() -> None:
    """Slurm's word for it is the same whatever it could not open."""
    order = JobOrder("train", ("true",), "gpu", 1)
    nothing = Records(
        order=order,
        wanted=Wanted(1, Phase.RUN),
        power_cap_w=None,
        slurm_job=7,
        claim=None,
        n_starts=0,
        first_start_at=None,
        nodes="",
        is_started=False,
        is_frozen=False,
        end=None,
        conclusion=None,
        beat_at=None,
    )
    row = SlurmJob(7, None, frozenset(("FAILED",)), "JobLaunchFailure")
    ended = conclusion(nothing, row)
    assert ended is not None
    state, reason = ended
    assert state is JobState.FAILED
    assert "JobLaunchFailure: does its node see the folder of the cluster?" in reason
