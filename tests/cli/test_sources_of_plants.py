"""From the weather at a site to its signals: by ``gridtide signals fetch`` and by a feed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.signals.files import read_signals
from connectors.types import SignalKind, Window
from scheduler.cli.console import ExitCode
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import fleet as fleets
from scheduler.services.feeds import FeedWatch
from scheduler.services.signals import latest_values
from scheduler.settings import Settings
from scheduler.signal_sources import sources_of
from scheduler.specs import FleetSpec
from scheduler.timekeeping import system_now
from tests.api.world import SITE
from tests.cli.server import gridtide
from tests.peers.signals.open_meteo import OpenMeteoDocuments
from tests.peers.signals.published import Published
from tests.peers.signals.server import Peer, served

FLEET = """
[[sites]]
name = "munich"
time_zone = "Europe/Berlin"
latitude_deg = 48.1
longitude_deg = 11.6
grid = { import_limit_kw = 400 }
pools = [{ name = "h100", gpus = 8 }]
pv = [{ peak_kw = 500, tilt_deg = 30, azimuth_deg = 180, inverter_kw = 400 }]
wind = [{ rating_kw = 2000, hub_height_m = 120, turbine = "E-126/4200" }]
"""
FETCH = ("signals", "fetch", "--source", "open-meteo")
HOUR = timedelta(hours=1)


def sun(label: datetime) -> float:
    """Radiation of the hour before a label: bright from 10 to 14 o'clock."""
    return 800.0 if 11 <= label.hour <= 14 else 0.0


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Peer]:
    """Open-Meteo, in the place of the real one."""
    weather = {
        "shortwave_radiation": sun,
        "diffuse_radiation": lambda label: sun(label) / 4,
        "temperature_2m": lambda _: 20.0,
        **dict.fromkeys(("wind_speed_10m", "wind_speed_80m", "wind_speed_120m"), lambda _: 30.0),
    }
    with served(OpenMeteoDocuments(system_now(), weather), Published(60)) as peer:
        monkeypatch.setenv("GRIDTIDE_OPEN_METEO_URL", peer.url)
        monkeypatch.setenv("GRIDTIDE_OPEN_METEO_ARCHIVE_URL", peer.url)
        yield peer


@pytest.fixture
def fleet_file(tmp_path: Path) -> Path:
    """A fleet of one site that describes its plants."""
    path = tmp_path / "fleet.toml"
    path.write_text(FLEET)
    return path


def test_weather_of_a_place_needs_nothing(peer: Peer) -> None:
    """All of it, with units, and no fleet."""
    result = gridtide(*FETCH, "--zone", "48.1,11.6")
    assert result.exit_code == 0, result.output
    head, *rows = result.stdout.splitlines()
    for title in ("irradiance [W/m2]", "air_temperature [degC]", "wind_speed [m/s]"):
        assert title in head
    assert len(rows) == 48


def test_power_of_a_site_is_fetched_as_it_is_uploaded(
    peer: Peer, fleet_file: Path, tmp_path: Path
) -> None:
    """The fleet says where it is and what is built there."""
    out = tmp_path / "power.csv"
    words = ("--zone", "munich", "--fleet", str(fleet_file), "--out", str(out))
    result = gridtide(*FETCH, *words, "--kind", "pv", "--kind", "wind")
    assert result.exit_code == 0, result.output
    signals = read_signals(out)
    power = {kind: rows.set_index("start_at")["value"] for kind, rows in signals.groupby("kind")}
    assert signals["site"].unique().tolist() == ["munich"]
    assert len(power["pv"]) == len(power["wind"]) == 48
    assert set(power["wind"]) == {0.0}  # a storm: the turbines are turned off
    by_hour = power["pv"].groupby(power["pv"].index.hour).max()
    assert by_hour[[10, 11, 12, 13]].between(100, 400).all()
    assert by_hour.drop([10, 11, 12, 13]).max() == 0.0


def test_power_of_a_site_that_describes_nothing_is_refused(peer: Peer, fleet_file: Path) -> None:
    """It says what is missing."""
    result = gridtide(*FETCH, "--zone", "48.1,11.6", "--kind", "pv")
    assert result.exit_code == ExitCode.INVALID
    assert "a site whose fleet says where it is" in " ".join(result.stderr.split())
    result = gridtide(*FETCH, "--zone", "oslo", "--fleet", str(fleet_file))
    assert result.exit_code == ExitCode.INVALID
    assert "zone = 'oslo', must be LATITUDE,LONGITUDE" in " ".join(result.stderr.split())


def test_a_turbine_nobody_knows_is_refused(peer: Peer, fleet_file: Path) -> None:
    """By its name, when the fleet is read for it."""
    fleet_file.write_text(FLEET.replace("E-126/4200", "Windmill"))
    result = gridtide(*FETCH, "--zone", "munich", "--fleet", str(fleet_file), "--kind", "wind")
    assert result.exit_code == ExitCode.INVALID
    assert "'Windmill'" in result.stderr


def test_us_prices_without_their_python_say_what_is_missing() -> None:
    """The setting, and the page that tells how."""
    result = gridtide("signals", "fetch", "--source", "gridstatus", "--zone", "NYISO:N.Y.C.")
    assert result.exit_code == ExitCode.INVALID
    assert "GRIDTIDE_GRIDSTATUS_PYTHON" in result.stderr


def test_a_feed_of_power_reaches_the_signals_of_the_site(
    peer: Peer, sqlite_sessions: SessionFactory
) -> None:
    """Hour by hour, as far ahead as it asks."""
    place = {"latitude_deg": 48.1, "longitude_deg": 11.6}
    array = {"peak_kw": 500, "tilt_deg": 30, "inverter_kw": 400}
    feed = {"kind": "pv", "source": "open-meteo", "zone": "DE", "ahead_hours": 30}
    site = SITE | place | {"pv": [array], "feeds": [feed]}
    spec = FleetSpec.model_validate({"sites": [site]})
    with transaction(sqlite_sessions) as session:
        fleets.replace_fleet(session, spec, "test", system_now())
    watch = FeedWatch(sqlite_sessions, sources_of(Settings(), system_now), system_now)
    watch.look()
    assert watch.finish(60)
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + HOUR
    window = Window(start, start + 24 * HOUR)
    with transaction(sqlite_sessions) as session:
        points = latest_values(session, "DE", SignalKind.PV, window, system_now())
    assert [point.start_at for point in points] == [start + n * HOUR for n in range(24)]
    assert {point.start_at.hour for point in points if point.value > 0} == {10, 11, 12, 13}
