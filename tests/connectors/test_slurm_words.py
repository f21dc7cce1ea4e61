"""What a folder and Slurm say together, where either says too little."""

from __future__ import annotations

from connectors.clusters.slurm.folder import Phase, Records, Wanted
from connectors.clusters.slurm.standing import conclusion
from connectors.clusters.slurm.survey import Known
from connectors.clusters.slurm.transport import SlurmJob
from connectors.types import JobOrder, JobState


def records(*, is_started: bool = False) -> Records:
    """Give the folder of a job of three GPUs that is Slurm's job 7."""
    return Records(
        order=JobOrder("train", ("true",), "gpu", 3),
        wanted=Wanted(1, Phase.RUN),
        power_cap_w=None,
        slurm_job=7,
        claim="7" if is_started else None,
        n_starts=int(is_started),
        first_start_at=None,
        nodes="",
        is_started=is_started,
        is_frozen=False,
        end=None,
        conclusion=None,
        beat_at=None,
    )


def test_a_job_that_begins_while_slurm_is_asked_is_counted_once() -> None:
    """Nodes that were asked before it began do not tell of its GPUs; its folder already does."""
    waited = Known(records(is_started=True), SlurmJob(7, None, frozenset(("PENDING",)), "None"))
    assert (waited.gpus_awaited, waited.gpus_held) == (3, 0)
    ran = Known(records(is_started=True), SlurmJob(7, None, frozenset(("RUNNING",)), "None"))
    assert (ran.gpus_awaited, ran.gpus_held) == (0, 3)


def test_a_node_that_could_not_launch_a_job_leads_to_the_folder() -> None:
    """Slurm's word for it is the same whatever it could not open."""
    nothing = records()
    row = SlurmJob(7, None, frozenset(("FAILED",)), "JobLaunchFailure")
    ended = conclusion(nothing, row)
    assert ended is not None
    state, reason = ended
    assert state is JobState.FAILED
    assert "JobLaunchFailure: does its node see the folder of the cluster?" in reason
