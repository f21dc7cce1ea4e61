"""Alerts and dashboard in deploy/ are read by their own tools, and of numbers that are told."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.parser import text_string_to_metric_families

from scheduler.db.models import EventSettlement, GridEvent, JobStatus
from scheduler.db.session import transaction
from scheduler.services.jobs import find_job
from tests.api.test_health import labels, numbers
from tests.api.world import MIDNIGHT, NOW, World

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
DASHBOARD = DEPLOY / "grafana" / "gridtide.json"
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool, missing here: prometheus"
)


def promtool(*words: str) -> None:
    """Run it; what it says is what went wrong."""
    told = subprocess.run(
        ["promtool", *words], capture_output=True, text=True, check=False, cwd=ALERTS.parent
    )
    assert told.returncode == 0, told.stdout + told.stderr


def drawn() -> list[str]:
    """Every expression of the dashboard."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


@needs_promtool
def test_prometheus_reads_its_files_and_every_alert_goes_off_and_is_quiet() -> None:
    """As alerts_test.yml says when."""
    promtool("check", "config", "--syntax-only", "prometheus.yml")
    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts_test.yml")


def test_every_alert_is_tested_both_ways() -> None:
    """What is never seen to go off may never do so."""
    alerts = re.findall(r"alert: (\w+)", ALERTS.read_text(encoding="utf-8"))
    tests = ALERTS.with_name("alerts_test.yml").read_text(encoding="utf-8")
    assert len(alerts) > 5
    for alert in alerts:
        assert f"name: {alert} goes off" in tests
        assert f"name: {alert} is quiet" in tests


@needs_promtool
def test_prometheus_reads_what_the_dashboard_draws(tmp_path: Path) -> None:
    """Each as a rule of its own."""
    rules = [{"record": f"drawn:{number}", "expr": one} for number, one in enumerate(drawn())]
    file = tmp_path / "drawn.json"
    file.write_text(json.dumps({"groups": [{"name": "drawn", "rules": rules}]}))
    promtool("check", "rules", str(file))


def test_the_dashboard_is_what_grafana_reads_and_what_its_maker_makes() -> None:
    """Read into Grafana's own model and back, nothing is lost."""
    written = DASHBOARD.read_text(encoding="utf-8")
    maker = runpy.run_path(str(DASHBOARD.with_name("make_dashboard.py")))
    assert maker["made"]() == written
    read = Dashboard.from_json(json.loads(written))
    assert [panel.title for panel in read.panels or ()] == [
        panel["title"] for panel in json.loads(written)["panels"]
    ]


def test_alerts_and_dashboard_are_of_numbers_that_are_told(world: World) -> None:
    """Under these names, once there is a plan."""
    world.submit("train")
    world.plan()
    told = {
        name
        for family in text_string_to_metric_families(world.submitter.get("/metrics").text)
        for name in (
            family.name,
            *(f"{family.name}_total" for _ in range(family.type == "counter")),
            *(f"{family.name}_bucket" for _ in range(family.type == "histogram")),
        )
    }
    wanted = set(re.findall(r"gridtide_[a-z_]+", ALERTS.read_text() + " ".join(drawn())))
    # A gap is told where one was proven, which this plan is not.
    assert wanted - told == {"gridtide_last_plan_gap_ratio"}


def test_jobs_past_their_deadline_are_counted(world: World) -> None:
    """Those that are not over, and for a day those that ended too late or never began."""
    due, hour = MIDNIGHT + timedelta(days=1), timedelta(hours=1)
    ends = {
        "late": (JobStatus.SUCCEEDED, due, due + hour),
        "never": (JobStatus.EXPIRED, due, due),
        "in_time": (JobStatus.SUCCEEDED, due, due - hour),
        "gave_up": (JobStatus.FAILED, due, due + hour),
        "long_ago": (JobStatus.SUCCEEDED, MIDNIGHT, MIDNIGHT + hour),
    }
    world.submit("still", *ends)
    with transaction(world.sessions) as session:
        for name, (status, deadline_at, ended_at) in ends.items():
            one = find_job(session, name)
            one.status, one.deadline_at, one.ended_at = status, deadline_at, ended_at
    world.now = due + 2 * hour
    seen = numbers(world)
    assert seen["gridtide_jobs_late", labels(which="open")] == 1
    assert seen["gridtide_jobs_late", labels(which="ended")] == 2


def test_calls_are_counted_by_what_they_were_settled_to_last(world: World) -> None:
    """For a day, whatever an earlier revision said."""
    old = NOW - timedelta(days=2)
    settled: dict[str, list[tuple[float | None, bool, datetime]]] = {
        "declined": [(4.0, True, NOW)],
        "unmet": [(0.0, True, NOW), (3.0, True, NOW)],
        "met": [(3.0, False, NOW), (0.0, True, NOW)],
        "unknown": [(None, False, NOW)],
        "long_ago": [(3.0, True, old)],
    }
    with transaction(world.sessions) as session:
        for name, revisions in settled.items():
            event = GridEvent(
                external_id=name,
                site="DE",
                start_at=old,
                end_at=NOW,
                limit_kw=1.0,
                breach_eur_per_kwh=1.0,
                received_at=old,
                received_from="test",
            )
            session.add(event)
            session.flush()
            for revision, (penalty_eur, is_whole, at) in enumerate(revisions):
                session.add(
                    EventSettlement(
                        event_id=event.id,
                        revision=revision,
                        settled_at=at,
                        checked_at=at,
                        is_whole=is_whole,
                        penalty_eur=penalty_eur,
                        document={"terms": {"declined_eur": 4.0} if name == "declined" else {}},
                    )
                )
    seen = numbers(world)
    for outcome in ("met", "unmet", "declined", "unknown"):
        assert seen["gridtide_grid_events_settled", labels(outcome=outcome)] == 1, outcome
