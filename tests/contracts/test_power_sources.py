"""Every source of measured power passes the contract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from connectors.power.exporters import ExportersPower
from connectors.power.nvml import NvmlPower
from connectors.power.prometheus import PrometheusPower
from connectors.protocols import PowerSource
from tests.contracts.power_source import Meter, PowerSourceContract
from tests.peers.exporter import DRAWN, Exporter, served
from tests.peers.nvml import FakeNvml
from tests.peers.prometheus import Scraping


class Exporters:
    """The exporters of the nodes, as a meter."""

    def __init__(self, by_host: dict[str, Exporter]) -> None:
        self.by_host = by_host

    def set_watts(self, node: str, gpu: int, watts: float) -> None:
        """Let a GPU draw this."""
        self.by_host[node].watts[gpu] = watts

    def silence(self, *nodes: str) -> None:
        """Let every request to these fail."""
        for node in nodes:
            self.by_host[node].is_silent = True


class TestExportersPower(PowerSourceContract):
    """Asked one by one."""

    @pytest.fixture
    def meter(self) -> Iterator[Exporters]:
        """An exporter for each node."""
        with ExitStack() as stack:
            exporters = [Exporter(host, dict(watts)) for host, watts in DRAWN.items()]
            yield Exporters({one.host: stack.enter_context(served(one)) for one in exporters})

    @pytest.fixture
    def source(self, meter: Exporters) -> PowerSource:
        """Their pages."""
        return ExportersPower([one.url for one in meter.by_host.values()])


class TestPrometheusPower(PowerSourceContract):
    """A real Prometheus that scrapes them."""

    @pytest.fixture
    def meter(self, scraping: Scraping) -> Meter:
        """Its exporters."""
        return Exporters(scraping.exporters)

    @pytest.fixture
    def source(self, scraping: Scraping) -> PowerSource:
        """Its API."""
        return PrometheusPower(scraping.url)


@pytest.mark.usefixtures("meter")
class TestNvmlPower(PowerSourceContract):
    """The driver's library, of which there is none here."""

    @pytest.fixture
    def meter(self, monkeypatch: pytest.MonkeyPatch) -> Meter:
        """One machine with the GPUs of both nodes."""
        return FakeNvml(DRAWN, monkeypatch)

    @pytest.fixture
    def source(self) -> PowerSource:
        """Its three GPUs."""
        return NvmlPower(3)
