"""Energy-Charts of Fraunhofer ISE: prices, carbon intensity, load, sun and wind of Europe.

Format: https://api.energy-charts.info (OpenAPI, version 1.4). No key. Used here are

``/price?bzn=DE-LU&start=..&end=..``
    ``unix_seconds``, ``price`` and ``unit`` (``EUR / MWh``): day-ahead prices of a bidding zone,
    by quarter hours since the delivery of 2025-10-01, by hours before (some zones by half hours).
``/public_power?country=de&..``
    ``unix_seconds`` and ``production_types``, each with ``name`` and ``data`` [MW]: measured, for
    public supply. ``Load``, ``Solar``, ``Wind onshore`` and ``Wind offshore`` are read.
``/public_power_forecast?country=de&production_type=solar&forecast_type=day-ahead&..``
    ``unix_seconds`` and ``forecast_values`` [MW].
``/co2eq?country=de&..``
    ``unix_seconds``, ``co2eq`` and ``co2eq_forecast`` [g CO2eq/kWh]: what was, where it is known,
    else what is foreseen.

``start`` and ``end`` are RFC 3339 instants, and both ends belong to the answer. ``null`` is a value
that is missing. Of a span without any value the answer is 404, or arrays without entries. When a
value was published is not said. Prices are of bidding zones, all else is of countries: ``DE-LU``
stands for Germany there, without Luxembourg.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TypeGuard

import numpy as np
import pandas as pd

from connectors.errors import ContractBroken
from connectors.http import HttpPolicy, HttpSource, Reply
from connectors.signals.energy_charts_zones import COUNTRY_OF, PRICE_ZONES
from connectors.signals.frames import Question, require_offer, signal_frame
from connectors.signals.resolution import step_minutes
from connectors.signals.zones import TIME_ZONES
from connectors.source_info import SignalOffer, SourceInfo
from connectors.types import SignalKind, Window

URL = "https://api.energy-charts.info"
# Nowhere is a limit published; it answers 429 to those who ask often.
POLICY = HttpPolicy(requests_per_minute=20, burst=8)
_LENGTHS = (15, 30, 60)
_COUNTRIES = tuple(COUNTRY_OF)
_MEASURED = {
    SignalKind.ZONE_LOAD: ("Load",),
    SignalKind.ZONE_SOLAR: ("Solar",),
    SignalKind.ZONE_WIND: ("Wind onshore", "Wind offshore"),
}
_FORESEEN = {
    SignalKind.ZONE_LOAD_FORECAST: ("load",),
    SignalKind.ZONE_SOLAR_FORECAST: ("solar",),
    SignalKind.ZONE_WIND_FORECAST: ("wind_onshore", "wind_offshore"),
}
_NOTHING = frozenset((HTTPStatus.NOT_FOUND,))

INFO = SourceInfo(
    name="energy-charts",
    title="Energy-Charts (Fraunhofer ISE)",
    document=URL,
    licence="CC BY 4.0; prices of DE-LU and others by Bundesnetzagentur | SMARD.de, as it states",
    offers=(
        SignalOffer(SignalKind.PRICE, _LENGTHS, PRICE_ZONES),
        *(
            SignalOffer(kind, _LENGTHS, _COUNTRIES)
            for kind in (SignalKind.CARBON_INTENSITY, *_MEASURED, *_FORESEEN)
        ),
    ),
    zones_are="bidding zones (DE-LU, FR, NO2) for prices; countries, and DE-LU, for the rest",
)


class EnergyCharts:
    """Implements ``SignalSource``."""

    info = INFO

    def __init__(self, http: HttpSource) -> None:
        self._http = http

    def time_zone(self, zone: str) -> str:
        """Time of the country; ``Rejected`` for one it does not have."""
        kind = SignalKind.PRICE if zone in PRICE_ZONES else SignalKind.CARBON_INTENSITY
        require_offer(self.info, zone, kind)
        return TIME_ZONES[zone]

    async def fetch(self, zone: str, kind: SignalKind, window: Window) -> pd.DataFrame:
        """Values of one kind within ``window``."""
        require_offer(self.info, zone, kind)
        asked = Question(self.info.name, zone, kind, window)
        if kind is SignalKind.PRICE:
            return await self._price(asked)
        if kind is SignalKind.CARBON_INTENSITY:
            found = await self._carbon(asked)
        elif kind in _MEASURED:
            found = await self._measured(asked)
        else:
            found = await self._foreseen(asked)
        return _frame(asked, found, kind.unit)

    async def _price(self, asked: Question) -> pd.DataFrame:
        reply = await self._ask("price", asked, bzn=asked.zone)
        document = _document(reply)
        found = _series(reply, document, document.get("price"))
        unit = str(document.get("unit", "")).replace(" ", "")
        return _frame(asked, found, unit if found.size else "EUR/MWh")

    async def _carbon(self, asked: Question) -> pd.Series:
        """Return what was and, where nothing is known of that yet, what is foreseen."""
        reply = await self._ask("co2eq", asked, country=COUNTRY_OF[asked.zone])
        document = _document(reply)
        was = _series(reply, document, document.get("co2eq"))
        foreseen = _series(reply, document, document.get("co2eq_forecast"))
        return was.combine_first(foreseen)

    async def _measured(self, asked: Question) -> pd.Series:
        """Return the sum of what belongs to the kind; nothing where the zone has none of it."""
        reply = await self._ask("public_power", asked, country=COUNTRY_OF[asked.zone])
        document = _document(reply)
        types = document.get("production_types")
        if not isinstance(types, list) or not all(isinstance(one, dict) for one in types):
            raise ContractBroken(f"{reply.shown}: no list production_types")
        data = {str(one.get("name")): one.get("data") for one in types}
        parts = [
            _series(reply, document, data[name]) for name in _MEASURED[asked.kind] if name in data
        ]
        return _sum(parts)

    async def _foreseen(self, asked: Question) -> pd.Series:
        parts = []
        for production in _FORESEEN[asked.kind]:
            reply = await self._ask(
                "public_power_forecast",
                asked,
                country=COUNTRY_OF[asked.zone],
                production_type=production,
                forecast_type="day-ahead",
            )
            document = _document(reply)
            parts.append(_series(reply, document, document.get("forecast_values")))
        return _sum(parts)

    async def _ask(self, path: str, asked: Question, **query: str) -> Reply:
        window = {"start": _instant(asked.window.start), "end": _instant(asked.window.end)}
        return await self._http.get(path, query | window, also=_NOTHING)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _document(reply: Reply) -> Mapping[str, Any]:
    if reply.status == HTTPStatus.NOT_FOUND:
        return {"unix_seconds": [], "production_types": []}
    document = reply.json()
    if not isinstance(document, dict):
        raise ContractBroken(f"{reply.shown}: expected an object, came {reply.excerpt()}")
    return document


def _series(reply: Reply, document: Mapping[str, Any], values: object) -> pd.Series:
    """Return the values there are by start; what is ``null``, or not there at all, is absent."""
    seconds = document.get("unix_seconds")
    values = [] if values is None and reply.status == HTTPStatus.NOT_FOUND else values
    if not _are_numbers(seconds) or not _are_numbers(values, or_null=True):
        raise ContractBroken(f"{reply.shown}: expected arrays of numbers, came {reply.excerpt()}")
    if len(seconds) != len(values):
        raise ContractBroken(f"{reply.shown}: {len(seconds)} instants, but {len(values)} values")
    index = pd.to_datetime(np.asarray(seconds, dtype=np.int64), unit="s", utc=True)
    return pd.Series(np.asarray(values, dtype=np.float64), index=index).dropna()


def _are_numbers(array: object, *, or_null: bool = False) -> TypeGuard[Sequence[float | None]]:
    return isinstance(array, list) and all(
        (isinstance(one, int | float) and not isinstance(one, bool)) or (or_null and one is None)
        for one in array
    )


def _sum(parts: Sequence[pd.Series]) -> pd.Series:
    """Sum of series where all of those have a value that have any."""
    there = [part for part in parts if part.size]
    if not there:
        return pd.Series(dtype=np.float64, index=pd.DatetimeIndex([], tz="UTC"))
    return pd.concat(there, axis=1, join="inner").sum(axis=1)


def _frame(asked: Question, found: pd.Series, unit: str) -> pd.DataFrame:
    starts = pd.DatetimeIndex(found.index)
    return signal_frame(asked, starts, step_minutes(starts, _LENGTHS), found.to_numpy(), unit)
