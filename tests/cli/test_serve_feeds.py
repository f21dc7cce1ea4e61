"""A whole deployment that is fed: ``gridtide serve`` and a source on loopback."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.types import SignalKind
from tests.cli.test_serve import PROGRAM, first_key, wait_until_ready
from tests.cli.test_supervise import until
from tests.peers.processes import free_ports
from tests.peers.signals.energy_charts import EnergyChartsDocuments
from tests.peers.signals.published import Published
from tests.peers.signals.server import Peer, served, status
from tests.services.builders import fleet_spec, site_spec

PRICE = SignalKind.PRICE
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
AT = TODAY + timedelta(hours=26)
FEEDS = [
    {"kind": kind, "source": "energy-charts", "zone": "DE-LU"}
    for kind in ("price", "carbon_intensity")
]


@pytest.fixture
def charts() -> Iterator[Peer]:
    """Energy-Charts, of which the first answer of all is that it is away."""
    with served(EnergyChartsDocuments(), Published(60)) as peer:
        yield peer


@pytest.fixture
def api(charts: Peer, tmp_path: Path) -> Iterator[httpx.Client]:
    """The API of a deployment of four processes, as its admin."""
    port = free_ports(1)[0]
    ours = {
        "GRIDTIDE_STATE_DIR": str(tmp_path / "state"),
        "GRIDTIDE_PORT": str(port),
        "GRIDTIDE_ENERGY_CHARTS_URL": charts.url,
    }
    environment = {name: value for name, value in os.environ.items() if "GRIDTIDE" not in name}
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(
            [*PROGRAM, "serve"], env=environment | ours, stdout=output, stderr=output, text=True
        )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until_ready(process, address, tmp_path / "output")
        key = {"Authorization": f"Bearer {first_key(tmp_path)}"}
        with httpx.Client(base_url=address, headers=key) as client:
            yield client
    finally:
        process.terminate()
        process.wait(30)


def feed_of(api: httpx.Client, kind: str) -> dict[str, Any]:
    """Return how the feed of a kind fares."""
    found = {one["kind"]: one["feed"] for one in api.get("/v1/signals/coverage").json()}
    return dict(found.get(kind) or {})


def values(api: httpx.Client) -> dict[str, dict[str, Any]]:
    """Return the prices of five days by start, as known last."""
    days = {"start": TODAY - timedelta(days=1), "end": TODAY + timedelta(days=4)}
    span = {name: at.isoformat() for name, at in days.items()}
    answer = api.get("/v1/signals/latest", params={"site": "DE", "kind": "price"} | span)
    return {one["start_at"]: one for one in answer.json()["values"]}


def put(api: httpx.Client, feeds: list[dict[str, str]]) -> None:
    """Put a fleet with these feeds in force."""
    fleet = fleet_spec(site_spec("DE", feeds=feeds)).model_dump(mode="json")
    answer = api.put("/v1/fleet", json=fleet)
    assert answer.is_success, answer.text


def answered(api: httpx.Client, kind: str) -> Callable[[], bool]:
    """Return whether the feed of a kind has been answered."""
    return lambda: feed_of(api, kind).get("succeeded_at") is not None


def test_values_land_once_and_revisions_stand_beside_them(api: httpx.Client, charts: Peer) -> None:
    """From a fleet with feeds to what is known, and to what was known before.

    A source that refuses one of its feeds is seen to, and gives the other.
    """
    charts.will(status(403, "not from here"))
    put(api, FEEDS)
    until(answered(api, "carbon_intensity"))
    assert "not from here" in feed_of(api, "price")["error"]
    assert not values(api)
    # A feed of another zone is due at once.
    put(api, [FEEDS[0] | {"zone": "FR"}, FEEDS[1]])
    until(answered(api, "price"))
    first = values(api)
    assert len(first) >= 4 * 24
    key = AT.isoformat().replace("+00:00", "Z")
    charts.published.changed[PRICE, AT] = -500.0
    put(api, FEEDS)
    until(lambda: values(api)[key]["value"] == -500.0)
    again = values(api)
    changed = [start for start in again if again[start] != first.get(start)]
    assert changed == [key]
    metrics = api.get("/metrics").text
    labels = 'kind="price",site="DE",source="energy-charts"'
    assert f"gridtide_feed_failures{{{labels}}} 0.0" in metrics
