"""``gridtide db`` and ``gridtide keys``: what an administrator types on the machine itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scheduler.cli.console import ExitCode
from scheduler.cli.keys import print_first_key
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import keys
from tests.cli.server import gridtide


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of its own, without a database."""
    monkeypatch.setenv("GRIDTIDE_STATE_DIR", str(tmp_path))
    monkeypatch.delenv("GRIDTIDE_DATABASE_URL", raising=False)
    return tmp_path


def test_upgrade_makes_the_database(state: Path) -> None:
    """It is there afterwards, and doing so again changes nothing."""
    first = gridtide("db", "upgrade", "--json")
    assert first.exit_code == ExitCode.OK, first.output
    assert (state / "gridtide.db").is_file()
    assert json.loads(gridtide("db", "upgrade", "--json").stdout) == json.loads(first.stdout)


def test_a_database_without_schema_is_refused(state: Path) -> None:
    """The message says what to do."""
    result = gridtide("keys", "list")
    assert result.exit_code == ExitCode.INVALID
    assert "gridtide db upgrade" in result.output


def test_a_key_is_made_listed_and_revoked(state: Path) -> None:
    """The key is shown once; the list has its name and role only."""
    gridtide("db", "upgrade")
    made = json.loads(gridtide("keys", "create", "ana", "--role", "operator", "--json").stdout)
    listed = gridtide("keys", "list").stdout
    assert "ana" in listed
    assert "operator" in listed
    assert made["key"] not in listed
    assert gridtide("keys", "revoke", "ana").stdout.strip() == "key ana is revoked"
    assert json.loads(gridtide("keys", "list", "--json").stdout)[0]["revoked_at"] is not None


def test_a_sender_may_be_kept_to_sites(state: Path) -> None:
    """It is listed with them; another role is kept to none."""
    gridtide("db", "upgrade")
    words = ("keys", "create", "meter", "--role", "sender", "--site", "DE", "--site", "FR")
    assert json.loads(gridtide(*words, "--json").stdout)["sites"] == ["DE", "FR"]
    assert "DE, FR" in gridtide("keys", "list").stdout
    refused = gridtide("keys", "create", "ana", "--role", "operator", "--site", "DE")
    assert refused.exit_code == ExitCode.INVALID
    assert "for every site" in refused.output


def test_a_name_is_given_once(state: Path) -> None:
    """Records of what a key did would otherwise be ambiguous."""
    gridtide("db", "upgrade")
    gridtide("keys", "create", "ana")
    assert gridtide("keys", "create", "ana").exit_code == ExitCode.INVALID


def test_an_unknown_key_cannot_be_revoked(state: Path) -> None:
    """The message names it."""
    gridtide("db", "upgrade")
    result = gridtide("keys", "revoke", "nobody")
    assert result.exit_code == ExitCode.INVALID
    assert "nobody" in result.output


def test_the_first_key_is_printed_once(
    sqlite_sessions: SessionFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is printed is an admin's key; a second start prints nothing."""
    print_first_key(sqlite_sessions)
    secret = capsys.readouterr().out.split()[-1]
    with transaction(sqlite_sessions) as session:
        caller = keys.authenticate(session, secret)
    assert caller is not None
    assert caller.role.value == "admin"
    print_first_key(sqlite_sessions)
    assert capsys.readouterr().out == ""


def test_a_cluster_nobody_heard_cannot_be_forgotten(state: Path) -> None:
    """The site is named."""
    assert gridtide("db", "upgrade").exit_code == ExitCode.OK
    result = gridtide("clusters", "forget", "DE")
    assert result.exit_code == ExitCode.INVALID
    assert "no cluster of site DE was ever heard" in result.output
