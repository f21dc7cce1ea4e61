"""ENTSO-E Transparency Platform: day-ahead prices, load, sun and wind of European bidding zones.

Format: https://transparency.entsoe.eu/content/static_content/Static%20content/web%20api/Guide.html
(RESTful API: parameters and codes); the documents: ``connectors.signals.entsoe_xml``. Needs a
security token, which an account there gives after an e-mail to its help desk.

==================  ============  ===========  =====================================================
kind                documentType  processType  and
==================  ============  ===========  =====================================================
price               A44           -            ``in_Domain`` and ``out_Domain`` the zone
zone_load           A65           A16          ``outBiddingZone_Domain``
zone_load_forecast  A65           A01          ``outBiddingZone_Domain``
zone_solar          A75           A16          ``in_Domain``; ``psrType`` B16
zone_wind           A75           A16          the same; B18 and B19, off and on shore, are added up
zone_*_forecast     A69           A01          the same
==================  ============  ===========  =====================================================

- **Two prices.** ``DE-LU`` and ``AT`` have two auctions, told apart by the position of
  ``classificationSequence_AttributeInstanceComponent``: 1 is the single day-ahead coupling (SDAC,
  gate at 12:00), 2 the auction of EXAA at 10:15. What is given here is SDAC. Where only the second
  is there yet there is no price yet: it is never taken for the first.
- Prices are by quarter hours since the delivery of 2025-10-01, by hours before.
- It answers in whole days of CET/CEST, so it is asked for those; a year at once at most.
- ``createdDateTime`` is when the answer was made, not when a value was published: that is not said.
- 400 requests a minute of one token at most; who asks more often is shut out for a while.
- What a zone consumes (``outBiddingZone_Domain`` in A75) is not what it generates: left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pandas as pd

from connectors.errors import ContractBroken, SettingMissing
from connectors.http import HttpPolicy, HttpSource
from connectors.http_secrets import Secrets
from connectors.signals.entsoe_xml import Interval, TimeSeries, read_series
from connectors.signals.entsoe_zones import EIC
from connectors.signals.frames import Question, require_offer, signal_frame
from connectors.signals.windows import local_days, parts
from connectors.signals.zones import TIME_ZONES
from connectors.source_info import SignalOffer, SourceInfo
from connectors.types import SignalKind, Window

URL = "https://web-api.tp.entsoe.eu/api"
POLICY = HttpPolicy(requests_per_minute=200, burst=20)
_MARKET_TIME = "Europe/Brussels"
_LONGEST = timedelta(days=360)
_LENGTHS = (15, 30, 60)
_SDAC = "1"
_REFUSED = frozenset((400,))  # with a document that says why

_SOLAR, _OFFSHORE, _ONSHORE = "B16", "B18", "B19"
_DAY_AHEAD, _REALISED = "A01", "A16"
_Query = tuple[str, str, tuple[str, ...]]  # documentType, processType, psrTypes
_GENERATION: dict[SignalKind, _Query] = {
    SignalKind.ZONE_SOLAR: ("A75", _REALISED, (_SOLAR,)),
    SignalKind.ZONE_WIND: ("A75", _REALISED, (_OFFSHORE, _ONSHORE)),
    SignalKind.ZONE_SOLAR_FORECAST: ("A69", _DAY_AHEAD, (_SOLAR,)),
    SignalKind.ZONE_WIND_FORECAST: ("A69", _DAY_AHEAD, (_OFFSHORE, _ONSHORE)),
}
_LOAD = {
    SignalKind.ZONE_LOAD: _REALISED,
    SignalKind.ZONE_LOAD_FORECAST: _DAY_AHEAD,
}

INFO = SourceInfo(
    name="entsoe",
    title="ENTSO-E Transparency Platform",
    document="https://transparency.entsoe.eu/content/static_content/Static%20content/web%20api/Guide.html",
    licence="CC BY 4.0 for most items; see the platform's list of data available for free re-use",
    offers=tuple(
        SignalOffer(kind, _LENGTHS, tuple(EIC)) for kind in (SignalKind.PRICE, *_LOAD, *_GENERATION)
    ),
    needs=("entsoe_token",),
    zones_are="bidding zones, such as DE-LU, FR, NO2, IT-North",
)


class Entsoe:
    """Implements ``SignalSource``."""

    info = INFO

    def __init__(self, http: HttpSource, token: str | None) -> None:
        self._http = http
        self._secrets = Secrets(query={} if token is None else {"securityToken": token})

    def time_zone(self, zone: str) -> str:
        """Time of the country; ``Rejected`` for a zone it does not have."""
        require_offer(self.info, zone, SignalKind.PRICE)
        return TIME_ZONES[zone]

    async def fetch(self, zone: str, kind: SignalKind, window: Window) -> pd.DataFrame:
        """Values of one kind within ``window``."""
        require_offer(self.info, zone, kind)
        if not self._secrets:
            raise SettingMissing(self.info.name, *self.info.needs)
        asked = Question(self.info.name, zone, kind, window)
        found: list[TimeSeries] = []
        for part in parts(local_days(window, _MARKET_TIME), _LONGEST):
            found += await self._part(asked, part)
        return _frame(asked, found)

    async def _part(self, asked: Question, window: Window) -> list[TimeSeries]:
        code = EIC[asked.zone]
        if asked.kind is SignalKind.PRICE:
            series = await self._ask(window, documentType="A44", in_Domain=code, out_Domain=code)
            return [one for one in series if one.sequence in {"", _SDAC}]
        if asked.kind in _LOAD:
            process = _LOAD[asked.kind]
            return await self._ask(
                window, documentType="A65", processType=process, outBiddingZone_Domain=code
            )
        document, process, psr_types = _GENERATION[asked.kind]
        of_type = []
        for psr_type in psr_types:
            of_type += await self._ask(
                window,
                documentType=document,
                processType=process,
                in_Domain=code,
                psrType=psr_type,
            )
        return [one for one in of_type if one.psr_type in psr_types and not one.is_out_of_zone]

    async def _ask(self, window: Window, **query: str) -> list[TimeSeries]:
        period = {"periodStart": _instant(window.start), "periodEnd": _instant(window.end)}
        reply = await self._http.get("", query | period, self._secrets, also=_REFUSED)
        return read_series(reply)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%d%H%M")


def _frame(asked: Question, found: Sequence[TimeSeries]) -> pd.DataFrame:
    units = sorted({one.unit for one in found}) or [asked.kind.unit]
    if len(units) > 1:
        raise ContractBroken(f"{asked}: units {', '.join(units)} in one answer, must be the same")
    types = sorted({one.psr_type for one in found})
    try:
        added = _added([_finest(_of(found, psr_type)) for psr_type in types])
    except ContractBroken as error:
        raise ContractBroken(f"{asked}: {error}") from error
    starts, minutes, values = zip(*added, strict=True) if added else ((), (), ())
    return signal_frame(asked, starts, minutes, values, units[0])


def _of(found: Iterable[TimeSeries], psr_type: str) -> Iterator[Interval]:
    for one in found:
        if one.psr_type == psr_type:
            yield from one.intervals


def _finest(intervals: Iterable[Interval]) -> dict[datetime, Interval]:
    """Return the intervals there are; where hours and their quarters are both, the quarters."""
    kept: dict[datetime, Interval] = {}
    covered: set[datetime] = set()
    quarter = timedelta(minutes=min(_LENGTHS))
    for one in sorted(set(intervals), key=lambda it: (it.minutes, it.start)):
        before = kept.get(one.start)
        if before is not None and before.minutes == one.minutes:
            raise ContractBroken(f"two values of one interval: {before} and {one}")
        quarters = {one.start + n * quarter for n in range(max(1, one.minutes // 15))}
        if not quarters & covered:
            kept[one.start] = one
            covered |= quarters
    return kept


def _added(parts_: Sequence[dict[datetime, Interval]]) -> list[tuple[datetime, int, float]]:
    """Add up what is generated by several types, where all that have values have one."""
    if not parts_:
        return []
    common = set.intersection(*(set(part) for part in parts_))
    return [
        (start, parts_[0][start].minutes, sum(part[start].value for part in parts_))
        for start in sorted(common)
    ]
