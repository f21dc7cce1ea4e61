"""Kill -9 while data is brought by a real rsync: it comes once and whole, and then its job runs."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from optimizer import Placement, Run
from scheduler.db.models import DataTransfer, JobStatus
from scheduler.db.session import SessionFactory, make_engine, make_session_factory, transaction
from scheduler.services.dispatch import Dispatcher
from scheduler.services.outside import Outside
from scheduler.services.transfers import transfers_of
from tests.chaos.dying import Point, dispatch_until
from tests.chaos.process import carry_out, cluster
from tests.chaos.test_kill9 import kill_in_pairs, process, wait_until
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.scene import Scene, put_in_force

N_FILES = 40
FILE_BYTES = 50_000
SLOWLY = "--bwlimit=1m"  # two seconds for all


class Moving:
    """A job whose data lies in a folder of FR; DE, where it is to run, is a cluster here."""

    def __init__(self, sessions: SessionFactory, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder / "cluster"
        self.begun = folder / "begun"
        self.begun.touch()
        source = folder / "source"
        source.mkdir()
        for number in range(N_FILES):
            (source / f"part-{number}").write_bytes(random.Random(number).randbytes(FILE_BYTES))
        link = {"from_site": "FR", "to_site": "DE", "gb_per_hour": 10.0, "eur_per_gb": 0.5}
        sites = [site_spec(name, pools=[{"name": "a100", "gpus": 4}]) for name in ("DE", "FR")]
        self.scene = Scene(sessions).set_up(fleet_spec(*sites, links=[link]))
        bring = (
            f'echo "$GRIDTIDE_IS_CONTINUATION" >> {self.begun};'
            f' exec rsync --archive --delete {SLOWLY} "$GRIDTIDE_DATA_PATH/" "$GRIDTIDE_DATA_DIR/"'
        )
        data = {
            "site": "FR",
            "size_gb": 10.0,
            "path": str(source),
            "command": ["sh", "-c", bring],
        }
        use = 'diff -r "$GRIDTIDE_DATA_PATH" "$GRIDTIDE_DATA_DIR"'
        self.job = self.scene.submit(command=["sh", "-c", use], data=data)
        put_in_force(self.scene, Placement("train", "DE", (Run("DE/a100x1", 1, 3),)))
        self.scene.at = START
        self.outside = Outside({"DE": cluster(self.folder)})
        self.dispatcher = Dispatcher(sessions, lambda _: self.outside, self.scene.now)

    def transfer(self) -> DataTransfer:
        """What is on record of it."""
        with transaction(self.scene.sessions) as session:
            (found,) = transfers_of(session, [self.job])[self.job]
            return found

    def go_on_until(self, status: JobStatus) -> None:
        """Dispatch until its transfer stands so."""

        def stands_so() -> bool:
            self.dispatcher.tick()
            return self.transfer().status is status

        wait_until(stands_so)

    def require_the_job_succeeds(self) -> None:
        """It finds every byte of its data, once its time has come."""
        assert self.scene.job(self.job).status is JobStatus.WAITING
        self.scene.at = START.replace(hour=1)

        def is_over() -> bool:
            self.dispatcher.tick()
            return self.scene.job(self.job).status.is_final

        wait_until(is_over)
        row = self.scene.job(self.job)
        assert (row.status, row.starts, row.exit_code) == (JobStatus.SUCCEEDED, 1, 0), row.reason


@pytest.fixture
def moving(database_url: str, tmp_path: Path) -> Iterator[Moving]:
    """Its transfer is planned for now, the job for an hour later."""
    if shutil.which("rsync") is None:
        pytest.skip("rsync is not installed: the tests that bring data by it are skipped")
    engine = make_engine(database_url)
    yield Moving(make_session_factory(engine), database_url, tmp_path)
    engine.dispose()


def test_a_dispatcher_killed_while_data_is_moved(moving: Moving) -> None:
    """Two at a time, eight times within tenths of a second; one transfer, timed and paid once."""
    kill_in_pairs(8, carry_out, moving.url, moving.scene.now(), moving.folder)
    moving.go_on_until(JobStatus.SUCCEEDED)
    assert moving.begun.read_text().split() == ["0"]
    row = moving.transfer()
    assert (row.starts, row.failures, row.exit_code, row.eur) == (1, 0, 0, 5.0)
    assert row.hours is not None
    assert row.hours * 3600 > 1.0  # of what its limit makes two
    moving.require_the_job_succeeds()


@pytest.mark.parametrize("point", Point)
def test_killed_while_it_orders_a_transfer(moving: Moving, point: Point) -> None:
    """The next dispatcher finds it on record and on its cluster, or orders it again."""
    arguments = (moving.url, moving.scene.now(), moving.folder, "submit", point)
    with process(dispatch_until, *arguments) as dying:
        dying.join(60)
        assert dying.exitcode == -signal.SIGKILL
    assert moving.transfer().status is JobStatus.WAITING
    moving.go_on_until(JobStatus.SUCCEEDED)
    assert moving.begun.read_text().split() == ["0"]
    moving.require_the_job_succeeds()


def test_a_transfer_killed_in_its_middle_goes_on_a_minute_later(moving: Moving) -> None:
    """What it had brought is there; the job sees the whole."""
    moving.go_on_until(JobStatus.RUNNING)
    brought = moving.folder / "data" / f"job-{moving.job}"
    wait_until(lambda: brought.exists() and any(brought.iterdir()))
    kill_what_writes_to(brought)
    moving.go_on_until(JobStatus.FAILED)
    row = moving.transfer()
    assert (row.failures, row.exit_code, row.eur) == (1, -signal.SIGKILL, None)
    moving.scene.wait(minutes=1)
    moving.go_on_until(JobStatus.SUCCEEDED)
    assert moving.begun.read_text().split() == ["0", "1"]
    assert (moving.transfer().starts, moving.transfer().eur) == (2, 5.0)
    moving.require_the_job_succeeds()


def kill_what_writes_to(folder: Path) -> None:
    """Kill the processes whose command names the folder, as the machine's memory watch might."""
    for found in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = found.read_bytes().split(b"\0")
            if words[0] == b"rsync" and f"{folder}/".encode() in words:
                os.kill(int(found.parent.name), signal.SIGKILL)
