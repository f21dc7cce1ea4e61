"""What a backtest says is read whole, and refused with key, value and limit."""

from __future__ import annotations

import itertools
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from connectors.types import SignalKind
from scheduler.files import BadFile
from scheduler.specs.backtest import RegionSpec
from scheduler.sweep.drawing import NothingToPlay, draw
from scheduler.sweep.inputs import read_inputs
from tests.sweep.files import CONFIG, FLEET, JOBS, write_backtest


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("every_hours = 12", "every_hours = 0", "line 5: every_hours = 0: input should be greater"),
        ("every_hours = 12", "every_hours = 1.5", "every_hours = 1.5, must be whole slots"),
        ("end = 2021-07-07", "end = 2021-07-04", "must be after begin"),
        (
            "T00:00:00Z\nend",
            "T00:30:00Z\nend",
            "begin = 2021-07-05T00:30:00+00:00, must be a multiple",
        ),
        ("seeds = [1, 2]", "seeds = [1, 1]", "seed '1' occurs twice"),
        ("[1.0, 1.5]", "[1.0, 1.0]", "seeds: 2 are given, must be one: nothing is drawn"),
        ("[1.0, 1.5]", "[2.0, 1.0]", "stated_factor = [2, 1], must rise"),
        ('use = "rolling"', 'use = "no way"', "use = 'no way'"),
        (
            '"rolling"\n',
            '"rolling"\n[[regions]]\nname = "x"\nsites = ["PL"]\n',
            "'PL', must be one",
        ),
        ("[signals]", "[signals]\nstore = true", "give files or store = true, and not both"),
        (
            '"rolling"\n',
            '"rolling"\n[[failures.listed]]\nsite = "DE"\npool = "a100"\ngpus = 9\n'
            "start_at = 2021-07-05T00:00:00Z\nend_at = 2021-07-05T01:00:00Z\n",
            "first_gpu + gpus = 9, must be <= 8",
        ),
        (
            '"run_now"\n',
            '"run_now"\nevery_hours = 2\n',
            "policies.run_now.every_hours = 2, must not be given: it makes no plans",
        ),
        (
            '"rolling"\n',
            '"day_ahead"\nevery_hours = 2\n',
            "policies.day_ahead.every_hours = 2, must not be given: it plans once a day",
        ),
        (
            '"rolling"\n',
            '"lowest_slot"\ntime_limit_s = 2\n',
            "policies.lowest_slot.time_limit_s = 2, must not be given: it has no limit",
        ),
    ],
)
def test_what_is_wrong_with_a_backtest_is_told(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    """The key, the value and the limit."""
    assert old in CONFIG
    with pytest.raises(BadFile) as caught:
        read_inputs(write_backtest(tmp_path, CONFIG.replace(old, new)))
    assert told in " ".join(caught.value.problems)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("f,2021-07-05T01:00,4,3,,,,,", "line 7: submitted_at = '2021-07-05T01:00'"),
        ("f,2021-07-05T01:00Z,4,-3,,,,,", "line 7: true_hours = '-3'"),
        ("a,2021-07-05T01:00Z,4,3,,,,,", "name = 'a': occurs twice, first in line 2"),
        ("f,2021-07-05T01:00Z,9,3,,,,,", "job f: gpus = 9, must be <= 8"),
        ("f,2021-07-05T01:00Z,8,3,,,FR,,", "job f: gpus = 8, must be <= 4"),
        ("f,2021-07-05T01:00Z,4,3,,,,,15", "only a job with pausable = true has one"),
        ("f,2021-07-05T01:00Z,4,3,,2021-07-05T00:00Z,,,", "must be after submitted_at"),
    ],
)
def test_what_is_wrong_with_a_job_is_told(tmp_path: Path, row: str, told: str) -> None:
    """The line, the column, the value and the limit."""
    with pytest.raises(BadFile) as caught:
        read_inputs(write_backtest(tmp_path, jobs=[*JOBS, row]))
    assert told in " ".join(caught.value.problems)


def test_a_fleet_that_says_what_no_replay_follows_is_refused(tmp_path: Path) -> None:
    """Rather than passed over."""
    fleet = FLEET.replace("horizon_hours = 24", "horizon_hours = 24\ncarbon_budget_kg = 5")
    with pytest.raises(BadFile, match="carbon budget"):
        read_inputs(write_backtest(tmp_path, fleet=fleet))


def test_a_seed_draws_lengths_and_another_draws_others(tmp_path: Path) -> None:
    """What a job states of itself stays; all are whole steps of five minutes."""
    inputs = read_inputs(write_backtest(tmp_path))
    everywhere = RegionSpec(name="all")
    first, again, other = (draw(inputs, everywhere, seed).scene.jobs for seed in (1, 1, 2))
    assert first == again
    assert first != other
    stated = {it.spec.name: it.spec.work_hours for it in first}
    assert stated["b"] == 4.0
    assert 3.0 <= stated["a"] <= 4.5
    for it in first:
        assert (it.true_work_hours * 12) % 1 == pytest.approx(0.0)


def test_jobs_outside_of_the_span_are_left_out_and_counted(tmp_path: Path) -> None:
    """The last one is due after the end; with none left there is nothing to play."""
    inputs = read_inputs(write_backtest(tmp_path))
    drawn = draw(inputs, RegionSpec(name="all"), 1)
    assert [it.spec.name for it in drawn.scene.jobs] == ["a", "b", "c", "d"]
    assert drawn.n_outside == 1
    late = read_inputs(write_backtest(tmp_path, jobs=JOBS[-1:]))
    with pytest.raises(NothingToPlay, match="none of 1 jobs"):
        draw(late, RegionSpec(name="all"), 1)


def test_a_region_has_its_own_sites_and_may_take_signals_of_another_name(tmp_path: Path) -> None:
    """The German site under French prices."""
    inputs = read_inputs(write_backtest(tmp_path, jobs=JOBS[:3]))
    region = RegionSpec(name="x", sites=("DE",), signals_of={"DE": "FR"})
    drawn = draw(inputs, region, 1)
    assert [site.name for site in drawn.scene.fleet.sites] == ["DE"]
    came, raw = drawn.signals.truth, inputs.signals
    price = came[came["kind"] == SignalKind.PRICE]["value"].tolist()
    of_france = raw[(raw["site"] == "FR") & (raw["kind"] == SignalKind.PRICE)]
    assert price == of_france.sort_values("start_at")["value"].tolist()


def test_prices_are_known_the_day_before_and_all_else_once_it_was_measured(tmp_path: Path) -> None:
    """In Germany a price of 5 July, local time, is known from 10:45 UTC of the 4th."""
    inputs = read_inputs(write_backtest(tmp_path))
    table = draw(inputs, RegionSpec(name="all"), 1).signals.history.table
    of_site = table[(table["site"] == "DE") & (table["start_at"] == pd.Timestamp("2021-07-05T08Z"))]
    known = {
        kind: sorted(rows["known_at"]) for kind, rows in of_site.groupby("kind", observed=True)
    }
    assert known[SignalKind.PRICE] == [pd.Timestamp("2021-07-04T10:45Z")]
    assert known[SignalKind.CARBON_INTENSITY] == [
        pd.Timestamp("2021-07-03T22:00Z"),
        pd.Timestamp("2021-07-05T09:00Z"),
    ]
    assert known[SignalKind.PV] == [pd.Timestamp("2021-07-05T09:00Z")]


def test_nodes_fail_by_the_seed_and_are_repaired(tmp_path: Path) -> None:
    """Each pool is of whole nodes, the last of what is left; one under repair does not fail."""
    random = "\n[failures.random]\nnode_hours = 12\nrepair_hours = 3\ngpus_per_node = 3\n"
    inputs = read_inputs(write_backtest(tmp_path, CONFIG + random))
    everywhere = RegionSpec(name="all")
    first, again, other = (draw(inputs, everywhere, seed).scene.failures for seed in (1, 1, 2))
    assert first == again != other
    nodes = {(it.site, it.first_gpu, it.gpus) for it in first}
    assert nodes == {("DE", 0, 3), ("DE", 3, 3), ("DE", 6, 2), ("FR", 0, 3), ("FR", 3, 1)}
    assert {it.end_at - it.start_at for it in first} == {timedelta(hours=3)}
    by_node: dict[tuple[str, int], list[float]] = {}
    for it in first:
        by_node.setdefault((it.site, it.first_gpu), []).append(it.start_at.timestamp())
    for starts in by_node.values():
        assert all(b - a >= 3 * 3600 for a, b in itertools.pairwise(starts))


def test_a_job_draws_what_the_sites_it_may_run_at_say(tmp_path: Path) -> None:
    """At FR 4 GPUs draw 0.7 kW each, whatever DE says; one that fits at both has to say."""
    fleet = FLEET.replace("gpus = 4, kw_per_gpu = 0.5", "gpus = 4, kw_per_gpu = 0.7")
    rows = [
        "f,2021-07-05T01:00Z,4,3,,,FR,,",
        "g,2021-07-05T01:00Z,8,3,,,,,",
    ]
    inputs = read_inputs(write_backtest(tmp_path, fleet=fleet, jobs=rows))
    jobs = draw(inputs, RegionSpec(name="all"), 1).scene.jobs
    assert [job.spec.operating_points[0].kw for job in jobs] == pytest.approx([4 * 0.7, 8 * 0.5])
    both = write_backtest(tmp_path, fleet=fleet, jobs=["h,2021-07-05T01:00Z,4,3,,,,,"])
    with pytest.raises(BadFile) as caught:
        read_inputs(both)
    assert "job h: kw is missing, must be given" in caught.value.problems[0]
    assert "says 0.5, 0.7 a GPU" in caught.value.problems[0]
