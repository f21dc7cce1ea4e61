"""``gridtide signals fetch`` and ``sources``: without configuration, a server or a fleet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.cli.console import ExitCode
from tests.cli.server import gridtide
from tests.peers.signals.energy_charts import EnergyChartsDocuments
from tests.peers.signals.entsoe import TOKEN, EntsoeDocuments
from tests.peers.signals.published import Published
from tests.peers.signals.server import Awkward, Peer, served, status

FETCH = ("signals", "fetch", "--source", "energy-charts", "--zone", "DE-LU")
AUTUMN = ("--from", "2026-10-25", "--to", "2026-10-25")


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Peer]:
    """Energy-Charts, in the place of the real one."""
    with served(EnergyChartsDocuments(), Published(15)) as peer:
        monkeypatch.setenv("GRIDTIDE_ENERGY_CHARTS_URL", peer.url)
        yield peer


def test_all_that_is_free_of_today_and_tomorrow_is_shown(peer: Peer) -> None:
    """By the time of the zone, kinds side by side, each with its unit."""
    result = gridtide(*FETCH)
    assert result.exit_code == 0, result.output
    head, *rows = result.stdout.splitlines()
    assert head.startswith("TIME (Europe/Berlin)")
    for title in ("price [EUR/MWh]", "carbon_intensity [g/kWh]", "zone_wind_forecast [MW]"):
        assert title in head
    assert "T00:00+0" in rows[0]
    assert len(rows) in {4 * 47, 4 * 48, 4 * 49}


def test_a_day_of_25_hours_is_written_as_it_is_uploaded(peer: Peer, tmp_path: Path) -> None:
    """The file has the columns that ``gridtide signals upload`` takes."""
    out = tmp_path / "day.csv"
    result = gridtide(*FETCH, "--kind", "price", *AUTUMN, "--out", str(out), "--site", "frankfurt")
    assert result.exit_code == 0, result.output
    assert "100 values of DE-LU written to" in result.stdout
    head, first, *_, last = out.read_text().splitlines()
    assert head == "site,kind,start_at,minutes,value,unit,known_at"
    assert first.startswith("frankfurt,price,2026-10-24T22:00:00+00:00,15,")
    assert last.startswith("frankfurt,price,2026-10-25T22:45:00+00:00,15,")
    assert all(line.endswith(",EUR/MWh,") for line in (first, last))


def test_values_come_as_json_too(peer: Peer) -> None:
    """One object for each value."""
    result = gridtide(*FETCH, "--kind", "price", *AUTUMN, "--json")
    values = json.loads(result.stdout)
    assert len(values) == 100
    assert values[0]["start_at"] == "2026-10-24T22:00:00+00:00"
    assert values[0]["known_at"] is None


def test_what_comes_is_shown_though_another_kind_fails(peer: Peer) -> None:
    """The exit code tells of it."""
    kinds = ("--kind", "price", "--kind", "carbon_intensity")
    result = gridtide(*FETCH, *kinds, *AUTUMN)
    assert result.exit_code == 0
    peer.will(Awkward.CUT)
    result = gridtide(*FETCH, *kinds, *AUTUMN)
    assert result.exit_code == ExitCode.INVALID
    assert "carbon_intensity [g/kWh]" in result.stdout
    assert "price [" not in result.stdout
    assert "not JSON" in result.stderr
    peer.always(status(403, "not from here"))
    result = gridtide(*FETCH, *kinds, *AUTUMN)
    assert result.exit_code == ExitCode.INVALID
    assert result.stderr.count("not from here") == 2
    assert not result.stdout


def test_what_is_not_published_yet_is_said(peer: Peer) -> None:
    """It is no error."""
    peer.always(status(404))
    result = gridtide(*FETCH, "--kind", "price", *AUTUMN)
    assert result.exit_code == 0
    assert "Nothing is published" in result.stdout


def test_a_secret_of_the_environment_is_used_and_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without it the command says once which variable holds it, of however many kinds."""
    with served(EntsoeDocuments(), Published(15)) as peer:
        monkeypatch.setenv("GRIDTIDE_ENTSOE_URL", peer.url)
        every = ("signals", "fetch", "--source", "entsoe", "--zone", "DE-LU")
        words = (*every, "--kind", "price")
        missing = gridtide(*every, *AUTUMN)
        assert missing.exit_code == ExitCode.INVALID
        assert missing.stderr.count("entsoe: needs GRIDTIDE_ENTSOE_TOKEN") == 1
        assert not peer.requests
        monkeypatch.setenv("GRIDTIDE_ENTSOE_TOKEN", TOKEN)
        result = gridtide(*words, *AUTUMN)
        assert result.exit_code == 0, result.output
        assert len(result.stdout.splitlines()) == 101
        peer.always(status(400, f"bad {TOKEN}"))
        refused = gridtide(*words, *AUTUMN)
        assert refused.exit_code == ExitCode.INVALID
        assert TOKEN not in refused.output


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("--source", "energy-chart", "--zone", "DE-LU"), "one of energy-charts"),
        (("--source", "energy-charts", "--zone", "Atlantis"), "no zone 'Atlantis', there are AT"),
        ((*FETCH[2:], "--kind", "pv"), "no pv in zone 'DE-LU'"),
        ((*FETCH[2:], "--from", "yesterday"), "'yesterday' is neither a day nor an instant"),
        ((*FETCH[2:], "--from", "2026-10-25T00:00"), "has no offset"),
        ((*FETCH[2:], "--from", "2026-10-25", "--to", "2026-10-24"), "must be within"),
        ((*FETCH[2:], "--from", "2020-01-01", "--to", "2026-10-24"), "must be within"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(words: tuple[str, ...], fault: str) -> None:
    """Nobody is asked."""
    result = gridtide("signals", "fetch", *words)
    assert result.exit_code == ExitCode.INVALID
    assert fault in " ".join(result.stderr.replace("│", " ").split())


def test_every_source_is_listed_with_what_it_needs() -> None:
    """Those that need nothing first; the variables that hold secrets, never what is in them."""
    result = gridtide("signals", "sources", "--json")
    found = {one["source"]: one for one in json.loads(result.stdout)}
    assert next(iter(found)) == "energy-charts"
    assert found["entsoe"]["needs"] == "GRIDTIDE_ENTSOE_TOKEN"
    assert "price" in found["energy-charts"]["kinds"]
    assert all(one["licence"] and one["document"].startswith("https://") for one in found.values())
    assert "energy-charts" in gridtide("signals", "sources").stdout
