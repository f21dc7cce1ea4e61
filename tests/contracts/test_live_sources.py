"""Every source that is asked over a network passes the contract."""

from __future__ import annotations

import pytest

from connectors.http import HttpSource
from connectors.protocols import SignalSource
from connectors.signals.energy_charts import EnergyCharts
from connectors.types import SignalKind
from tests.contracts.live_source import LiveSourceContract, NegativePrices, StatedUnits
from tests.contracts.signal_source import SourceCase
from tests.peers.signals.energy_charts import EnergyChartsDocuments
from tests.peers.signals.server import Documents


class TestEnergyCharts(NegativePrices, StatedUnits, LiveSourceContract):
    """Prices of Germany and Luxembourg, the rest of Germany."""

    @pytest.fixture
    def case(self) -> SourceCase:
        """All it has, by quarter hours."""
        kinds = (
            SignalKind.PRICE,
            SignalKind.CARBON_INTENSITY,
            SignalKind.ZONE_LOAD,
            SignalKind.ZONE_SOLAR,
            SignalKind.ZONE_WIND,
            SignalKind.ZONE_LOAD_FORECAST,
            SignalKind.ZONE_SOLAR_FORECAST,
            SignalKind.ZONE_WIND_FORECAST,
        )
        return SourceCase("DE-LU", kinds, 15, missing_kind=SignalKind.PV)

    @pytest.fixture
    def documents(self) -> Documents:
        """Its four questions."""
        return EnergyChartsDocuments()

    def connect(self, http: HttpSource) -> SignalSource:
        """It needs no key."""
        return EnergyCharts(http)
