"""What nodes say of the caps of a job, put together."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.clusters.caps import CapInForce, CapReport, cap_in_force, read_report
from connectors.clusters.modelled import pool_power_kw
from connectors.clusters.slurm.folder import JobFolder
from connectors.clusters.slurm.standing import observation
from connectors.types import JobObservation, JobOrder, JobState

N1 = CapReport("n1", 250.0, 250.0, "")
N2 = CapReport("n2", 250.0, 250.0, "")


def test_a_line_of_a_node_is_read() -> None:
    """With a cap or none, in force or not known, and with words or none."""
    assert read_report("n1", "1790000000 250 250.00 ") == N1
    assert read_report("n1", "1790000000 - 700.00") == CapReport("n1", None, 700.0, "")
    said = read_report("n1", "1790000000 250 - GPU 1: away; GPU 2: away")
    assert said == CapReport("n1", 250.0, None, "GPU 1: away; GPU 2: away")


@pytest.mark.parametrize(
    "line", ["", "soon", "1790000000 much 250.00 ", "1790000000 250 nan", "1790000000 - -1"]
)
def test_a_line_that_is_none_is_a_problem(line: str) -> None:
    """Not a crash, and not a cap."""
    assert read_report("n1", line).problem.startswith("its report cannot be read")


def test_what_no_database_would_take_is_left_out() -> None:
    """A job can write such a line itself."""
    said = read_report("n1", "1790000000 250 250.00 a\0b" + "c" * 5000)
    assert said.problem.startswith("abc")
    assert len(said.problem) < 1000


def test_what_holds_for_a_job_holds_on_all_of_its_nodes() -> None:
    """The highest limit, or none where one does not say."""
    assert cap_in_force(250.0, [N1, N2], ["n1", "n2"]) == CapInForce(250.0)
    higher = CapReport("n2", 250.0, 700.0, "GPU 0: refused")
    assert cap_in_force(250.0, [N1, higher], ["n1", "n2"]) == CapInForce(
        700.0, "n2: GPU 0: refused"
    )
    found = cap_in_force(250.0, [N1], ["n1", "n2"])
    assert found == CapInForce(None, "n2: it does not say what is in force")
    unknown = CapReport("n2", 250.0, None, "GPU 0: away")
    assert cap_in_force(250.0, [N1, unknown], ()) == CapInForce(None, "n2: GPU 0: away")


def test_where_nobody_says_nothing_is_wrong() -> None:
    """Most clusters have no such agent."""
    assert cap_in_force(250.0, [], ["n1"]) == CapInForce()


def test_a_cap_that_is_not_followed_yet_is_told() -> None:
    """What is in force is the one before."""
    found = cap_in_force(180.0, [N1], ["n1"])
    assert found == CapInForce(250.0, "n1: still at 250 W, to be 180 W")
    assert cap_in_force(None, [N1], ["n1"]).problem == "n1: still at 250 W, to be no cap"


def test_power_is_modelled_with_the_cap_that_is_in_force() -> None:
    """One that was refused saves nothing."""

    def job(in_force_w: float | None) -> JobObservation:
        return JobObservation(
            "a",
            JobState.RUNNING,
            "p",
            2,
            250.0,
            None,
            None,
            None,
            1,
            power_cap_in_force_w=in_force_w,
        )

    assert pool_power_kw("p", 2, 0.7, 0.1, [job(None)]) == pytest.approx(0.5)
    assert pool_power_kw("p", 2, 0.7, 0.1, [job(220.0)]) == pytest.approx(0.44)
    assert pool_power_kw("p", 2, 0.7, 0.1, [job(700.0)]) == pytest.approx(1.4)


def test_only_the_slurm_job_that_runs_it_has_a_say(tmp_path: Path) -> None:
    """What an earlier one left behind is of other GPUs; before its start nothing is told."""
    folder = JobFolder(tmp_path / "job-a")
    folder.create(JobOrder("a", ("true",), "p", 1, power_cap_w=250.0))
    (folder.path / "claim-1").symlink_to("71")
    for slurm_job, watts in ((7, 111), (70, 222), (71, 250), (710, 333)):
        (folder.path / f"capped-{slurm_job}-gpu-n1").write_text(f"1790000000 250 {watts} \n")
    assert folder.read().caps == ()
    (folder.path / "start-1.0").write_text("1790000000 gpu-n1\n")
    assert folder.read().caps == (CapReport("gpu-n1", 250.0, 250.0, ""),)
    job = observation(folder.read(), None)
    assert (job.power_cap_in_force_w, job.power_cap_problem) == (250.0, "")
