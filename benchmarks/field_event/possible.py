r"""What no plan can exceed: caps changed at any moment, and ceilings kept on the mean.

With the share :math:`x_{wc}` of the event that workload w of g_w GPUs runs at cap c,

.. math::
    \max \sum_{wc} g_w s_{wc} x_{wc} / \sum_w g_w, \quad
    \sum_{wc} g_w p_{wc} x_{wc} \le P + b, \quad
    \sum_c s_{wc} x_{wc} \ge f_w, \quad \sum_c x_{wc} = 1        \tag{F1}

where s and p are speed and power of a GPU, P is the ceiling, f the floors, and b what a battery can
give on the mean.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import block_diag

from benchmarks.field_event.instance import Call, Published, limit_kw_of, operating_points_of
from scheduler.specs.fleet import BatterySpec


def most_possible(published: Published, call: Call, battery: BatterySpec | None) -> float:
    """Return the bound (F1) on the performance weighted by GPUs."""
    workloads = published.workloads
    points = [operating_points_of(workload, published) for workload in workloads]
    speeds = [np.array([point.speed for point in of]) for of in points]
    power_kw = np.array([point.kw for of in points for point in of])
    gpus = np.array([workload.gpus for workload in workloads])
    weights = np.concatenate([g * s for g, s in zip(gpus, speeds, strict=True)]) / gpus.sum()
    floors = block_diag([-speed[None] for speed in speeds]).toarray()
    found = linprog(
        -weights,
        A_ub=np.vstack([power_kw, floors]),
        b_ub=[
            limit_kw_of(published, call) + _mean_kw(battery, call),
            *(-w.floor for w in workloads),
        ],
        A_eq=block_diag([np.ones((1, len(speed))) for speed in speeds]).toarray(),
        b_eq=np.ones(len(workloads)),
    )
    if found.fun is None:
        raise ValueError(f"no way to keep the ceiling and all floors: {found.message}")
    return float(-found.fun)


def _mean_kw(battery: BatterySpec | None, call: Call) -> float:
    if battery is None:
        return 0.0
    stock_kwh = battery.soc_initial_kwh - battery.soc_floor_kwh
    return min(battery.power_kw, stock_kwh * battery.discharge_efficiency / call.hours)
