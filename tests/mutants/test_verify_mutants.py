"""Every rule ``verify`` checks is needed: without it, some wrong plan is refused for less.

The wrong plans are those of the verification's own tests, and those of the blind planners.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import cache
from types import ModuleType

import pytest

from optimizer import Plan, Problem, Unserved, verify, verify_energy, verify_jobs
from optimizer.problem import Link
from tests.corners import CORNERS
from tests.mutants.planner import blind_plan
from tests.mutants.test_blind_planners import MUTANTS
from tests.optimizer import build
from tests.optimizer.test_verify import CORRUPT_FLOWS, RICH
from tests.optimizer.test_verify_jobs import UNLAWFUL

RULES = [
    (module, name)
    for module in (verify_jobs, verify_energy)
    for name, rule in vars(module).items()
    if inspect.isfunction(rule)
    and rule.__module__ == module.__name__
    and rule.__annotations__.get("return") == "Iterator[Breach]"
]


@cache
def wrong_plans() -> dict[str, tuple[Problem, Plan]]:
    """Wrong plans by what is wrong with them."""
    found = {name: (RICH, plan) for name, (_, plan) in CORRUPT_FLOWS.items()}
    for name, (_, changes, placement) in UNLAWFUL.items():
        sites = (build.site("A"), build.site("B"))
        job = build.job(**({"work": 2.0} | changes))
        problem = build.problem(job, sites=sites, links=(Link("A", "B", 20.0),))
        found[name] = problem, build.plan_of(problem, placement)
    for name, (blinded, corner) in MUTANTS.items():
        found[name] = CORNERS[corner], blind_plan(CORNERS[corner], blinded)
    problem = build.problem(build.job())
    later = Unserved("job", "put off by the test", is_deferred=True)
    found["deferred, though it cannot wait"] = (
        problem,
        replace(build.plan_of(problem), unserved=(later,)),
    )
    return found


@cache
def refused_for(name: str) -> frozenset[str]:
    """Limits that the whole ``verify`` says a wrong plan breaks."""
    return frozenset(breach.limit_name for breach in verify(*wrong_plans()[name]))


@pytest.mark.parametrize(("module", "rule"), RULES, ids=[name.strip("_") for _, name in RULES])
def test_a_rule_not_checked_is_noticed(
    module: ModuleType,
    rule: str,
    monkeypatch: pytest.MonkeyPatch,
    record_property: pytest.RecordProperty,
) -> None:
    """A named wrong plan is no longer refused for what it breaks."""
    whole = {name: refused_for(name) for name in wrong_plans()}
    monkeypatch.setattr(module, rule, lambda *_: ())
    noticed = next(
        (
            name
            for name, (problem, plan) in wrong_plans().items()
            if {breach.limit_name for breach in verify(problem, plan)} != whole[name]
        ),
        None,
    )
    assert noticed is not None, f"no wrong plan needs {rule}"
    record_property("noticed_by", noticed)
    print(f"mutant killed: verify without {rule.strip('_')}, by '{noticed}'")  # noqa: T201
