"""Fleets read from TOML, and the folder a plan is written to."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from scheduler.files import BadFile, read_fleet, read_plan, write_plan_folder
from tests.views.sample import sample_document

FLEET = """
name = "two"

[planning]
slot_minutes = 15

[[sites]]
name = "DE"
time_zone = "Europe/Berlin"
grid = { import_limit_kw = 100 }

[[sites.pools]]
name = "a100"
gpus = 8

[[sites]]
name = "NY"
time_zone = "America/New_York"

[sites.grid]
import_limit_kw = 50

[[sites.pools]]
name = "a100"
gpus = 4
"""


def test_a_fleet_is_read_with_nested_tables(tmp_path: Path) -> None:
    """Inline tables and table headers mean the same."""
    path = tmp_path / "fleet.toml"
    path.write_text(FLEET)
    fleet = read_fleet(path)
    assert [site.grid.import_limit_kw for site in fleet.sites] == [100, 50]
    assert fleet.planning.slot_minutes == 15


def test_every_error_of_a_fleet_is_listed_at_its_line(tmp_path: Path) -> None:
    """The line is that of the key, in the table of the right site."""
    changes = {
        "import_limit_kw = 50": "import_limit_kw = -50",
        "gpus = 4": "gpus = 4\nfans = 3",
        "slot_minutes = 15": "slot_minutes = 7",
        "America/New_York": "Mars/Base",
    }
    text = FLEET
    for right, wrong in changes.items():
        text = text.replace(right, wrong)
    path = tmp_path / "fleet.toml"
    path.write_text(text)
    with pytest.raises(BadFile) as caught:
        read_fleet(path)

    def line(word: str) -> str:
        lines = text.splitlines()
        return f"line {1 + next(i for i, found in enumerate(lines) if word in found)}: "

    slots, zone, limit, fans = caught.value.problems
    assert slots.startswith(f"{line('slot_minutes')}planning.slot_minutes = 7: input should be 5,")
    assert zone.startswith(f"{line('Mars')}sites[1].time_zone = 'Mars/Base': time zone")
    assert limit.startswith(f"{line('-50')}sites[1].grid.import_limit_kw = -50: input should be")
    assert fans == f"{line('fans')}sites[1].pools[0].fans is not a known field"


def test_a_plan_folder_holds_everything_and_reads_back_equal(tmp_path: Path) -> None:
    """plan.json is the plan itself; no half-written file is left behind."""
    doc = sample_document()
    files = write_plan_folder(tmp_path / "new" / "out", doc)
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == sorted(files)
    assert read_plan(tmp_path / "new" / "out") == doc
    assert len(pd.read_csv(files["jobs.csv"])) == len(doc.problem.jobs)
    assert "berlin" in files["summary.txt"].read_text()


def test_a_json_file_that_is_no_plan_is_refused_with_its_fields(tmp_path: Path) -> None:
    """What is missing is named, not just that something is."""
    (tmp_path / "plan.json").write_text('{"fleet": 1}')
    with pytest.raises(BadFile, match="window is missing"):
        read_plan(tmp_path)
