"""``gridtide dispatcher`` records what the clusters draw, beside what it carries out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from scheduler.db.models import ClusterPower
from scheduler.db.session import transaction
from scheduler.db.upgrade import upgrade
from scheduler.main import open_sessions
from scheduler.services import power
from scheduler.settings import Settings
from tests.cli.test_supervise import until
from tests.peers.exporter import Exporter, served
from tests.services.builders import fleet_spec, site_spec
from tests.services.scene import Scene


def test_the_dispatcher_reads_what_its_clusters_draw(tmp_path: Path) -> None:
    """Measured where the fleet says by whom, from its first minute on."""
    settings = Settings(state_dir=tmp_path)
    sessions = open_sessions(settings)
    upgrade(settings.resolved_database_url)

    def last() -> list[ClusterPower]:
        with transaction(sessions) as session:
            return power.last_readings(session)

    with served(Exporter("n1", {0: 300.0, 1: 310.0})) as node:
        cluster = {"kind": "local", "power": {"kind": "exporters", "urls": [node.url]}}
        pools = [{"name": "a100", "gpus": 2}]
        Scene(sessions).set_up(fleet_spec(site_spec(cluster=cluster, pools=pools)))
        ours = {"GRIDTIDE_STATE_DIR": str(tmp_path), "GRIDTIDE_DISPATCH_EVERY_S": "60"}
        others = {key: value for key, value in os.environ.items() if "GRIDTIDE" not in key}
        command = [sys.executable, "-m", "scheduler", "dispatcher"]
        with subprocess.Popen(command, env=others | ours, stderr=subprocess.DEVNULL) as process:
            try:
                until(lambda: bool(last()))
            finally:
                process.terminate()
    (reading,) = last()
    assert (reading.site, reading.kw, reading.is_measured) == ("DE", 0.61, True)
    sessions.kw["bind"].dispose()
