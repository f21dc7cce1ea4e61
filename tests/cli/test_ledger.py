"""``gridtide ledger``: what an energy manager types, and what an auditor does."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from scheduler.cli.console import ExitCode
from scheduler.db.models import JobRun, JobStatus, LedgerEntry, LedgerShare, Role
from scheduler.db.session import SessionFactory, transaction
from scheduler.services.ledger_watch import LedgerWatch
from tests.api.world import MIDNIGHT, World
from tests.cli.server import gridtide, talk_to

HOUR = timedelta(hours=1)
SPAN = ("--start", "2026-06-08T00:00Z", "--end", "2026-06-09T00:00Z")


@pytest.fixture
def world(
    sqlite_sessions: SessionFactory, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> World:
    """Three hours of a night, in which one job ran."""
    world = World(sqlite_sessions)
    world.furnish()
    LedgerWatch(world.sessions, lambda: world.now).look()
    world.submit("train", tenant="vision")
    job = world.set_job("train", JobStatus.RUNNING, "DE")
    with transaction(world.sessions) as session:
        session.add(JobRun(job_id=job, start=1, site="DE", point="a100x4", began_at=MIDNIGHT))
    world.now = MIDNIGHT + 3.5 * HOUR
    LedgerWatch(world.sessions, lambda: world.now).look()
    talk_to(world.app, world.secrets[Role.SUBMITTER], monkeypatch)
    monkeypatch.setenv("GRIDTIDE_DATABASE_URL", sqlite_url)
    return world


def test_a_month_is_shown_charged_and_exported(world: World, tmp_path: Path) -> None:
    """As tables, as JSON, and as a file for a spreadsheet."""
    assert "vision" in gridtide("ledger", "show", *SPAN).stdout
    (row,) = json.loads(gridtide("ledger", "show", *SPAN, "--by", "job", "--json").stdout)
    assert (row["job"], row["kwh"]) == ("train", pytest.approx(6.0))
    charged = gridtide("ledger", "chargeback", "--month", "2026-06").stdout
    assert "LAID ON EUR" in charged
    told = gridtide("ledger", "sci", "--month", "2026-06").stdout
    assert "g/GPU-HOUR" in told
    assert "location-based average" in told
    file = tmp_path / "june.csv"
    assert gridtide("ledger", "export", *SPAN, str(file)).exit_code == 0
    assert len(list(csv.DictReader(StringIO(file.read_text())))) == 3
    document = tmp_path / "june.json"
    gridtide("ledger", "export", *SPAN, str(document))
    assert [entry["seq"] for entry in json.loads(document.read_text())] == [0, 1, 2]


def test_a_month_is_done_over_by_a_policy(world: World) -> None:
    """By name; one that is not there is refused."""
    done = gridtide("ledger", "compare", "--month", "2026-06", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["by_policy"]["used_kwh"] == pytest.approx(found["as_it_was"]["used_kwh"])
    assert (found["n_jobs"], found["unserved"]) == (1, [])
    told = gridtide("ledger", "compare", "--month", "2026-06").stdout
    assert "0 of 1 jobs found no place by run_now" in told
    refused = gridtide("ledger", "compare", "--policy", "best")
    assert (refused.exit_code, "run_now" in refused.output) == (ExitCode.INVALID, True)


def test_a_corrupted_row_is_named(world: World) -> None:
    """And that the last entries were cut off, by who kept the last hash."""
    intact = gridtide("ledger", "verify")
    assert intact.exit_code == 0
    head = intact.stdout.splitlines()[-1]
    assert head.startswith("DE:2:")
    with transaction(world.sessions) as session:
        last = session.scalars(select(LedgerEntry).where(LedgerEntry.seq == 2)).one()
        session.execute(delete(LedgerShare).where(LedgerShare.entry_id == last.id))
        session.execute(delete(LedgerEntry).where(LedgerEntry.id == last.id))
    assert gridtide("ledger", "verify").exit_code == 0
    cut = gridtide("ledger", "verify", "--expect", head)
    assert (cut.exit_code, "entry 2 is not the one" in cut.output) == (ExitCode.INVALID, True)
    with transaction(world.sessions) as session:
        dearer = LedgerEntry.energy_eur + 1.0
        session.execute(update(LedgerEntry).where(LedgerEntry.seq == 1).values(energy_eur=dearer))
    found = gridtide("ledger", "verify")
    assert found.exit_code == ExitCode.INVALID
    assert "DE: entry 1" in found.output
    assert "its values are not those that were written" in found.output
    assert "money and shares differ" in found.output


def test_a_site_without_a_ledger_is_not_intact(world: World) -> None:
    """A name that was mistyped has no entries; of the others is told what ``--expect`` takes."""
    mistyped = gridtide("ledger", "verify", "--site", "DEE")
    assert mistyped.exit_code != 0
    assert "DEE" in mistyped.output
    (told,) = json.loads(gridtide("ledger", "verify", "--site", "DE", "--json").stdout)
    assert told["expect"] == gridtide("ledger", "verify").stdout.splitlines()[-1]


def test_a_hash_that_is_none_is_refused(world: World) -> None:
    """With what it must look like."""
    refused = gridtide("ledger", "verify", "--expect", "DE")
    assert refused.exit_code == ExitCode.INVALID
    assert "SITE:NUMBER:HASH" in refused.output
