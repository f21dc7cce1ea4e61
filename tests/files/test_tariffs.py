"""A fleet file names its tariffs: documents beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scheduler.files import BadFile, read_fleet
from scheduler.specs.urdb import UrdbTariff
from tests.tariffs.documents import document, time_of_use

FLEET = """
[[sites]]
name = "NY"
time_zone = "America/New_York"
grid = { import_limit_kw = 100 }
pools = [{ name = "a100", gpus = 8 }]

[sites.tariff]
"""
NAMED = 'urdb_file = "rates/gs1.json"'
PLACE = "line 9: sites[0].tariff.urdb_file = "


def fleet_file(folder: Path, tariff: str, text: str | None = None) -> Path:
    """A fleet with these lines of tariff, and ``text`` in ``rates/gs1.json`` beside it."""
    (folder / "rates").mkdir()
    if text is not None:
        (folder / "rates" / "gs1.json").write_text(text)
    path = folder / "fleet.toml"
    path.write_text(FLEET + tariff)
    return path


def problems_with(path: Path) -> tuple[str, ...]:
    """What is wrong with a fleet."""
    with pytest.raises(BadFile) as caught:
        read_fleet(path)
    return caught.value.problems


def test_the_document_is_read_from_beside_the_fleet(tmp_path: Path) -> None:
    """As downloaded: also as an answer of the database's API."""
    answer = json.dumps({"items": [time_of_use()]})
    tariff = read_fleet(fleet_file(tmp_path, f"{NAMED}\nmeters = 2\n", answer)).sites[0].tariff
    assert tariff is not None
    assert tariff.urdb == UrdbTariff.model_validate(time_of_use())
    assert tariff.meters == 2


@pytest.mark.parametrize(
    ("tariff", "text", "problem"),
    [
        (NAMED, None, "'rates/gs1.json': cannot be read: No such file or directory"),
        (NAMED, "{\n  oops", "'rates/gs1.json': line 2: not JSON: Expecting property name"),
        (NAMED, '{"name": NaN}', "'rates/gs1.json': NaN is not a number"),
        (NAMED, "[" * 100_000, "'rates/gs1.json': not a tariff: nested too deeply"),
        (NAMED, " " * (4 * 1024 * 1024 + 1), "'rates/gs1.json': 4194305 bytes, must be <= 4194304"),
        ("urdb_file = 7", None, "7: must be the path of a file"),
        (f"{NAMED}\nurdb = {{}}", "{}", "'rates/gs1.json': must be left out beside urdb"),
    ],
)
def test_a_document_that_is_none_is_told_with_its_line(
    tmp_path: Path, tariff: str, text: str | None, problem: str
) -> None:
    """In the words of every other problem of a file."""
    (said,) = problems_with(fleet_file(tmp_path, tariff, text))
    assert said.startswith(PLACE + problem)


def test_what_is_wrong_with_a_document_is_told_by_its_field(tmp_path: Path) -> None:
    """As if it stood in the fleet."""
    path = fleet_file(tmp_path, NAMED, json.dumps(document(flatdemandunit="hp")))
    (problem,) = problems_with(path)
    assert "sites[0].tariff.urdb.flatdemandunit = 'hp': input should be 'kW'" in problem
