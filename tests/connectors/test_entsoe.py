"""Documents of ENTSO-E that are awkward in ways of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from connectors.errors import ContractBroken, CredentialsRefused, Rejected
from connectors.http import HttpPolicy, HttpSource
from connectors.signals.entsoe import Entsoe
from connectors.signals.entsoe_zones import EIC
from connectors.types import SignalKind, Window
from tests.contracts.live_source import QUICK, local_day
from tests.peers.signals.entsoe import TOKEN, EntsoeDocuments, acknowledgement
from tests.peers.signals.published import Published
from tests.peers.signals.server import Answer, Peer, served

DAY = local_day(date(2026, 6, 8), "Europe/Berlin")
PRICE = SignalKind.PRICE
HEAD = (
    '<Publication_MarketDocument xmlns="urn:iec62325.351:tc57wg16:451-3:publicationdocument:7:3">'
)


@pytest.fixture
def documents() -> EntsoeDocuments:
    """Quarter hours by A03, two auctions."""
    return EntsoeDocuments()


@pytest.fixture
def peer(documents: EntsoeDocuments) -> Iterator[Peer]:
    """The platform."""
    with served(documents, Published(15)) as peer:
        yield peer


def source(peer: Peer, token: str | None = TOKEN) -> Entsoe:
    """Return the source that asks it."""
    return Entsoe(HttpSource("entsoe", peer.url, QUICK), token)


async def prices(peer: Peer, window: Window = DAY) -> pd.DataFrame:
    """Ask for prices of DE-LU."""
    return await source(peer).fetch("DE-LU", PRICE, window)


def series(points: str, *, length: str = "PT60M", curve: str = "A03", sequence: str = "1") -> str:
    """Return a time series of prices of the first three hours of the day."""
    return (
        "<TimeSeries><currency_Unit.name>EUR</currency_Unit.name>"
        "<price_Measure_Unit.name>MWH</price_Measure_Unit.name>"
        "<classificationSequence_AttributeInstanceComponent.position>"
        f"{sequence}</classificationSequence_AttributeInstanceComponent.position>"
        f"<curveType>{curve}</curveType><Period><timeInterval><start>2026-06-07T22:00Z</start>"
        f"<end>2026-06-08T01:00Z</end></timeInterval><resolution>{length}</resolution>"
        f"{points}</Period></TimeSeries>"
    )


def point(position: int, price: str) -> str:
    """Return one point."""
    return f"<Point><position>{position}</position><price.amount>{price}</price.amount></Point>"


def document(*parts: str) -> Answer:
    """Return a document of these."""
    body = f"{HEAD}{''.join(parts)}</Publication_MarketDocument>"
    return Answer(body.encode(), "application/xml")


async def test_positions_that_are_left_out_repeat_the_one_before(peer: Peer) -> None:
    """By curve A03, up to the end of the period."""
    peer.will(document(series(point(1, "7.5") + point(2, "-500.00"))))
    assert (await prices(peer))["value"].to_list() == [7.5, -500.0, -500.0]


async def test_positions_that_are_left_out_of_fixed_blocks_are_missing(peer: Peer) -> None:
    """By curve A01 nothing is made up."""
    peer.will(document(series(point(1, "7.5") + point(3, "9"), curve="A01")))
    frame = await prices(peer)
    assert frame["value"].to_list() == [7.5, 9.0]
    assert (frame["start_at"].diff().iloc[1]) == timedelta(hours=2)


async def test_the_price_is_that_of_the_coupling(peer: Peer, documents: EntsoeDocuments) -> None:
    """The auction of 10:15 is another price, and is not taken for it while it stands alone."""
    both = await prices(peer)
    assert both["value"].to_list() == [
        pytest.approx(value) for _, value in peer.published.rows(PRICE, DAY)
    ]
    documents.has_sdac = False
    assert (await prices(peer)).empty


async def test_where_hours_and_quarters_are_published_the_quarters_count(peer: Peer) -> None:
    """An hour whose quarters are not there stands as it is."""
    quarters = series("".join(point(n, str(n)) for n in (1, 2, 3, 4)), length="PT15M", curve="A01")
    hours = series("".join(point(n, str(100 * n)) for n in (1, 2, 3)), curve="A01")
    peer.will(document(hours, quarters))
    frame = await prices(peer)
    assert frame["minutes"].to_list() == [15, 15, 15, 15, 60, 60]
    assert frame["value"].to_list() == [1, 2, 3, 4, 200, 300]


async def test_two_values_of_one_interval_are_refused(peer: Peer) -> None:
    """Nobody could say which of them holds; the same twice is once."""
    peer.will(document(series(point(1, "7.5")), series(point(1, "7.5"))))
    assert len(await prices(peer)) == 3
    peer.will(document(series(point(1, "7.5")), series(point(1, "8"))))
    with pytest.raises(ContractBroken, match=r"price of DE-LU: two values of one interval"):
        await prices(peer)


@pytest.mark.parametrize(
    ("parts", "fault"),
    [
        ((series(point(2, "7")),), "curve A03 has no position 1"),
        ((series(point(1, "7") + point(4, "7")),), r"position 4, must be once and within 1 \.\. 3"),
        ((series(point(1, "7"), length="P1M"),), "resolution = 'P1M'"),
        ((series(point(1, "7"), length="PT0M"),), "resolution = 'PT0M'"),
        ((series(point(1, "7"), length="PT50M"),), "not made of 50 minutes"),
        ((series(point(1, "7"), curve="A02"),), "curveType = A02"),
        ((series(point(1, "seven")),), "seven"),
        ((series(point(1, "nan")),), "value = nan, must be a finite number"),
        ((series("<Point><position>1</position></Point>"),), "Point has no quantity"),
    ],
)
async def test_what_is_not_as_agreed_is_named(
    peer: Peer, parts: tuple[str, ...], fault: str
) -> None:
    """What came, and what it must be."""
    peer.will(document(*parts))
    with pytest.raises(ContractBroken, match=fault):
        await prices(peer)


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/evil.dtd">',
    ],
)
async def test_entities_are_refused(peer: Peer, declaration: str) -> None:
    """Neither are bombs set off, nor files or addresses read."""
    peer.will(Answer(f"{declaration}{HEAD}</Publication_MarketDocument>".encode(), "text/xml"))
    with pytest.raises(ContractBroken, match="not XML"):
        await prices(peer)


async def test_only_the_lack_of_data_is_no_error(peer: Peer) -> None:
    """The same code says that too much was asked for."""
    peer.will(acknowledgement("999", "No matching data found for Data item ENERGY_PRICES."))
    assert (await prices(peer)).empty
    peer.will(acknowledgement("999", "The amount of requested data exceeds allowed limit", 400))
    with pytest.raises(Rejected, match="exceeds allowed limit"):
        await prices(peer)


async def test_it_is_asked_for_whole_days_of_the_market(peer: Peer) -> None:
    """Of 23 hours in spring, whatever part of one is wanted."""
    spring = local_day(date(2026, 3, 29), "Europe/Berlin")
    at = datetime(2026, 3, 29, 12, tzinfo=UTC)
    frame = await prices(peer, Window(at, at + timedelta(minutes=30)))
    assert frame["start_at"].to_list() == [at, at + timedelta(minutes=15)]
    query = peer.requests[-1].query
    assert (query["periodStart"], query["periodEnd"]) == ("202603282300", "202603292200")
    assert len(await prices(peer, spring)) == 23 * 4


async def test_more_than_a_year_is_asked_for_in_parts(peer: Peer) -> None:
    """The parts are one answer."""
    peer.published.minutes = 60
    start = datetime(2024, 1, 1, tzinfo=UTC)
    patient = replace(QUICK, answer_s=20, most_bytes=HttpPolicy().most_bytes)
    years = Window(start, start + timedelta(days=800))
    source = Entsoe(HttpSource("entsoe", peer.url, patient), TOKEN)
    frame = await source.fetch("DE-LU", PRICE, years)
    assert len(frame) == 800 * 24
    assert len(peer.requests) == 3


async def test_wind_off_shore_may_not_exist(peer: Peer) -> None:
    """Then wind is what blows on shore."""
    peer.will(acknowledgement("999", "No matching data found"))
    frame = await source(peer).fetch("DE-LU", SignalKind.ZONE_WIND, DAY)
    whole = [value for _, value in peer.published.rows(SignalKind.ZONE_WIND, DAY)]
    assert frame["value"].to_list() == [pytest.approx(0.75 * value) for value in whole]


async def test_without_a_token_nobody_is_asked(peer: Peer) -> None:
    """The error names the setting."""
    with pytest.raises(CredentialsRefused, match="needs GRIDTIDE_ENTSOE_TOKEN"):
        await source(peer, None).fetch("DE-LU", PRICE, DAY)
    assert not peer.requests


async def test_the_codes_of_zones_are_whole() -> None:
    """The last character of each is the check digit of the others, by ENTSO-E's EIC manual."""
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-"
    for zone, code in EIC.items():
        assert len(code) == 16, zone
        total = sum(digits.index(one) * (16 - n) for n, one in enumerate(code[:15]))
        assert digits[36 - (total - 1) % 37] == code[15], zone
    assert len(set(EIC.values())) == len(EIC)
