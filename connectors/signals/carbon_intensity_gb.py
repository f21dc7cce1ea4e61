"""Carbon intensity of Great Britain and its regions, by the National Energy System Operator.

Format: https://carbon-intensity.github.io/api-definitions/ (version 2). No key. Used here are

``/intensity/{from}/{to}``
    ``data``, one entry for each half hour: ``from``, ``to`` and ``intensity`` with ``forecast`` and
    ``actual`` [gCO2/kWh], the latter ``null`` until it is known.
``/regional/intensity/{from}/{to}/regionid/{id}``
    ``data.data``, the same by region, of which only ``forecast`` is published, also of the past.

Instants are UTC, such as ``2018-01-20T12:00Z``; 14 days at once at most. The half hour that ends at
``from`` comes as well. Forecasts reach about 48 h (96 h in parts). When a value was published is
not said. What is given here is ``actual`` where it is known, else ``forecast``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from connectors.errors import ContractBroken
from connectors.http import HttpPolicy, HttpSource, Reply
from connectors.signals.frames import Question, require_offer, signal_frame
from connectors.signals.windows import parts
from connectors.source_info import SignalOffer, SourceInfo
from connectors.types import SignalKind, Window

URL = "https://api.carbonintensity.org.uk"
POLICY = HttpPolicy(requests_per_minute=30)
REGIONS = {
    "GB-North-Scotland": 1,
    "GB-South-Scotland": 2,
    "GB-North-West-England": 3,
    "GB-North-East-England": 4,
    "GB-Yorkshire": 5,
    "GB-North-Wales-Merseyside": 6,
    "GB-South-Wales": 7,
    "GB-West-Midlands": 8,
    "GB-East-Midlands": 9,
    "GB-East-England": 10,
    "GB-South-West-England": 11,
    "GB-South-England": 12,
    "GB-London": 13,
    "GB-South-East-England": 14,
    "GB-England": 15,
    "GB-Scotland": 16,
    "GB-Wales": 17,
}
_NATION = "GB"
_MINUTES = 30
_LONGEST = timedelta(days=13)  # with the half hour before, and whatever counts as a day there

INFO = SourceInfo(
    name="carbon-intensity-gb",
    title="Carbon Intensity API (NESO, Great Britain)",
    document="https://carbon-intensity.github.io/api-definitions/",
    licence="CC BY 4.0",
    offers=(SignalOffer(SignalKind.CARBON_INTENSITY, (_MINUTES,), (_NATION, *REGIONS)),),
    zones_are="GB, or a region such as GB-London",
)


class CarbonIntensityGb:
    """Implements ``SignalSource``."""

    info = INFO

    def __init__(self, http: HttpSource) -> None:
        self._http = http

    def time_zone(self, zone: str) -> str:
        """Time of Great Britain; ``Rejected`` for a zone it does not have."""
        require_offer(self.info, zone, SignalKind.CARBON_INTENSITY)
        return "Europe/London"

    async def fetch(self, zone: str, kind: SignalKind, window: Window) -> pd.DataFrame:
        """Half hours within ``window``."""
        require_offer(self.info, zone, kind)
        found: dict[datetime, float] = {}
        for part in parts(window, _LONGEST):
            reply = await self._http.get(_path(zone, part))
            found |= _values(reply, of_region=zone in REGIONS)
        asked = Question(self.info.name, zone, kind, window)
        return signal_frame(asked, list(found), _MINUTES, list(found.values()), kind.unit)


def _path(zone: str, window: Window) -> str:
    span = f"{_instant(window.start)}/{_instant(window.end)}"
    if zone == _NATION:
        return f"/intensity/{span}"
    return f"/regional/intensity/{span}/regionid/{REGIONS[zone]}"


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")


def _values(reply: Reply, *, of_region: bool) -> dict[datetime, float]:
    document = reply.json()
    try:
        rows = document["data"]["data"] if of_region else document["data"]
        values = {_start(row): _intensity(row["intensity"]) for row in rows}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ContractBroken(
            f"{reply.shown}: not as agreed: {error!r}: {reply.excerpt()}"
        ) from error
    return {start: value for start, value in values.items() if value is not None}


def _start(row: Mapping[str, Any]) -> datetime:
    start, end = datetime.fromisoformat(row["from"]), datetime.fromisoformat(row["to"])
    if start.utcoffset() is None or end - start != timedelta(minutes=_MINUTES):
        raise ValueError(f"{row['from']} .. {row['to']} is no half hour with an offset")
    return start


def _intensity(intensity: Mapping[str, Any]) -> float | None:
    actual = intensity.get("actual")
    value = intensity.get("forecast") if actual is None else actual
    return None if value is None else float(value)
