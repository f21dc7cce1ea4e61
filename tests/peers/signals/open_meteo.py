"""Weather as Open-Meteo answers, of the forecast and of the archive."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from connectors.types import SignalKind, Window
from tests.peers.signals.published import Published
from tests.peers.signals.server import Answer, Request

_UNITS = {
    "shortwave_radiation": "W/m²",
    "diffuse_radiation": "W/m²",
    "temperature_2m": "°C",
    "wind_speed_10m": "m/s",
    "wind_speed_80m": "m/s",
    "wind_speed_100m": "m/s",
    "wind_speed_120m": "m/s",
}
_ONLY = {"/v1/forecast": {"wind_speed_80m", "wind_speed_120m"}, "/v1/archive": {"wind_speed_100m"}}
_MINUTES = {"hourly": 60, "minutely_15": 15}

Weather = Callable[[datetime], float | None]
"""Value of a variable as it is labelled with an instant."""


@dataclass
class OpenMeteoDocuments:
    """The documents at an instant.

    Radiation is what was published of the interval that ENDS at a label. The other variables are
    as ``weather`` says of the instant.
    """

    now: datetime
    weather: Mapping[str, Weather] = field(default_factory=dict)
    offset_s: int = 0
    units: Mapping[str, str] = field(default_factory=dict)

    def answer(self, request: Request, published: Published) -> Answer:
        """Answer one request."""
        block = "hourly" if "hourly" in request.query else "minutely_15"
        names = request.query[block].split(",")
        foreign = _ONLY["/v1/archive" if request.path == "/v1/forecast" else "/v1/forecast"]
        if foreign & set(names):
            return _refusal(f"Cannot initialize WeatherVariable from {foreign & set(names)}")
        first, last = (date.fromisoformat(request.query[it]) for it in ("start_date", "end_date"))
        today = self.now.astimezone(UTC).date()
        earliest = (
            today - timedelta(days=92) if request.path == "/v1/forecast" else date(1940, 1, 1)
        )
        latest = today + timedelta(days=15 if request.path == "/v1/forecast" else 0)
        if first < earliest or last > latest:
            return _refusal(f"Allowed range from {earliest} to {latest}")
        minutes = _MINUTES[block]
        start = datetime(first.year, first.month, first.day, tzinfo=UTC)
        steps = ((last - first).days + 1) * 24 * 60 // minutes
        times = [start + timedelta(minutes=n * minutes) for n in range(steps)]
        kmh = request.query.get("wind_speed_unit") != "ms"
        units = {name: "km/h" if kmh and "wind" in name else _UNITS[name] for name in names}
        if published.wrong_unit is not None:
            units = dict.fromkeys(names, published.wrong_unit)
        values = {
            name: [self._value(name, at, minutes, published) for at in times] for name in names
        }
        return _json(
            {
                "latitude": round(float(request.query["latitude"]), 1),
                "longitude": round(float(request.query["longitude"]), 1),
                "generationtime_ms": 0.25,
                "utc_offset_seconds": self.offset_s,
                "timezone": "GMT",
                "timezone_abbreviation": "GMT",
                "elevation": 38.0,
                f"{block}_units": {"time": "iso8601", **units, **self.units},
                block: {"time": [f"{at:%Y-%m-%dT%H:%M}" for at in times], **values},
            }
        )

    def _value(
        self, name: str, label: datetime, minutes: int, published: Published
    ) -> float | None:
        if name in self.weather:
            return self.weather[name](label)
        if name == "shortwave_radiation":
            return published.value(SignalKind.IRRADIANCE, label - timedelta(minutes=minutes))
        return 0.0


def window_of_day(day: date) -> Window:
    """Return the UTC day."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Window(start, start + timedelta(days=1))


def _json(document: Any) -> Answer:
    text = json.dumps(document, ensure_ascii=False)
    return Answer(text.encode(), "application/json; charset=utf-8")


def _refusal(reason: str) -> Answer:
    body = json.dumps({"error": True, "reason": reason}).encode()
    return Answer(body, "application/json; charset=utf-8", 400)
