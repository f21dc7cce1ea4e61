"""Slurm's counters of power: what each release says, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.clusters.slurm.cluster import SlurmCluster
from connectors.clusters.slurm.config import SlurmConfig, SlurmPool
from connectors.clusters.slurm.dialect import read_node_power, read_node_power_lines
from connectors.clusters.slurm.energy import SlurmCounters
from connectors.clusters.slurm.transport import NodePower, SlurmNode, SlurmTransport
from connectors.errors import Rejected
from connectors.types import PowerScope
from tests.peers.slurm import Slurm
from tests.peers.slurm_client import WAYS, speaking_to

NOW_S = 1_790_000_000.0
POOLS = [SlurmPool("a", "gpu", gres_type="a100"), SlurmPool("b", "gpu", gres_type="l40")]


def energy(watts: int, *, at_s: float = NOW_S - 20, is_set: bool = True) -> dict[str, Any]:
    """What the newer dialects say of the energy of a node."""
    return {
        "average_watts": watts,
        "base_consumed_energy": 1_000,
        "consumed_energy": 2_000,
        "current_watts": {"set": is_set, "infinite": False, "number": watts},
        "previous_consumed_energy": 500,
        "last_collected": int(at_s),
    }


def test_the_newer_dialects_say_how_much_and_when() -> None:
    """A number that is not set is none, nor is a zero that was never collected."""
    told = read_node_power(
        {
            "nodes": [
                {"name": "n1", "energy": energy(5200)},
                {"name": "unset", "energy": energy(0, is_set=False)},
                {"name": "never", "energy": energy(0, at_s=0)},
                {"name": "no_val", "energy": energy(0xFFFFFFFE)},
                {"name": "old_dialect"},
            ]
        }
    )
    assert told == {"n1": NodePower(5200.0, NOW_S - 20)}


def test_before_that_scontrol_says_how_much() -> None:
    """``n/s`` where nothing measures, and 0 where it is none that is asked."""
    lines = (
        "NodeName=n1 State=IDLE CapWatts=n/a CurrentWatts=5200 AveWatts=5100 ExtSensorsWatts=0",
        "NodeName=n2 State=IDLE CapWatts=n/a CurrentWatts=n/s AveWatts=n/s ExtSensorsWatts=0",
        "NodeName=n3 State=IDLE CapWatts=n/a CurrentWatts=0 AveWatts=0 ExtSensorsWatts=0",
    )
    assert read_node_power_lines("\n".join(lines)) == {"n1": NodePower(5200.0, None)}


class Nodes:
    """A transport that knows nodes and their power."""

    def __init__(self, nodes: list[SlurmNode], power: dict[str, NodePower]) -> None:
        self._nodes, self._power = tuple(nodes), power
        self.now: float | None = None

    async def nodes(self) -> tuple[SlurmNode, ...]:
        """Every node."""
        return self._nodes

    async def time(self) -> float:
        """What the controller's clock says, or that it does not."""
        if self.now is None:
            raise Rejected("diag: not allowed")
        return self.now

    async def node_power(self) -> dict[str, NodePower]:
        """What they told."""
        return self._power


def node(name: str, state: str = "IDLE", **gpus: int) -> SlurmNode:
    """A node of the partition."""
    return SlurmNode(name, frozenset((state,)), frozenset(("gpu",)), frozenset(), gpus, {})


def counters(*nodes: SlurmNode, **power: NodePower) -> SlurmCounters:
    """Counters of these."""
    transport: Any = Nodes(list(nodes), power)
    return SlurmCounters(transport, POOLS, clock=lambda: NOW_S)


async def test_a_node_of_two_pools_counts_once() -> None:
    """With the GPUs of both; one without any is not asked."""
    fresh = NodePower(5200.0, NOW_S - 20)
    found = await counters(
        node("n1", a100=4, l40=2), node("n2", a100=4), node("cpu"), n1=fresh, n2=fresh
    ).read()
    assert (found.kw, found.gpus, found.silent) == (pytest.approx(10.4), 10, ())


async def test_a_node_that_does_not_tell_is_named() -> None:
    """Or tells what it told long ago; one that is down has no say, whatever it told last."""
    fresh, stale = NodePower(5200.0, NOW_S - 20), NodePower(5200.0, NOW_S - 900)
    found = await counters(
        node("n1", a100=4),
        node("n2", a100=4),
        node("n3", a100=4),
        node("down", "DOWN", a100=4),
        node("undated", a100=4),
        n1=fresh,
        n2=stale,
        down=fresh,
        undated=NodePower(100.0, None),
    ).read()
    assert (found.kw, found.gpus) == (pytest.approx(5.3), 8)
    assert found.silent == (
        "node n2: its power is 900 s old, AcctGatherNodeFreq?",
        "node n3: its power is not known to Slurm",
    )


@pytest.mark.parametrize("ahead_s", [600.0, -600.0])
async def test_how_old_a_figure_is_says_the_clock_of_the_cluster(ahead_s: float) -> None:
    """It dates the figures, and may be ten minutes from ours."""
    there = NOW_S + ahead_s
    new, old = NodePower(5200.0, there - 20), NodePower(5200.0, there - 400)
    transport: Any = Nodes([node("n1", a100=4), node("n2", a100=4)], {"n1": new, "n2": old})
    transport.now = there
    found = await SlurmCounters(transport, POOLS, clock=lambda: NOW_S).read()
    assert found.kw == pytest.approx(5.2)
    assert found.silent == ("node n2: its power is 400 s old, AcctGatherNodeFreq?",)


@pytest.fixture(params=WAYS)
def transport(
    slurm: Slurm, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> SlurmTransport:
    """The two ways to speak to a real one."""
    return speaking_to(slurm, request.param, monkeypatch)


class TestRealSlurm:
    """A cluster without anything that measures."""

    async def test_what_it_does_not_measure_is_modelled(
        self, transport: SlurmTransport, tmp_path: Any
    ) -> None:
        """It says 0 W of every node, and that is no power."""
        pools = (SlurmPool("pool", "one", kw_per_gpu=0.7, idle_kw_per_gpu=0.1),)
        source = SlurmCounters(transport, pools)
        assert await transport.node_power() == {}
        assert source.scope is PowerScope.NODES
        cluster = SlurmCluster("slurm", SlurmConfig(tmp_path, pools), transport, source)
        reading = await cluster.power()
        assert (reading.kw, reading.is_measured) == (pytest.approx(0.4), False)
        assert reading.reason == "slurm: silent: node n1: its power is not known to Slurm"

    async def test_where_it_keeps_no_accounts_that_is_said(self, transport: SlurmTransport) -> None:
        """By sacct itself, and by what slurmrestd does not offer, or cannot find."""
        words = r"accounting storage is disabled|offers \[\] of /slurmdb"
        with pytest.raises(Rejected, match=words):
            await transport.accounts([1])


class TestCurrentSlurm(TestRealSlurm):
    """The same of a current release."""

    @pytest.fixture
    def slurm(self, current_slurm: Slurm) -> Slurm:
        """The current one."""
        return current_slurm
