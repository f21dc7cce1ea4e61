"""Policies by name: ours, those of a package, and any function of a module; the documented one."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer import Problem, baselines, verify
from scheduler.policies import UnknownPolicy, policy_named, policy_names
from tests.house.test_docs import ROOT, blocks
from tests.optimizer import build

(OWN,) = blocks((ROOT / "docs" / "policies.md").read_text(encoding="utf-8"), "python")
MOST_LINES = 20


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a module that holds the documented policy of one's own."""
    name = "procrastination_of_a_test"
    (tmp_path / f"{name}.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def day() -> Problem:
    """Two jobs, of which one is released late, and GPUs for one at a time."""
    points = (build.point(gpus=4),)
    return build.problem(build.job("a", points=points), build.job("b", points=points))


@pytest.mark.parametrize("name", baselines.BASELINES)
def test_ours_are_found_by_their_names(name: str) -> None:
    """Each is the function of that name."""
    assert policy_named(name) is baselines.BASELINES[name]
    assert name in policy_names()


def test_the_documented_policy_of_ones_own_is_short_and_makes_a_plan_that_holds(
    module: str,
) -> None:
    """Both jobs as late as they can be, one after the other; in no more than twenty lines."""
    plan = policy_named(f"{module}:procrastinate")(day())
    assert verify(day(), plan) == ()
    assert {placed.job: placed.start_slot for placed in plan.placements} == {"a": 6, "b": 4}
    assert len(OWN.splitlines()) <= MOST_LINES


def test_an_installed_package_offers_policies_by_name(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its metadata names them in the group of policies."""
    metadata = tmp_path / "procrastination-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: procrastination\n")
    (metadata / "entry_points.txt").write_text(
        f"[gridtide.policies]\nlate = {module}:procrastinate\n"
    )
    assert "late" in policy_names()
    assert len(policy_named("late")(day()).placements) == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("run_never", "policy run_never: is not there, must be module:function or one of run_now,"),
        ("no_such_module:f", "policy no_such_module:f: module no_such_module cannot be imported"),
        ("json:no_such", "no_such of module json is NoneType, must be a function of a problem"),
        ("json:decoder", "decoder of module json is module, must be a function of a problem"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused_with_what_stands_against_it(
    name: str, said: str
) -> None:
    """Unknown, not to be imported, not there, and not to be called."""
    with pytest.raises(UnknownPolicy) as refusal:
        policy_named(name)
    assert said in str(refusal.value)
