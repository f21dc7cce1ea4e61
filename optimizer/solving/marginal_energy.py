r"""What one more kWh costs and emits at every site and slot of a plan, jobs staying where they are.

With jobs and on/off decisions fixed, the flows of the plan are an optimal basis B of a linear
programme. One more kW of load in slot t changes them by B^{-1} e_t, so that

.. math::
    y^{eur} = B^{-T} c^{eur}_B, \qquad y^{g} = B^{-T} c^{g}_B                     \tag{P1}

are the rise of the objective and of the carbon by site and slot: of the sources that answer the
load. A battery is one of them, and may take the energy from another slot. Carbon is that of imports
and generators, as settled.

Both are derivatives. They hold for a load small enough to change no basis, and are those of one
more kW, not of one less: the basis is that of a plan with 1 W more everywhere. What starting or
stopping a generator, or moving a job, would save is not in them.
"""

from __future__ import annotations

from dataclasses import replace

import highspy
import numpy as np
from numpy.typing import NDArray
from pyomo.common.gc_manager import PauseGC

from optimizer.errors import SolverFailed
from optimizer.master import Master, build_master
from optimizer.pieces import links_of
from optimizer.plan import MarginalEnergy, Plan
from optimizer.pledges import shed_by_jobs, with_shed_load
from optimizer.problem import Problem
from optimizer.settlement import it_load_kw, own_costs
from optimizer.sites import Site
from optimizer.solving.highs import StandardForm, compile_model, highs_lp

Floats = NDArray[np.float64]

LITTLE_MORE_KW = 1e-3
"""Load by which the flows answer for one more."""


def with_marginal_energy(problem: Problem, plan: Plan) -> Plan:
    """Return ``plan`` with what one more kWh costs and emits.

    Where that cannot be said, a note says why: HiGHS fails, or the plan does not go with the
    problem, which verification tells. A plan is never lost for its prices.
    """
    try:
        return replace(plan, marginal=marginal_energy(problem, plan))
    except (SolverFailed, LookupError, ValueError, StopIteration) as error:
        reason = str(error) or type(error).__name__
        return replace(plan, notes=(*plan.notes, f"no marginal prices of energy: {reason}"))


def marginal_energy(problem: Problem, plan: Plan) -> MarginalEnergy:
    """Return what one more kWh costs and emits (P1).

    Raises
    ------
    SolverFailed
        HiGHS finds no optimal flows around the jobs of ``plan``.
    """
    around = _without_jobs(problem, plan)
    with PauseGC():
        master = build_master(around)
        form = compile_model(master.model)
    master.set_flows(plan.flows)
    values = np.zeros(len(form.cost))
    starts = form.start_values()
    if starts is None:
        raise SolverFailed("a plan's flows leave an on/off decision open")
    values[form.is_integer] = starts
    solver = _solved(form.fixed_at(values))
    rows = np.array(
        [
            [form.row(row) for row in master.model.site[site.name].balance.power_balance.values()]
            for site in around.sites
        ],
        dtype=np.int64,
    )
    hours = problem.horizon.slot_hours
    eur = _answer(solver, form.cost)[rows] / hours
    grams = 1000.0 * _answer(solver, _carbon_kg(master, form))[rows] / hours
    return MarginalEnergy(_series(eur), _series(grams))


def _without_jobs(problem: Problem, plan: Plan) -> Problem:
    """Return a problem in which all that jobs and GPUs draw is base load, and a little more."""
    load = it_load_kw(problem, plan.placements)
    jobs, links = {job.name: job for job in problem.jobs}, links_of(problem)
    owned = (
        own_costs(jobs[placed.job], placed, links, problem.horizon.slot_hours)
        for placed in plan.placements
    )
    money = sum(own.restarts_eur + own.data_transfer_eur for own in owned)
    ceiling = problem.ceilings.cost_ceiling_eur
    ceilings = replace(
        problem.ceilings, cost_ceiling_eur=None if ceiling is None else ceiling - money
    )
    shed = shed_by_jobs(problem, plan.placements)
    sites = tuple(
        with_shed_load(_laden(site, load[row]), shed[site.name])
        for row, site in enumerate(problem.sites)
    )
    return replace(problem, sites=sites, jobs=(), ceilings=ceilings)


def _laden(site: Site, it_kw: Floats) -> Site:
    load = np.asarray(site.base_load_kw) + np.asarray(site.pue) * np.maximum(it_kw, 0.0)
    return replace(
        site,
        base_load_kw=tuple((load + LITTLE_MORE_KW).tolist()),
        pools=tuple(replace(pool, idle_kw_per_gpu=0.0) for pool in site.pools),
    )


def _carbon_kg(master: Master, form: StandardForm) -> Floats:
    """Carbon of one unit of each column [kg]."""
    carbon = np.zeros(len(form.cost))
    columns = {id(variable): column for column, variable in enumerate(form.variables)}
    kwh = master.problem.horizon.slot_hours
    for model in master.sites:
        for t, grams in enumerate(model.site.grid.carbon_g_per_kwh):
            column = columns.get(id(model.grid.import_kw[t]))
            if column is not None:
                carbon[column] = kwh * grams / 1000.0
        for (k, _), output in model.generators.output_kw.items():
            column = columns.get(id(output))
            if column is not None:
                grams = model.site.generators[k].emissions_g_per_kwh
                carbon[column] = kwh * grams / 1000.0
    return carbon


def _solved(form: StandardForm) -> highspy.Highs:
    """Solve a linear programme and keep the solver, which holds its basis."""
    solver = highspy.Highs()
    for name, value in {"output_flag": False, "threads": 1, "solver": "simplex"}.items():
        solver.setOptionValue(name, value)
    if solver.passModel(highs_lp(form)) == highspy.HighsStatus.kError:
        raise SolverFailed("HiGHS refuses the flows of a plan")
    solver.run()
    status = solver.getModelStatus()
    if status != highspy.HighsModelStatus.kOptimal:
        raise SolverFailed(f"no flows around the jobs: {solver.modelStatusToString(status)}")
    return solver


def _answer(solver: highspy.Highs, per_column: Floats) -> Floats:
    """How the total of ``per_column`` changes with the right-hand side of each row [row]."""
    _, basic = solver.getBasicVariables()
    basic = np.asarray(basic)
    # Negative: the slack of a row is basic, which costs nothing.
    in_basis = np.where(basic >= 0, per_column[np.maximum(basic, 0)], 0.0)
    status, answer = solver.getBasisTransposeSolve(in_basis)
    if status == highspy.HighsStatus.kError:
        raise SolverFailed("HiGHS has no basis to ask for marginal energy")
    return np.asarray(answer, dtype=np.float64)


def _series(table: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in table.tolist())
