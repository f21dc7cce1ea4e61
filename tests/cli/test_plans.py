"""``gridtide plans``: what an operator types."""

from __future__ import annotations

import json

import pytest

from scheduler.cli import plans as plan_commands
from scheduler.cli.console import ExitCode
from scheduler.db.models import Role
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import runs
from tests.api.world import World
from tests.cli.server import gridtide, talk_to


@pytest.fixture
def world(sqlite_sessions: SessionFactory, monkeypatch: pytest.MonkeyPatch) -> World:
    """A furnished deployment with one job that commands talk to as an operator."""
    world = World(sqlite_sessions)
    world.furnish()
    world.submit("train")
    talk_to(world.app, world.secrets[Role.OPERATOR], monkeypatch)
    return world


def test_list_and_show(world: World) -> None:
    """The plan is in the list, and its summary is what an operator reviews."""
    plan_id = str(world.plan())
    listed = json.loads(gridtide("plans", "list", "--json").stdout)
    assert [entry["id"] for entry in listed] == [plan_id]
    assert plan_id in gridtide("plans", "list").stdout
    assert "1 of 1 job" in gridtide("plans", "show", plan_id).stdout
    assert json.loads(gridtide("plans", "show", plan_id, "--json").stdout)["id"] == plan_id


def test_approve_puts_in_force(world: World) -> None:
    """The decision and its reason are kept."""
    plan_id = str(world.plan())
    result = gridtide("plans", "approve", plan_id, "--note", "looks right")
    assert result.stdout.strip() == f"plan {plan_id} is in force"
    shown = json.loads(gridtide("plans", "show", plan_id, "--json").stdout)
    assert shown["decision_note"] == "looks right"
    assert shown["decided_by"] == "operator"


def test_reject(world: World) -> None:
    """A rejected plan cannot be approved any more."""
    plan_id = str(world.plan())
    assert gridtide("plans", "reject", plan_id).stdout.strip().endswith("is rejected")
    result = gridtide("plans", "approve", plan_id)
    assert result.exit_code == ExitCode.INVALID
    assert "rejected" in result.output


def test_a_submitter_may_not_approve(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's refusal names the role that is needed."""
    plan_id = str(world.plan())
    talk_to(world.app, world.secrets[Role.SUBMITTER], monkeypatch)
    result = gridtide("plans", "approve", plan_id)
    assert result.exit_code == ExitCode.INVALID
    assert "operator" in result.output


def test_request_waits_for_the_plan(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is called off meanwhile is an error that says so."""

    def cancel_all(_seconds: float) -> None:
        with transaction(world.sessions) as session:
            for run in runs.list_runs(session, None, runs.PageRequest(10, None)).items:
                runs.cancel_run(session, run.id, world.now)

    monkeypatch.setattr(plan_commands.time, "sleep", cancel_all)
    result = gridtide("plans", "request", "--hours", "12")
    assert result.exit_code == ExitCode.UNEXPECTED
    assert "cancelled" in result.output
