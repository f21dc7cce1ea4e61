"""Hand-off to HiGHS: a Pyomo model becomes arrays, HiGHS solves them, values go back.

Pyomo's own interfaces copy the model term by term and take unknown options in silence; here the
compiled standard form is passed whole, and an option HiGHS does not know is an error. One thread,
one seed, so the same model gives the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import highspy
import numpy as np
from numpy.typing import NDArray
from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler

from optimizer.errors import SolverFailed

Floats = NDArray[np.float64]

Watch = Callable[[float, float | None, float | None], bool]
"""Called with seconds, best objective and bound (``None`` until known); False stops the run."""

WATCH_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class StandardForm:
    """``min cost x + offset`` subject to ``row_lower <= A x <= row_upper`` and column bounds.

    ``matrix`` is a SciPy CSC matrix; ``variables`` and ``row_of`` lead back to the Pyomo model.
    Columns and rows that are not the model's stand last.
    """

    cost: Floats
    offset: float
    matrix: Any
    row_lower: Floats
    row_upper: Floats
    lower: Floats
    upper: Floats
    is_integer: NDArray[np.bool_]
    variables: tuple[Any, ...]
    row_of: Mapping[int, int]

    def row(self, constraint: Any) -> int | None:
        """Return the row of a Pyomo constraint, ``None`` if it has none."""
        return self.row_of.get(id(constraint))

    def start_values(self) -> Floats | None:
        """Return the values the integer variables hold, ``None`` if one has none."""
        held = [
            v.value for v, is_int in zip(self.variables, self.is_integer, strict=True) if is_int
        ]
        return None if None in held else np.asarray(held, dtype=np.float64)

    def load(self, values: Floats) -> None:
        """Give the Pyomo variables their ``values`` [column]; integers are rounded."""
        n = len(self.variables)
        rounded = np.where(self.is_integer[:n], np.round(values[:n]), values[:n])
        for variable, value in zip(self.variables, rounded.tolist(), strict=True):
            variable.set_value(value, skip_validation=True)

    def fixed_at(self, values: Floats) -> StandardForm:
        """Return the LP that is left with every integer fixed at ``values``."""
        fixed = np.round(values)
        return replace(
            self,
            lower=np.where(self.is_integer, fixed, self.lower),
            upper=np.where(self.is_integer, fixed, self.upper),
            is_integer=np.zeros_like(self.is_integer),
        )

    def relaxed(self) -> StandardForm:
        """Return the LP relaxation."""
        return replace(self, is_integer=np.zeros_like(self.is_integer))


@dataclass(frozen=True, slots=True)
class Solution:
    """What a run of HiGHS gave. ``values`` is ``None`` where no feasible point was found.

    ``status`` is how it ended, in HiGHS's words; ``nodes`` those of the branching tree.
    """

    values: Floats | None
    row_duals: Floats
    objective: float
    bound: float | None
    is_proven: bool
    was_stopped: bool
    status: str
    nodes: int
    seconds: float


def compile_model(model: Any) -> StandardForm:
    """Compile a linear Pyomo model with one objective, to be minimised."""
    info = LinearStandardFormCompiler().write(model, mixed_form=True)
    senses = np.array([row.bound_type for row in info.rows])
    rhs = np.asarray(info.rhs, dtype=np.float64)
    bounds = [variable.bounds for variable in info.columns]
    return StandardForm(
        cost=np.asarray(info.c.todense(), dtype=np.float64).ravel(),
        offset=float(info.c_offset[0]),
        matrix=info.A,
        row_lower=np.where(senses <= 0, rhs, -np.inf),
        row_upper=np.where(senses >= 0, rhs, np.inf),
        lower=np.array([-np.inf if low is None else low for low, _ in bounds], dtype=np.float64),
        upper=np.array([np.inf if high is None else high for _, high in bounds], dtype=np.float64),
        is_integer=np.array([not v.is_continuous() for v in info.columns], dtype=np.bool_),
        variables=tuple(info.columns),
        row_of={id(row.constraint): k for k, row in enumerate(info.rows)},
    )


def run_highs(
    form: StandardForm,
    options: Mapping[str, bool | int | float | str],
    *,
    start: Floats | None = None,
    watch: Watch | None = None,
) -> Solution:
    """Minimise ``form``; ``start`` holds values of the integer columns to start from, NaN unknown.

    Raises
    ------
    SolverFailed
        HiGHS does not know an option, refuses the model or ends in an error.
    """
    solver = highspy.Highs()
    defaults = {"output_flag": False, "threads": 1}
    for name, value in {**defaults, **options}.items():
        if solver.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            raise SolverFailed(f"HiGHS refuses option {name} = {value!r}")
    if solver.passModel(highs_lp(form)) == highspy.HighsStatus.kError:
        raise SolverFailed("HiGHS refuses the model")
    if start is not None:
        is_known = np.isfinite(start)
        columns = np.flatnonzero(form.is_integer)[is_known].astype(np.int32)
        solver.setSolution(len(columns), columns, start[is_known])
    errors = _subscribe(solver, watch) if watch is not None else []
    status = solver.run()
    if errors:
        raise errors[0]
    if status == highspy.HighsStatus.kError:
        raise SolverFailed(f"HiGHS ended with {solver.getModelStatus()}")
    return _solution(solver, form)


def highs_lp(form: StandardForm) -> highspy.HighsLp:
    """Return ``form`` as HiGHS takes it."""
    lp = highspy.HighsLp()
    n_rows, n_columns = form.matrix.shape
    lp.num_col_, lp.num_row_ = n_columns, n_rows
    lp.col_cost_, lp.offset_ = form.cost, form.offset
    lp.col_lower_, lp.col_upper_ = form.lower, form.upper
    lp.row_lower_, lp.row_upper_ = form.row_lower, form.row_upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = form.matrix.indptr
    lp.a_matrix_.index_ = form.matrix.indices
    lp.a_matrix_.value_ = form.matrix.data
    if form.is_integer.any():
        integer, continuous = highspy.HighsVarType.kInteger, highspy.HighsVarType.kContinuous
        lp.integrality_ = [integer if whole else continuous for whole in form.is_integer]
    return lp


def _subscribe(solver: highspy.Highs, watch: Watch) -> list[Exception]:
    """Let ``watch`` see the run and stop it. What it raises is kept: C++ must not see it."""
    errors: list[Exception] = []
    last_seen_s = -WATCH_EVERY_S

    def look(event: Any) -> None:
        nonlocal last_seen_s
        out = event.data_out
        if errors or out.running_time - last_seen_s < WATCH_EVERY_S:
            if errors:
                event.interrupt()
            return
        last_seen_s = out.running_time
        try:
            goes_on = watch(out.running_time, *_best_and_bound(event))
        except Exception as error:  # noqa: BLE001 - raised again after the run
            errors.append(error)
            goes_on = False
        if not goes_on:
            last_seen_s = -WATCH_EVERY_S  # ask again at once: a stop must not be lost
            event.interrupt()

    solver.cbMipInterrupt.subscribe(look)
    solver.cbSimplexInterrupt.subscribe(look)
    return errors


def _best_and_bound(event: Any) -> tuple[float | None, float | None]:
    if event.callback_type != highspy.cb.HighsCallbackType.kCallbackMipInterrupt:
        return None, None
    best, bound = event.data_out.mip_primal_bound, event.data_out.mip_dual_bound
    infinite = highspy.kHighsInf
    return (best if abs(best) < infinite else None), (bound if abs(bound) < infinite else None)


def _solution(solver: highspy.Highs, form: StandardForm) -> Solution:
    info = solver.getInfo()
    found = solver.getSolution()
    is_feasible = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    is_optimal = solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    objective = float(info.objective_function_value)
    bound: float | None = objective if is_optimal else None
    if form.is_integer.any():
        bound = float(info.mip_dual_bound)
        bound = bound if abs(bound) < highspy.kHighsInf else None
    return Solution(
        values=np.asarray(found.col_value) if is_feasible else None,
        row_duals=np.asarray(found.row_dual),
        objective=objective,
        bound=bound,
        is_proven=is_optimal,
        was_stopped=solver.getModelStatus() == highspy.HighsModelStatus.kInterrupt,
        status=solver.modelStatusToString(solver.getModelStatus()),
        nodes=int(info.mip_node_count),
        seconds=solver.getRunTime(),
    )
