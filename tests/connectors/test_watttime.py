"""WattTime: tokens, pounds, and what is past or forecast."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from connectors.errors import ContractBroken, CredentialsRefused, Rejected, SettingMissing
from connectors.http import HttpSource
from connectors.signals.frames import Question
from connectors.signals.watttime import G_PER_KWH_OF_LB_PER_MWH, WattTime, points_of
from connectors.types import SignalKind, Window
from tests.peers.signals.published import Published
from tests.peers.signals.server import Peer, served
from tests.peers.signals.watttime import PASSWORD, USER, WattTimeDocuments

NOW = datetime(2026, 6, 7, 13, 25, tzinfo=UTC)
HOUR = timedelta(hours=1)
KIND = SignalKind.MARGINAL_CARBON_INTENSITY


@pytest.fixture
def documents() -> WattTimeDocuments:
    """The format, in the afternoon."""
    return WattTimeDocuments(NOW)


@pytest.fixture
def peer(documents: WattTimeDocuments) -> Iterator[Peer]:
    """The server."""
    with served(documents, Published(5)) as peer:
        yield peer


def connect(peer: Peer, user: str = USER, password: str = PASSWORD) -> WattTime:
    """Connect to it."""
    return WattTime(HttpSource("tested", peer.url), user, password, lambda: NOW)


async def fetch(source: WattTime, start: datetime, end: datetime) -> pd.DataFrame:
    """Ask for a region that is open to everybody."""
    return await source.fetch("CAISO_NORTH", KIND, Window(start, end))


def paths(peer: Peer) -> list[str]:
    """Which paths were asked, in order."""
    return [request.path for request in peer.requests]


def test_pounds_per_mwh_become_grams_per_kwh_exactly() -> None:
    """A pound is 453.59237 g and a MWh 1000 kWh, both by definition."""
    assert G_PER_KWH_OF_LB_PER_MWH == 453.59237 / 1000
    asked = Question("watttime", "DE", KIND, Window(NOW, NOW + HOUR))
    meta = {
        "region": "DE",
        "signal_type": "co2_moer",
        "units": "lbs_co2_per_mwh",
        "data_point_period_seconds": 300,
    }
    data = [{"point_time": "2026-06-07T13:25:00+00:00", "value": 1000}]
    ((_, minutes, g_per_kwh, known_at),) = points_of(asked, {"data": data, "meta": meta})
    assert (minutes, g_per_kwh, known_at) == (5, 453.59237, None)


async def test_one_login_is_enough_while_its_token_holds(peer: Peer) -> None:
    """Two questions, two answers each."""
    source = connect(peer)
    for _ in range(2):
        await fetch(source, NOW - HOUR, NOW + HOUR)
    assert paths(peer) == ["/login", *["/v3/historical", "/v3/forecast"] * 2]


async def test_a_token_that_is_over_is_renewed_once(
    peer: Peer, documents: WattTimeDocuments
) -> None:
    """And the question is asked again."""
    source = connect(peer)
    await fetch(source, NOW - HOUR, NOW)
    documents.uses_left = 0
    frame = await fetch(source, NOW - 2 * HOUR, NOW)
    assert len(frame) == 24
    assert paths(peer)[2:] == ["/v3/historical", "/login", "/v3/historical"]


async def test_a_fresh_token_that_is_refused_is_no_reason_to_go_on(
    peer: Peer, documents: WattTimeDocuments
) -> None:
    """Twice is all: logins are counted on the other side."""
    documents.uses_of_a_token = 0
    with pytest.raises(CredentialsRefused, match="expired"):
        await fetch(connect(peer), NOW - HOUR, NOW)
    assert paths(peer) == ["/login", "/v3/historical", "/login", "/v3/historical"]


async def test_a_wrong_password_is_refused(peer: Peer) -> None:
    """It is not shown."""
    with pytest.raises(CredentialsRefused, match="Incorrect") as refused:
        await fetch(connect(peer, USER, PASSWORD[::-1]), NOW - HOUR, NOW)
    assert PASSWORD[::-1] not in str(refused.value)


async def test_without_an_account_nothing_is_asked(peer: Peer) -> None:
    """The settings are named."""
    with pytest.raises(
        SettingMissing, match="GRIDTIDE_WATTTIME_USER and GRIDTIDE_WATTTIME_PASSWORD"
    ):
        await fetch(connect(peer, user=""), NOW - HOUR, NOW)
    assert not peer.requests


async def test_past_and_forecast_are_joined(peer: Peer) -> None:
    """A forecast was known when it was made; of the past nobody says since when."""
    window = Window(NOW - 2 * HOUR, NOW + 3 * HOUR)
    frame = await fetch(connect(peer), window.start, window.end)
    published = [value for _, value in peer.published.rows(KIND, window)]
    assert frame["value"].to_list() == pytest.approx(published, rel=1e-12)
    is_forecast = frame["start_at"] >= NOW
    assert frame["known_at"][~is_forecast].isna().all()
    assert (frame["known_at"][is_forecast] == NOW).all()


async def test_a_long_past_is_asked_for_by_the_month(peer: Peer) -> None:
    """Thirty-two days at once are the most."""
    frame = await fetch(connect(peer), NOW - 70 * 24 * HOUR, NOW)
    assert paths(peer) == ["/login", *["/v3/historical"] * 3]
    assert len(frame) == 70 * 24 * 12


@pytest.mark.parametrize(("hours", "horizon"), [(0.5, "1"), (24, "24"), (200, "72")])
async def test_a_forecast_is_as_long_as_it_has_to_be(
    peer: Peer, hours: float, horizon: str
) -> None:
    """In whole hours, and three days at most."""
    await fetch(connect(peer), NOW, NOW + hours * HOUR)
    assert peer.requests[-1].query["horizon_hours"] == horizon


@pytest.mark.parametrize(
    ("meta", "told"),
    [
        ({"units": "kgs_co2_per_mwh"}, "unit = 'kgs_co2_per_mwh', must be 'lbs_co2_per_mwh'"),
        ({"units": None}, "unit = None, must be"),
        ({"signal_type": "co2_aoer"}, "signal_type = 'co2_aoer', must be 'co2_moer'"),
        ({"region": "PJM_NJ"}, "region = 'PJM_NJ', must be 'CAISO_NORTH'"),
        ({"data_point_period_seconds": 299}, "data_point_period_seconds = 299, must be 300"),
        ({"generated_at": "now"}, "generated_at = 'now', must be an instant"),
    ],
)
async def test_what_is_not_as_documented_is_refused(
    peer: Peer, documents: WattTimeDocuments, meta: dict[str, object], told: str
) -> None:
    """Averages are not taken for marginal values, nor kilograms for pounds."""
    documents.meta = meta
    with pytest.raises(ContractBroken, match=told):
        await fetch(connect(peer), NOW - HOUR, NOW)


async def test_a_region_that_is_not_open_is_refused(peer: Peer) -> None:
    """After a renewed login: the two look alike from here."""
    with pytest.raises(Rejected, match="do not have access to PJM_NJ"):
        await connect(peer).fetch("PJM_NJ", KIND, Window(NOW - HOUR, NOW))
