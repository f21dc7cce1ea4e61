"""What two events and a reserve add to a model of 500 jobs: rows, columns, CPU time and gap.

``python -m benchmarks.commitments`` plans the reference instance S as it is, with the events, and
with the reserve as well, each within the same CPU time, and prints one line for each.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

from benchmarks.instances import reference
from optimizer import (
    DemandEvent,
    Plan,
    Problem,
    ReserveBlock,
    ReserveProduct,
    SolveLimits,
    solve,
    verify,
)
from optimizer.solving.column_master import ColumnMaster

CALLED_HOURS = (17, 40)
"""When the two events begin; each lasts three hours, and two more are its rebound."""
SHARE, REBOUND_SHARE = 0.75, 1.05
"""Of what a site imports in those hours without a call: the level, and the rebound."""
SHED_SHARE, SHED_WITHIN_S = 0.6, 30.0


def main() -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commitments", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="CPU time of each plan [60]")
    limits = SolveLimits(parser.parse_args().seconds, 1e-3)
    plain = reference("S")
    plan = _measured("as it is", plain, limits)
    called = replace(plain, events=_events(plain, plan))
    _measured("two events", called, limits)
    _measured("two events and a reserve", replace(_shedding(called), reserves=(FCR,)), limits)


FCR = ReserveProduct(
    "FCR",
    ("site-00",),
    tuple(ReserveBlock(k, k + 4, eur_per_kw=0.04) for k in range(0, 48, 4)),
    lot_kw=1.0,
    most_lots=100,
    hours=0.25,
    activation_s=30.0,
    is_down=True,
)


def _events(problem: Problem, plan: Plan) -> tuple[DemandEvent, ...]:
    """Call the first two sites, one each, to less than they import."""
    events = []
    for row, start in enumerate(CALLED_HOURS):
        imported = plan.flows[row].import_kw
        events.append(
            DemandEvent(
                f"call-{row}",
                (problem.sites[row].name,),
                start,
                tuple(SHARE * kw for kw in imported[start : start + 3]),
                missed_eur_per_kwh=2.0,
                pay_eur=3.0,
                decline_eur=0.5,
                rebound_kw=tuple(REBOUND_SHARE * kw for kw in imported[start + 3 : start + 5]),
                rebound_eur_per_kwh=0.5,
            )
        )
    return tuple(events)


def _shedding(problem: Problem) -> Problem:
    """Let every job that may pause shed a part of its load."""
    jobs = tuple(
        replace(
            job,
            points=tuple(
                replace(point, shed_kw=SHED_SHARE * point.power_kw, shed_within_s=SHED_WITHIN_S)
                for point in job.points
            ),
        )
        if job.may_pause
        else job
        for job in problem.jobs
    )
    return replace(problem, jobs=jobs)


def _measured(what: str, problem: Problem, limits: SolveLimits) -> Plan:
    rows, columns = ColumnMaster.of(problem).form.matrix.shape
    began_s = time.process_time()
    plan = solve(problem, limits, clock=time.process_time)
    spent_s = time.process_time() - began_s
    gap = "none" if plan.gap is None else f"{100 * plan.gap:.3f} %"
    promised = plan.terms.commitment_earned_eur - plan.terms.commitment_paid_eur
    print(
        f"{what}: {rows} rows, {columns} columns, {spent_s:.1f} s CPU, {plan.rung}, gap {gap},"
        f" {plan.objective:.2f} EUR, commitments earn {promised:.2f} EUR,"
        f" {len(verify(problem, plan))} limits broken"
    )
    return plan


if __name__ == "__main__":
    main()
