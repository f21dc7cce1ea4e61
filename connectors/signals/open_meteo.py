"""Weather from Open-Meteo, and what it makes of the PV and wind of a site.

Documented at https://open-meteo.com/en/docs (forecast) and .../en/docs/historical-weather-api.
``GET /v1/forecast``, and ``/v1/archive`` at an address of its own, take ``latitude``,
``longitude``, ``start_date``, ``end_date`` (both inclusive), ``timezone``, ``wind_speed_unit`` and
a list of variables as ``hourly`` or ``minutely_15``. The answer has, under the same name, an
object of ``time`` (a list, without offset) and one list for each variable, with null where nothing
is known; beside it ``hourly_units`` and ``utc_offset_seconds``. What is refused comes with 400 and
a ``reason``. The forecast reaches 92 days back and 16 days ahead.

Two kinds of variables are labelled differently. Radiation at 13:00 is the mean of the hour (or
quarter) BEFORE: the interval that starts at 12:00. Temperature and wind at 13:00 are of that
instant: the mean of an interval is taken between the instants at its two ends. All intervals here
are labelled by their start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal

import pandas as pd

from connectors.errors import Rejected
from connectors.http import HttpSource
from connectors.signals.frames import Question, require_offer, signal_frame
from connectors.signals.open_meteo_answers import (
    AIR,
    ARCHIVE_WINDS,
    DIFFUSE,
    FORECAST_WINDS,
    GLOBAL,
    VARIABLES,
    WIND_10M,
    by_start,
    labelled_values,
)
from connectors.signals.plants.plant import Place, Plant
from connectors.source_info import SignalOffer, SourceInfo
from connectors.types import SignalKind, Window

Minutes = Literal[15, 60]

_OF_A_PLACE = {
    SignalKind.IRRADIANCE: GLOBAL,
    SignalKind.AIR_TEMPERATURE: AIR,
    SignalKind.WIND_SPEED: WIND_10M,
}
_OF_A_PLANT = (SignalKind.PV, SignalKind.WIND)
_BLOCKS: dict[Minutes, str] = {15: "minutely_15", 60: "hourly"}
_BACK, _AHEAD = timedelta(days=90), timedelta(days=15)  # that the forecast surely reaches
_LONGEST_ASKED = timedelta(days=366)


def info_of(minutes: Minutes, plants: Mapping[str, Plant]) -> SourceInfo:
    """Say what the source offers in one resolution, with these plants."""
    with_pv = tuple(name for name, plant in plants.items() if plant.pv)
    with_wind = tuple(name for name, plant in plants.items() if plant.wind)
    places = [SignalOffer(kind, (minutes,)) for kind in _OF_A_PLACE]
    sites = [
        SignalOffer(kind, (minutes,), names)
        for kind, names in ((SignalKind.PV, with_pv), (SignalKind.WIND, with_wind))
        if names
    ]
    return SourceInfo(
        name="open-meteo" if minutes == 60 else f"open-meteo-{minutes}min",
        title="Open-Meteo, weather and what it makes of PV and wind",
        document="https://open-meteo.com/en/docs",
        licence="CC BY 4.0; the free service is for non-commercial use",
        offers=(*sites, *places),
        zones_are="a place as LATITUDE,LONGITUDE; of PV and wind a site whose fleet describes them",
    )


class OpenMeteo:
    """Implements ``SignalSource``.

    Parameters
    ----------
    forecast, archive
        Ask ``https://api.open-meteo.com`` and ``https://archive-api.open-meteo.com``, or what
        stands in their place.
    plants
        By the name of their site, which is the zone to ask for their power by.
    minutes
        Quarters are forecast for Central Europe and North America and drawn between hours
        elsewhere; the archive, which goes back further than 90 days, has hours alone.
    """

    def __init__(
        self,
        forecast: HttpSource,
        archive: HttpSource,
        now: Callable[[], datetime],
        plants: Mapping[str, Plant] | None = None,
        minutes: Minutes = 60,
    ) -> None:
        self._plants = dict(plants or {})
        self.info = info_of(minutes, self._plants)
        self._forecast = forecast
        self._archive = archive
        self._now = now
        self._minutes: Minutes = minutes

    def time_zone(self, zone: str) -> str:
        """Days are counted in UTC, as the source does."""
        if zone not in self._plants:
            place_of(self.info.name, zone)
        return "UTC"

    async def fetch(self, zone: str, kind: SignalKind, window: Window) -> pd.DataFrame:
        """Return the weather, or the power of a site's plants; when it was forecast is not told."""
        plant = self._plants.get(zone)
        if kind in _OF_A_PLANT and plant is None:
            raise Rejected(f"{self.info.name}: {self._no_plant(zone, kind)}")
        require_offer(self.info, zone, kind)
        asked = Question(self.info.name, zone, kind, window)
        if window.end - window.start > _LONGEST_ASKED:
            raise Rejected(f"{asked}: {window.end - window.start}, must be <= {_LONGEST_ASKED}")
        place = plant.place if plant else place_of(self.info.name, zone)
        weather = await self._weather(asked, place)
        if plant and kind in _OF_A_PLANT:
            values = await asyncio.to_thread(power_of, plant, kind, weather, self._minutes)
        else:
            values = weather[_OF_A_PLACE[kind]].dropna()
        starts = pd.DatetimeIndex(values.index)
        return signal_frame(asked, starts, self._minutes, values.to_numpy(), kind.unit)

    def _no_plant(self, zone: str, kind: SignalKind) -> str:
        known = ", ".join(self._plants) or "none"
        return (
            f"no {kind.value} in zone {zone!r}: it is of a site whose fleet says where it is and"
            f" what is built there, known: {known}"
        )

    async def _weather(self, asked: Question, place: Place) -> pd.DataFrame:
        """Ask the archive for what is long ago, and the forecast for the rest."""
        start, end = asked.window.start.astimezone(UTC), asked.window.end.astimezone(UTC)
        border = self._now().replace(hour=0, minute=0, second=0, microsecond=0) - _BACK
        latest = border + _BACK + _AHEAD
        parts = []
        if start < border:
            if self._minutes != 60:
                raise Rejected(
                    f"{asked}: start = {start.isoformat()}, must be >= {border.isoformat()}: the"
                    " archive, which reaches further back, has hours alone; ask open-meteo"
                )
            until = min(end, border)
            parts.append(await self._ask(self._archive, "/v1/archive", asked, place, start, until))
        if end > border and start < latest:
            since, until = max(start, border), min(end, latest)
            parts.append(
                await self._ask(self._forecast, "/v1/forecast", asked, place, since, until)
            )
        if not parts:
            return pd.DataFrame(columns=list(VARIABLES), index=pd.DatetimeIndex([], tz="UTC"))
        return pd.concat(parts)

    async def _ask(
        self,
        http: HttpSource,
        path: str,
        asked: Question,
        place: Place,
        start: datetime,
        end: datetime,
    ) -> pd.DataFrame:
        winds = ARCHIVE_WINDS if path == "/v1/archive" else FORECAST_WINDS
        block = _BLOCKS[self._minutes]
        query = {
            "latitude": f"{place.latitude_deg:g}",
            "longitude": f"{place.longitude_deg:g}",
            block: ",".join(variables_of(asked.kind, winds)),
            "wind_speed_unit": "ms",
            "timezone": "UTC",
            "start_date": f"{start:%Y-%m-%d}",
            "end_date": f"{end:%Y-%m-%d}",  # the label of the last mean is its end
        }
        document = (await http.get(path, query)).json()
        labelled = labelled_values(asked, document, block, query[block].split(","), self._minutes)
        weather = by_start(labelled)
        return weather[(weather.index >= start) & (weather.index < end)]


def variables_of(kind: SignalKind, winds: Mapping[int, str]) -> tuple[str, ...]:
    """Return the variables that signals of ``kind`` are made of."""
    if kind is SignalKind.PV:
        return GLOBAL, DIFFUSE, AIR, WIND_10M
    if kind is SignalKind.WIND:
        return tuple(winds.values())
    return (_OF_A_PLACE[kind],)


def place_of(source: str, zone: str) -> Place:
    """Read a place; ``Rejected`` where it is none on Earth."""
    parts = zone.split(",")
    try:
        latitude, longitude = (float(part) for part in parts)
    except ValueError:
        raise _no_place(source, zone) from None
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        raise _no_place(source, zone)
    return Place(latitude, longitude)


def power_of(plant: Plant, kind: SignalKind, weather: pd.DataFrame, minutes: int) -> pd.Series:
    """Return what the plants of a site give [kW], by interval start.

    Raises
    ------
    Rejected
        The libraries that know are not installed.
    """
    try:
        from connectors.signals.plants.pv import pv_power_kw  # noqa: PLC0415
        from connectors.signals.plants.wind import wind_power_kw  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise Rejected(
            f"power of {kind.value} needs {error.name}: pip install 'gridtide[weather]'"
        ) from error
    if kind is SignalKind.WIND:
        heights = FORECAST_WINDS | ARCHIVE_WINDS
        speeds = {high: weather[name] for high, name in heights.items() if name in weather}
        return wind_power_kw(plant.wind, pd.DataFrame(speeds))
    named = {
        GLOBAL: "global_w_per_m2",
        DIFFUSE: "diffuse_w_per_m2",
        AIR: "air_degc",
        WIND_10M: "wind_m_per_s",
    }
    return pv_power_kw(plant.place, plant.pv, weather[list(named)].rename(columns=named), minutes)


def _no_place(source: str, zone: str) -> Rejected:
    return Rejected(
        f"{source}: zone = {zone!r}, must be LATITUDE,LONGITUDE within [-90, 90] and [-180, 180],"
        " as 52.52,13.41, or a site whose fleet describes its PV or wind"
    )
