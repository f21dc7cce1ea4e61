"""What every ``Cluster`` must do. A connector's test class inherits this and gives the fixtures.

``cluster`` has a pool ``POOL`` of ``GPUS`` GPUs and no jobs; ``same_cluster`` is a second client of
it, as another scheduler or the same one after a restart would have, whose power ``meter`` measures;
``let_go(key)`` creates the file ``go`` in the checkpoint folder of a job, and ``kept(key, name)``
reads a file there. Commands are ``sh`` scripts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest

from connectors.errors import GpusBusy, Rejected
from connectors.protocols import Cluster
from connectors.types import JobObservation, JobOrder, JobState, SuspendBy
from tests.contracts.cluster_checkpoints import CheckpointContract
from tests.contracts.cluster_data import DataContract
from tests.contracts.cluster_power import PowerContract
from tests.contracts.orders import ENDLESS, GPUS, POOL, endless, order
from tests.contracts.waiting import gpus_in_use, printed, seen, seen_as

Kept = Callable[[str, str], str]


class ClusterContract(CheckpointContract, DataContract, PowerContract):
    """The contract. ``suspends_by`` are the ways to pause that the cluster has."""

    suspends_by: ClassVar[frozenset[SuspendBy]] = frozenset(SuspendBy)

    async def test_nothing_runs_at_first(self, cluster: Cluster) -> None:
        """An empty cluster reports its pools and no job."""
        (pool,) = await cluster.capacity()
        assert (pool.pool, pool.gpus_total, pool.gpus_available) == (POOL, GPUS, GPUS)
        assert pool.gpus_in_use == 0
        assert await cluster.observe() == ()

    async def test_every_client_sees_the_same_identity(
        self, cluster: Cluster, same_cluster: Cluster
    ) -> None:
        """Asked at once, before and after there are jobs."""
        first, second = await asyncio.gather(cluster.identity(), same_cluster.identity())
        await cluster.submit(order("a", "exit 0"))
        assert first == second == await cluster.identity()
        assert first

    async def test_a_job_runs_to_its_end(self, cluster: Cluster) -> None:
        """A command that returns 0 is a job that succeeded, started once, and holds no GPU."""
        before = datetime.now(UTC) - timedelta(seconds=1)
        await cluster.submit(order("a", "exit 0"))
        job = await seen_as(cluster, "a", JobState.SUCCEEDED)
        assert (job.exit_code, job.starts, job.gpus) == (0, 1, 0)
        assert job.started_at is not None
        assert job.ended_at is not None
        assert before <= job.started_at <= job.ended_at

    async def test_a_failure_keeps_its_exit_code(self, cluster: Cluster) -> None:
        """A command that returns anything else failed, and says with what."""
        await cluster.submit(order("a", "exit 3"))
        job = await seen_as(cluster, "a", JobState.FAILED)
        assert job.exit_code == 3
        assert "3" in job.reason

    async def test_a_command_that_is_not_there_is_a_failed_job(self, cluster: Cluster) -> None:
        """What cannot be run is reported like any other failure."""
        await cluster.submit(JobOrder("a", ("/no/such/program",), POOL, 1))
        job = await seen_as(cluster, "a", JobState.FAILED)
        assert job.exit_code != 0

    async def test_running_jobs_hold_their_gpus(self, cluster: Cluster) -> None:
        """GPUs are in use from the submission to the end of a job, also while it is queued."""
        await cluster.submit(endless("a", 3))
        (pool,) = await cluster.capacity()
        assert pool.gpus_in_use == 3
        assert (await seen_as(cluster, "a", JobState.RUNNING)).gpus == 3
        await cluster.cancel("a")
        await seen_as(cluster, "a", JobState.CANCELLED)
        (pool,) = await cluster.capacity()
        assert pool.gpus_in_use == 0

    async def test_no_gpu_is_given_twice(self, cluster: Cluster) -> None:
        """A job that asks for more than is free is refused for now, and is not remembered."""
        await self._running(cluster, endless("a", 3))
        with pytest.raises(GpusBusy, match=r"b.*2.*1"):
            await cluster.submit(endless("b", 2))
        assert [job.key for job in await cluster.observe()] == ["a"]

    @pytest.mark.parametrize(
        ("bad", "named"),
        [
            (JobOrder("a", ENDLESS, "nowhere", 1), "nowhere"),
            (JobOrder("a", ENDLESS, POOL, GPUS + 1), "gpus = 5"),
            (JobOrder("a", ENDLESS, POOL, -1), "gpus = -1"),
            (JobOrder("a", (), POOL, 1), "command"),
            (JobOrder("a", ENDLESS, POOL, 1, power_cap_w=0.0), "power_cap_w = 0"),
            (JobOrder("a", ENDLESS, POOL, 1, checkpoint_grace_s=-1.0), "checkpoint_grace_s = -1"),
        ],
    )
    async def test_an_order_that_makes_no_sense_is_refused(
        self, cluster: Cluster, bad: JobOrder, named: str
    ) -> None:
        """A refusal for good names the field and the value, and is not ``GpusBusy``."""
        with pytest.raises(Rejected, match=named) as refusal:
            await cluster.submit(bad)
        assert not isinstance(refusal.value, GpusBusy)
        assert await cluster.observe() == ()

    async def test_the_same_key_is_the_same_job(
        self, cluster: Cluster, same_cluster: Cluster
    ) -> None:
        """However often and from wherever it is submitted, a key is started once."""
        once = order("a", "echo ran")
        await asyncio.gather(*(c.submit(once) for c in (cluster, same_cluster) * 3))
        job = await seen_as(cluster, "a", JobState.SUCCEEDED)
        await same_cluster.submit(once)
        assert job.starts == 1
        assert [line async for line in cluster.logs("a")] == ["ran"]

    async def test_another_client_sees_and_does_the_same(
        self, cluster: Cluster, same_cluster: Cluster
    ) -> None:
        """What one client started, another observes and cancels."""
        await cluster.submit(endless("a", 2))
        assert (await seen_as(same_cluster, "a", JobState.RUNNING)).gpus == 2
        await same_cluster.cancel("a")
        await seen_as(cluster, "a", JobState.CANCELLED)

    async def test_pause_by_checkpoint_gives_the_gpus_back(
        self, cluster: Cluster, kept: Kept
    ) -> None:
        """A paused job has saved, has left, and holds nothing; it then starts as a continuation."""
        script = (
            'echo "continuation $GRIDTIDE_IS_CONTINUATION restarts $GRIDTIDE_RESTARTS"'
            ' >> "$GRIDTIDE_CHECKPOINT_DIR/runs";'
            'if [ -e "$GRIDTIDE_CHECKPOINT_DIR/saved" ]; then echo found; exit 0; fi;'
            "trap 'touch \"$GRIDTIDE_CHECKPOINT_DIR/saved\"; exit 0' TERM;"
            "echo up; while :; do sleep 0.02; done"
        )
        await cluster.submit(order("a", script, 2))
        await printed(cluster, "a", "up")
        await cluster.suspend("a")
        assert (await seen_as(cluster, "a", JobState.SUSPENDED)).gpus == 0
        await cluster.resume(order("a", script, 2))
        job = await seen_as(cluster, "a", JobState.SUCCEEDED)
        assert job.starts == 2
        assert kept("a", "runs").splitlines() == [
            "continuation 0 restarts 0",
            "continuation 1 restarts 1",
        ]
        assert [line async for line in cluster.logs("a")][-1] == "found"

    async def test_a_job_that_does_not_leave_is_killed(self, cluster: Cluster) -> None:
        """The grace ends: a job deaf to SIGTERM is paused all the same."""
        script = "trap '' TERM; echo up; while :; do sleep 0.02; done"
        await cluster.submit(order("a", script, checkpoint_grace_s=0.1))
        await printed(cluster, "a", "up")
        await cluster.suspend("a")
        job = await seen_as(cluster, "a", JobState.SUSPENDED)
        assert job.gpus == 0
        assert "0.1 s" in job.reason

    async def test_resume_waits_for_free_gpus(self, cluster: Cluster) -> None:
        """GPUs that were given back may have been given away; the paused job stays paused."""
        await self._running(cluster, endless("a", 3))
        await cluster.suspend("a")
        await seen_as(cluster, "a", JobState.SUSPENDED)
        await cluster.submit(endless("b", 2))
        with pytest.raises(GpusBusy, match="a"):
            await cluster.resume(endless("a", 3))
        assert (await seen(cluster, "a")).state is JobState.SUSPENDED

    async def test_resume_on_other_gpus_with_another_environment(
        self, cluster: Cluster, kept: Kept
    ) -> None:
        """What the order says holds from now on, for every client; its checkpoint is there."""
        script = (
            'echo "batch $BATCH cap $GRIDTIDE_POWER_CAP_W'
            ' continuation $GRIDTIDE_IS_CONTINUATION" >>"$GRIDTIDE_CHECKPOINT_DIR/runs";'
            ' tail -n 1 "$GRIDTIDE_CHECKPOINT_DIR/runs"; exec sleep 600'
        )

        def ordered(gpus: int, batch: str, cap_w: float) -> JobOrder:
            return order("a", script, gpus, environment={"BATCH": batch}, power_cap_w=cap_w)

        await self._running(cluster, ordered(1, "8", 300.0))
        await printed(cluster, "a", "batch 8 cap 300 continuation 0")
        for restarts, (gpus, batch, cap_w) in enumerate([(4, "32", 200.0), (2, "16", 250.0)], 1):
            await cluster.suspend("a")
            await seen_as(cluster, "a", JobState.SUSPENDED)
            await cluster.resume(ordered(gpus, batch, cap_w))
            job = await seen_as(cluster, "a", JobState.RUNNING)
            assert (job.gpus, job.power_cap_w, job.starts) == (gpus, cap_w, 1 + restarts)
            await gpus_in_use(cluster, gpus)
            await printed(cluster, "a", f"batch {batch} cap {cap_w:g} continuation 1")
        assert kept("a", "runs").splitlines() == [
            "batch 8 cap 300 continuation 0",
            "batch 32 cap 200 continuation 1",
            "batch 16 cap 250 continuation 1",
        ]

    async def test_a_resumption_that_makes_no_sense_is_refused(self, cluster: Cluster) -> None:
        """More GPUs than there are, for good; the paused job stays paused."""
        await self._running(cluster, endless("a"))
        await cluster.suspend("a")
        await seen_as(cluster, "a", JobState.SUSPENDED)
        with pytest.raises(Rejected, match="gpus = 5") as refusal:
            await cluster.resume(endless("a", GPUS + 1))
        assert not isinstance(refusal.value, GpusBusy)
        assert (await seen(cluster, "a")).state is JobState.SUSPENDED

    async def test_a_failed_job_goes_on_where_the_order_says_after_which_start(
        self, cluster: Cluster, kept: Kept
    ) -> None:
        """Once for each failure, however often it is asked; then what it says counts."""
        script = (
            'runs="$GRIDTIDE_CHECKPOINT_DIR/runs"; echo "$GRIDTIDE_IS_CONTINUATION" >> "$runs";'
            '[ "$(wc -l < "$runs")" -ge 3 ] || exit 7'
        )
        again = order("a", script)
        await cluster.submit(again)
        await seen_as(cluster, "a", JobState.FAILED)
        await cluster.resume(again)
        assert (await seen(cluster, "a")).state is JobState.FAILED
        for _ in range(2):
            await cluster.resume(replace(again, after_starts=1))
        assert (await self._started(cluster, "a", 2, JobState.FAILED)).exit_code == 7
        await cluster.resume(replace(again, after_starts=1))
        await cluster.resume(replace(again, after_starts=2))
        assert (await self._started(cluster, "a", 3, JobState.SUCCEEDED)).exit_code == 0
        await cluster.resume(replace(again, after_starts=3))
        assert (await seen(cluster, "a")).starts == 3
        assert kept("a", "runs").split() == ["0", "1", "1"]

    async def test_a_resumption_that_comes_late_starts_nothing(self, cluster: Cluster) -> None:
        """The job went on and was paused again meanwhile: it was for the pause before."""
        await self._running(cluster, endless("a"))
        await cluster.suspend("a")
        await seen_as(cluster, "a", JobState.SUSPENDED)
        await cluster.resume(replace(endless("a"), after_starts=2))
        assert (await seen(cluster, "a")).state is JobState.SUSPENDED
        await cluster.resume(replace(endless("a"), after_starts=1))
        assert (await seen_as(cluster, "a", JobState.RUNNING)).starts == 2

    async def test_freeze_keeps_the_gpus(self, cluster: Cluster) -> None:
        """A frozen job stays in memory with its GPUs and goes on without a restart."""
        script = "echo up; while :; do sleep 0.02; done"
        frozen = order("a", script, 2, suspend_by=SuspendBy.FREEZE)
        if SuspendBy.FREEZE not in self.suspends_by:
            pytest.skip("it cannot freeze")
        await self._running(cluster, frozen)
        await cluster.suspend("a")
        assert (await seen_as(cluster, "a", JobState.SUSPENDED)).gpus == 2
        with pytest.raises(Rejected, match=r"gpus = 1.*frozen"):
            await cluster.resume(order("a", script, 1, suspend_by=SuspendBy.FREEZE))
        await cluster.resume(replace(frozen, power_cap_w=150.0))
        job = await seen_as(cluster, "a", JobState.RUNNING)
        assert (job.starts, job.gpus, job.power_cap_w) == (1, 2, 150.0)

    @pytest.mark.parametrize("suspend_by", list(SuspendBy))
    async def test_a_way_to_pause_it_does_not_have_is_refused_by_name(
        self, cluster: Cluster, suspend_by: SuspendBy
    ) -> None:
        """When the job is submitted, not when it is to be paused."""
        if suspend_by in self.suspends_by:
            pytest.skip(f"it can {suspend_by}")
        with pytest.raises(Rejected, match=f"suspend_by = '{suspend_by}'"):
            await cluster.submit(endless("a", suspend_by=suspend_by))
        assert await cluster.observe() == ()

    @pytest.mark.parametrize("suspend_by", list(SuspendBy))
    async def test_a_suspended_job_can_be_cancelled(
        self, cluster: Cluster, suspend_by: SuspendBy
    ) -> None:
        """Cancelling frees what is held, however the job was paused."""
        if suspend_by not in self.suspends_by:
            pytest.skip(f"it cannot {suspend_by}")
        await self._running(cluster, endless("a", 2, suspend_by=suspend_by))
        await cluster.suspend("a")
        await seen_as(cluster, "a", JobState.SUSPENDED)
        await cluster.cancel("a")
        assert (await seen_as(cluster, "a", JobState.CANCELLED)).gpus == 0

    async def test_commands_sent_twice_do_no_harm(self, cluster: Cluster) -> None:
        """Each command may come again, also when the job has long been where it asks for."""
        await self._running(cluster, endless("a"))
        await cluster.resume(endless("a"))
        for _ in range(2):
            await cluster.suspend("a")
            await seen_as(cluster, "a", JobState.SUSPENDED)
        await cluster.resume(endless("a"))
        await cluster.resume(endless("a"))
        assert (await seen_as(cluster, "a", JobState.RUNNING)).starts == 2
        for _ in range(2):
            await cluster.cancel("a")
            await seen_as(cluster, "a", JobState.CANCELLED)
        await cluster.suspend("a")
        await cluster.resume(endless("a"))
        assert (await seen(cluster, "a")).state is JobState.CANCELLED

    async def test_what_succeeded_stays_so(self, cluster: Cluster) -> None:
        """No command reaches a job that is over."""
        await cluster.submit(order("a", "exit 0"))
        await seen_as(cluster, "a", JobState.SUCCEEDED)
        await cluster.suspend("a")
        await cluster.cancel("a")
        await cluster.set_power_cap("a", 100.0)
        job = await seen(cluster, "a")
        assert (job.state, job.starts) == (JobState.SUCCEEDED, 1)

    async def test_an_unknown_key_is_refused_by_name(self, cluster: Cluster) -> None:
        """Every command but submit needs a job that is known."""
        for command in (cluster.suspend, cluster.cancel):
            with pytest.raises(Rejected, match="nobody"):
                await command("nobody")
        with pytest.raises(Rejected, match="nobody"):
            await cluster.resume(endless("nobody"))
        with pytest.raises(Rejected, match="nobody"):
            await cluster.set_power_cap("nobody", 100.0)
        with pytest.raises(Rejected, match="nobody"):
            await anext(cluster.logs("nobody"))

    async def test_the_cluster_says_which_gpus_and_which_job(self, cluster: Cluster) -> None:
        """What the cluster sets in the environment wins over what the order asks for."""
        mine = {"CUDA_VISIBLE_DEVICES": "99", "GRIDTIDE_JOB_KEY": "other", "MINE": "kept"}
        script = 'echo "$CUDA_VISIBLE_DEVICES|$GRIDTIDE_JOB_KEY|$MINE|$GRIDTIDE_POWER_CAP_W"'
        await cluster.submit(order("a", script, 2, environment=mine, power_cap_w=200.0))
        await seen_as(cluster, "a", JobState.SUCCEEDED)
        (line,) = [line async for line in cluster.logs("a")]
        gpus, key, kept, cap = line.split("|")
        assert (len(set(gpus.split(","))), key, kept, float(cap)) == (2, "a", "kept", 200.0)
        assert "99" not in gpus.split(",")

    async def test_logs_follow_until_the_end(
        self, cluster: Cluster, let_go: Callable[[str], None]
    ) -> None:
        """A follower gets what is there, then what comes, and stops when the job does."""
        script = 'echo one; while [ ! -e "$GRIDTIDE_CHECKPOINT_DIR/go" ]; do sleep 0.02; done; '
        await cluster.submit(order("a", script + "echo two >&2; printf three"))
        lines = cluster.logs("a", follow=True)
        assert await anext(lines) == "one"
        assert [line async for line in cluster.logs("a")] == ["one"]
        let_go("a")
        assert [line async for line in lines] == ["two", "three"]

    async def _started(
        self, cluster: Cluster, key: str, starts: int, state: JobState
    ) -> JobObservation:
        for _ in range(200):
            job = await seen_as(cluster, key, state)
            if job.starts == starts:
                return job
            await asyncio.sleep(0.05)
        raise AssertionError(f"{key} was never started {starts} times: {job}")

    async def _running(self, cluster: Cluster, wanted: JobOrder) -> None:
        await cluster.submit(wanted)
        await seen_as(cluster, wanted.key, JobState.RUNNING)
