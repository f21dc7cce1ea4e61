"""``gridtide jobs``: what an ML engineer types."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connectors.types import PowerScope
from scheduler.cli.console import ExitCode
from scheduler.db.models import JobEnergy, JobStatus, Role
from scheduler.db.session import SessionFactory, transaction
from tests.api.world import MIDNIGHT, NOW, World, job
from tests.cli.server import gridtide, talk_to


@pytest.fixture
def world(sqlite_sessions: SessionFactory, monkeypatch: pytest.MonkeyPatch) -> World:
    """A furnished deployment that commands talk to as a submitter."""
    world = World(sqlite_sessions)
    world.furnish()
    talk_to(world.app, world.secrets[Role.SUBMITTER], monkeypatch)
    return world


@pytest.fixture
def jobs_file(tmp_path: Path) -> Path:
    """Two jobs."""
    file = tmp_path / "jobs.json"
    file.write_text(json.dumps([job("train-a"), job("train-b")]))
    return file


def test_submit_takes_every_job_of_a_file(world: World, jobs_file: Path) -> None:
    """Both jobs are on record afterwards."""
    result = gridtide("jobs", "submit", str(jobs_file), "--json")
    assert result.exit_code == ExitCode.OK, result.output
    assert [entry["name"] for entry in json.loads(result.stdout)] == ["train-a", "train-b"]
    listed = json.loads(gridtide("jobs", "list", "--json").stdout)
    assert {entry["name"] for entry in listed} == {"train-a", "train-b"}


def test_submitting_twice_changes_nothing(world: World, jobs_file: Path) -> None:
    """A command repeated after a lost answer makes no second job."""
    first = json.loads(gridtide("jobs", "submit", str(jobs_file), "--json").stdout)
    second = json.loads(gridtide("jobs", "submit", str(jobs_file), "--json").stdout)
    assert [entry["id"] for entry in first] == [entry["id"] for entry in second]


def test_a_refusal_names_object_value_and_limit(world: World, tmp_path: Path) -> None:
    """The server's words reach the terminal, with the exit code for invalid input."""
    file = tmp_path / "jobs.json"
    file.write_text(json.dumps([job("train", sites=["mars"])]))
    result = gridtide("jobs", "submit", str(file))
    assert result.exit_code == ExitCode.INVALID
    assert "job train" in result.output
    assert "mars" in result.output


def test_list_pages_through_everything(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """More jobs than a page holds are listed all the same."""
    monkeypatch.setattr("scheduler.cli.client.PAGE_ROWS", 2)
    names = [f"job-{number}" for number in range(5)]
    world.submit(*names)
    listed = json.loads(gridtide("jobs", "list", "--json").stdout)
    assert {entry["name"] for entry in listed} == set(names)
    assert len(json.loads(gridtide("jobs", "list", "--limit", "3", "--json").stdout)) == 3


def test_list_shows_a_table(world: World) -> None:
    """A heading and one line per job, with the deadline."""
    world.submit("train")
    lines = gridtide("jobs", "list").stdout.splitlines()
    assert lines[0].split()[:2] == ["NAME", "STATUS"]
    assert lines[1].split()[:2] == ["train", "waiting"]
    assert MIDNIGHT.strftime("%Y-%m-%d") in lines[1]


def test_list_filters_by_status(world: World) -> None:
    """Only jobs that stand so."""
    world.submit("train", "eval")
    world.set_job("eval", JobStatus.RUNNING, site="DE")
    listed = json.loads(gridtide("jobs", "list", "--status", "running", "--json").stdout)
    assert [entry["name"] for entry in listed] == ["eval"]


def test_show_and_cancel(world: World) -> None:
    """A waiting job is cancelled at once, and says so."""
    world.submit("train")
    assert "waiting" in gridtide("jobs", "show", "train").stdout
    assert gridtide("jobs", "cancel", "train").stdout.strip() == "train: cancelled"
    assert json.loads(gridtide("jobs", "show", "train", "--json").stdout)["status"] == "cancelled"


def test_an_array_is_listed_and_cancelled_as_a_whole(world: World, tmp_path: Path) -> None:
    """From a file, in which it is one job; the same file again changes nothing."""
    file = tmp_path / "jobs.json"
    file.write_text(json.dumps([job("train", array="0-2"), job("other", after=["train"])]))
    for _ in range(2):
        result = gridtide("jobs", "submit", str(file))
        assert result.exit_code == ExitCode.OK, result.output
        assert result.stdout.startswith("4 jobs are on record")
        assert "ARRAY" in result.stdout
    listed = json.loads(gridtide("jobs", "list", "--array", "train", "--json").stdout)
    assert sorted(entry["name"] for entry in listed) == ["train-0", "train-1", "train-2"]
    other = json.loads(gridtide("jobs", "show", "other", "--json").stdout)
    assert other["spec"]["after"] == ["train-0", "train-1", "train-2"]
    result = gridtide("jobs", "cancel", "--array", "train")
    assert result.stdout.startswith("array train: 3 cancelled")


def test_show_tells_the_energy_that_was_measured(world: World) -> None:
    """Its sum with what it is of, and every start with the reason where there is none."""
    world.submit("train")
    assert "energy" not in gridtide("jobs", "show", "train").stdout
    job_id = world.set_job("train", JobStatus.SUCCEEDED, "DE")
    row = {"job_id": job_id, "site": "DE", "started_at": NOW, "recorded_at": NOW}
    row |= {"source": "slurmdbd", "scope": PowerScope.NODES}
    with transaction(world.sessions) as session:
        session.add(JobEnergy(**row, start=1, kwh=0.00425, reason=""))
        session.add(JobEnergy(**row, start=2, kwh=None, reason="it shared its nodes"))
    shown = gridtide("jobs", "show", "train").stdout
    assert "energy measured: 0.00425 kWh of nodes, 1 of 0 starts" in shown
    assert "it shared its nodes" in shown


def test_why_without_a_plan_says_so(world: World) -> None:
    """There is nothing to explain before a plan is in force."""
    world.submit("train")
    result = gridtide("jobs", "why", "train")
    assert result.exit_code == ExitCode.INVALID
    assert "plan" in result.output


def put_in_force(world: World) -> None:
    """Approve a plan without jobs."""
    world.operator.post(f"/v1/plans/{world.plan()}/approve", json={})


def test_quote_prints_the_menu_of_every_job_of_a_file(world: World, jobs_file: Path) -> None:
    """A line for each deadline asked for, with start, cost and carbon; nothing is submitted."""
    put_in_force(world)
    noon, night = (MIDNIGHT.strftime("%Y-%m-%dT") + hour for hour in ("12:00Z", "22:00Z"))
    words = ("jobs", "quote", str(jobs_file), "--deadline", noon, "--deadline", night)
    text = gridtide(*words).stdout
    first, second = text.split("\n\n")
    assert first.startswith("train-a, by plan ")
    assert second.startswith("train-b, by plan ")
    _, heading, *lines, note = first.splitlines()
    assert heading.split()[:4] == ["DEADLINE", "FITS", "SITE", "START"]
    assert [line.split()[:4] for line in lines] == [
        [f"{MIDNIGHT:%Y-%m-%d}T{hour}", "yes", "DE", f"{MIDNIGHT:%Y-%m-%d}T00:00:00Z"]
        for hour in ("12:00:00Z", "22:00:00Z")
    ]
    assert "holds nothing" in note
    assert json.loads(gridtide("jobs", "list", "--json").stdout) == []


def test_quote_as_json_is_what_the_server_answers(world: World, jobs_file: Path) -> None:
    """One answer per job; without deadlines, for the default menu."""
    put_in_force(world)
    result = gridtide("jobs", "quote", str(jobs_file), "--json")
    assert result.exit_code == ExitCode.OK, result.output
    answers = json.loads(result.stdout)
    assert [answer["job"] for answer in answers] == ["train-a", "train-b"]
    assert len(answers[0]["quotes"]) > 2
    assert answers[0]["quotes"][0]["cost_eur"] > 0


def test_quote_without_an_offset_or_a_plan_says_so(world: World, jobs_file: Path) -> None:
    """A deadline on no clock is refused before anything is asked."""
    result = gridtide("jobs", "quote", str(jobs_file), "--deadline", "2026-06-08T12:00")
    assert result.exit_code == ExitCode.INVALID
    assert "no offset" in result.output
    result = gridtide("jobs", "quote", str(jobs_file))
    assert result.exit_code == ExitCode.INVALID
    assert "plan" in result.output


def test_logs_prints_what_the_job_wrote(world: World) -> None:
    """Line by line, as the cluster has them."""
    world.submit("train")
    job_id = world.set_job("train", JobStatus.RUNNING, site="DE")
    world.cluster.lines[str(job_id)] = ["epoch 1", "epoch 2"]
    assert gridtide("jobs", "logs", "train").stdout.splitlines() == ["epoch 1", "epoch 2"]


def test_logs_of_an_unknown_job(world: World) -> None:
    """An error of a streamed answer is told like any other."""
    result = gridtide("jobs", "logs", "nobody")
    assert result.exit_code == ExitCode.INVALID
    assert "nobody" in result.output


def test_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that cannot be reached has an exit code of its own."""
    monkeypatch.setenv("GRIDTIDE_API_KEY", "any")
    result = gridtide("jobs", "list", "--server", "http://127.0.0.1:1")
    assert result.exit_code == ExitCode.UNREACHABLE
    assert "127.0.0.1:1" in result.output


def test_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key the command says which variable wants it."""
    monkeypatch.delenv("GRIDTIDE_API_KEY", raising=False)
    result = gridtide("jobs", "list")
    assert result.exit_code == ExitCode.INVALID
    assert "GRIDTIDE_API_KEY" in result.output
