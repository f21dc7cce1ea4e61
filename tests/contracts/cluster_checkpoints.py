"""What every ``Cluster`` must tell of a job that is to save and leave: a part of its contract.

It pauses all of them. How each left it tells by the exit code, so that whoever knows what that code
means can tell a pause from a loss.
"""

from __future__ import annotations

from dataclasses import replace

from connectors.protocols import Cluster
from connectors.types import JobObservation, JobOrder, JobState
from tests.contracts.orders import order
from tests.contracts.waiting import printed, seen, seen_as

WORKS = "echo up; while :; do sleep 0.02; done"
KILLED = (-9, 137)


class CheckpointContract:
    """The contract."""

    async def test_one_that_saved_left_with_zero(self, cluster: Cluster) -> None:
        """It is paused; before that nobody says that it left with anything."""
        await cluster.submit(order("a", f"trap 'exit 0' TERM; {WORKS}"))
        await printed(cluster, "a", "up")
        assert (await seen_as(cluster, "a", JobState.RUNNING)).exit_code is None
        assert (await _paused(cluster)).exit_code == 0

    async def test_one_that_does_not_save_in_its_grace_was_killed(self, cluster: Cluster) -> None:
        """The exit code is that of SIGKILL, and the reason names the grace."""
        await cluster.submit(order("a", f"trap '' TERM; {WORKS}", checkpoint_grace_s=0.3))
        await printed(cluster, "a", "up")
        job = await _paused(cluster)
        assert job.exit_code in KILLED
        assert "killed" in job.reason
        assert "0.3 s" in job.reason

    async def test_one_whose_disk_is_full_left_with_its_error(self, cluster: Cluster) -> None:
        """Nothing can be written where it saves: the code it leaves with is told."""
        full = 'ln -s /dev/full "$GRIDTIDE_CHECKPOINT_DIR/saved"'
        save = 'echo state > "$GRIDTIDE_CHECKPOINT_DIR/saved" && exit 0; exit 28'
        await cluster.submit(order("a", f"{full}; trap '{save}' TERM; {WORKS}"))
        await printed(cluster, "a", "up")
        job = await _paused(cluster)
        assert job.exit_code == 28
        assert "28" in job.reason

    async def test_one_that_saved_rubbish_crashes_and_goes_on_as_often_as_it_is_told(
        self, cluster: Cluster
    ) -> None:
        """The continuation fails at once; told how often it crashed, the next does without."""
        saved = '"$GRIDTIDE_CHECKPOINT_DIR/saved"'
        script = (
            f'if [ "$GRIDTIDE_CRASHES" = 1 ]; then echo anew; exit 0; fi;'
            f" if [ -e {saved} ]; then exit 65; fi;"
            f" trap 'echo rubbish > {saved}; exit 0' TERM; {WORKS}"
        )

        def ordered(crashes: int, after_starts: int | None) -> JobOrder:
            told = {"GRIDTIDE_CRASHES": str(crashes)}
            return replace(order("a", script, environment=told), after_starts=after_starts)

        await cluster.submit(ordered(0, None))
        await printed(cluster, "a", "up")
        assert (await _paused(cluster)).exit_code == 0
        await cluster.resume(ordered(0, 1))
        job = await seen_as(cluster, "a", JobState.FAILED)
        assert (job.exit_code, job.starts) == (65, 2)
        await cluster.resume(ordered(1, 2))
        job = await seen_as(cluster, "a", JobState.SUCCEEDED)
        assert (job.exit_code, job.starts) == (0, 3)

    async def test_a_pause_asked_for_twice_is_told_once(self, cluster: Cluster) -> None:
        """The second asks for nothing: what it left with stands."""
        await cluster.submit(order("a", f"trap 'exit 3' TERM; {WORKS}"))
        await printed(cluster, "a", "up")
        assert (await _paused(cluster)).exit_code == 3
        await cluster.suspend("a")
        job = await seen(cluster, "a")
        assert (job.state, job.exit_code, job.starts) == (JobState.SUSPENDED, 3, 1)


async def _paused(cluster: Cluster) -> JobObservation:
    await cluster.suspend("a")
    return await seen_as(cluster, "a", JobState.SUSPENDED)
