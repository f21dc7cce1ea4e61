"""What the local cluster does beyond the contract: real processes, GPU numbers, its files."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.clusters.local import processes
from connectors.clusters.local.cluster import LocalCluster, LocalPool
from connectors.errors import GpusBusy, Rejected, Unavailable
from connectors.types import JobOrder, JobState, SuspendBy
from tests.contracts.waiting import end_everything, seen, seen_as, until

POOLS = (LocalPool("big", 8, kw_per_gpu=0.7, idle_kw_per_gpu=0.1), LocalPool("small", 2, 0.3))


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    """Two pools on this machine."""
    cluster = LocalCluster("local", tmp_path / "state", POOLS)
    yield cluster
    await end_everything(cluster)


def shell(key: str, script: str, gpus: int = 1, pool: str = "big", **more: object) -> JobOrder:
    """Order a shell script."""
    return JobOrder(key, ("sh", "-c", script), pool, gpus, **more)  # type: ignore[arg-type]


async def printed(cluster: LocalCluster, key: str) -> list[str]:
    """Return what a job printed once it has succeeded."""
    await seen_as(cluster, key, JobState.SUCCEEDED)
    return [line async for line in cluster.logs(key)]


async def first_line(cluster: LocalCluster, key: str) -> str:
    """Return the first line of a job as soon as it is there."""
    return await anext(cluster.logs(key, follow=True))


def children_of_group(group: int) -> list[int]:
    """List the living processes of a group, straight from the kernel."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[2]) == group and fields[0] not in "ZX":
                found.append(int(entry.name))
    return found


async def test_gpu_numbers_are_disjoint_over_all_pools(cluster: LocalCluster) -> None:
    """CUDA_VISIBLE_DEVICES of living jobs share no GPU; without GPUs it is empty."""
    show = 'echo "[$CUDA_VISIBLE_DEVICES]"; exec sleep 600'
    await cluster.submit(shell("a", show, 3))
    await cluster.submit(shell("b", show, 5))
    await cluster.submit(shell("c", show, 2, pool="small"))
    await cluster.submit(shell("d", show, 0))
    lines = [await first_line(cluster, key) for key in "abcd"]
    assert lines == ["[0,1,2]", "[3,4,5,6,7]", "[8,9]", "[]"]


async def test_freed_gpus_are_given_again(cluster: LocalCluster) -> None:
    """A hole left by a job is filled; a resumed job may get other GPUs than before."""
    show = 'echo "$CUDA_VISIBLE_DEVICES"; exec sleep 600'
    await cluster.submit(shell("a", show, 2))
    await cluster.submit(shell("b", show, 6))
    await cluster.suspend("a")
    await seen_as(cluster, "a", JobState.SUSPENDED)
    await cluster.submit(shell("c", show, 1))
    assert await first_line(cluster, "c") == "0"
    await cluster.cancel("b")
    await seen_as(cluster, "b", JobState.CANCELLED)
    await cluster.resume(shell("a", show, 2))
    await seen_as(cluster, "a", JobState.RUNNING)
    follower = cluster.logs("a", follow=True)
    assert [await anext(follower), await anext(follower)] == ["0,1", "1,2"]


async def test_gpus_are_never_oversubscribed_by_racing_schedulers(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    """Two schedulers submit 24 jobs at once: those accepted hold at most 8 GPUs, none twice."""
    rng = random.Random(3)
    other = LocalCluster("local", tmp_path / "state", POOLS)
    show = 'echo "$CUDA_VISIBLE_DEVICES"; exec sleep 600'
    orders = [shell(f"job-{n}", show, rng.randint(1, 3)) for n in range(24)]
    outcomes = await asyncio.gather(
        *((cluster, other)[n % 2].submit(order) for n, order in enumerate(orders)),
        return_exceptions=True,
    )
    accepted = [
        order
        for order, outcome in zip(orders, outcomes, strict=True)
        if outcome is JobState.RUNNING
    ]
    refused = [outcome for outcome in outcomes if isinstance(outcome, GpusBusy)]
    assert len(accepted) + len(refused) == len(orders)
    given = [gpu for order in accepted for gpu in (await first_line(cluster, order.key)).split(",")]
    assert len(given) == len(set(given)) == sum(order.gpus for order in accepted)
    assert len(given) >= 6  # at most two were left, too few for what came after
    (big, _) = await cluster.capacity()
    assert big.gpus_in_use == len(given) <= big.gpus_total


async def test_secrets_of_the_scheduler_stay_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job's environment is PATH and the like, what its order says, and what the cluster sets."""
    monkeypatch.setenv("GRIDTIDE_DATABASE_URL", "hush")
    monkeypatch.setenv("PYTHONPATH", "/hush")
    cluster = LocalCluster("local", tmp_path / "state", POOLS)
    await cluster.submit(shell("a", "env", environment={"MINE": "1"}))
    lines = await printed(cluster, "a")
    assert not [line for line in lines if "hush" in line]
    assert "MINE=1" in lines
    assert f"PATH={os.environ['PATH']}" in lines


async def test_supervisor_of_a_job_does_not_hold_the_secrets_of_the_scheduler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job can read the environment of every process of its user, its parent's first of all."""
    monkeypatch.setenv("GRIDTIDE_DATABASE_URL", "hush")
    cluster = LocalCluster("local", tmp_path / "state", POOLS)
    await cluster.submit(shell("a", "tr '\\0' '\\n' </proc/$PPID/environ"))
    lines = await printed(cluster, "a")
    assert f"PATH={os.environ['PATH']}" in lines
    assert not [line for line in lines if "GRIDTIDE_DATABASE_URL" in line]


async def test_a_job_starts_in_its_own_folder_or_where_it_is_told(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    """Jobs do not litter the scheduler's folder."""
    there = LocalCluster("local", tmp_path / "there", POOLS, working_folder=tmp_path)
    await cluster.submit(shell("a", "pwd; cat"))
    await there.submit(shell("a", "pwd"))
    assert await printed(cluster, "a") == [str(tmp_path / "state/jobs/job-a/work")]
    assert await printed(there, "a") == [str(tmp_path)]


async def test_a_job_takes_its_children_with_it(cluster: LocalCluster) -> None:
    """What a job left running in its group would use GPUs that others get."""
    await cluster.submit(shell("a", "sleep 600 & echo $$"))
    (leader,) = await printed(cluster, "a")
    assert children_of_group(int(leader)) == []


async def test_children_have_the_whole_grace_to_save(cluster: LocalCluster, tmp_path: Path) -> None:
    """A shell that dies at once does not take away the grace of the program it started."""
    save = f"sleep 0.2; touch {tmp_path}/saved; exit"
    saver = f"trap '{save}' TERM; echo up; while :; do sleep 0.02; done"
    await cluster.submit(shell("a", f'sh -c "{saver}"; true'))
    assert await first_line(cluster, "a") == "up"
    await cluster.suspend("a")
    job = await seen_as(cluster, "a", JobState.SUSPENDED)
    assert (tmp_path / "saved").exists()
    assert "left within" in job.reason


async def test_a_frozen_job_does_nothing(cluster: LocalCluster, tmp_path: Path) -> None:
    """All its processes are stopped, and go on where they were."""
    count = f"while :; do echo . >> {tmp_path}/count; sleep 0.02; done"
    counting = shell("a", f"echo $$; {count}", suspend_by=SuspendBy.FREEZE)
    await cluster.submit(counting)
    leader = int(await first_line(cluster, "a"))
    await cluster.suspend("a")
    await seen_as(cluster, "a", JobState.SUSPENDED)
    states = {
        Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        for pid in children_of_group(leader)
    }
    assert states <= {"T", "D"}  # D: a shell whose program was just being started
    size = (tmp_path / "count").stat().st_size
    await cluster.resume(counting)
    await until(lambda: (tmp_path / "count").stat().st_size > size, "it counts again")
    assert children_of_group(leader)


# It starts a program whose start waits for a writer of a pipe that never comes. Until a program
# has started, who starts it waits in the kernel, where no stop reaches it.
STARTING = """
import os
os.mkfifo("pipe")
print("up", flush=True)
wait = [(os.POSIX_SPAWN_OPEN, 0, "pipe", os.O_RDONLY, 0)]
os.posix_spawn("/bin/true", ["true"], {}, file_actions=wait)
"""


@pytest.mark.parametrize("suspend_by", list(SuspendBy))
async def test_a_job_that_is_starting_a_program_can_be_suspended(
    cluster: LocalCluster, tmp_path: Path, suspend_by: SuspendBy
) -> None:
    """It need not be seen stopped to be held."""
    command = (sys.executable, "-c", STARTING)
    starting = JobOrder("a", command, "big", 1, suspend_by=suspend_by, checkpoint_grace_s=0.1)
    await cluster.submit(starting)
    assert await first_line(cluster, "a") == "up"
    start = json.loads((tmp_path / "state/jobs/job-a/start-1.json").read_text())
    leader = processes.ProcessIdentity(**start["leader"])

    def waits_in_kernel() -> bool:
        status = processes.find(leader)
        return status is not None and status.state == "D"

    await until(waits_in_kernel, "it waits for its program to start")
    await cluster.suspend("a")
    await seen_as(cluster, "a", JobState.SUSPENDED)


async def test_a_running_job_reads_its_new_power_cap(cluster: LocalCluster) -> None:
    """The environment cannot change any more; the file it names does."""
    wait = 'while [ "$(cat $GRIDTIDE_POWER_CAP_FILE)" != 180.0 ]; do sleep 0.02; done'
    await cluster.submit(
        shell("a", f"echo $GRIDTIDE_POWER_CAP_W; {wait}; echo new", power_cap_w=250.0)
    )
    await cluster.set_power_cap("a", 180.0)
    assert await printed(cluster, "a") == ["250", "new"]


async def test_a_restart_has_the_power_cap_of_now(cluster: LocalCluster) -> None:
    """That of the order it is resumed by; where that has none, it is not set."""
    show = 'echo "cap ${GRIDTIDE_POWER_CAP_W-none}"; [ $GRIDTIDE_RESTARTS = 1 ] || exec sleep 600'
    await cluster.submit(shell("a", show, power_cap_w=250.0))
    assert await first_line(cluster, "a") == "cap 250"
    await cluster.suspend("a")
    await seen_as(cluster, "a", JobState.SUSPENDED)
    await cluster.resume(shell("a", show))
    assert await printed(cluster, "a") == ["cap 250", "cap none"]


async def test_power_is_modelled_from_gpus_and_caps(cluster: LocalCluster) -> None:
    """Idle, capped, uncapped, capped above what a GPU can draw, and frozen GPUs."""
    forever = "echo up; exec sleep 600"
    assert (await cluster.power()).kw == pytest.approx(8 * 0.1)
    await cluster.submit(shell("capped", forever, 2, power_cap_w=250.0))
    await cluster.submit(shell("free", forever, 1))
    await cluster.submit(shell("high", forever, 2, pool="small", power_cap_w=900.0))
    await cluster.submit(shell("cold", forever, 3, suspend_by=SuspendBy.FREEZE))
    at_work_kw = 2 * 0.25 + 1 * 0.7 + 2 * 0.3
    reading = await cluster.power()
    assert reading.kw == pytest.approx(at_work_kw + 3 * 0.7 + 2 * 0.1)
    assert not reading.is_measured
    await cluster.suspend("cold")
    await seen_as(cluster, "cold", JobState.SUSPENDED)
    assert (await cluster.power()).kw == pytest.approx(at_work_kw + (3 + 2) * 0.1)


async def test_any_key_is_a_folder_of_its_own(cluster: LocalCluster, tmp_path: Path) -> None:
    """Keys that look like paths stay inside the state folder."""
    for key in ("../../escape", "..", "a/b", "ä b"):
        await cluster.submit(shell(key, "exit 0", 0))
        await seen_as(cluster, key, JobState.SUCCEEDED)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state"]
    for key in ("", "k" * 201):
        with pytest.raises(Rejected, match=f"{len(key)} characters"):
            await cluster.submit(shell(key, "exit 0"))


async def test_a_folder_that_was_never_whole_is_dropped(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    """What a killed scheduler began to write counts for nothing."""
    begun = tmp_path / "state/jobs/.new-job-a"
    begun.mkdir(parents=True)
    (begun / "order.json").write_text("{")
    assert await cluster.observe() == ()
    await cluster.submit(shell("a", "exit 0"))
    await seen_as(cluster, "a", JobState.SUCCEEDED)
    assert not begun.exists()


async def test_logs_of_two_streams_keep_their_order_and_bytes(cluster: LocalCluster) -> None:
    """Both streams go to one log; what is not UTF-8 does not stop a reader."""
    await cluster.submit(shell("a", r"echo one; echo two >&2; printf 'thr\377ee\nfour'"))
    assert await printed(cluster, "a") == ["one", "two", "thr\ufffdee", "four"]


async def test_a_log_larger_than_one_read_is_whole(cluster: LocalCluster) -> None:
    """Lines cut by the size of a read are put together again."""
    await cluster.submit(shell("a", "seq 1 40000"))
    assert await printed(cluster, "a") == [str(n) for n in range(1, 40001)]


async def test_an_unusable_state_folder_is_unavailable(tmp_path: Path) -> None:
    """Trouble with the disk is for a retry, and names the cluster."""
    (tmp_path / "state").write_text("a file where a folder should be")
    cluster = LocalCluster("local", tmp_path / "state", POOLS)
    with pytest.raises(Unavailable, match="cluster local"):
        await cluster.submit(shell("a", "exit 0"))


async def test_a_folder_that_is_gone_is_not_one_without_jobs(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    """Nothing is said, taken or made while its volume is away; then all is as it was."""
    await cluster.submit(shell("a", "exec sleep 600", 2))
    known = await cluster.identity()
    state = tmp_path / "state"
    state.rename(tmp_path / "away")
    for ask in (cluster.identity, cluster.observe, cluster.capacity, cluster.power):
        with pytest.raises(Unavailable, match="state"):
            await ask()
    with pytest.raises(Unavailable, match="state"):
        await cluster.submit(shell("b", "exit 0"))
    assert not state.exists()
    (tmp_path / "away").rename(state)
    assert await cluster.identity() == known
    assert (await seen(cluster, "a")).state is JobState.RUNNING


async def test_another_folder_in_its_place_has_another_identity(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    """A scheduler started while the volume is away makes an empty one, and finds the old again."""
    known = await cluster.identity()
    state = tmp_path / "state"
    state.rename(tmp_path / "away")
    started_meanwhile = LocalCluster("local", state, POOLS)
    assert await started_meanwhile.identity() != known
    with pytest.raises(Unavailable, match="not the folder it was"):
        await cluster.observe()
    state.rename(tmp_path / "empty")
    (tmp_path / "away").rename(state)
    assert await started_meanwhile.identity() == known


async def test_jobs_outlive_the_cluster_object(cluster: LocalCluster, tmp_path: Path) -> None:
    """A scheduler that starts again finds its job with the same history."""
    await cluster.submit(shell("a", "exec sleep 600", 2))
    before = await seen(cluster, "a")
    again = LocalCluster("local", tmp_path / "state", POOLS)
    assert await seen(again, "a") == before


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: LocalPool("p", -1), "gpus = -1"),
        (lambda: LocalPool("p", 1, 0.2, 0.3), "idle_kw_per_gpu = 0.3"),
        (lambda: LocalCluster("c", Path("x"), [LocalPool("p", 1), LocalPool("p", 1)]), "'p'"),
    ],
)
def test_pools_that_make_no_sense_are_refused(build: object, named: str) -> None:
    """Each names the pool, the value and the limit."""
    with pytest.raises(ValueError, match=named):
        build()  # type: ignore[operator]
