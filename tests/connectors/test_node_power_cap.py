"""The node's script sets caps, checks what may be, and believes only what it reads back."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.peers.nvidia_smi import FakeGpus
from tests.peers.processes import wait_until

SCRIPT = Path(__file__).parents[2] / "deploy" / "node" / "gridtide-power-cap"
Run = Callable[..., str]


@pytest.fixture
def gpus(tmp_path: Path) -> FakeGpus:
    """Four that can be set between 100 and 700 W."""
    return FakeGpus(tmp_path / "driver")


@pytest.fixture
def run(gpus: FakeGpus, tmp_path: Path) -> Run:
    """Run the script on them; returns its line."""

    def call(*words: str, **more: str) -> str:
        environment = {
            "PATH": f"{gpus.bin}:{os.environ['PATH']}",
            "RUNTIME_DIRECTORY": str(tmp_path / "run"),
            "DRIVER_GPUS": str(tmp_path / "gpus"),
        }
        done = subprocess.run(
            [SCRIPT, *words], env=environment | more, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.strip()

    return call


def test_a_cap_is_set_and_read_back(gpus: FakeGpus, run: Run) -> None:
    """On the GPUs that are named and no other."""
    assert run("set", "250", "1", "2") == "250.00"
    assert gpus.limits() == [700.0, 250.0, 250.0, 700.0]
    assert run("set", "default", "1", "2") == "700.00"
    assert gpus.limits() == [700.0] * 4


def test_a_limit_that_stands_is_not_set_again(gpus: FakeGpus, run: Run) -> None:
    """Reading is enough."""
    run("set", "250", "1")
    run("set", "250", "1")
    assert len([call for call in gpus.calls() if "-pl" in call]) == 1


@pytest.mark.parametrize("cap", ["50", "900"])
def test_a_cap_beyond_what_the_gpu_takes_is_refused(gpus: FakeGpus, run: Run, cap: str) -> None:
    """With the value and the limits; what was in force stays so, and is told."""
    said = run("set", cap, "0")
    assert said == f"700.00 GPU 0: cap = {cap} W, must be within [100.00, 700.00] W"
    assert [call for call in gpus.calls() if "-pl" in call] == []


def test_no_cap_is_above_the_default_limit_unless_the_service_says_so(
    gpus: FakeGpus, run: Run
) -> None:
    """Who submits a job says its cap; more than the default is for who runs the node."""
    gpus.set_default(0, 600.0)
    gpus.set_limit(0, 250.0)
    refused = "GPU 0: cap = 650 W, must be at most its default limit, 600.00 W"
    assert run("set", "650", "0") == f"600.00 {refused}"
    assert gpus.limit(0) == 600.0
    assert run("set", "650", "0", MORE_THAN_DEFAULT="yes") == "650.00"
    assert run("set", "default", "0") == "600.00"


def test_a_cap_that_is_no_number_reaches_no_gpu(gpus: FakeGpus, run: Run) -> None:
    """It comes from a file of the job's user."""
    assert run("set", "$(reboot)", "0") == "- cap = $(reboot), must be a number of watts"
    assert gpus.calls() == []


def test_without_permission_the_words_of_the_driver_are_told(gpus: FakeGpus, run: Run) -> None:
    """And the limit that is in force all the same."""
    gpus.refuse("permission")
    words = (
        "Failed to set power management limit for GPU 00000000:01:00.0: Insufficient Permissions"
    )
    assert run("set", "250", "0") == (
        f"700.00 GPU 0: nvidia-smi: {words};"
        " GPU 0: cap = 250 W was set, 700.00 W is read back (700.00 W before)"
    )


def test_a_success_that_changed_nothing_is_noticed(gpus: FakeGpus, run: Run) -> None:
    """Where a limit cannot be changed nvidia-smi warns, and ends as if all were well."""
    gpus.refuse("support", [1])
    said = run("set", "250", "0", "1")
    assert said.startswith("700.00 GPU 1: cap = 250 W was set, 700.00 W is read back")
    assert gpus.limits()[:2] == [250.0, 700.0]


def test_what_really_limits_is_told(gpus: FakeGpus, run: Run) -> None:
    """Another limiter may stand below the one that is set."""
    gpus.set_limit(0, 250.0, enforced=220.0)
    assert run("set", "250", "0") == "220.00"


def test_a_gpu_that_is_not_there_or_not_managed_is_named(gpus: FakeGpus, run: Run) -> None:
    """Then nobody knows what is in force on all of them."""
    assert run("set", "250", "0", "7") == "- GPU 7: nvidia-smi: No devices were found"
    gpus.set_limit(1, None)
    assert run("set", "250", "1").startswith("- GPU 1: its power limit cannot be managed")


class Node:
    """A job's folder on a node, and what Slurm tells its prolog of it."""

    def __init__(self, folder: Path, job: str = "7", gpus: str = "1,2") -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "wanted").write_text("1 run\n")
        self.set_cap("250\n")
        self.told = {
            "SLURM_JOB_ID": job,
            "SLURM_JOB_UID": str(os.getuid()),
            "SLURM_JOB_GID": str(os.getgid()),
            "SLURM_JOB_WORK_DIR": str(folder),
            "SLURM_JOB_GPUS": gpus,
            "SLURMD_NODENAME": "n1",
        }

    def set_cap(self, text: str) -> None:
        """Let the folder say this."""
        (self.folder / "power_cap_w").write_text(text)

    def report(self, job: str = "7") -> str | None:
        """What the node says there, without the time."""
        file = self.folder / f"capped-{job}-n1"
        return file.read_text().split(" ", 1)[1].rstrip("\n") if file.exists() else None


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A job on the GPUs 1 and 2."""
    return Node(tmp_path / "job")


def test_a_job_has_its_cap_before_it_starts_and_the_default_after(
    gpus: FakeGpus, run: Run, node: Node
) -> None:
    """What is in force is written where the connector reads it, and goes with the job."""
    run("prolog", **node.told)
    assert gpus.limits() == [700.0, 250.0, 250.0, 700.0]
    assert node.report() == "250 250.00 "
    run("epilog", **node.told)
    assert gpus.limits() == [700.0] * 4
    assert node.report() is None


def test_a_refusal_is_written_and_drains_no_node(gpus: FakeGpus, run: Run, node: Node) -> None:
    """The prolog ends well: the job runs without its cap, and everybody can see that."""
    node.set_cap("50\n")
    run("prolog", **node.told)
    refused = "cap = 50 W, must be within [100.00, 700.00] W"
    assert node.report() == f"50 700.00 GPU 1: {refused}; GPU 2: {refused}"


def test_a_job_without_a_cap_has_the_default(gpus: FakeGpus, run: Run, node: Node) -> None:
    """Whatever was left on the GPU; and that is told as well."""
    gpus.set_limit(1, 300.0)
    node.set_cap("")
    run("prolog", **node.told)
    assert (gpus.limit(1), node.report()) == (700.0, "- 700.00 ")


@pytest.mark.parametrize("gone", ["wanted", "power_cap_w"])
def test_jobs_of_others_are_left_alone(gpus: FakeGpus, run: Run, node: Node, gone: str) -> None:
    """Their folder is none of ours."""
    (node.folder / gone).unlink()
    run("prolog", **node.told)
    run("epilog", **node.told)
    assert gpus.calls() == []


def test_gpus_are_found_by_their_device_files(
    gpus: FakeGpus, run: Run, node: Node, tmp_path: Path
) -> None:
    """Slurm's GPU 1 is /dev/nvidia1, wherever on the bus that is."""
    for minor, bus in ((1, "00000000:04:00.0"), (2, "00000000:03:00.0")):
        folder = tmp_path / "gpus" / bus
        folder.mkdir(parents=True)
        lines = ("Model: \t\t NVIDIA H100", f"Device Minor: \t {minor}", "GPU Excluded:\t No")
        (folder / "information").write_text("\n".join(lines) + "\n")
    node.told["SLURM_JOB_GPUS"] = "1"
    run("prolog", **node.told)
    assert gpus.limits() == [700.0, 700.0, 700.0, 250.0]


def test_a_job_whose_epilog_never_ran_does_not_keep_its_gpus(
    gpus: FakeGpus, run: Run, node: Node, tmp_path: Path
) -> None:
    """The next one on any of them has its own cap, and the others are given back."""
    run("prolog", **node.told)
    other = Node(tmp_path / "other", job="8", gpus="2-3")
    other.set_cap("400\n")
    run("prolog", **other.told)
    assert gpus.limits() == [700.0, 700.0, 400.0, 400.0]
    run("epilog", **node.told)
    assert gpus.limits() == [700.0, 700.0, 400.0, 400.0]


def test_a_job_of_others_finds_no_cap_of_one_whose_epilog_never_ran(
    gpus: FakeGpus, run: Run, node: Node, tmp_path: Path
) -> None:
    """Nobody else would take it away."""
    run("prolog", **node.told)
    other = Node(tmp_path / "other", job="8", gpus="2")
    (other.folder / "wanted").unlink()
    run("prolog", **other.told)
    assert gpus.limits() == [700.0] * 4
    assert other.report("8") is None


def test_a_job_that_is_queued_again_gives_back_what_it_had(
    gpus: FakeGpus, run: Run, node: Node
) -> None:
    """It keeps its number, and has other GPUs."""
    run("prolog", **node.told)
    run("prolog", **node.told | {"SLURM_JOB_GPUS": "3"})
    assert gpus.limits() == [700.0, 700.0, 700.0, 250.0]


def test_the_cap_is_read_and_told_as_the_user_of_the_job(
    gpus: FakeGpus, run: Run, node: Node, tmp_path: Path
) -> None:
    """A link that the user put in its place leads root nowhere."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root, to be somebody else")
    secret = tmp_path / "secret"
    secret.write_text("123")
    secret.chmod(0o600)
    for path in (node.folder, *node.folder.iterdir()):
        os.chown(path, 65534, 65534)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.is_relative_to(Path(tempfile.gettempdir()) / f"pytest-of-{getpass.getuser()}"):
            parent.chmod(0o755)
    told = node.told | {"SLURM_JOB_UID": "65534", "SLURM_JOB_GID": "65534"}
    run("prolog", **told)
    assert node.report() == "250 250.00 "
    assert (node.folder / "capped-7-n1").stat().st_uid == 65534
    (node.folder / "power_cap_w").unlink()
    (node.folder / "power_cap_w").symlink_to(secret)
    run("epilog", **told)
    run("prolog", **told)
    assert gpus.limits() == [700.0] * 4
    assert node.report() == "- - its file cannot be read"


@pytest.fixture
def following(gpus: FakeGpus, tmp_path: Path) -> Iterator[None]:
    """The script as a service."""
    environment = {
        "PATH": f"{gpus.bin}:{os.environ['PATH']}",
        "RUNTIME_DIRECTORY": str(tmp_path / "run"),
        "CHECK_EVERY_S": "3",
    }
    with subprocess.Popen([SCRIPT, "follow"], env=environment, start_new_session=True) as process:
        yield
        os.killpg(process.pid, signal.SIGTERM)


@pytest.mark.usefixtures("following")
def test_a_cap_that_changes_while_the_job_runs_is_followed(
    gpus: FakeGpus, run: Run, node: Node
) -> None:
    """And what somebody else set meanwhile is set back when it is next checked."""
    run("prolog", **node.told)
    node.set_cap("180\n")
    wait_until(lambda: gpus.limits()[1:3] == [180.0, 180.0], "the new cap is set")
    wait_until(lambda: node.report() == "180 180.00 ", "and told")
    gpus.set_limit(1, 500.0)
    wait_until(lambda: gpus.limit(1) == 180.0, "what somebody else set is set back")
    node.set_cap("")
    wait_until(lambda: gpus.limits() == [700.0] * 4, "the cap is lifted")
    node.set_cap("40\n")
    wait_until(lambda: "must be within" in (node.report() or ""), "a refusal is told")
    run("epilog", **node.told)
    node.set_cap("180\n")
    wait_until(lambda: node.report() is None, "the job is over")
    assert gpus.limits() == [700.0] * 4
