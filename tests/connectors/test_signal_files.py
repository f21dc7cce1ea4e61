"""Signal files: what is read, what is inferred, and what is refused in which words."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from connectors.errors import ContractBroken, Rejected, Unavailable
from connectors.signals.files import SIGNAL_COLUMNS, SignalFile, read_signals
from connectors.types import SignalKind, Window

HEADER = "site,signal,start_utc,value,unit"
GOOD = "north,price,2026-06-07T00:00Z,41.5,EUR/MWh\nnorth,price,2026-06-07T01:00Z,40,EUR/MWh\n"
START = datetime(2026, 6, 7, tzinfo=UTC)


def csv(tmp_path: Path, rows: str, header: str = HEADER) -> Path:
    """Write a file."""
    file = tmp_path / "signals.csv"
    file.write_text(f"{header}\n{rows}")
    return file


def starts_at(tmp_path: Path, *minutes: int) -> Path:
    """Write one series whose values start so many minutes after midnight."""
    rows = "".join(
        f"north,price,{(START + timedelta(minutes=m)).isoformat()},{m},EUR/MWh\n" for m in minutes
    )
    return csv(tmp_path, rows)


def test_rows_come_back_ordered_typed_and_in_utc(tmp_path: Path) -> None:
    """Any order, any offset, any site and kind mixed."""
    rows = (
        "south,pv,2026-06-07T02:30+02:00,5,kW\n"
        "north,price,2026-06-07T01:00:00Z,-3.25,EUR/MWh\n"
        "south,pv,2026-06-07T00:15Z,4,kW\n"
        "north,price,2026-06-07T00:00:00Z,41.5,EUR/MWh\n"
    )
    signals = read_signals(csv(tmp_path, rows))
    assert tuple(signals.columns) == SIGNAL_COLUMNS
    assert signals["site"].tolist() == ["north", "north", "south", "south"]
    assert signals["kind"].tolist() == [SignalKind.PRICE] * 2 + [SignalKind.PV] * 2
    assert signals["start_at"].tolist() == [
        pd.Timestamp(f"2026-06-07T{time}Z") for time in ("00:00", "01:00", "00:15", "00:30")
    ]
    assert signals["minutes"].tolist() == [60, 60, 15, 15]
    assert signals["value"].tolist() == [41.5, -3.25, 4.0, 5.0]
    assert signals["known_at"].isna().all()


def test_more_rows_than_are_taken_are_refused(tmp_path: Path) -> None:
    """No more of them are read."""
    with pytest.raises(ContractBroken, match=r"signals\.csv: more than 1 rows"):
        read_signals(csv(tmp_path, GOOD), most_rows=1)
    assert len(read_signals(csv(tmp_path, GOOD), most_rows=2)) == 2


def test_csv_and_parquet_read_the_same(tmp_path: Path) -> None:
    """What was read can be written as Parquet and read again."""
    signals = read_signals(csv(tmp_path, GOOD))
    signals.to_parquet(tmp_path / "signals.parquet")
    pd.testing.assert_frame_equal(read_signals(tmp_path / "signals.parquet"), signals)


def test_a_gzipped_csv_is_read(tmp_path: Path) -> None:
    """By its name, as pandas does."""
    pd.read_csv(csv(tmp_path, GOOD)).to_csv(tmp_path / "signals.csv.gz", index=False)
    assert len(read_signals(tmp_path / "signals.csv.gz")) == 2


@pytest.mark.parametrize(
    ("row", "named"),
    [
        (
            "north,price,2026-06-07T02:00,40,EUR/MWh",
            "start_utc = 2026-06-07T02:00, must be an instant with an offset",
        ),
        ("north,price,yesterdayZ,40,EUR/MWh", "yesterdayZ, must be an instant"),
        ("north,price,2026-06-07T02:00Z,,EUR/MWh", "value = , must be a finite number"),
        ("north,price,2026-06-07T02:00Z,NaN,EUR/MWh", "value = NaN, must be a finite number"),
        ("north,price,2026-06-07T02:00Z,inf,EUR/MWh", "value = inf, must be a finite number"),
        ("north,price,2026-06-07T02:00Z,dear,EUR/MWh", "value = dear, must be a finite number"),
        ("north,price,2026-06-07T02:00Z,20001,EUR/MWh", r"20001, must be within \[-20000, 20000\]"),
        ("north,price,2026-06-07T02:00Z,-20001,EUR/MWh", r"-20001, must be within"),
        ("north,carbon_intensity,2026-06-07T02:00Z,-1,g/kWh", r"-1, must be within \[0, 3000\]"),
        ("north,pv,2026-06-07T02:00Z,-0.5,kW", r"-0.5, must be within \[0, "),
        ("north,pue,2026-06-07T02:00Z,0.9,1", r"0.9, must be within \[1, 5\] 1"),
        ("north,price,2026-06-07T02:00Z,40,EUR/kWh", "unit = EUR/kWh, must be currency/MWh"),
        ("north,price,2026-06-07T02:00Z,40,USD/MWh", "unit = USD/MWh, must be the same"),
        ("north,carbon_intensity,2026-06-07T02:00Z,40,kg/MWh", "kg/MWh, must be g/kWh"),
        ("north,colour,2026-06-07T02:00Z,40,1", "signal = colour, must be one of price"),
        (",price,2026-06-07T02:00Z,40,EUR/MWh", "site = , must be a name"),
        ("north,price,2026-06-07T03:00+02:00,40,EUR/MWh", "must be once for each site and kind"),
    ],
)
def test_a_bad_row_is_refused_by_line_value_and_limit(tmp_path: Path, row: str, named: str) -> None:
    """The text says where to look and what is allowed."""
    file = csv(tmp_path, f"{GOOD}{row}\n")
    with pytest.raises(ContractBroken, match=named) as refusal:
        read_signals(file)
    site, kind = row.split(",")[:2]
    assert str(refusal.value).startswith(f"{file}, line 4: {site} {kind} at ")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("", "not a CSV file"),
        (f"{HEADER}\n", "no rows"),
        ("site,signal,start_utc\nnorth,price,2026-06-07T00:00Z\n", "no column 'value'"),
        (f"{HEADER},kind\n{GOOD.splitlines()[0]},price\n", "column 'kind' occurs twice"),
    ],
)
def test_a_file_that_is_no_signal_file_is_refused(tmp_path: Path, content: str, named: str) -> None:
    """Before any row is looked at."""
    file = tmp_path / "signals.csv"
    file.write_text(content)
    with pytest.raises(ContractBroken, match=named):
        read_signals(file)


def test_broken_parquet_is_refused(tmp_path: Path) -> None:
    """A file of that name that is something else."""
    file = tmp_path / "signals.parquet"
    file.write_bytes(b"PAR0")
    with pytest.raises(ContractBroken, match="not a Parquet file"):
        read_signals(file)


def test_naive_instants_in_parquet_are_refused(tmp_path: Path) -> None:
    """A column without a zone is as ambiguous as text without one."""
    file = tmp_path / "signals.parquet"
    starts = pd.date_range("2026-06-07", periods=2, freq="h")
    pd.DataFrame({"site": "north", "kind": "price", "start_at": starts, "value": 1.0}).to_parquet(
        file
    )
    with pytest.raises(ContractBroken, match=r"line 0: north price .* with an offset"):
        read_signals(file)


def test_a_missing_file_can_be_tried_again(tmp_path: Path) -> None:
    """It may not have been delivered yet."""
    with pytest.raises(Unavailable, match=r"absent\.csv"):
        read_signals(tmp_path / "absent.csv")


@pytest.mark.parametrize(
    ("starts", "minutes"),
    [((0, 60, 120), 60), ((0, 15, 30, 45), 15), ((0, 5, 10, 60, 65), 5), ((0, 1440), 1440)],
)
def test_the_resolution_is_the_usual_step(
    tmp_path: Path, starts: tuple[int, ...], minutes: int
) -> None:
    """Values before a gap are as long as all others: nothing is made up for the gap."""
    assert set(read_signals(starts_at(tmp_path, *starts))["minutes"]) == {minutes}


@pytest.mark.parametrize(
    ("starts", "named"),
    [
        ((0,), "one value alone"),
        ((0, 60, 120, 150), "30 minutes after the value before it, must be a multiple of"),
        ((0, 60, 120, 180, 195, 210, 225, 240), "60 minutes apart, elsewhere 15"),
        ((0, 2880, 5760), "2880 minutes apart, must be whole, 1 to 1440"),
    ],
)
def test_an_unclear_resolution_is_refused(
    tmp_path: Path, starts: tuple[int, ...], named: str
) -> None:
    """One value, values off the grid, a change of resolution: the file has to say."""
    with pytest.raises(ContractBroken, match=named):
        read_signals(starts_at(tmp_path, *starts))


def test_stated_minutes_stand(tmp_path: Path) -> None:
    """A change of resolution within a series is fine where the file says so."""
    header = "site,kind,start_at,minutes,value"
    rows = "n,price,2025-09-30T21:00Z,60,1\nn,price,2025-09-30T22:00Z,15,2\n"
    assert read_signals(csv(tmp_path, rows, header))["minutes"].tolist() == [60, 15]


@pytest.mark.parametrize(
    ("second", "named"),
    [
        ("n,price,2026-06-07T00:30Z,60,2", "at or after the end of the one before"),
        ("n,price,2026-06-07T01:00Z,0,2", r"minutes = 0, must be a whole number within \[1, 1500"),
        ("n,price,2026-06-07T01:00Z,7.5,2", r"minutes = 7.5, must be"),
        ("n,price,2026-06-07T01:00Z,,2", r"minutes = , must be"),
    ],
)
def test_stated_minutes_are_checked(tmp_path: Path, second: str, named: str) -> None:
    """Whole, and not over the next value."""
    header = "site,kind,start_at,minutes,value"
    with pytest.raises(ContractBroken, match=named):
        read_signals(csv(tmp_path, f"n,price,2026-06-07T00:00Z,60,1\n{second}\n", header))


def issues(tmp_path: Path) -> Path:
    """Write two hours forecast twice, and one value without a date of issue."""
    header = "site,kind,start_at,value,known_at"
    rows = (
        "n,price,2026-06-07T00:00Z,1,2026-06-06T12:00Z\n"
        "n,price,2026-06-07T01:00Z,2,2026-06-06T12:00Z\n"
        "n,price,2026-06-07T01:00Z,3,2026-06-06T18:00Z\n"
        "n,price,2026-06-07T00:00Z,4,\n"
    )
    return csv(tmp_path, rows, header)


def test_a_value_may_be_known_more_than_once(tmp_path: Path) -> None:
    """Every issue is kept, in order of when it was known, what is undated first."""
    signals = read_signals(issues(tmp_path))
    assert signals["value"].tolist() == [4.0, 1.0, 2.0, 3.0]
    assert signals["known_at"].isna().tolist() == [True, False, False, False]
    assert signals["known_at"].iloc[-1] == pd.Timestamp("2026-06-06T18:00Z")


async def test_the_source_gives_what_was_known_last(tmp_path: Path) -> None:
    """One value per interval, the newest issue of it."""
    window = Window(START, START + timedelta(hours=2))
    values = (await SignalFile(issues(tmp_path)).fetch("n", SignalKind.PRICE, window))["value"]
    assert values.tolist() == [1.0, 3.0]


async def test_the_source_reads_a_changed_file_again(tmp_path: Path) -> None:
    """A feed that is replaced while the scheduler runs is noticed."""
    window = Window(START, START + timedelta(hours=2))
    source = SignalFile(csv(tmp_path, GOOD))
    assert (await source.fetch("north", SignalKind.PRICE, window))["value"].tolist() == [41.5, 40.0]
    file = csv(tmp_path, GOOD.replace("41.5", "42.5"))
    os.utime(file, ns=(1, 1))
    assert (await source.fetch("north", SignalKind.PRICE, window))["value"].tolist() == [42.5, 40.0]


async def test_the_source_refuses_a_kind_it_does_not_have(tmp_path: Path) -> None:
    """Known site or not: there is no such series, and waiting will not bring it."""
    window = Window(START, START + timedelta(hours=2))
    with pytest.raises(Rejected, match=r"no wind of site 'north'"):
        await SignalFile(csv(tmp_path, GOOD)).fetch("north", SignalKind.WIND, window)


async def test_the_source_may_have_to_wait_for_its_file(tmp_path: Path) -> None:
    """A file that is not there yet is tried again."""
    window = Window(START, START + timedelta(hours=2))
    with pytest.raises(Unavailable, match=r"later\.csv"):
        await SignalFile(tmp_path / "later.csv").fetch("north", SignalKind.PRICE, window)
