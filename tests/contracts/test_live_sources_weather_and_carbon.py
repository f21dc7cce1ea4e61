"""Electricity Maps, WattTime and Open-Meteo pass the contract of sources asked over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.http import HttpSource
from connectors.protocols import SignalSource
from connectors.signals.electricity_maps import ElectricityMaps, Variant
from connectors.signals.open_meteo import OpenMeteo
from connectors.signals.watttime import WattTime
from connectors.types import SignalKind
from tests.contracts.live_source import LiveSourceContract, Secretive, StatedUnits
from tests.contracts.signal_source import SourceCase
from tests.peers.signals import electricity_maps, watttime
from tests.peers.signals.electricity_maps import ElectricityMapsDocuments
from tests.peers.signals.open_meteo import OpenMeteoDocuments
from tests.peers.signals.server import Documents
from tests.peers.signals.watttime import WattTimeDocuments

LATER = datetime(2026, 11, 5, 9, 20, tzinfo=UTC)  # after everything that is asked for


def now() -> datetime:
    """Return the same instant always."""
    return LATER


class TestElectricityMaps(Secretive, StatedUnits, LiveSourceContract):
    """What was measured and estimated."""

    secret = electricity_maps.TOKEN
    variant = Variant.LIFECYCLE

    @pytest.fixture
    def case(self) -> SourceCase:
        """A country, by the hour."""
        return SourceCase("DE", (SignalKind.CARBON_INTENSITY,), 60, SignalKind.PRICE)

    @pytest.fixture
    def documents(self) -> Documents:
        """The format it speaks."""
        return ElectricityMapsDocuments(LATER)

    def connect(self, http: HttpSource) -> SignalSource:
        """With the key."""
        return ElectricityMaps(http, self.secret, now, self.variant)


class TestElectricityMapsDirect(TestElectricityMaps):
    """With the emission factors of the stacks alone."""

    variant = Variant.DIRECT


class TestElectricityMapsMeasured(TestElectricityMaps):
    """Without estimates."""

    variant = Variant.MEASURED


class TestWattTime(Secretive, StatedUnits, LiveSourceContract):
    """What was measured."""

    secret = watttime.PACKED

    @pytest.fixture
    def case(self) -> SourceCase:
        """A region, every five minutes."""
        kinds = (SignalKind.MARGINAL_CARBON_INTENSITY,)
        return SourceCase("CAISO_NORTH", kinds, 5, SignalKind.CARBON_INTENSITY)

    @pytest.fixture
    def documents(self) -> Documents:
        """The format it speaks."""
        return WattTimeDocuments(LATER)

    def connect(self, http: HttpSource) -> SignalSource:
        """With the account."""
        return WattTime(http, watttime.USER, watttime.PASSWORD, now)


class TestOpenMeteo(StatedUnits, LiveSourceContract):
    """Irradiance by the hour, out of the archive."""

    minutes = 60

    @pytest.fixture
    def case(self) -> SourceCase:
        """A place."""
        kinds = (SignalKind.IRRADIANCE,)
        return SourceCase("52.52,13.41", kinds, 60, SignalKind.PRICE)

    @pytest.fixture
    def documents(self) -> Documents:
        """The format it speaks."""
        return OpenMeteoDocuments(LATER)

    def connect(self, http: HttpSource) -> SignalSource:
        """Forecast and archive are the same server here."""
        return OpenMeteo(http, http, now)
