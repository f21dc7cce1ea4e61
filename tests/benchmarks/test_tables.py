from __future__ import annotations

import ast
import dataclasses
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.apart import ROOT
from benchmarks.ours import Moment, Track
from benchmarks.parts import FULL, QUICK, Scale, measurements
from benchmarks.records import Record, Records, asked, code
from benchmarks.section import BEGIN, END, with_section, write_section
from benchmarks.tables import outdated, section

BY_NAME = {one.name: one for one in measurements(FULL)}


def record(name: str, value: object, failure: str | None = None, verdict: object = None) -> Record:
    """A record of a measurement with the code as it is."""
    of = BY_NAME[name]
    return Record(
        *(name, asked(of), code(of), "2 cores", "2026-01-02", 0.1),
        *(value, failure, 345.0, verdict),
    )


def track(objective: float) -> dict[str, object]:
    """A solve whose bound was the reference after 3 s, and whose plan came after 50 s."""
    moments = (
        Moment("build", 0.0, None, None),
        Moment("price", 3.0, 200.0, 169.73),
        Moment("search", 50.0, objective, 169.73),
        Moment("end", 59.0, objective, 169.73),
    )
    return dataclasses.asdict(Track(moments, "best_found", 0, (), "0123", 0.1, 0.2))


def uneven_tables(text: str) -> list[str]:
    """Rows that have more or fewer cells than the row above them."""
    lines = text.splitlines()
    return [
        row
        for above, row in pairwise(lines)
        if row.startswith("| ") and above.startswith("| ") and row.count("|") != above.count("|")
    ]


def test_only_what_is_between_the_markers_is_written(tmp_path: Path) -> None:
    """Words of others, before and after, stay to the letter."""
    path = tmp_path / "RESULTS.md"
    path.write_text(f"# Results\n\nBefore.\n\n{BEGIN}\nold\n{END}\n\nAfter  \n", "utf-8")
    write_section(path, "new\n")
    expected = f"# Results\n\nBefore.\n\n{BEGIN}\n\nnew\n\n{END}\n\nAfter  \n"
    assert path.read_text("utf-8") == expected
    write_section(path, "new\n")
    assert path.read_text("utf-8") == expected


def test_a_file_without_markers_gets_them_at_its_end(tmp_path: Path) -> None:
    """As does one that is not there."""
    assert with_section("Before.\n", "new") == f"Before.\n\n{BEGIN}\n\nnew\n\n{END}\n"
    write_section(tmp_path / "not" / "there.md", "new")
    both = with_section(with_section("", "one"), "two", "another")
    assert with_section(both, "three").count("two") == 1
    assert "one" in with_section(both, "three", "another")
    assert (tmp_path / "not" / "there.md").read_text("utf-8").startswith(BEGIN)


@pytest.mark.parametrize("before", [BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_markers_out_of_order_are_refused(before: str) -> None:
    """Nobody knows then what may be written over."""
    with pytest.raises(ValueError, match="markers"):
        with_section(before, "new")


@pytest.mark.parametrize("scale", [FULL, QUICK], ids=lambda scale: scale.name)
def test_every_table_is_there_before_anything_was_measured(tmp_path: Path, scale: Scale) -> None:
    """An interrupted run leaves tables that say what is missing."""
    text = section(scale, Records(tmp_path))
    titles = [line for line in text.splitlines() if line.startswith("### ")]
    assert [title[4:6] for title in titles] == [f"{letter}." for letter in "ABCDEFGH"]
    assert "not measured" in text
    assert uneven_tables(text) == []


def test_targets_are_met_or_missed_by_so_much(tmp_path: Path) -> None:
    """The figure decides, not the reader."""
    records = Records(tmp_path)
    records.keep(record("reference-S", track(171.0)))
    text = section(FULL, records)
    assert "| S | bound within 0.1 % of the reference | 5 s | 3.0 s | met |" in text
    assert "| S | gap after 60 s | 1.3 % | 0.74 % | met |" in text
    records.keep(record("reference-S", track(175.0)))
    assert "| S | gap after 60 s | 1.3 % | 3.01 % | **missed** by 1.71 points |" in section(
        FULL, records
    )


def test_rivals_stand_beside_ours(tmp_path: Path) -> None:
    """Ratio of what the judge says; and what happened where nothing was found."""
    records = Records(tmp_path)
    records.keep(record("reference-S", track(170.0)))
    found = {"places": [], "own_eur": 1.0, "bound_eur": 12.0, "seconds": 60.2, "note": "7 rows"}
    verdict = {"objective_eur": 187.0, "n_unserved": 1, "breaches": []}
    records.keep(record("rivals-S-milp", found, verdict=verdict))
    records.keep(record("rivals-S-cp-sat-2", None, "no plan found: UNKNOWN"))
    text = section(FULL, records)
    assert uneven_tables(text) == []
    assert "| plan; 7 rows | 187.00 | 1.100 | 12.00 | 60.2 | 1 | 345 MB |" in text
    assert "2 threads | no plan found: UNKNOWN | – | – | – | – | – | 345 MB |" in text


def test_the_milp_stands_beside_jobs_that_change_points(tmp_path: Path) -> None:
    """Ratio of what it says itself; nothing where it was not measured."""
    records = Records(tmp_path)
    records.keep(record("capped-300", track(170.0)))
    records.keep(record("capped-1000", track(170.0)))
    records.keep(record("capped-300-milp", {"own_eur": 340.0}))
    rows = [line for line in section(FULL, records).splitlines() if line.startswith("| 300 |")]
    assert [row.split("|")[-2].strip() for row in rows] == ["2.000 times ours"]
    rows = [line for line in section(FULL, records).splitlines() if "| 170.00 | accepts |" in line]
    assert rows[-1].endswith("not measured |")


def test_what_is_on_file_is_not_measured_again(tmp_path: Path) -> None:
    """Unless it was other code, or asked otherwise."""
    records, of = Records(tmp_path), BY_NAME["growth-1000"]
    assert not records.has(of)
    kept = record("growth-1000", track(170.0))
    records.keep(kept)
    assert records.has(of)
    read = records.read("growth-1000")
    assert read is not None
    assert Track.of(read.value) == Track.of(track(170.0))
    records.keep(dataclasses.replace(kept, code="other"))
    assert not records.has(of)
    words = " ".join(section(FULL, records).split())
    assert "1 of 1 measurements are of an older state of the code" in words
    assert outdated(FULL, records) == ["growth-1000"]


@pytest.mark.parametrize("name", BY_NAME)
def test_every_measurement_calls_what_exists(name: str) -> None:
    """Looked up in the text: some modules cannot be loaded beside HiGHS."""
    module, _, function = BY_NAME[name].function.partition(":")
    source = (ROOT / module.replace(".", "/")).with_suffix(".py").read_text("utf-8")
    nodes = ast.parse(source).body
    known = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}
    most = len(known[function].args.args)
    least = most - len(known[function].args.defaults)
    assert least <= 1 + len(BY_NAME[name].arguments) <= most
