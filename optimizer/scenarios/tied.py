r"""First decisions that are the same in every scenario, as rows between their models.

With x_c placements, or x_pt runs, of a job and B_j "job j begins in the first stage":

.. math::
    x^s_{jc} = x^1_{jc} \quad\text{for c that begins in the first stage}           \tag{X1} \\
    x^s_{jpt} = x^1_{jpt} \quad t < T                                              \tag{X2} \\
    x^1_{jpt} \le B_j \quad t < T, \qquad
        |x^s_{jpt} - x^1_{jpt}| \le 1 - B_j \quad t \ge T                          \tag{X3} \\
    p^{c,s}_{ut} = p^{c,1}_{ut}, \quad p^{d,s}_{ut} = p^{d,1}_{ut}
        \quad t < T_b                                                              \tag{X4} \\
    o^s_k = o^1_k, \quad n^s_{kb} = n^1_{kb}                                       \tag{X7}

(X1) is for jobs whose placements are listed, (X2) and (X3) for those with slot variables: what
begins in the first stage is the same in all scenarios to its end. T is the end of the first stage,
later for a way that moves data first: the transfer begins then, too. An event has one
answer, and a block of a reserve one number of lots.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyomo.environ as pyo

from optimizer.master import Master
from optimizer.placements.ways import Surroundings, ways_of
from optimizer.scenarios.futures import UncertainProblem

Row = tuple[Any, float]
"""An expression, and what it is at most."""


def tie_jobs(model: pyo.Block, uncertain: UncertainProblem, masters: Sequence[Master]) -> None:
    """Add (X1) to (X3) between the first of ``masters`` and each other."""
    around = Surroundings.of(uncertain.nominal)
    equal: list[Any] = []
    at_most: list[Row] = []
    model.begins_first = pyo.Var([job.name for job in uncertain.nominal.jobs], within=pyo.Binary)
    for job in uncertain.nominal.jobs:
        blocks = [master.model.job[job.name] for master in masters]
        ends = {
            way.points[0].name: uncertain.first_slots + way.transfer.n_slots
            for way in ways_of(job, around)
        }
        if hasattr(blocks[0], "starts"):
            equal += _same_placements(blocks, ends)
        elif hasattr(blocks[0], "way"):
            is_first = model.begins_first[job.name]
            for number, (_, end) in enumerate(ends.items()):
                runs = [block.way[number].runs for block in blocks]
                equal += _same_runs(runs, end)
                at_most += _same_to_the_end(runs, end, is_first)
    model.same = pyo.Constraint(range(len(equal)), rule=lambda _, k: equal[k] == 0)
    model.begun = pyo.Constraint(
        range(len(at_most)), rule=lambda _, k: at_most[k][0] <= at_most[k][1]
    )


def tie_batteries(model: pyo.Block, uncertain: UncertainProblem, masters: Sequence[Master]) -> None:
    """Add (X4)."""
    equal = [
        getattr(site.storage, name)[u, t] - getattr(first.storage, name)[u, t]
        for master in masters[1:]
        for site, first in zip(master.sites, masters[0].sites, strict=True)
        for name in ("charge_kw", "discharge_kw")
        for u in range(len(site.site.storage))
        for t in range(uncertain.battery_slots)
    ]
    model.same_battery = pyo.Constraint(range(len(equal)), rule=lambda _, k: equal[k] == 0)


def tie_answers(model: pyo.Block, masters: Sequence[Master]) -> None:
    """Add (X7): events are declined, and lots sold, in all scenarios or in none."""
    answers = [master.model.commitments.events.is_declined for master in masters]
    lots = [master.model.commitments.reserves.lots for master in masters]
    equal = [
        other[key] - first[key]
        for first, *others in (answers, lots)
        for other in others
        for key in first
    ]
    model.same_answer = pyo.Constraint(range(len(equal)), rule=lambda _, k: equal[k] == 0)


def _same_placements(blocks: Sequence[Any], ends: dict[str, int]) -> Iterator[Any]:
    for column, x in blocks[0].starts.items():
        point, start = column
        if start < ends[point]:
            yield from (other.starts[column] - x for other in blocks[1:])


def _same_runs(runs: Sequence[Any], end: int) -> Iterator[Any]:
    for (p, t), x in runs[0].items():
        if t < end:
            yield from (other[p, t] - x for other in runs[1:])


def _same_to_the_end(runs: Sequence[Any], end: int, is_first: Any) -> Iterator[Row]:
    for (p, t), x in runs[0].items():
        if t < end:
            yield x - is_first, 0.0
            continue
        for other in runs[1:]:
            yield other[p, t] - x + is_first, 1.0
            yield x - other[p, t] + is_first, 1.0
