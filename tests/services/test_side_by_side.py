"""Where a search is done changes how long it takes, and nothing else."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import LocalCluster

from optimizer import Plan, Problem, SolveLimits
from optimizer.solving.generated import solve_generated
from scheduler.side_by_side import HERE, NoCluster, SearchPlace, side_by_side
from tests.optimizer.test_generated import crowd, no_clock

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def dask_scheduler() -> Iterator[str]:
    """A real Dask cluster of two processes on this machine."""
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address=None,
        silence_logs=50,
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="module")
def problem() -> Problem:
    """Jobs enough for several groups to be freed at once."""
    return crowd(60)


def planned(problem: Problem, place: SearchPlace) -> Plan:
    """The plan of a search at ``place``, ended by rounds, not by time."""
    with side_by_side(place) as beside:
        return solve_generated(
            problem, SolveLimits(60.0, 1e-4), None, no_clock, side_by_side=beside
        )


@pytest.fixture(scope="module")
def here(problem: Problem) -> Plan:
    """The plan of a search in this process."""
    return planned(problem, HERE)


def test_two_processes_find_the_same_plan(problem: Problem, here: Plan) -> None:
    """Groups are chosen before any is solved, and taken in an order that no worker decides."""
    assert planned(problem, SearchPlace(workers=2)) == here


def test_a_dask_cluster_finds_the_same_plan(
    problem: Problem, here: Plan, dask_scheduler: str
) -> None:
    """The address of its scheduler is all that is needed."""
    assert planned(problem, SearchPlace(dask_scheduler=dask_scheduler)) == here


def test_a_cluster_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its address."""
    monkeypatch.setattr("scheduler.side_by_side.CONNECT_S", 0.2)
    place = SearchPlace(dask_scheduler="tcp://127.0.0.1:9")
    with pytest.raises(NoCluster, match=r"tcp://127\.0\.0\.1:9 does not answer"):
        planned(crowd(5), place)


def test_without_the_extra_the_command_to_install_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Dask is for those who have a cluster."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(NoCluster, match=r"pip install 'gridtide\[distributed\]'"):
        planned(crowd(5), SearchPlace(dask_scheduler="tcp://127.0.0.1:9"))


ORPHAN = """
import os, sys, time
from scheduler.side_by_side import SearchPlace, side_by_side
if __name__ == "__main__":
    with side_by_side(SearchPlace(workers=2)) as beside:
        print(*set(beside(os.getpgid, [0] * 2)), flush=True)
        import multiprocessing
        print(*[child.pid for child in multiprocessing.active_children()], flush=True)
        time.sleep(60)
"""


def test_processes_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """Nothing is left behind."""
    script = tmp_path / "orphan.py"
    script.write_text(ORPHAN, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert pids
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + 20.0
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in pids if is_alive(pid)]
    assert multiprocessing.current_process().pid not in pids


def is_alive(pid: int) -> bool:
    """Whether the process runs still; one that is dead but not yet waited for does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        return stat.rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
