"""Carbon intensity as Electricity Maps answers, version 3."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.types import SignalKind, Window
from tests.peers.signals.published import Published
from tests.peers.signals.server import Answer, Request

TOKEN = "a-key-of-electricity-maps"  # noqa: S105
ZONES = ("DE", "US-CAL-CISO")
_HOUR = timedelta(hours=1)
_LONGEST = timedelta(days=10)
_PREFIX = "/v3/carbon-intensity/"


@dataclass
class ElectricityMapsDocuments:
    """The documents at an instant.

    ``estimated`` holds starts of intervals whose values are estimates; ``is_free`` is whether the
    key is of the plan that has the last day alone; ``zone_of_caller`` is answered for instead of
    the zone that was asked for.
    """

    now: datetime
    estimated: frozenset[datetime] = frozenset()
    is_free: bool = False
    zone_of_caller: str | None = None
    granularity: str | None = "hourly"
    more: dict[str, Any] = field(default_factory=dict)  # in every value object
    more_of_forecasts: dict[str, Any] = field(default_factory=dict)

    def answer(self, request: Request, published: Published) -> Answer:
        """Answer one request."""
        if request.headers.get("auth-token") != TOKEN:
            return _error(401, "Invalid auth-token")
        zone = request.query.get("zone", "")
        if zone not in ZONES:
            return _error(404, f"No data for zone {zone}")
        return self._of_zone(request, published, request.path.removeprefix(_PREFIX))

    def _of_zone(self, request: Request, published: Published, what: str) -> Answer:
        zone = request.query["zone"]
        hour = self.now.replace(minute=0, second=0, microsecond=0)
        if what == "latest":
            found = self._values(request, published, Window(hour, hour + _HOUR))
            return _json(found[0]) if found else _error(404, "No recent data")
        if what == "history":
            window = Window(hour - 23 * _HOUR, hour + _HOUR)
            return _json({"zone": zone, "history": self._values(request, published, window)})
        if self.is_free:
            return _error(403, "Request unauthorized for zoneKey")
        if what == "past-range":
            start, end = (datetime.fromisoformat(request.query[it]) for it in ("start", "end"))
            if end - start > _LONGEST:
                return _error(400, "time range is limited to 10 days")
            window = Window(start, end)
            return _json({"zone": zone, "data": self._values(request, published, window)})
        return self._forecast(request, published, hour)

    def _values(
        self, request: Request, published: Published, window: Window
    ) -> list[dict[str, Any]]:
        values = [
            self._value(request, start, published)
            for start in published.starts(window)
            if published.until is None or start < published.until
        ]
        without = request.query.get("disableEstimations") == "true"
        return [one for one in values if not (without and one["isEstimated"])]

    def _value(self, request: Request, start: datetime, published: Published) -> dict[str, Any]:
        is_estimated = start in self.estimated
        said = {} if self.granularity is None else {"temporalGranularity": self.granularity}
        if published.wrong_unit is not None:
            said["unit"] = published.wrong_unit
        return {
            "zone": self.zone_of_caller or request.query["zone"],
            "carbonIntensity": published.value(SignalKind.CARBON_INTENSITY, start),
            "datetime": _spoken(start),
            "updatedAt": _spoken(updated_at(start)),
            "createdAt": _spoken(start - 72 * _HOUR),
            "emissionFactorType": request.query.get("emissionFactorType", "lifecycle"),
            "isEstimated": is_estimated,
            "estimationMethod": "TIME_SLICER_AVERAGE" if is_estimated else None,
            **said,
            **self.more,
        }

    def _forecast(self, request: Request, published: Published, hour: datetime) -> Answer:
        hours = int(request.query.get("horizonHours", "24"))
        if hours not in {6, 24, 48, 72}:
            return _error(400, "horizonHours must be one of 6, 24, 48, 72")
        starts: Sequence[datetime] = [hour + n * _HOUR for n in range(hours + 1)]
        kind = SignalKind.CARBON_INTENSITY
        forecast = [
            {"carbonIntensity": published.value(kind, start), "datetime": _spoken(start)}
            for start in starts
        ]
        answer = {
            "zone": self.zone_of_caller or request.query["zone"],
            "forecast": forecast,
            "updatedAt": _spoken(self.now - timedelta(minutes=7)),
            "temporalGranularity": "hourly",
        }
        return _json(answer | self.more_of_forecasts)


def updated_at(start: datetime) -> datetime:
    """Return when a value was published last."""
    return start + timedelta(minutes=75)


def _spoken(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S.000Z}"


def _json(document: object) -> Answer:
    return Answer(json.dumps(document).encode(), "application/json; charset=utf-8")


def _error(status: int, text: str) -> Answer:
    return Answer(json.dumps({"error": text}).encode(), "application/json", status)
