"""What is particular to Energy-Charts and to the Carbon Intensity of Great Britain."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from connectors.errors import ContractBroken, Rejected
from connectors.http import HttpSource
from connectors.signals.carbon_intensity_gb import CarbonIntensityGb
from connectors.signals.energy_charts import EnergyCharts
from connectors.signals.energy_charts_zones import COUNTRY_OF, PRICE_ZONES
from connectors.signals.frames import Question, signal_frame
from connectors.signals.resolution import step_minutes
from connectors.signals.zones import TIME_ZONES
from connectors.types import SignalKind, Window
from tests.contracts.live_source import QUICK
from tests.peers.signals.carbon_intensity_gb import CarbonIntensityGbDocuments
from tests.peers.signals.energy_charts import EnergyChartsDocuments
from tests.peers.signals.published import Published
from tests.peers.signals.server import Answer, Peer, served

START = datetime(2026, 6, 7, tzinfo=UTC)
DAY = Window(START, START + timedelta(days=1))
CARBON = SignalKind.CARBON_INTENSITY


def charts(peer: Peer) -> EnergyCharts:
    """Return Energy-Charts at a peer."""
    return EnergyCharts(HttpSource("energy-charts", peer.url, QUICK))


async def test_what_was_counts_before_what_was_foreseen() -> None:
    """Both sources publish the two side by side; of what is to come there is only one."""
    noon = START + timedelta(hours=12)
    now_known = EnergyChartsDocuments()
    now_known.now = noon
    with served(now_known, Published(15)) as peer:
        frame = await charts(peer).fetch("DE", CARBON, DAY)
        assert dict(zip(frame["start_at"], frame["value"], strict=True)) == pytest.approx(
            dict(peer.published.rows(CARBON, DAY))
        )
    with served(CarbonIntensityGbDocuments(now=noon), Published(30)) as peer:
        http = HttpSource("gb", peer.url, QUICK)
        frame = await CarbonIntensityGb(http).fetch("GB", CARBON, DAY)
        expected = [value for _, value in peer.published.rows(CARBON, DAY)]
        assert frame["value"].to_list() == pytest.approx(expected)


async def test_a_month_of_great_britain_is_asked_for_in_parts() -> None:
    """Fourteen days at once are all it gives."""
    with served(CarbonIntensityGbDocuments(), Published(30)) as peer:
        source = CarbonIntensityGb(HttpSource("gb", peer.url, QUICK))
        month = Window(START, START + timedelta(days=31))
        assert len(await source.fetch("GB-London", CARBON, month)) == 31 * 48
        assert len(peer.requests) == 3


async def test_a_country_of_several_bidding_zones_has_no_one_price() -> None:
    """And a zone of it has not the load of the country."""
    with served(EnergyChartsDocuments(), Published(15)) as peer:
        with pytest.raises(Rejected, match=r"no price in zone 'SE', there is carbon_intensity"):
            await charts(peer).fetch("SE", SignalKind.PRICE, DAY)
        with pytest.raises(Rejected, match=r"no zone_load in zone 'SE3', there is price"):
            await charts(peer).fetch("SE3", SignalKind.ZONE_LOAD, DAY)
        assert not peer.requests


@pytest.mark.parametrize(
    "document",
    [
        {"unix_seconds": [1, 2], "price": [1.0]},
        {"unix_seconds": [1], "price": ["1.0"]},
        {"unix_seconds": [None], "price": [1.0]},
        {"unix_seconds": 1, "price": 1},
        {"price": [1.0]},
        [1.0],
    ],
    ids=str,
)
async def test_arrays_that_do_not_fit_are_refused(document: object) -> None:
    """They are not cut to the shorter of the two."""
    with served(EnergyChartsDocuments(), Published(15)) as peer:
        peer.will(Answer(json.dumps(document).encode()))
        with pytest.raises(ContractBroken, match="energy-charts: http"):
            await charts(peer).fetch("FR", SignalKind.PRICE, DAY)


async def test_numbers_that_are_none_are_refused() -> None:
    """NaN is not JSON, though many write it."""
    with served(EnergyChartsDocuments(), Published(15)) as peer:
        peer.will(Answer(b'{"unix_seconds": [1780790400], "price": [NaN], "unit": "EUR / MWh"}'))
        with pytest.raises(ContractBroken, match="NaN is no number"):
            await charts(peer).fetch("FR", SignalKind.PRICE, DAY)


async def test_wind_is_a_sum_only_where_both_parts_are_known() -> None:
    """An hour of which one shore is missing is absent, not too low."""
    at = int(START.timestamp())
    types = {"Wind onshore": [1000.0, 1100.0, 1200.0], "Wind offshore": [200.0, None, 400.0]}
    document = {
        "unix_seconds": [at, at + 3600, at + 7200],
        "production_types": [{"name": name, "data": data} for name, data in types.items()],
    }
    with served(EnergyChartsDocuments(), Published(15)) as peer:
        peer.will(Answer(json.dumps(document).encode()))
        frame = await charts(peer).fetch("DE", SignalKind.ZONE_WIND, DAY)
    assert frame["value"].to_list() == [1200.0, 1600.0]


@pytest.mark.parametrize(
    ("minutes", "starts", "fault"),
    [
        ([60, 60], [0, 30], "start_at = .*00:30.*, must be at or after the end of the one before"),
        ([60, 60], [0, 0], "start_at = .*, must be once"),
        ([60, 0], [0, 60], r"minutes = 0, must be within \[1, 1500\]"),
        ([60, 1501], [0, 60], r"minutes = 1501, must be within \[1, 1500\]"),
    ],
)
def test_intervals_that_cannot_be_are_refused(
    minutes: list[int], starts: list[int], fault: str
) -> None:
    """Whatever source they come from."""
    asked = Question("x", "DE", CARBON, DAY)
    instants = [START + timedelta(minutes=start) for start in starts]
    with pytest.raises(ContractBroken, match=f"x: carbon_intensity of DE, .*{fault}"):
        signal_frame(asked, instants, minutes, [1.0, 2.0], "g/kWh")


def test_lengths_follow_a_change_from_hours_to_quarters() -> None:
    """As on 2025-10-01; a gap makes none longer, and one alone is of the present length."""
    change = pd.Timestamp("2025-09-30T22:00Z")
    hours = pd.date_range(change - timedelta(hours=3), periods=3, freq="1h")
    quarters = pd.date_range(change, periods=4, freq="15min")
    starts = hours.append(quarters)
    assert step_minutes(starts, (15, 30, 60)).tolist() == [60, 60, 60, 15, 15, 15, 15]
    with_gap = quarters.append(quarters + timedelta(minutes=105))
    assert step_minutes(with_gap, (15, 30, 60)).tolist() == [15] * 8
    assert step_minutes(hours[:1], (15, 30, 60)).tolist() == [15]
    assert step_minutes(hours[:0], (15, 30, 60)).tolist() == []


def test_every_zone_has_a_time() -> None:
    """That exists."""
    for zone in (*COUNTRY_OF, *PRICE_ZONES):
        assert ZoneInfo(TIME_ZONES[zone])
