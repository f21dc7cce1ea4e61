r"""The same problem for OR-tools CP-SAT: booleans for starts and slots, energy in whole numbers.

A job in one piece has a boolean per site and start; one that may pause has a boolean per site and
one per site and slot, as many of which are true as it takes slots. Power is counted in steps of
10 W, energy in what a step gives in an hour; PV and the limits of batteries are rounded down to a
step. Of what is charged 19/20 are kept, and as much of the rest is lost on the way out: batteries
charge in portions c of 20 steps and discharge in portions d of 19, and the state of charge e is

.. math::
    e_t = e_{t-1} + 19 c_t - 20 d_t

Money is in steps of 1e-8 EUR. Nothing here may import ``optimizer``; see ``apart``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ortools.sat.python import cp_model

from benchmarks.apart import Tell, Unmeasurable
from benchmarks.draws import KW_PER_GPU, ONE_WAY_EFFICIENCY, WEAR_EUR_PER_KWH, Draw, Size
from benchmarks.found import Found, Place
from benchmarks.wording import number

STEP_KW = 0.01
STEP_EUR = 1e-8
STORED = Fraction(ONE_WAY_EFFICIENCY).limit_denominator(100)
"""Of what is charged; as much of the rest is lost on the way out."""

Literal = Any
"""A boolean of CP-SAT."""


@dataclass(slots=True)
class _Held:
    """Literals that hold GPUs in a slot of a site, and how many each holds."""

    literals: list[Literal] = field(default_factory=list)
    gpus: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Model:
    """A model while it is built.

    Attributes
    ----------
    held
        By site and slot.
    running
        Literals of each job, with the site and the slots it runs in if they are true.
    paid
        Variables that cost something, and how much [EUR].
    """

    draw: Draw
    cp: cp_model.CpModel
    held: list[list[_Held]]
    running: list[list[tuple[Literal, int, range]]]
    paid: list[tuple[Any, float]]

    @classmethod
    def of(cls, draw: Draw) -> _Model:
        size = draw.size
        held = [[_Held() for _ in range(size.n_slots)] for _ in range(size.n_sites)]
        model = cls(draw, cp_model.CpModel(), held, [], [])
        for job in range(size.n_jobs):
            model.running.append(_add_job(model, job))
        for site in range(size.n_sites):
            _add_site(model, site)
        variables, eur = zip(*model.paid, strict=True)
        steps = [round(one / STEP_EUR) for one in eur]
        model.cp.minimize(cp_model.LinearExpr.weighted_sum(variables, steps))
        return model


def search(tell: Tell, size: Size, time_limit_s: float, n_workers: int) -> Found:
    """Let ``n_workers`` threads of CP-SAT plan the instance of ``size``, building included.

    Raises
    ------
    Unmeasurable
        The time was up before it began, or it found nothing.
    """
    draw = Draw.of(size)
    began = time.monotonic()
    tell("building the model")
    model = _Model.of(draw)
    built_s = time.monotonic() - began
    note = f"{number(len(model.cp.proto.variables))} variables, built in {built_s:.0f} s"
    if built_s >= time_limit_s:
        raise Unmeasurable(f"no time left to solve: {note}")
    tell(f"solving ({note})")
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = time_limit_s - built_s
    solver.parameters.num_workers = n_workers
    status = solver.solve(model.cp)
    if status not in {cp_model.OPTIMAL, cp_model.FEASIBLE}:
        raise Unmeasurable(f"no plan found: {solver.status_name(status)}, {note}")
    return Found(
        places=tuple(_place(solver, running) for running in model.running),
        own_eur=solver.objective_value * STEP_EUR,
        bound_eur=solver.best_objective_bound * STEP_EUR,
        seconds=time.monotonic() - began,
        note=note,
    )


def _place(
    solver: cp_model.CpSolver, running: Sequence[tuple[Literal, int, range]]
) -> Place | None:
    chosen = [(site, slots) for literal, site, slots in running if solver.boolean_value(literal)]
    if not chosen:
        return None
    return chosen[0][0], tuple(sorted(slot for _, slots in chosen for slot in slots))


def _add_job(model: _Model, job: int) -> list[tuple[Literal, int, range]]:
    """Add the literals of a job: just one choice of it is true, or it is left out."""
    draw, cp = model.draw, model.cp
    n_slots, gpus = int(draw.duration[job]), int(draw.gpus[job])
    is_one_piece = n_slots == 1 or not draw.is_interruptible[job]
    length = n_slots if is_one_piece else 1
    starts = range(int(draw.release[job]), int(draw.deadline[job]) - length + 1)
    left_out = cp.new_bool_var("")
    model.paid.append((left_out, float(draw.unserved_eur[job])))
    choices, running = [left_out], []
    for site in range(draw.size.n_sites):
        literals = [cp.new_bool_var("") for _ in starts]
        for literal, start in zip(literals, starts, strict=True):
            slots = range(start, start + length)
            running.append((literal, site, slots))
            for t in slots:
                model.held[site][t].literals.append(literal)
                model.held[site][t].gpus.append(gpus)
        if is_one_piece:
            choices += literals
        else:
            is_here = cp.new_bool_var("")
            cp.add(cp_model.LinearExpr.sum(literals) == n_slots * is_here)
            choices.append(is_here)
    cp.add_exactly_one(choices)
    return running


def _add_site(model: _Model, site: int) -> None:
    """Add GPUs, the balance of every slot, and the battery."""
    draw, cp = model.draw, model.cp
    steps_per_gpu, most_charge = round(KW_PER_GPU / STEP_KW), _steps(draw.battery_kw)
    charge, discharge = _add_battery(model)
    for t, held in enumerate(model.held[site]):
        used = cp.new_int_var(0, draw.gpus_per_site, "")
        cp.add(cp_model.LinearExpr.weighted_sum(held.literals, held.gpus) == used)
        imported = cp.new_int_var(0, steps_per_gpu * draw.gpus_per_site + most_charge, "")
        solar = cp.new_int_var(0, _steps(float(draw.pv_kw[t])), "")
        cp.add(imported + solar + discharge[t] == steps_per_gpu * used + charge[t])
        eur_per_kwh = float(draw.import_eur_per_mwh[site, t]) / 1000.0
        model.paid.append((imported, eur_per_kwh * STEP_KW))


def _add_battery(model: _Model) -> tuple[list[Any], list[Any]]:
    """Add charge and discharge [slot], and the state of charge that limits them."""
    draw, cp = model.draw, model.cp
    kept, of = STORED.numerator, STORED.denominator
    most, most_kwh = _steps(draw.battery_kw), _steps(draw.battery_kwh)
    charge, discharge = [], []
    before: Any = 0
    for _ in range(draw.size.n_slots):
        portions_in = cp.new_int_var(0, most // of, "")
        portions_out = cp.new_int_var(0, most // kept, "")
        after = cp.new_int_var(0, most_kwh, "")
        cp.add(after == before + kept * portions_in - of * portions_out)
        before = after
        charge.append(of * portions_in)
        discharge.append(kept * portions_out)
        wear_eur = WEAR_EUR_PER_KWH * STEP_KW
        model.paid += [(portions_in, of * wear_eur), (portions_out, kept * wear_eur)]
    return charge, discharge


def _steps(kw: float) -> int:
    """Return whole steps in ``kw``; a hair below a whole number rounds up."""
    return math.floor(kw / STEP_KW + 1e-9)
