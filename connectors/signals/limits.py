"""What a value of each kind may be. Beyond it is a wrong unit or a broken feed, not a rare day."""

from __future__ import annotations

import re

from connectors.types import SignalKind

PLAUSIBLE: dict[SignalKind, tuple[float, float]] = {
    # Harmonised European bids end at -500 and +4000 EUR/MWh, Australia's at +17500 AUD/MWh.
    SignalKind.PRICE: (-20_000.0, 20_000.0),
    SignalKind.EXPORT_PRICE: (-20_000.0, 20_000.0),
    # Lignite over its life cycle is about 1200 g/kWh.
    SignalKind.CARBON_INTENSITY: (0.0, 3_000.0),
    SignalKind.PV: (0.0, 10_000_000.0),
    SignalKind.WIND: (0.0, 10_000_000.0),
    SignalKind.BASE_LOAD: (0.0, 10_000_000.0),
    SignalKind.PUE: (1.0, 5.0),
    # Of a unit that is started and stopped for it; below zero where more load spares emissions.
    SignalKind.MARGINAL_CARBON_INTENSITY: (-3_000.0, 3_000.0),
    # The largest interconnections are about 1 000 000 MW. By night plants draw a little themselves.
    SignalKind.ZONE_LOAD: (0.0, 2_000_000.0),
    SignalKind.ZONE_LOAD_FORECAST: (0.0, 2_000_000.0),
    SignalKind.ZONE_SOLAR: (-1_000.0, 2_000_000.0),
    SignalKind.ZONE_SOLAR_FORECAST: (-1_000.0, 2_000_000.0),
    SignalKind.ZONE_WIND: (-1_000.0, 2_000_000.0),
    SignalKind.ZONE_WIND_FORECAST: (-1_000.0, 2_000_000.0),
    # The sun gives 1361 outside of the air; edges of clouds add to it for minutes.
    SignalKind.IRRADIANCE: (0.0, 1_800.0),
    SignalKind.AIR_TEMPERATURE: (-95.0, 65.0),
    SignalKind.WIND_SPEED: (0.0, 120.0),
}
MONEY = frozenset((SignalKind.PRICE, SignalKind.EXPORT_PRICE))
_CURRENCY_PER_MWH = re.compile(r"[A-Z]{3}/MWh")


def is_unit_of(kind: SignalKind, unit: str) -> bool:
    """Whether ``unit`` is the unit of ``kind``; a price may name its currency, as ``EUR/MWh``."""
    if unit == kind.unit:
        return True
    return kind in MONEY and _CURRENCY_PER_MWH.fullmatch(unit) is not None
