"""``gridtide control`` as a process: it helps and records, and another takes over from it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import update

from scheduler.db.models import SiteControl
from scheduler.db.session import SessionFactory, make_engine, make_session_factory, transaction
from scheduler.services.carried_state import soc_at
from scheduler.services.fleet import replace_fleet
from scheduler.services.site_records import standings
from tests.peers import sunspec
from tests.peers.processes import wait_until
from tests.peers.sunspec_plant import Knob
from tests.services.builders import fleet_spec, site_spec


def controlled(port: int) -> dict[str, object]:
    """A site of 100 kW whose battery and meter are at that port."""
    connection = {"kind": "modbus", "host": "127.0.0.1", "port": port}
    battery = {"name": "bess", "power_kw": 50, "capacity_kwh": 100, "connection": connection}
    meter = connection | {"unit": 2}
    return site_spec(batteries=[battery], control={"every_s": 1, "answer_s": 0.5, "meter": meter})


def begin(sqlite_url: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start one."""
    environment = {key: value for key, value in os.environ.items() if "GRIDTIDE" not in key} | {
        "GRIDTIDE_DATABASE_URL": sqlite_url,
        "GRIDTIDE_STATE_DIR": str(folder),
    }
    return subprocess.Popen([sys.executable, "-m", "scheduler", "control"], env=environment)


def is_so(sessions: SessionFactory, check: Callable[[SiteControl], bool]) -> Callable[[], bool]:
    """Whether the site stands so."""

    def look() -> bool:
        with transaction(sessions) as session:
            return any(check(row) for row in standings(session, "DE"))

    return look


def test_one_is_killed_and_another_takes_over(sqlite_url: str, tmp_path: Path) -> None:
    """The load is 130 kW at a limit of 100: the battery helps with 30, under both."""
    sessions = make_session_factory(make_engine(sqlite_url))
    with sunspec.running("classic") as plant:
        plant.turn(Knob.IN_REAL_TIME, 1)
        plant.turn(Knob.LOAD_W, 130_000)
        with transaction(sessions) as session:
            fleet = fleet_spec(controlled(plant.port))
            replace_fleet(session, fleet, "test", datetime.now(UTC))
        first = begin(sqlite_url, tmp_path)
        second = None
        try:
            helps = is_so(sessions, lambda row: abs((row.import_kw or 0.0) - 100.0) < 0.5)
            wait_until(helps, "the site is at its limit", 60.0)
            with transaction(sessions) as session:
                (row,) = standings(session)
                holder, ticks = row.holder, row.ticks
                soc_kwh = soc_at(session, None, datetime.now(UTC))["DE", "bess"]
            assert ticks > 0
            assert 45.0 < soc_kwh < 50.0
            first.send_signal(signal.SIGKILL)
            first.wait()
            with transaction(sessions) as session:  # its lease would be over in a while
                session.execute(update(SiteControl).values(held_until=datetime.now(UTC)))
            second = begin(sqlite_url, tmp_path)
            taken = is_so(sessions, lambda row: row.holder != holder and row.ticks > ticks)
            wait_until(taken, "another controls the site", 60.0)
            wait_until(helps, "the site is at its limit again", 60.0)
        finally:
            for process in (first, second):
                if process is not None and process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                    assert process.wait(30) in {0, -signal.SIGTERM}
        with transaction(sessions) as session:
            (row,) = standings(session)
            assert row.held_until <= datetime.now(UTC)
    sessions.kw["bind"].dispose()
