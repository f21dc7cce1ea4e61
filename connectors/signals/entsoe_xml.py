"""Market documents of ENTSO-E: time series of periods of points, as intervals with a value.

Format: IEC 62325-451 ``Publication_MarketDocument`` (prices) and ``GL_MarketDocument`` (generation,
load), and ``Acknowledgement_MarketDocument`` where there is nothing, or the question was wrong.

A ``Period`` has ``timeInterval``, ``resolution`` (``PT15M``) and ``Point`` with ``position``, from
1. By ``curveType`` A01 a position that is left out is missing. By A03 a position is left out where
its value is the one before, up to the end of the period.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from connectors.errors import ContractBroken, Rejected
from connectors.http import Reply

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_LENGTH = re.compile(r"PT(?P<minutes>\d{1,4})M|PT(?P<hours>\d{1,2})H|P(?P<days>1)D")
_MOST_POSITIONS = 100_000  # of one period: more than a year of five minutes
_NOTHING = "no matching data found"
_UNITS = {"MAW": "MW", "MWH": "MWh"}


@dataclass(frozen=True, slots=True)
class Interval:
    """A value of [start, start + minutes)."""

    start: datetime
    minutes: int
    value: float


@dataclass(frozen=True, slots=True)
class TimeSeries:
    """One ``TimeSeries``.

    ``sequence`` is its ``classificationSequence_AttributeInstanceComponent.position``, empty where
    it has none. ``psr_type`` says what generates, such as B16. What a zone consumes is named by an
    ``outBiddingZone_Domain``.
    """

    unit: str
    sequence: str
    psr_type: str
    is_out_of_zone: bool
    intervals: tuple[Interval, ...]


def read_series(reply: Reply) -> list[TimeSeries]:
    """Return the time series of a document; none where it says that there is no matching data.

    Raises
    ------
    Rejected
        The question was wrong, in the words of the other side.
    ContractBroken
        It is no such document.
    """
    root = _root(reply)
    name = _local(root)
    if name == "Acknowledgement_MarketDocument":
        reason = " ".join(text for one in root.findall("{*}Reason") for text in one.itertext())
        if _NOTHING in reason.lower():
            return []
        raise Rejected(f"{reply.shown}: {reply.excerpt(' '.join(reason.split()))}")
    if name not in {"Publication_MarketDocument", "GL_MarketDocument"}:
        raise ContractBroken(f"{reply.shown}: expected a market document, came {name}")
    try:
        return [_series(element) for element in root.findall("{*}TimeSeries")]
    except (ValueError, OverflowError) as error:
        raise ContractBroken(f"{reply.shown}: not as agreed: {error}") from error


def _root(reply: Reply) -> Element:
    text = reply.text("xml")
    try:
        # Neither entities nor any other declaration: a document of theirs has none.
        return fromstring(text.encode(), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise ContractBroken(f"{reply.shown}: not XML: {error!r}: {reply.excerpt()}") from error


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _series(element: Element) -> TimeSeries:
    curve = element.findtext("{*}curveType", "A01")
    if curve not in {"A01", "A03"}:
        raise ValueError(f"curveType = {curve}, must be A01 or A03")
    price = element.findtext("{*}price_Measure_Unit.name")
    currency = element.findtext("{*}currency_Unit.name", "")
    quantity = element.findtext("{*}quantity_Measure_Unit.name", "")
    unit = _UNITS.get(quantity, quantity)
    periods = element.findall("{*}Period")
    return TimeSeries(
        unit=unit if price is None else f"{currency}/{_UNITS.get(price, price)}",
        sequence=element.findtext(
            "{*}classificationSequence_AttributeInstanceComponent.position", ""
        ),
        psr_type=element.findtext("{*}MktPSRType/{*}psrType", ""),
        is_out_of_zone=element.find("{*}outBiddingZone_Domain.mRID") is not None,
        intervals=tuple(one for period in periods for one in _intervals(period, curve)),
    )


def _intervals(period: Element, curve: str) -> Iterator[Interval]:
    start = _instant(period, "{*}timeInterval/{*}start")
    end = _instant(period, "{*}timeInterval/{*}end")
    minutes = _minutes(_text(period, "{*}resolution"))
    step = timedelta(minutes=minutes)
    positions = (end - start) // step
    if not 0 < positions <= _MOST_POSITIONS or start + positions * step != end:
        raise ValueError(f"{start} .. {end} is not made of {minutes} minutes")
    points = _points(period, positions)
    if curve == "A03" and 1 not in points:
        raise ValueError(f"period from {start}: curve A03 has no position 1 to be repeated")
    value = 0.0
    for position in range(1, positions + 1):
        if position not in points and curve == "A01":
            continue
        value = points.get(position, value)
        yield Interval(start + (position - 1) * step, minutes, value)


def _points(period: Element, positions: int) -> dict[int, float]:
    points: dict[int, float] = {}
    for point in period.findall("{*}Point"):
        position = int(_text(point, "{*}position"))
        if not 1 <= position <= positions or position in points:
            raise ValueError(f"position {position}, must be once and within 1 .. {positions}")
        value = point.findtext("{*}price.amount")
        points[position] = float(_text(point, "{*}quantity") if value is None else value)
    return points


def _instant(element: Element, path: str) -> datetime:
    instant = datetime.fromisoformat(_text(element, path))
    if instant.utcoffset() is None:
        raise ValueError(f"{instant} has no offset")
    return instant


def _minutes(resolution: str) -> int:
    found = _LENGTH.fullmatch(resolution)
    if found is None:
        raise ValueError(f"resolution = {resolution!r}, must be like PT15M")
    minutes, hours, days = (int(found[name] or 0) for name in ("minutes", "hours", "days"))
    length = minutes + 60 * hours + 24 * 60 * days
    if not length:
        raise ValueError(f"resolution = {resolution!r}, must be longer")
    return length


def _text(element: Element, path: str) -> str:
    text = element.findtext(path)
    if text is None:
        raise ValueError(f"{_local(element)} has no {path.replace('{*}', '')}")
    return text.strip()
