"""The script that looks after a run on a node, driven as Slurm would, without one."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connectors.clusters.slurm.folder import How, JobFolder, Phase
from connectors.types import JobOrder, JobState, SuspendBy
from tests.peers.processes import lives

SCRIPT = Path(__file__).parents[2] / "connectors" / "clusters" / "slurm" / "job.sh"
RAN = 'echo ran >> "$GRIDTIDE_CHECKPOINT_DIR/runs"'
# It can be told to leave before anybody sees that it ran.
RUNS_AND_SAVES = (
    "trap 'sleep 2; echo saved >> \"$GRIDTIDE_CHECKPOINT_DIR/runs\"; exit 0' TERM;"
    f" {RAN}; while :; do sleep 0.05; done"
)

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Run the script as Slurm job ``job`` in its ``attempt``; a beat is missed after 3 s."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(folder: JobFolder, job: int = 17, attempt: int = 0) -> subprocess.Popen[bytes]:
        run = folder.wanted().run
        process = subprocess.Popen(
            ["bash", str(SCRIPT), str(folder.path), str(run), "5000", "3"],
            env=os.environ | {"SLURM_JOB_ID": str(job), "SLURM_RESTART_COUNT": str(attempt)},
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(20)


def remembered(tmp_path: Path, script: str, **more: object) -> JobFolder:
    """The folder of a job that is wanted to run."""
    (tmp_path / "jobs").mkdir(exist_ok=True)
    folder = JobFolder(tmp_path / "jobs" / "job-a")
    folder.create(JobOrder("a", ("sh", "-c", script), "pool", 1, **more))  # type: ignore[arg-type]
    return folder


def runs(folder: JobFolder) -> int:
    """How often the command ran."""
    file = folder.path / "checkpoint" / "runs"
    return len(file.read_text().splitlines()) if file.exists() else 0


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    give_up_at = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def test_it_runs_the_command_and_says_how_it_ended(tmp_path: Path, start: Start) -> None:
    """With the exit code; the run is its own."""
    folder = remembered(tmp_path, f"{RAN}; exit 3")
    start(folder).wait(20)
    records = folder.read()
    assert records.end is not None
    assert (records.end.how, records.end.exit_code, records.claim) == (How.EXITED, 3, "17")
    assert runs(folder) == 1


def test_a_run_that_another_job_has_claimed_is_left_alone(tmp_path: Path, start: Start) -> None:
    """Also where it was withdrawn."""
    folder = remembered(tmp_path, RAN)
    assert folder.withdraw(1)
    start(folder, job=18).wait(20)
    assert runs(folder) == 0
    assert not folder.read().is_started


def test_a_run_that_has_ended_is_never_begun_again(tmp_path: Path, start: Start) -> None:
    """Its node died before Slurm heard of the end, and Slurm starts it again."""
    folder = remembered(tmp_path, RAN)
    start(folder).wait(20)
    start(folder, attempt=1).wait(20)
    assert runs(folder) == 1
    other = JobFolder(tmp_path / "jobs" / "job-b")
    other.create(JobOrder("b", ("sh", "-c", RAN), "pool", 1))
    other.conclude(1, JobState.FAILED, "its node was lost")
    start(other, job=19).wait(20)
    assert runs(other) == 0


def test_an_attempt_waits_until_the_one_before_it_has_left(tmp_path: Path, start: Start) -> None:
    """Its node was lost to Slurm and lives on: it sees that another began, saves and leaves."""
    folder = remembered(tmp_path, RUNS_AND_SAVES)
    start(folder)
    until(lambda: runs(folder) == 1)
    start(folder, attempt=1)
    until(lambda: runs(folder) == 3)
    log = (folder.path / "checkpoint" / "runs").read_text().split()
    assert log == ["ran", "saved", "ran"]
    assert (folder.path / "end-1.0").read_text().split()[1] == "evicted"


def test_a_run_waits_for_what_is_left_of_one_before_it(tmp_path: Path, start: Start) -> None:
    """It was given up although it lived: it must leave first."""
    folder = remembered(tmp_path, RUNS_AND_SAVES)
    start(folder)
    until(lambda: runs(folder) == 1)
    folder.conclude(1, JobState.FAILED, "its node was lost")
    folder.want_run(2, folder.read().order)
    start(folder, job=18)
    until(lambda: runs(folder) == 3)
    log = (folder.path / "checkpoint" / "runs").read_text().split()
    assert log == ["ran", "saved", "ran"]


def test_a_node_that_cannot_give_a_sign_of_life_ends_the_job_itself(
    tmp_path: Path, start: Start
) -> None:
    """Before it is started elsewhere; once it can be said, it was told to leave."""
    folder = remembered(tmp_path, f"{RAN}; echo $$ >&2; exec sleep 60")
    looks_after = start(folder)
    until(lambda: runs(folder) == 1 and folder.log.read_text() != "")
    job = int(folder.log.read_text())
    looks_after.send_signal(signal.SIGSTOP)  # as if it hung on a file system that is away
    start(folder, attempt=1)
    until(lambda: runs(folder) == 2)
    assert not lives(job)
    looks_after.send_signal(signal.SIGCONT)
    looks_after.wait(20)
    how, _, reason = (folder.path / "end-1.0").read_text().split(" ", 3)[1:]
    assert (how, "could not reach" in reason) == ("evicted", True)


def test_one_that_shows_no_sign_of_life_is_not_waited_for(tmp_path: Path, start: Start) -> None:
    """Its node is gone: there was a start, and its beat stands still."""
    folder = remembered(tmp_path, RAN)
    (folder.path / "claim-1").symlink_to("17")
    (folder.path / "start-1.0").write_text("1700000000.5 n1\n")
    (folder.path / "beat-1.0").touch()
    start(folder, attempt=1).wait(20)
    assert runs(folder) == 1


@pytest.mark.parametrize(("phase", "how"), [(Phase.PAUSE, "paused"), (Phase.CANCEL, "cancelled")])
def test_what_is_not_wanted_any_more_is_not_begun(
    tmp_path: Path, start: Start, phase: Phase, how: str
) -> None:
    """It says so and leaves."""
    folder = remembered(tmp_path, RAN)
    folder.want(phase)
    start(folder).wait(20)
    end = folder.read().end
    assert end is not None
    assert (end.how.value, runs(folder)) == (how, 0)


def test_a_frozen_job_is_held_and_goes_on(tmp_path: Path, start: Start) -> None:
    """In memory: it was started once."""
    script = f"{RAN}; while :; do sleep 0.05; done"
    folder = remembered(tmp_path, script, suspend_by=SuspendBy.FREEZE)
    start(folder)
    until(lambda: runs(folder) == 1)
    folder.want(Phase.FREEZE)
    until(lambda: folder.read().is_frozen)
    folder.want(Phase.RUN)
    until(lambda: not folder.read().is_frozen)
    folder.want(Phase.CANCEL)
    until(lambda: folder.read().end is not None)
    assert folder.read().n_starts == 1


def test_the_script_is_sound_shell() -> None:
    """As far as the shell itself can tell."""
    assert subprocess.run(["bash", "-n", str(SCRIPT)], check=True).returncode == 0
