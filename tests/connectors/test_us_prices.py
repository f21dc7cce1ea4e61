"""Prices of the United States: local days, what the child may say, and a child that misbehaves."""

from __future__ import annotations

import json
import os
import stat
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from connectors.errors import ConnectorError, ContractBroken, Rejected, Unavailable
from connectors.signals.frames import Question
from connectors.signals.us.prices import UsPrices, local_days, prices_of
from connectors.types import SignalKind, Window

START = datetime(2026, 6, 7, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINDOW = Window(START, START + 2 * HOUR)
ASKED = Question("gridstatus", "NYISO:N.Y.C.", SignalKind.PRICE, WINDOW)


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        (START, START + 24 * HOUR, [7]),  # midnight to midnight in California
        (START - HOUR, START, [6]),
        (START - timedelta(seconds=1), START + timedelta(seconds=1), [6, 7]),
        (START, START + 25 * HOUR, [7, 8]),
    ],
)
def test_the_days_of_a_window_are_those_of_the_operator(
    start: datetime, end: datetime, days: list[int]
) -> None:
    """A market day begins at midnight there; the end of a window is not in it."""
    found = local_days(Window(start, end), "America/Los_Angeles")
    assert found == [date(2026, 6, day) for day in days]


def test_rows_become_prices() -> None:
    """What lies outside of the window is left out: the child answers for whole days."""
    rows = [
        [(START + n * HOUR).isoformat(), (START + (n + 1) * HOUR).isoformat(), 20.5 + n]
        for n in range(-1, 3)
    ]
    frame = prices_of(ASKED, json.dumps({"rows": rows}).encode())
    assert frame["value"].to_list() == [20.5, 21.5]
    assert set(frame["unit"]) == {"USD/MWh"}
    assert set(frame["minutes"]) == {60}


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        ({"error": "unavailable", "text": "HTTP 503"}, Unavailable, "HTTP 503"),
        ({"error": "rejected", "text": "no such hub"}, Rejected, "no such hub"),
        ({"error": "broken", "text": "KeyError: 'LMP'"}, ContractBroken, "KeyError"),
        ({"error": "what nobody agreed", "text": "?"}, ContractBroken, r"\?"),
        ({}, ContractBroken, "rows = None, must be a list"),
        ({"rows": [["2026-06-07T07:00Z", 1]]}, ContractBroken, "must be start, end and price"),
        (
            {"rows": [["2026-06-07T07:00", "2026-06-07T08:00Z", 1]]},
            ContractBroken,
            "start = '2026-06-07T07:00', must be an instant with an offset",
        ),
        (
            {"rows": [["2026-06-07T07:00Z", "2026-06-07T08:00Z", "dear"]]},
            ContractBroken,
            "price = 'dear', must be a finite number",
        ),
    ],
)
def test_what_the_child_says_is_told_by_what_to_do(
    answer: object, error: type[ConnectorError], told: str
) -> None:
    """It says itself what may pass."""
    with pytest.raises(error, match=told):
        prices_of(ASKED, json.dumps(answer).encode())


def test_an_answer_that_is_cut_is_not_used() -> None:
    """It names who was asked for what."""
    with pytest.raises(ContractBroken, match="gridstatus: price of NYISO"):
        prices_of(ASKED, b'{"rows": [[')


def program(tmp_path: Path, *lines: str) -> Path:
    """Write a program that stands where a Python should."""
    file = tmp_path / "python"
    file.write_text("\n".join(("#!/bin/sh", *lines)) + "\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


async def ask(source: UsPrices, zone: str = "NYISO:N.Y.C.", window: Window = WINDOW) -> None:
    """Ask it for prices."""
    await source.fetch(zone, SignalKind.PRICE, window)


async def test_without_a_python_of_its_own_the_setting_is_named() -> None:
    """And where it is told how to get one."""
    with pytest.raises(Rejected, match=r"docs/signals\.md.*GRIDTIDE_GRIDSTATUS_PYTHON"):
        await ask(UsPrices(None))


async def test_a_python_without_the_library_says_so() -> None:
    """As ours does."""
    with pytest.raises(Rejected, match="No module named 'gridstatus'"):
        await ask(UsPrices(Path(sys.executable)))


async def test_a_python_that_is_not_there_is_refused_by_its_path(tmp_path: Path) -> None:
    """It is a setting somebody has to mend."""
    with pytest.raises(Rejected, match=r"absent: No such file"):
        await ask(UsPrices(tmp_path / "absent"))


async def test_pjm_without_its_key_is_refused() -> None:
    """Before anybody is asked."""
    with pytest.raises(Rejected, match="PJM: needs GRIDTIDE_PJM_KEY"):
        await ask(UsPrices(Path("/nowhere")), "PJM:WESTERN HUB")


@pytest.mark.parametrize("zone", ["MISO:INDIANA.HUB", "NYISO", "NYISO:", "atlantis"])
async def test_a_zone_of_no_operator_is_refused(zone: str) -> None:
    """With those there are."""
    with pytest.raises(Rejected, match="an operator of CAISO, NYISO, ERCOT, PJM"):
        await ask(UsPrices(None), zone)


async def test_a_month_is_the_most_at_once() -> None:
    """Each day is a question of its own to the operator."""
    with pytest.raises(Rejected, match="32 days at once, must be <= 31"):
        await ask(UsPrices(None), window=Window(START, START + 31 * 24 * HOUR))


async def test_a_child_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """It leaves nothing running."""
    note = tmp_path / "pid"
    child = program(tmp_path, f"echo $$ > {note}", "exec sleep 600")
    with pytest.raises(Unavailable, match=r"no answer in 0\.5 s"):
        await ask(UsPrices(child, answer_s=0.5))
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


async def test_a_child_that_never_stops_talking_is_ended(tmp_path: Path) -> None:
    """Its answer is bounded."""
    with pytest.raises(ContractBroken, match="more than 8388608 bytes"):
        await ask(UsPrices(program(tmp_path, "exec yes")))


async def test_a_child_that_dies_is_refused_with_its_last_words(tmp_path: Path) -> None:
    """Without the key it may have written down."""
    child = program(tmp_path, "echo it sent $PJM_API_KEY >&2", "exit 3")
    with pytest.raises(Rejected, match=r"ended with 3: it sent \*\*\*"):
        await ask(UsPrices(child, "a-key-of-pjm"), "PJM:WESTERN HUB")


async def test_a_child_sees_no_secret_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs code of others."""
    monkeypatch.setenv("GRIDTIDE_DATABASE_URL", "postgresql://secret")
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    note = tmp_path / "environment"
    child = program(tmp_path, f"env > {note}", "exit 3")
    with pytest.raises(Rejected):
        await ask(UsPrices(child))
    seen = note.read_text()
    assert "GRIDTIDE" not in seen
    assert "https_proxy=http://proxy.example:3128" in seen
