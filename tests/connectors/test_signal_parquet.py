"""Parquet files that are larger than they look are refused before they are unpacked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.errors import ContractBroken, Unavailable
from connectors.signals.files import read_signals

STARTS = pd.date_range("2026-06-07", periods=4, freq="h", tz="UTC")


def file(tmp_path: Path, **columns: Any) -> Path:
    """Write a signals file with these columns as well or instead."""
    path = tmp_path / "signals.parquet"
    table = {"site": ["n"] * 4, "kind": ["price"] * 4, "start_at": STARTS, "value": [1.0] * 4}
    pq.write_table(pa.table(table | columns), path)
    return path


def test_more_rows_than_are_taken_are_refused_from_the_footer(tmp_path: Path) -> None:
    """Nothing of them is read."""
    with pytest.raises(ContractBroken, match="4 rows, must be <= 3"):
        read_signals(file(tmp_path), most_rows=3)
    assert len(read_signals(file(tmp_path), most_rows=4)) == 4


def test_a_file_that_unpacks_to_much_more_than_its_rows_need_is_refused(tmp_path: Path) -> None:
    """Four rows, three megabytes, a few kilobytes packed."""
    path = file(tmp_path, comment=["x" * 1_000_000 + str(n) for n in range(4)])
    with pytest.raises(ContractBroken, match=r"bytes unpacked, must be <= 1048576 for 4 rows"):
        read_signals(path)


def test_a_text_that_every_row_repeats_is_seen_before_it_is_repeated(tmp_path: Path) -> None:
    """It is stored once, whatever the number of rows."""
    path = file(tmp_path, unit=pa.array(["EUR/MWh" * 100] * 4).dictionary_encode())
    with pytest.raises(ContractBroken, match="'unit' has a text of 700 bytes, must be <= 200"):
        read_signals(path)


def test_columns_nobody_knows_are_left_aside(tmp_path: Path) -> None:
    """Whatever is in them."""
    signals = read_signals(file(tmp_path, weather=[{"sun": [1, 2]}] * 4))
    assert signals["value"].to_list() == [1.0] * 4


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, 2, 3, 4]),
        pa.array([1, 2, 3, 4], pa.float32()),
        pa.array(["1", "2", "3", "4"]),
        pa.array(["1", "2", "3", "4"]).dictionary_encode(),
    ],
    ids=["integers", "single", "texts", "dictionary"],
)
def test_values_may_be_stored_as_any_plain_type(tmp_path: Path, values: pa.Array) -> None:
    """What writes the file decides."""
    assert read_signals(file(tmp_path, value=values))["value"].to_list() == [1.0, 2.0, 3.0, 4.0]


def test_sites_and_kinds_may_be_dictionaries(tmp_path: Path) -> None:
    """As most writers store what repeats."""
    kinds = pa.array(["price", "pv", "price", "pv"]).dictionary_encode()
    signals = read_signals(file(tmp_path, kind=kinds, minutes=pa.array([60] * 4, pa.int8())))
    assert signals["kind"].to_list() == ["price", "price", "pv", "pv"]


def test_an_index_is_a_column(tmp_path: Path) -> None:
    """Pandas writes one beside the others."""
    frame = pd.DataFrame({"site": "n", "kind": "price", "value": 1.0}, index=STARTS)
    path = tmp_path / "signals.parquet"
    frame.rename_axis("start_at").to_parquet(path)
    assert read_signals(path)["start_at"].to_list() == STARTS.to_list()


@pytest.mark.parametrize(
    "columns",
    [
        {"value": [[1.0]] * 4},
        {"site": [{"name": "n"}] * 4},
        {"start_at": [{"at": start} for start in STARTS]},
    ],
)
def test_lists_and_tables_in_a_column_are_refused(tmp_path: Path, columns: dict[str, Any]) -> None:
    """By the column and its type."""
    (name,) = columns
    with pytest.raises(ContractBroken, match=f"column {name!r} is of .*, must be plain values"):
        read_signals(file(tmp_path, **columns))


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_file_that_was_cut_is_refused(tmp_path: Path, keep: int) -> None:
    """Wherever it ends."""
    path = file(tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ContractBroken, match="not a Parquet file"):
        read_signals(path)


def test_a_file_whose_middle_was_spoilt_is_refused(tmp_path: Path) -> None:
    """The footer is whole, what it points to is not."""
    path = file(tmp_path)
    content = bytearray(path.read_bytes())
    content[4:200] = bytes(196)
    path.write_bytes(content)
    with pytest.raises((ContractBroken, Unavailable), match=r"signals\.parquet"):
        read_signals(path)
