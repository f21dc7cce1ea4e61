"""Every source that is asked over a network passes the contract."""

from __future__ import annotations

import pytest

from connectors.http import HttpSource
from connectors.protocols import SignalSource
from connectors.signals.carbon_intensity_gb import CarbonIntensityGb
from connectors.signals.energy_charts import EnergyCharts
from connectors.signals.entsoe import Entsoe
from connectors.types import SignalKind
from tests.contracts.live_source import (
    LiveSourceContract,
    NegativePrices,
    Secretive,
    StatedUnits,
)
from tests.contracts.signal_source import SourceCase
from tests.peers.signals.carbon_intensity_gb import CarbonIntensityGbDocuments
from tests.peers.signals.energy_charts import EnergyChartsDocuments
from tests.peers.signals.entsoe import TOKEN, EntsoeDocuments
from tests.peers.signals.server import Documents

OF_ZONES = (
    SignalKind.ZONE_LOAD,
    SignalKind.ZONE_SOLAR,
    SignalKind.ZONE_WIND,
    SignalKind.ZONE_LOAD_FORECAST,
    SignalKind.ZONE_SOLAR_FORECAST,
    SignalKind.ZONE_WIND_FORECAST,
)


class TestEnergyCharts(NegativePrices, StatedUnits, LiveSourceContract):
    """Prices of Germany and Luxembourg, the rest of Germany."""

    @pytest.fixture
    def case(self) -> SourceCase:
        """All it has, by quarter hours."""
        kinds = (SignalKind.PRICE, SignalKind.CARBON_INTENSITY, *OF_ZONES)
        return SourceCase("DE-LU", kinds, 15, missing_kind=SignalKind.PV)

    @pytest.fixture
    def documents(self) -> Documents:
        """Its four questions."""
        return EnergyChartsDocuments()

    def connect(self, http: HttpSource) -> SignalSource:
        """It needs no key."""
        return EnergyCharts(http)


class EntsoeCase(NegativePrices, StatedUnits, Secretive, LiveSourceContract):
    """Prices, load, sun and wind of Germany and Luxembourg."""

    secret = TOKEN
    curve = ""
    minutes = 15

    @pytest.fixture
    def case(self) -> SourceCase:
        """All it has."""
        kinds = (SignalKind.PRICE, *OF_ZONES)
        return SourceCase("DE-LU", kinds, self.minutes, missing_kind=SignalKind.PV)

    @pytest.fixture
    def documents(self) -> Documents:
        """Two auctions, of which the first counts."""
        return EntsoeDocuments(self.curve)

    def connect(self, http: HttpSource) -> SignalSource:
        """It needs a token."""
        return Entsoe(http, TOKEN)


class TestEntsoeByQuartersA03(EntsoeCase):
    """As it has been since 2025-10-01: what repeats is left out."""

    curve = "A03"


class TestEntsoeByHoursA01(EntsoeCase):
    """As it was before."""

    curve = "A01"
    minutes = 60


class TestCarbonIntensityGb(LiveSourceContract):
    """The nation: what was, and what is foreseen."""

    zone = "GB"

    @pytest.fixture
    def case(self) -> SourceCase:
        """Half hours."""
        kinds = (SignalKind.CARBON_INTENSITY,)
        return SourceCase(self.zone, kinds, 30, missing_kind=SignalKind.PRICE)

    @pytest.fixture
    def documents(self) -> Documents:
        """Two weeks at once at most."""
        return CarbonIntensityGbDocuments()

    def connect(self, http: HttpSource) -> SignalSource:
        """It needs no key."""
        return CarbonIntensityGb(http)


class TestCarbonIntensityOfLondon(TestCarbonIntensityGb):
    """A region, of which only forecasts are published."""

    zone = "GB-London"
