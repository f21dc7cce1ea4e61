"""Fixtures for every test: fresh databases, a Kubernetes. At the end, the mutants killed."""

from __future__ import annotations

import pytest

from tests.fixtures.brokers import kafka, mqtt, skip_without_brokers
from tests.fixtures.database import (
    database_url,
    engine,
    migrated_sqlite,
    postgres_server,
    postgres_url,
    sessions,
    sqlite_url,
)
from tests.fixtures.kubernetes import (
    control_plane,
    gpu_node,
    kubelet_socket,
    kueue_runs,
    make_node,
    place,
    skip_what_is_not_built,
    volumes,
)
from tests.fixtures.node_agent import (
    agent_place,
    capped_cluster,
    capped_gpus,
    capped_node,
    node_agent,
)
from tests.fixtures.prometheus import prometheus, scraping, skip_without_prometheus
from tests.fixtures.slurm import current_slurm, skip_without_slurm, slurm, slurm_with_accounts

__all__ = [
    "agent_place",
    "capped_cluster",
    "capped_gpus",
    "capped_node",
    "control_plane",
    "current_slurm",
    "database_url",
    "engine",
    "gpu_node",
    "kafka",
    "kubelet_socket",
    "kueue_runs",
    "make_node",
    "migrated_sqlite",
    "mqtt",
    "node_agent",
    "place",
    "postgres_server",
    "postgres_url",
    "prometheus",
    "scraping",
    "sessions",
    "slurm",
    "slurm_with_accounts",
    "sqlite_url",
    "volumes",
]

KILLED_BY = ("killed_by", "refused_for", "noticed_by")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what drives a server that is not built."""
    skip_what_is_not_built(item)
    skip_without_slurm(item)
    skip_without_prometheus(item)
    skip_without_brokers(item)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List every mutant and what killed it, as ``tests/mutants`` recorded it."""
    killed = sorted(
        (report.nodeid.split("::")[-1], killer)
        for report in terminalreporter.getreports("passed")
        if report.when == "call"
        for name, killer in report.user_properties
        if name in KILLED_BY
    )
    if killed:
        terminalreporter.section(f"{len(killed)} mutants killed")
        for mutant, killer in killed:
            terminalreporter.line(f"{mutant}: {killer}")
