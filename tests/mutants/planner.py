"""Planners with one rule broken: a constraint family dropped, or blind to a number of the problem.

A family is every Pyomo ``Constraint`` of one name, wherever in the model it stands.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyomo.environ as pyo

import optimizer
from optimizer import Plan, Problem, SolveLimits, solve
from optimizer.master import build_master
from optimizer.scenarios.extensive import extensive_model
from optimizer.scenarios.futures import UncertainProblem
from optimizer.solving.highs import compile_model, run_highs

OPTIMIZER = Path(optimizer.__file__).parent
EXACT = SolveLimits(time_limit_s=30.0, mip_gap=0.0)


def optimum(problem: Problem, dropped: str = "", *, is_relaxed: bool = False) -> float | None:
    """Optimum of the model without the family ``dropped`` [EUR]; ``None`` if there is none left."""
    return _optimum(build_master(problem).model, dropped, is_relaxed)


def optimum_of_futures(uncertain: UncertainProblem, dropped: str = "") -> float | None:
    """Do the same with the extensive form of several scenarios."""
    return _optimum(extensive_model(uncertain)[0], dropped, is_relaxed=False)


def _optimum(model: Any, dropped: str, is_relaxed: bool) -> float | None:
    for constraint in _constraints(model):
        if constraint.local_name == dropped:
            constraint.deactivate()
    form = compile_model(model)
    solution = run_highs(form.relaxed() if is_relaxed else form, {"mip_rel_gap": 0.0})
    return solution.objective if solution.is_proven and solution.values is not None else None


def families_of(problem: Problem) -> set[str]:
    """Constraint families that have a row in the model of ``problem``."""
    return {c.local_name for c in _constraints(build_master(problem).model) if len(c) > 0}


def families_in_source() -> set[str]:
    """Constraint families that some line of the optimiser can add to a master."""
    return _families_below(OPTIMIZER) - scenario_families_in_source()


def scenario_families_in_source() -> set[str]:
    """Constraint families that stand between the masters of several scenarios."""
    return _families_below(OPTIMIZER / "scenarios")


def _families_below(folder: Path) -> set[str]:
    return {name for path in folder.rglob("*.py") for name in _families_in(path)}


def _constraints(model: Any) -> Iterator[Any]:
    return model.component_objects(pyo.Constraint, descend_into=True)  # type: ignore[no-any-return]


def _families_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        made, target = node.value.func, node.targets[0]
        is_constraint = isinstance(made, ast.Attribute) and made.attr == "Constraint"
        if is_constraint and isinstance(target, ast.Attribute):
            yield target.attr


def blind_plan(problem: Problem, blinded: Callable[[Problem], Problem]) -> Plan:
    """Plan of a planner that takes ``problem`` for ``blinded(problem)``."""
    return solve(blinded(problem), EXACT)


def each_job(**changes: Any) -> Callable[[Problem], Problem]:
    """Take every job for one with these ``changes``."""

    def blinded(problem: Problem) -> Problem:
        return replace(problem, jobs=tuple(replace(job, **changes) for job in problem.jobs))

    return blinded


def each_pausing(**changes: Any) -> Callable[[Problem], Problem]:
    """Take every way of pausing for one with these ``changes``."""

    def blinded(problem: Problem) -> Problem:
        jobs = tuple(
            replace(job, pausing=replace(job.pausing, **changes)) if job.pausing else job
            for job in problem.jobs
        )
        return replace(problem, jobs=jobs)

    return blinded


def each_site(change: Callable[[optimizer.Site], dict[str, Any]]) -> Callable[[Problem], Problem]:
    """Take every site for one with the changes ``change`` gives for it."""

    def blinded(problem: Problem) -> Problem:
        sites = tuple(replace(site, **change(site)) for site in problem.sites)
        return replace(problem, sites=sites)

    return blinded


def each_battery(**changes: Any) -> Callable[[Problem], Problem]:
    """Take every battery for one with these ``changes``."""
    return each_site(
        lambda site: {"storage": tuple(replace(unit, **changes) for unit in site.storage)}
    )


def each_generator(**changes: Any) -> Callable[[Problem], Problem]:
    """Take every generator for one with these ``changes``."""
    return each_site(
        lambda site: {"generators": tuple(replace(g, **changes) for g in site.generators)}
    )


def each_grid(**levels: float) -> Callable[[Problem], Problem]:
    """Take every connection for one with these levels in all slots."""

    def change(site: optimizer.Site) -> dict[str, Any]:
        series = {field: (level,) * len(site.pue) for field, level in levels.items()}
        return {"grid": replace(site.grid, **series)}

    return each_site(change)


def each_problem(**changes: Any) -> Callable[[Problem], Problem]:
    """Take the problem for one with these ``changes``."""
    return lambda problem: replace(problem, **changes)
