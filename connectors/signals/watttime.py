"""Marginal carbon intensity from WattTime, version 3 of its API.

Documented at https://docs.watttime.org. ``GET /login`` with name and password (basic) gives a
``token`` that is good for 30 minutes and stands on every other request (bearer); after that the
answer is 401. The marginal operating emissions rate of a ``region``, such as ``CAISO_NORTH``, is
``signal_type=co2_moer``:

================================  =================================================================
path                              answers
================================  =================================================================
``/v3/historical?start=&end=``    ``data``: objects of ``point_time`` and ``value``, at most 32 days
``/v3/forecast?horizon_hours=``   the same from now on, up to 72 hours
================================  =================================================================

``meta`` says ``region``, ``signal_type``, ``units`` (``lbs_co2_per_mwh``),
``data_point_period_seconds`` (300) and, of a forecast, when it was made (``generated_at``).
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from connectors.errors import CredentialsRefused, Rejected, SettingMissing
from connectors.http import HttpSource
from connectors.http_secrets import Secrets
from connectors.signals import fields
from connectors.signals.frames import Question, require_offer, signal_frame
from connectors.source_info import SignalOffer, SourceInfo
from connectors.types import SignalKind, Window

G_PER_KWH_OF_LB_PER_MWH = 0.453_592_37  # a pound is 453.59237 g, by definition

_REGION = re.compile(r"[A-Z0-9]{1,20}(_[A-Z0-9]{1,40}){0,6}")
_SIGNAL, _UNIT = "co2_moer", "lbs_co2_per_mwh"
_LONGEST_RANGE = timedelta(days=31)
_LONGEST_HORIZON_H = 72

Point = tuple[datetime, int, float, datetime | None]
"""Start of the interval, its minutes, g/kWh, and since when it is known."""

INFO = SourceInfo(
    name="watttime",
    title="WattTime, marginal operating emissions",
    document="https://docs.watttime.org",
    licence="by contract with WattTime; CAISO_NORTH is open to every account",
    offers=(SignalOffer(SignalKind.MARGINAL_CARBON_INTENSITY, (5,)),),
    needs=("watttime_user", "watttime_password"),
    zones_are="regions of WattTime, as CAISO_NORTH, PJM_NJ, DE",
)


class WattTime:
    """Implements ``SignalSource``.

    Parameters
    ----------
    http
        Asks ``https://api.watttime.org``, or what stands in its place.
    user, password
        Of an account; empty: there is none, and everything is refused.
    """

    info = INFO

    def __init__(
        self, http: HttpSource, user: str, password: str, now: Callable[[], datetime]
    ) -> None:
        self._http = http
        self._login = Login(http, user, password)
        self._now = now

    def time_zone(self, zone: str) -> str:
        """Days are counted in UTC: a region's name does not tell its time."""
        if not _REGION.fullmatch(zone):
            raise Rejected(f"{self.info.name}: zone = {zone!r}, must be as CAISO_NORTH or DE")
        return "UTC"

    async def fetch(self, zone: str, kind: SignalKind, window: Window) -> pd.DataFrame:
        """Return what was measured, and from now on what is forecast."""
        self.time_zone(zone)
        require_offer(self.info, zone, kind)
        asked = Question(self.info.name, zone, kind, window)
        now = self._now()
        found = {point[0]: point for point in await self._past(asked, now)}
        for point in await self._forecast(asked, now):
            found.setdefault(point[0], point)
        starts, minutes, values, known_at = zip(*found.values(), strict=True) if found else [()] * 4
        return signal_frame(asked, starts, minutes, values, kind.unit, known_at)

    async def _past(self, asked: Question, now: datetime) -> list[Point]:
        found: list[Point] = []
        start, end = asked.window.start, min(asked.window.end, now)
        while start < end:
            stop = min(start + _LONGEST_RANGE, end)
            spoken = {"start": start.isoformat(), "end": stop.isoformat()}
            found += points_of(asked, await self._get(asked, "/v3/historical", spoken))
            start = stop
        return found

    async def _forecast(self, asked: Question, now: datetime) -> list[Point]:
        hours = math.ceil((asked.window.end - now) / timedelta(hours=1))
        if hours < 1:
            return []
        spoken = {"horizon_hours": str(min(hours, _LONGEST_HORIZON_H))}
        return points_of(asked, await self._get(asked, "/v3/forecast", spoken))

    async def _get(self, asked: Question, path: str, query: dict[str, str]) -> Any:
        query = {"region": asked.zone, "signal_type": _SIGNAL} | query
        token = await self._login.token()
        try:
            return (await self._http.get(path, query, self._login.bearer(token))).json()
        except CredentialsRefused:
            renewed = await self._login.token(instead_of=token)
            return (await self._http.get(path, query, self._login.bearer(renewed))).json()


class Login:
    """The token in use; fetched where there is none yet, and in the place of one that is over."""

    def __init__(self, http: HttpSource, user: str, password: str) -> None:
        self._http = http
        self._has_account = bool(user and password)
        self._packed = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._password = password
        self._token = ""

    async def token(self, instead_of: str = "") -> str:
        """Return the token; another one where it is ``instead_of``.

        Raises
        ------
        Rejected
            There is no name or password, or they are refused.
        """
        if self._token == instead_of:
            self._token = await self._fetch()
        return self._token

    def bearer(self, token: str) -> Secrets:
        """Return what a request with ``token`` carries, and what must not be shown."""
        headers = {"Authorization": f"Bearer {token}"}
        return Secrets(headers=headers, more=(self._password, self._packed))

    async def _fetch(self) -> str:
        if not self._has_account:
            raise SettingMissing(INFO.name, *INFO.needs)
        headers = {"Authorization": f"Basic {self._packed}"}
        secrets = Secrets(headers=headers, more=(self._password,))
        answer = (await self._http.get("/login", secrets=secrets)).json()
        return fields.text("watttime: login", fields.an_object("watttime: login", answer), "token")


def points_of(asked: Question, document: Any) -> list[Point]:
    """Read what ``/v3/historical`` and ``/v3/forecast`` answer; a null value is left out."""
    owner = str(asked)
    whole = fields.an_object(owner, document)
    meta = fields.an_object(f"{owner}: meta", whole.get("meta"))
    fields.require(owner, meta, "region", asked.zone)
    fields.require(owner, meta, "signal_type", _SIGNAL)
    fields.require(owner, {"unit": meta.get("units")}, "unit", _UNIT)
    minutes = _minutes_of(owner, meta)
    known_at = fields.instant_or_none(owner, meta, "generated_at")
    found: list[Point] = []
    for one in fields.objects(owner, whole, "data"):
        value = fields.number(owner, one, "value")
        if value is not None:
            start_at = fields.instant(owner, one, "point_time")
            found.append((start_at, minutes, value * G_PER_KWH_OF_LB_PER_MWH, known_at))
    return found


def _minutes_of(owner: str, meta: Any) -> int:
    fields.require(owner, meta, "data_point_period_seconds", 300, 900, 1800, 3600)
    return int(meta["data_point_period_seconds"]) // 60
