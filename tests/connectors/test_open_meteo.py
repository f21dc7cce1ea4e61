"""Open-Meteo: labels, archive and forecast, and the power of a site from its weather."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from connectors.errors import ContractBroken, Rejected
from connectors.http import HttpSource
from connectors.signals.frames import Question
from connectors.signals.open_meteo import Minutes, OpenMeteo
from connectors.signals.open_meteo_answers import labelled_values
from connectors.signals.plants.plant import Place, Plant, PvArray, WindPark
from connectors.types import SignalKind, Window
from tests.connectors.clear_sky import AIR_DEGC, WIND_M_PER_S, clear_day
from tests.peers.signals.open_meteo import OpenMeteoDocuments, Weather
from tests.peers.signals.published import Published
from tests.peers.signals.server import Peer, served

NOW = datetime(2026, 6, 19, 13, 25, tzinfo=UTC)
HOUR = timedelta(hours=1)
TOMORROW = datetime(2026, 6, 20, tzinfo=UTC)
PLACE = Place(48.1, 11.6)
ZONE = "48.1,11.6"
ARRAY = PvArray(100.0, 30.0, 180.0, 90.0, 0.1)
PARK = WindPark(3000.0, 100.0, ((3.0, 0.0), (13.0, 1.0), (25.0, 1.0)), 0.0)
PLANT = Plant(PLACE, (ARRAY,), (PARK,))


@pytest.fixture
def documents() -> OpenMeteoDocuments:
    """The format, the day before."""
    return OpenMeteoDocuments(NOW)


@pytest.fixture
def peer(documents: OpenMeteoDocuments) -> Iterator[Peer]:
    """The server."""
    with served(documents, Published(60)) as peer:
        yield peer


def connect(peer: Peer, minutes: Minutes = 60, **plants: Plant) -> OpenMeteo:
    """Connect to it; it is forecast and archive."""
    http = HttpSource("tested", peer.url)
    return OpenMeteo(http, http, lambda: NOW, plants, minutes)


async def fetch(
    source: OpenMeteo, kind: SignalKind, start: datetime, end: datetime, zone: str = ZONE
) -> pd.Series:
    """Ask for one kind, by start of interval."""
    frame = await source.fetch(zone, kind, Window(start, end))
    assert frame["known_at"].isna().all()
    return frame.set_index("start_at")["value"]


def of_instants(values: dict[str, float | None]) -> Weather:
    """Return weather that is told by the time of day."""
    return lambda label: values.get(f"{label:%H:%M}")


async def test_radiation_belongs_to_the_hour_before_its_label(
    peer: Peer, documents: OpenMeteoDocuments
) -> None:
    """At 13:00 stands the mean of 12:00 to 13:00."""
    documents.weather = {"shortwave_radiation": of_instants({"13:00": 700.0, "14:00": 600.0})}
    found = await fetch(connect(peer), SignalKind.IRRADIANCE, TOMORROW, TOMORROW + 24 * HOUR)
    assert found.to_dict() == {
        pd.Timestamp(TOMORROW + 12 * HOUR): 700.0,
        pd.Timestamp(TOMORROW + 13 * HOUR): 600.0,
    }


async def test_the_last_hour_of_a_day_is_labelled_with_the_next(
    peer: Peer, documents: OpenMeteoDocuments
) -> None:
    """So that day is asked for as well."""
    documents.weather = {"shortwave_radiation": of_instants({"00:00": 3.0})}
    found = await fetch(connect(peer), SignalKind.IRRADIANCE, TOMORROW, TOMORROW + 24 * HOUR)
    assert found.to_dict() == {pd.Timestamp(TOMORROW + 23 * HOUR): 3.0}
    assert peer.requests[-1].query["end_date"] == "2026-06-21"


@pytest.mark.parametrize(
    ("kind", "variable"),
    [
        (SignalKind.AIR_TEMPERATURE, "temperature_2m"),
        (SignalKind.WIND_SPEED, "wind_speed_10m"),
    ],
)
async def test_temperature_and_wind_are_of_instants(
    peer: Peer, documents: OpenMeteoDocuments, kind: SignalKind, variable: str
) -> None:
    """The mean of an interval lies between those at its ends; without both it is not known."""
    instants = of_instants({"12:00": 10.0, "13:00": 14.0, "14:00": 16.0, "16:00": 20.0})
    documents.weather = {variable: instants}
    found = await fetch(connect(peer), kind, TOMORROW, TOMORROW + 24 * HOUR)
    assert found.to_dict() == {
        pd.Timestamp(TOMORROW + 12 * HOUR): 12.0,
        pd.Timestamp(TOMORROW + 13 * HOUR): 15.0,
    }


async def test_quarters_are_a_source_of_their_own(
    peer: Peer, documents: OpenMeteoDocuments
) -> None:
    """They are asked for by another name, and labelled alike."""
    documents.weather = {"shortwave_radiation": of_instants({"12:15": 700.0})}
    source = connect(peer, 15)
    found = await fetch(source, SignalKind.IRRADIANCE, TOMORROW, TOMORROW + 24 * HOUR)
    assert found.to_dict() == {pd.Timestamp(TOMORROW + 12 * HOUR): 700.0}
    assert peer.requests[-1].query["minutely_15"] == "shortwave_radiation"
    assert source.info.name == "open-meteo-15min"


async def test_what_is_long_ago_comes_from_the_archive(peer: Peer) -> None:
    """The rest from the forecast; nothing is lost between them."""
    start = datetime(2026, 3, 10, tzinfo=UTC)
    found = await fetch(connect(peer), SignalKind.IRRADIANCE, start, start + 30 * 24 * HOUR)
    assert [request.path for request in peer.requests] == ["/v1/archive", "/v1/forecast"]
    assert len(found) == 30 * 24
    assert found.index.is_unique


async def test_the_archive_has_no_quarters(peer: Peer) -> None:
    """It says which source has the hours."""
    start = datetime(2026, 3, 10, tzinfo=UTC)
    with pytest.raises(Rejected, match=r"must be >= 2026-03-21.*open-meteo"):
        await fetch(connect(peer, 15), SignalKind.IRRADIANCE, start, start + HOUR)


async def test_nobody_forecasts_a_month_ahead(peer: Peer) -> None:
    """What lies beyond is absent, and not asked for."""
    end = NOW + 40 * 24 * HOUR
    found = await fetch(connect(peer), SignalKind.IRRADIANCE, TOMORROW, end)
    assert found.index[-1] == pd.Timestamp("2026-07-03T23:00Z")
    assert (await fetch(connect(peer), SignalKind.IRRADIANCE, end, end + HOUR)).empty
    assert len(peer.requests) == 1


async def test_a_year_is_the_most_at_once(peer: Peer) -> None:
    """More would be a download."""
    with pytest.raises(Rejected, match=r"367 days.*must be <= 366 days"):
        await fetch(connect(peer), SignalKind.IRRADIANCE, NOW - 367 * 24 * HOUR, NOW)


@pytest.mark.parametrize(
    "zone", ["atlantis", "91,0", "0,-181", "48.1", "48.1,11.6,3", "nan,0", "inf,0", ""]
)
async def test_a_place_that_is_none_is_refused(peer: Peer, zone: str) -> None:
    """Nobody is asked."""
    with pytest.raises(Rejected, match=r"must be LATITUDE,LONGITUDE within \[-90, 90\]"):
        await fetch(connect(peer), SignalKind.IRRADIANCE, TOMORROW, TOMORROW + HOUR, zone)
    assert not peer.requests


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"offset_s": 7200}, "utc_offset_seconds = 7200, must be 0"),
        (
            {"units": {"shortwave_radiation": "MJ/m²"}},
            "shortwave_radiation: unit = 'MJ/m²', must be",
        ),
        ({"weather": {"shortwave_radiation": lambda _: "much"}}, "'much', must be a finite"),
    ],
)
async def test_what_is_not_as_documented_is_refused(
    peer: Peer, documents: OpenMeteoDocuments, changes: dict[str, object], told: str
) -> None:
    """Local time or another unit would go unseen in a plan."""
    for name, value in changes.items():
        setattr(documents, name, value)
    with pytest.raises(ContractBroken, match=told):
        await fetch(connect(peer), SignalKind.IRRADIANCE, TOMORROW, TOMORROW + HOUR)


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ({"time": ["2026-06-20T00:00", "2026-06-20T02:00"]}, "must go on in steps of 60 minutes"),
        ({"time": ["2026-06-20T01:00", "2026-06-20T00:00"]}, "must go on in steps of 60 minutes"),
        ({"time": ["2026-06-20", "2026-06-21"]}, "time"),
        ({"time": [1, 2]}, "must be a list of instants"),
        ({"time": "2026-06-20T00:00"}, "time = '2026-06-20T00:00', must be a list of"),
        ({"shortwave_radiation": [1.0]}, "must be a list of 2 values"),
        ({"shortwave_radiation": None}, "must be a list of 2 values"),
    ],
)
def test_lists_that_do_not_fit_together_are_refused(block: dict[str, object], told: str) -> None:
    """A value is known by its place alone."""
    whole = {
        "time": ["2026-06-20T00:00", "2026-06-20T01:00"],
        "shortwave_radiation": [1.0, 2.0],
    }
    document = {
        "utc_offset_seconds": 0,
        "hourly_units": {"shortwave_radiation": "W/m²"},
        "hourly": whole | block,
    }
    asked = Question("open-meteo", ZONE, SignalKind.IRRADIANCE, Window(TOMORROW, TOMORROW + HOUR))
    with pytest.raises(ContractBroken, match=told):
        labelled_values(asked, document, "hourly", ["shortwave_radiation"], 60)


@pytest.mark.parametrize(
    ("variable", "value", "limit"),
    [
        ("shortwave_radiation", 1801.0, "[0, 1800] W/m2"),
        ("diffuse_radiation", -1.0, "[0, 1800] W/m2"),
        ("temperature_2m", 95.0, "[-95, 65] degC"),
        ("wind_speed_10m", 130.0, "[0, 120] m/s"),
    ],
)
async def test_no_power_is_made_of_weather_that_cannot_be(
    peer: Peer, documents: OpenMeteoDocuments, variable: str, value: float, limit: str
) -> None:
    """The power would look like any other."""
    documents.weather = {variable: lambda _: value}
    with pytest.raises(ContractBroken, match=rf"{variable} = .*{re.escape(limit)}"):
        await fetch(connect(peer, munich=PLANT), SignalKind.PV, TOMORROW, TOMORROW + HOUR, "munich")


async def test_winds_in_other_units_are_refused(peer: Peer, documents: OpenMeteoDocuments) -> None:
    """Kilometres an hour are the default of the source."""
    documents.units = {"wind_speed_10m": "km/h"}
    with pytest.raises(ContractBroken, match="wind_speed_10m: unit = 'km/h', must be 'm/s'"):
        await fetch(connect(peer), SignalKind.WIND_SPEED, TOMORROW, TOMORROW + HOUR)


@pytest.mark.parametrize("minutes", [15, 60])
async def test_a_clear_day_becomes_the_power_of_the_site(
    peer: Peer, documents: OpenMeteoDocuments, minutes: Minutes
) -> None:
    """Labelled as the source does, out comes what pvlib makes of every minute."""
    day = clear_day(PLACE, "2026-06-20")
    sky = day.sky.resample(f"{minutes}min", label="right").mean()

    def labelled(column: str) -> Weather:
        by_label = sky[column]
        return lambda label: float(by_label.get(pd.Timestamp(label), 0.0))

    documents.weather = {
        "shortwave_radiation": labelled("ghi"),
        "diffuse_radiation": labelled("dhi"),
        "temperature_2m": lambda _: AIR_DEGC,
        "wind_speed_10m": lambda _: WIND_M_PER_S,
    }
    source = connect(peer, minutes, munich=PLANT)
    found = await fetch(source, SignalKind.PV, TOMORROW, TOMORROW + 24 * HOUR, "munich")
    truth = day.power_kw(ARRAY).resample(f"{minutes}min").mean()
    assert found.index.to_list() == truth.index.to_list()
    assert (found - truth.set_axis(found.index)).abs().max() < 0.01 * ARRAY.peak_kw
    assert found.sum() == pytest.approx(truth.sum(), rel=0.003)


async def test_wind_at_hub_height_becomes_the_power_of_the_site(
    peer: Peer, documents: OpenMeteoDocuments
) -> None:
    """Of the forecast from 80 and 120 m, of the archive from 10 and 100 m."""
    documents.weather = {
        "wind_speed_10m": lambda _: 5.0,
        "wind_speed_80m": lambda _: 8.0,
        "wind_speed_100m": lambda _: 10.5,
        "wind_speed_120m": lambda _: 8.0,
    }
    source = connect(peer, coast=PLANT)
    ahead = await fetch(source, SignalKind.WIND, TOMORROW, TOMORROW + 2 * HOUR, "coast")
    assert ahead.to_list() == pytest.approx([1500.0, 1500.0])
    start = datetime(2026, 1, 10, tzinfo=UTC)
    long_ago = await fetch(source, SignalKind.WIND, start, start + 2 * HOUR, "coast")
    assert long_ago.to_list() == pytest.approx([2250.0, 2250.0])


async def test_a_site_is_a_place_as_well(peer: Peer) -> None:
    """Its weather may be asked for by its name."""
    source = connect(peer, munich=PLANT)
    await fetch(source, SignalKind.IRRADIANCE, TOMORROW, TOMORROW + HOUR, "munich")
    assert peer.requests[-1].query["latitude"] == "48.1"
    assert source.time_zone("munich") == "UTC"


async def test_power_of_a_site_nobody_described_is_refused(peer: Peer) -> None:
    """It says what is missing, and which there are."""
    source = connect(peer, munich=Plant(PLACE, (ARRAY,)))
    with pytest.raises(Rejected, match=r"no pv in zone 'oslo'.*known: munich"):
        await fetch(source, SignalKind.PV, TOMORROW, TOMORROW + HOUR, "oslo")
    with pytest.raises(Rejected, match="no wind in zone 'munich'"):
        await fetch(source, SignalKind.WIND, TOMORROW, TOMORROW + HOUR, "munich")
    assert not peer.requests


async def test_power_without_its_libraries_is_refused_by_the_name_of_the_extra(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weather needs none of them."""
    for module in ("connectors.signals.plants.pv", "connectors.signals.plants.wind"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "pvlib", None)
    source = connect(peer, munich=PLANT)
    with pytest.raises(Rejected, match=r"pip install 'gridtide\[weather\]'"):
        await fetch(source, SignalKind.PV, TOMORROW, TOMORROW + HOUR, "munich")
    assert len(await fetch(source, SignalKind.IRRADIANCE, TOMORROW, TOMORROW + HOUR)) == 1
