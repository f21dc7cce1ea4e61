"""Carbon intensity from Electricity Maps, version 3 of its API.

Documented at https://portal.electricitymaps.com/developer-hub/api/reference. Every request carries
the key in the header ``auth-token`` and names a ``zone``, such as ``DE`` or ``US-CAL-CISO``.

=================================  ================================================================
path                               answers
=================================  ================================================================
``/v3/carbon-intensity/latest``    one value object: the present interval
``/v3/carbon-intensity/history``   ``history``: value objects of the last 24 hours
``.../past-range?start=&end=``     ``data``: value objects, at most 10 days of hours at once
``.../forecast?horizonHours=``     ``forecast``: objects of ``datetime`` and ``carbonIntensity``,
                                   and one ``updatedAt`` for all of them
=================================  ================================================================

A value object has ``zone``, ``datetime`` (start of the interval), ``carbonIntensity`` [gCO2eq/kWh,
null where there is none], ``emissionFactorType`` (``lifecycle`` or ``direct``), ``updatedAt``,
``isEstimated`` and, of what is estimated, ``estimationMethod``. Where a zone is not known, the API
may answer for that of the caller's address: the zone of the answer is therefore checked.

Free keys reach ``latest`` and ``history`` of one zone; the others need a plan.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import pandas as pd

from connectors.errors import Rejected, SettingMissing
from connectors.http import HttpSource
from connectors.http_secrets import Secrets
from connectors.signals import fields
from connectors.signals.frames import Question, require_offer, signal_frame
from connectors.source_info import SignalOffer, SourceInfo
from connectors.types import SignalKind, Window

log = logging.getLogger(__name__)

_ZONE = re.compile(r"[A-Z]{2}(-[A-Z0-9]+){0,4}")
_HOUR = timedelta(hours=1)
_HISTORY = timedelta(hours=23)  # of the 24 hours, the first is passing while we ask
_LONGEST_RANGE = timedelta(days=10)
_HORIZONS_H = (6, 24, 48, 72)
_MINUTES = {"5_minutes": 5, "15_minutes": 15, "hourly": 60}
_PATH = "/v3/carbon-intensity"


class Variant(StrEnum):
    """Which values of it are meant; each is a source of its own, so that they are never mixed."""

    LIFECYCLE = "electricity-maps"  # with what building plants and supplying fuel emits
    DIRECT = "electricity-maps-direct"  # from the stacks alone
    MEASURED = "electricity-maps-measured"  # as the first, without estimates and forecasts

    @property
    def factors(self) -> str:
        """Return the emission factors, as the API calls them."""
        return "direct" if self is Variant.DIRECT else "lifecycle"


_TITLES = {
    Variant.LIFECYCLE: "Electricity Maps, lifecycle emissions of what is consumed",
    Variant.DIRECT: "Electricity Maps, direct emissions of what is consumed",
    Variant.MEASURED: "Electricity Maps, lifecycle emissions, measured values alone",
}


def info_of(variant: Variant) -> SourceInfo:
    """Say what the source offers."""
    return SourceInfo(
        name=variant.value,
        title=_TITLES[variant],
        document="https://portal.electricitymaps.com/developer-hub/api/reference",
        licence="by contract with Electricity Maps; free keys: not for commercial use",
        offers=(SignalOffer(SignalKind.CARBON_INTENSITY, (60,)),),
        needs=("electricity_maps_token",),
        zones_are="zones of app.electricitymaps.com, as DE, GB, US-CAL-CISO",
    )


@dataclass(frozen=True, slots=True)
class Intensity:
    """One value, and how it is known."""

    start_at: datetime
    minutes: int
    g_per_kwh: float
    known_at: datetime | None
    estimated_by: str = ""  # how, where it was not measured


class ElectricityMaps:
    """Implements ``SignalSource``.

    Parameters
    ----------
    http
        Asks ``https://api.electricitymaps.com``, or what stands in its place.
    token
        The key; empty: there is none, and everything is refused.
    variant
        Which values are meant.
    """

    def __init__(
        self,
        http: HttpSource,
        token: str,
        now: Callable[[], datetime],
        variant: Variant = Variant.LIFECYCLE,
    ) -> None:
        self.info = info_of(variant)
        self._http = http
        self._token = token
        self._now = now
        self._variant = variant

    def time_zone(self, zone: str) -> str:
        """Days are counted in UTC: a zone's name does not tell its time."""
        if not _ZONE.fullmatch(zone):
            raise Rejected(f"{self.info.name}: zone = {zone!r}, must be as DE or US-CAL-CISO")
        return "UTC"

    async def fetch(self, zone: str, kind: SignalKind, window: Window) -> pd.DataFrame:
        """Return what was, and what is forecast of the hours to come.

        A key that reaches less far than the window gives less, with a warning in the log.
        """
        self.time_zone(zone)
        require_offer(self.info, zone, kind)
        asked = Question(self.info.name, zone, kind, window)
        now = self._now()
        found = {one.start_at: one for one in await self._past(asked, now)}
        if self._variant is Variant.MEASURED:
            values = [one for one in found.values() if not one.estimated_by]
        else:
            for one in await self._forecast(asked, now, has_past=bool(found)):
                found.setdefault(one.start_at, one)
            values = list(found.values())
        return signal_frame(
            asked,
            [one.start_at for one in values],
            [one.minutes for one in values],
            [one.g_per_kwh for one in values],
            kind.unit,
            [one.known_at for one in values],
        )

    async def _past(self, asked: Question, now: datetime) -> list[Intensity]:
        """Ask for what has begun, by the path that reaches back far enough."""
        window, this_hour = asked.window, _hour_of(now)
        if window.start > now:
            return []
        if window.start >= this_hour:
            return values_of(asked, self._variant.factors, [await self._get(asked, "latest")])
        if window.start >= now - _HISTORY:
            return await self._history(asked)
        try:
            return await self._past_range(asked, now)
        except Rejected as error:
            if window.end <= now - _HISTORY:
                raise
            log.warning("%s: the last day alone: %s", asked, error)
            return await self._history(asked)

    async def _history(self, asked: Question) -> list[Intensity]:
        document = await self._get(asked, "history")
        objects = fields.objects(str(asked), document, "history")
        return values_of(asked, self._variant.factors, objects)

    async def _past_range(self, asked: Question, now: datetime) -> list[Intensity]:
        found: list[Intensity] = []
        start, end = asked.window.start, min(asked.window.end, now)
        while start < end:
            stop = min(start + _LONGEST_RANGE, end)
            spoken = {"start": _spoken(start), "end": _spoken(stop)}
            document = await self._get(asked, "past-range", **spoken)
            objects = fields.objects(str(asked), document, "data")
            found += values_of(asked, self._variant.factors, objects)
            start = stop
        return found

    async def _forecast(self, asked: Question, now: datetime, *, has_past: bool) -> list[Intensity]:
        ahead = asked.window.end - _hour_of(now)
        if ahead <= _HOUR:
            return []
        hours = next((one for one in _HORIZONS_H if ahead <= one * _HOUR), _HORIZONS_H[-1])
        try:
            document = await self._get(asked, "forecast", horizonHours=str(hours))
        except Rejected as error:
            if not has_past:
                raise
            log.warning("%s: no forecast, what was measured alone: %s", asked, error)
            return []
        return forecast_of(asked, self._variant.factors, document)

    async def _get(self, asked: Question, path: str, **query: str) -> Any:
        if not self._token:
            raise SettingMissing(self.info.name, *self.info.needs)
        secrets = Secrets(headers={"auth-token": self._token})
        chosen = {"zone": asked.zone, "emissionFactorType": self._variant.factors} | query
        if self._variant is Variant.MEASURED:
            chosen["disableEstimations"] = "true"
        return (await self._http.get(f"{_PATH}/{path}", chosen, secrets)).json()


def values_of(asked: Question, factors: str, documents: list[Mapping[str, Any]]) -> list[Intensity]:
    """Read value objects; one whose value is null is left out."""
    owner, found = str(asked), []
    for document in documents:
        one = fields.an_object(owner, document)
        fields.require(owner, one, "zone", asked.zone)
        fields.require(owner, one, "emissionFactorType", factors)
        value = fields.number(owner, one, "carbonIntensity")
        if value is None:
            continue
        found.append(
            Intensity(
                fields.instant(owner, one, "datetime"),
                _minutes_of(owner, one),
                value,
                fields.instant_or_none(owner, one, "updatedAt"),
                _estimated_by(owner, one),
            )
        )
    return found


def forecast_of(asked: Question, factors: str, document: Any) -> list[Intensity]:
    """Read a forecast; all of it was known when the document was written."""
    owner = str(asked)
    whole = fields.an_object(owner, document)
    fields.require(owner, whole, "zone", asked.zone)
    # It need not repeat the factors that were asked for; where it does, they count.
    fields.require(owner, whole, "emissionFactorType", None, factors)
    known_at = fields.instant_or_none(owner, whole, "updatedAt")
    minutes = _minutes_of(owner, whole)
    found = []
    for one in fields.objects(owner, whole, "forecast"):
        value = fields.number(owner, one, "carbonIntensity")
        if value is not None:
            start_at = fields.instant(owner, one, "datetime")
            found.append(Intensity(start_at, minutes, value, known_at))
    return found


def _minutes_of(owner: str, document: Mapping[str, Any]) -> int:
    # Older answers do not say: they were of hours.
    fields.require(owner, document, "temporalGranularity", None, *_MINUTES)
    fields.require(owner, document, "unit", None, "gCO2eq/kWh")
    return _MINUTES[document.get("temporalGranularity") or "hourly"]


def _estimated_by(owner: str, document: Mapping[str, Any]) -> str:
    fields.require(owner, document, "isEstimated", None, False, True)
    if not document.get("isEstimated"):
        return ""
    return str(document.get("estimationMethod") or "a method it does not name")


def _hour_of(instant: datetime) -> datetime:
    return instant.replace(minute=0, second=0, microsecond=0)


def _spoken(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
