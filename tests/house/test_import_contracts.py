"""Each import contract holds, and fails when somebody breaks it."""

from __future__ import annotations

import re
import tomllib
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import grimp
import pytest
from importlinter import configuration
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.independence import IndependenceContract
from importlinter.contracts.layers import LayersContract

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS = {options["name"]: options for options in SETTINGS["contracts"]}
KINDS = {
    "forbidden": ForbiddenContract,
    "independence": IndependenceContract,
    "layers": LayersContract,
}

# One import per contract that must break it, and it alone has to notice.
OFFENCES = {
    "The optimiser is pure: no other room, no clock, no I/O": [
        ("optimizer.settlement", "scheduler.specs"),
        ("optimizer.settlement", "datetime"),
        ("optimizer.master", "pandas"),
    ],
    "Connectors import neither the optimiser nor the scheduler": [
        ("connectors.types", "optimizer"),
        ("connectors.clusters.local", "scheduler.settings"),
    ],
    "One kind of connector never imports another": [
        ("connectors.vpp", "connectors.storage"),
        ("connectors.clusters.slurm", "connectors.power"),
    ],
    "One kind of cluster never imports another": [
        ("connectors.clusters.slurm", "connectors.clusters.local")
    ],
    "Commands above the API above services above the database above specs": [
        ("scheduler.services.assemble", "scheduler.api"),
        ("scheduler.db.session", "scheduler.services.planning"),
    ],
    "Forecasting is pure: no other room, no clock, no I/O": [
        ("scheduler.forecasting.seasonal", "scheduler.services.signals"),
        ("scheduler.forecasting.history", "connectors.types"),
        ("scheduler.forecasting.spread", "time"),
    ],
    "Judging signals is pure: no database, no services, no clock": [
        ("scheduler.quality.examine", "scheduler.services.signals"),
        ("scheduler.quality.days", "sqlalchemy"),
    ],
    "Settling events is pure: no database, no services, no clock": [
        ("scheduler.settlement.baseline", "scheduler.services.power"),
        ("scheduler.settlement.delivered", "sqlalchemy"),
    ],
    "The ledger reckons purely: no database, no services, no clock": [
        ("scheduler.ledger.account", "scheduler.services.power"),
        ("scheduler.ledger.checks", "sqlalchemy"),
    ],
    "Tariffs are pure: specs and instants in, frozen values out": [
        ("scheduler.tariffs.demand", "scheduler.services.window"),
        ("scheduler.tariffs.local_time", "time"),
    ],
    "A replay has no database and no time but its own": [
        ("scheduler.backtest.replay", "scheduler.db.session"),
        ("scheduler.backtest.carrying_out", "time"),
    ],
    "The scheduler sees the optimiser only through its __init__": [
        ("scheduler.services.assemble", "optimizer.jobs"),
        ("scheduler.worker", "optimizer.solving.highs"),
    ],
    "Concrete connectors are named in main and in what it is made of alone": [
        ("scheduler.services.dispatch", "connectors.clusters.local"),
        ("scheduler.worker", "connectors.signals"),
        ("scheduler.ingest", "connectors.streams"),
        ("scheduler.site_control", "connectors.storage"),
    ],
    "Control decides purely: no clock, no device, no database": [
        ("scheduler.control.decide", "connectors.types"),
        ("scheduler.control.watchdog", "time"),
    ],
    "Only the clock knows APScheduler": [("scheduler.worker", "apscheduler")],
    "Only plants know pvlib and windpowerlib, only its child knows gridstatus": [
        ("connectors.signals.open_meteo", "pvlib"),
        ("scheduler.signal_sources", "windpowerlib"),
        ("connectors.signals.us.prices", "gridstatus"),
    ],
    "Energy blocks never import each other; they meet in master": [
        ("optimizer.energy.storage", "optimizer.energy.renewables")
    ],
    "Verification and settlement never see the model or the solver": [
        ("optimizer.verify", "pyomo"),
        ("optimizer.settlement", "optimizer.energy.storage"),
    ],
}
CASES = [(name, *offence) for name, offences in OFFENCES.items() for offence in offences]


@cache
def import_graph() -> grimp.ImportGraph:
    """All imports of the three packages as they stand. Checking changes a graph: copy it."""
    return grimp.build_graph(
        *SETTINGS["root_packages"], include_external_packages=True, cache_dir=None
    )


def is_kept(contract: dict[str, Any], graph: grimp.ImportGraph) -> bool:
    """Whether ``graph`` keeps ``contract``."""
    configuration.configure()
    options = {
        key: str(value) if isinstance(value, bool) else value  # as its own TOML reader does
        for key, value in contract.items()
        if key not in {"name", "type"}
    }
    session = SETTINGS | {"include_external_packages": "True"}
    checker = KINDS[contract["type"]](contract["name"], session, options)
    return bool(checker.check(graph, verbose=False).kept)


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_contract_is_kept(name: str) -> None:
    """The code as it stands keeps every contract."""
    assert is_kept(CONTRACTS[name], deepcopy(import_graph()))


@pytest.mark.parametrize(("name", "importer", "imported"), CASES)
def test_a_broken_contract_is_noticed(name: str, importer: str, imported: str) -> None:
    """One forbidden import more, and the contract is broken."""
    graph = deepcopy(import_graph())
    assert importer in graph.modules, f"{importer} has moved: name another module here"
    if imported not in graph.modules:
        graph.add_module(imported, is_squashed=True)
    graph.add_import(importer=importer, imported=imported, line_number=1, line_contents="")
    assert not is_kept(CONTRACTS[name], graph)


def test_nobody_reaches_into_the_optimiser() -> None:
    """What the contract has to pass over is refused here by how it is written."""
    written = re.compile(r"^\s*(from optimizer\.|import optimizer\.)", re.MULTILINE)
    sources = (ROOT / "scheduler").rglob("*.py")
    assert [str(path) for path in sources if written.search(path.read_text("utf-8"))] == []


def test_every_contract_has_an_offence() -> None:
    """A new contract comes with an import that breaks it."""
    assert set(OFFENCES) == set(CONTRACTS)
