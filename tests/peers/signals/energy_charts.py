"""What api.energy-charts.info answers, by its OpenAPI document of version 1.4."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from connectors.types import SignalKind, Window
from tests.peers.signals.published import Published
from tests.peers.signals.server import Answer, Request

FORECASTS = {
    "load": (SignalKind.ZONE_LOAD_FORECAST, 1.0),
    "solar": (SignalKind.ZONE_SOLAR_FORECAST, 1.0),
    "wind_onshore": (SignalKind.ZONE_WIND_FORECAST, 0.75),
    "wind_offshore": (SignalKind.ZONE_WIND_FORECAST, 0.25),
}
PRODUCTION = {
    "Hydro Run-of-River": (SignalKind.ZONE_SOLAR, 0.1),
    "Wind offshore": (SignalKind.ZONE_WIND, 0.25),
    "Wind onshore": (SignalKind.ZONE_WIND, 0.75),
    "Solar": (SignalKind.ZONE_SOLAR, 1.0),
    "Load": (SignalKind.ZONE_LOAD, 1.0),
}


class EnergyChartsDocuments:
    """Implements ``Documents``; of what is foreseen until ``now`` it also knows what was."""

    now = datetime(2100, 1, 1, tzinfo=UTC)

    def answer(self, request: Request, published: Published) -> Answer:
        """Answer one of the four questions it knows."""
        start, end = (datetime.fromisoformat(request.query[name]) for name in ("start", "end"))
        starts = list(published.starts(Window(start, end + timedelta(seconds=1))))
        if published.until is not None:
            starts = [one for one in starts if one < published.until]
        if not starts:
            return Answer(b'{"detail":"No content available"}', status=404)
        document: dict[str, object] = {
            "unix_seconds": [int(one.timestamp()) for one in starts],
            "deprecated": False,
        }

        def of(kind: SignalKind, share: float = 1.0) -> list[float | None]:
            found = [published.value(kind, one) for one in starts]
            return [None if value is None else value * share for value in found]

        match request.path:
            case "/price":
                document["license_info"] = "CC BY 4.0 (creativecommons.org/licenses/by/4.0)"
                document["price"] = of(SignalKind.PRICE)
                document["unit"] = published.wrong_unit or "EUR / MWh"
            case "/co2eq":
                carbon = of(SignalKind.CARBON_INTENSITY)
                was = zip(starts, carbon, strict=True)
                document["co2eq"] = [v if at < self.now else None for at, v in was]
                document["co2eq_forecast"] = [
                    None if v is None else v + (5 if at < self.now else 0)
                    for at, v in zip(starts, carbon, strict=True)
                ]
                document["substitute"] = False
            case "/public_power":
                document["production_types"] = [
                    {"name": name, "data": of(*which)} for name, which in PRODUCTION.items()
                ]
            case "/public_power_forecast":
                which = request.query["production_type"]
                document["production_type"] = which
                document["forecast_type"] = request.query["forecast_type"]
                document["forecast_values"] = of(*FORECASTS[which])
        return Answer(json.dumps(document).encode())
