"""Electricity Maps: which path answers what, since when it is known, and what is not believed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from connectors.errors import ContractBroken, Rejected, SettingMissing
from connectors.http import HttpSource
from connectors.signals.electricity_maps import ElectricityMaps, Variant
from connectors.types import SignalKind, Window
from tests.peers.signals.electricity_maps import (
    TOKEN,
    ElectricityMapsDocuments,
    updated_at,
)
from tests.peers.signals.published import Published
from tests.peers.signals.server import Peer, served

NOW = datetime(2026, 6, 7, 13, 25, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOON = NOW.replace(hour=12, minute=0)
MIDNIGHT = NOW.replace(hour=0, minute=0)
KIND = SignalKind.CARBON_INTENSITY


@pytest.fixture
def documents() -> ElectricityMapsDocuments:
    """The format, in the afternoon."""
    return ElectricityMapsDocuments(NOW)


@pytest.fixture
def peer(documents: ElectricityMapsDocuments) -> Iterator[Peer]:
    """The server."""
    with served(documents, Published(60)) as peer:
        yield peer


def source(peer: Peer, token: str = TOKEN, variant: Variant = Variant.LIFECYCLE) -> ElectricityMaps:
    """Connect to it."""
    return ElectricityMaps(HttpSource("tested", peer.url), token, lambda: NOW, variant)


async def fetch(
    peer: Peer, start: datetime, end: datetime, variant: Variant = Variant.LIFECYCLE
) -> pd.DataFrame:
    """Ask for Germany."""
    return await source(peer, variant=variant).fetch("DE", KIND, Window(start, end))


def paths(peer: Peer) -> list[str]:
    """Which paths were asked, in order."""
    return [request.path.rsplit("/", 1)[1] for request in peer.requests]


@pytest.mark.parametrize(
    ("start", "end", "asked"),
    [
        (MIDNIGHT, NOON, ["history"]),
        (NOON + HOUR, NOW, ["latest"]),
        (NOON + HOUR, NOON + 6 * HOUR, ["latest", "forecast"]),
        (MIDNIGHT, MIDNIGHT + 48 * HOUR, ["history", "forecast"]),
        (NOW + HOUR, NOW + 3 * HOUR, ["forecast"]),
        (MIDNIGHT - 48 * HOUR, MIDNIGHT - 24 * HOUR, ["past-range"]),
        (MIDNIGHT - 25 * 24 * HOUR, MIDNIGHT, ["past-range"] * 3),
    ],
)
async def test_the_path_is_the_one_that_reaches_far_enough(
    peer: Peer, start: datetime, end: datetime, asked: list[str]
) -> None:
    """Free keys reach the last 24 hours; ten days at once are the most there are further back."""
    frame = await fetch(peer, start, end)
    assert paths(peer) == asked
    rows = peer.published.rows(KIND, Window(start, end))
    assert frame["value"].to_list() == [value for _, value in rows]


@pytest.mark.parametrize(("hours", "horizon"), [(3, "6"), (20, "24"), (30, "48"), (200, "72")])
async def test_the_shortest_forecast_that_is_long_enough_is_asked_for(
    peer: Peer, hours: int, horizon: str
) -> None:
    """There are four of them."""
    await fetch(peer, NOW + HOUR, NOW + hours * HOUR)
    assert peer.requests[-1].query["horizonHours"] == horizon


async def test_values_are_known_since_the_source_says(peer: Peer) -> None:
    """Each of the past since it was updated; a forecast since it was made."""
    frame = await fetch(peer, MIDNIGHT, MIDNIGHT + 24 * HOUR)
    known = dict(zip(frame["start_at"], frame["known_at"], strict=True))
    assert known[pd.Timestamp(MIDNIGHT)] == updated_at(MIDNIGHT)
    assert known[pd.Timestamp(NOON + 2 * HOUR)] == NOW - timedelta(minutes=7)


async def test_what_was_measured_stands_before_what_was_forecast(
    peer: Peer, documents: ElectricityMapsDocuments
) -> None:
    """The present hour is in both."""
    frame = await fetch(peer, NOON + HOUR, NOON + 3 * HOUR)
    assert frame["known_at"].to_list()[0] == updated_at(NOON + HOUR)


async def test_estimates_are_told_apart_by_a_source_of_their_own(
    peer: Peer, documents: ElectricityMapsDocuments
) -> None:
    """What was measured alone has a name of its own: no estimates, no forecasts."""
    documents.estimated = frozenset({NOON - HOUR, NOON})
    both = await fetch(peer, MIDNIGHT, MIDNIGHT + 24 * HOUR)
    measured = await fetch(peer, MIDNIGHT, MIDNIGHT + 24 * HOUR, Variant.MEASURED)
    assert (len(both), len(measured)) == (24, 12)
    assert source(peer, variant=Variant.MEASURED).info.name == "electricity-maps-measured"


async def test_an_estimate_that_comes_unasked_is_left_out(
    peer: Peer, documents: ElectricityMapsDocuments
) -> None:
    """What each value says of itself counts, not what was asked for."""
    documents.more = {"isEstimated": True, "estimationMethod": "FORECASTS_HIERARCHY"}
    assert (await fetch(peer, MIDNIGHT, NOON, Variant.MEASURED)).empty


async def test_emission_factors_are_asked_for_and_checked(
    peer: Peer, documents: ElectricityMapsDocuments
) -> None:
    """The one is never taken for the other."""
    await fetch(peer, MIDNIGHT, NOON, Variant.DIRECT)
    assert peer.requests[-1].query["emissionFactorType"] == "direct"
    documents.more = {"emissionFactorType": "lifecycle"}
    with pytest.raises(ContractBroken, match="emissionFactorType = 'lifecycle', must be 'direct'"):
        await fetch(peer, MIDNIGHT, NOON, Variant.DIRECT)


async def test_emission_factors_of_a_forecast_are_checked_where_it_states_them(
    peer: Peer, documents: ElectricityMapsDocuments
) -> None:
    """It need not."""
    ahead = (NOW + HOUR, NOW + 3 * HOUR)
    assert len(await fetch(peer, *ahead, Variant.DIRECT)) == 2
    documents.more_of_forecasts = {"emissionFactorType": "lifecycle"}
    assert len(await fetch(peer, *ahead)) == 2
    with pytest.raises(ContractBroken, match="emissionFactorType = 'lifecycle', must be"):
        await fetch(peer, *ahead, Variant.DIRECT)


@pytest.mark.parametrize("end", [NOON, MIDNIGHT + 24 * HOUR])
async def test_values_of_another_zone_are_refused(
    peer: Peer, documents: ElectricityMapsDocuments, end: datetime
) -> None:
    """The API may answer for where the caller is."""
    documents.zone_of_caller = "FR"
    with pytest.raises(ContractBroken, match="zone = 'FR', must be 'DE'"):
        await fetch(peer, MIDNIGHT, end)


async def test_a_zone_the_source_does_not_have_is_refused(peer: Peer) -> None:
    """In its own words."""
    with pytest.raises(Rejected, match="No data for zone XX"):
        await source(peer).fetch("XX", KIND, Window(MIDNIGHT, NOON))


async def test_a_free_key_gives_what_it_reaches(
    peer: Peer, documents: ElectricityMapsDocuments, caplog: pytest.LogCaptureFixture
) -> None:
    """The last day alone: of the days before and of the forecast the log says that it does not."""
    documents.is_free = True
    caplog.set_level(logging.WARNING)
    frame = await fetch(peer, NOW - 30 * HOUR, NOW + 48 * HOUR)
    assert paths(peer) == ["past-range", "history", "forecast"]
    assert len(frame) == 24
    assert "the last day alone" in caplog.text
    assert "no forecast" in caplog.text
    with pytest.raises(Rejected, match="unauthorized"):
        await fetch(peer, NOW + HOUR, NOW + 5 * HOUR)
    with pytest.raises(Rejected, match="unauthorized"):
        await fetch(peer, NOW - 90 * HOUR, NOW - 50 * HOUR)


async def test_intervals_are_as_long_as_the_answer_says(
    peer: Peer, documents: ElectricityMapsDocuments
) -> None:
    """Hours where it says nothing; lengths nobody documented are refused."""
    documents.granularity = None
    assert set((await fetch(peer, MIDNIGHT, NOON))["minutes"]) == {60}
    documents.granularity = "15_minutes"
    assert set((await fetch(peer, MIDNIGHT, NOON))["minutes"]) == {15}
    documents.granularity = "daily"
    with pytest.raises(ContractBroken, match="temporalGranularity = 'daily', must be"):
        await fetch(peer, MIDNIGHT, NOON)


async def test_without_a_key_nothing_is_asked(peer: Peer) -> None:
    """The setting is named."""
    with pytest.raises(SettingMissing, match="GRIDTIDE_ELECTRICITY_MAPS_TOKEN"):
        await source(peer, token="").fetch("DE", KIND, Window(MIDNIGHT, NOON))
    assert not peer.requests


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"carbonIntensity": "322"}, "carbonIntensity = '322', must be a finite number"),
        ({"carbonIntensity": True}, "carbonIntensity = True, must be a finite number"),
        ({"carbonIntensity": -1}, "value = -1"),
        ({"datetime": "2026-06-07T00:00:00"}, "must be an instant with an offset"),
        ({"datetime": None}, "datetime = None, must be a text"),
        ({"updatedAt": "lately"}, "updatedAt = 'lately', must be an instant"),
        ({"isEstimated": "no"}, "isEstimated = 'no', must be"),
        ({"unit": "lbCO2eq/MWh"}, "unit = 'lbCO2eq/MWh', must be"),
    ],
)
async def test_what_is_not_as_documented_is_refused(
    peer: Peer, documents: ElectricityMapsDocuments, more: dict[str, object], told: str
) -> None:
    """By field, value and what it must be."""
    documents.more = more
    with pytest.raises(ContractBroken, match=told) as refused:
        await fetch(peer, MIDNIGHT, NOON)
    assert "electricity-maps: carbon_intensity of DE" in str(refused.value)


def test_variants_are_sources_of_their_own() -> None:
    """No two share a name: what is stored says which it came from."""
    infos = [
        ElectricityMaps(HttpSource("x", "http://x"), "", lambda: NOW, it).info for it in Variant
    ]
    assert len({info.name for info in infos}) == len(infos) == 3
    assert replace(infos[0], name="", title="") == replace(infos[1], name="", title="")
