r"""How much of their stated time jobs take, from what jobs of their tenant took before.

.. math::
    S(x) = \prod_{x_i \le x} (1 - d_i / n_i)                       \tag{R1}
    F_t(x) = \frac{n_t (1 - S_t(x)) + k (1 - S(x))}{n_t + k}        \tag{R2}

(R1) is Kaplan and Meier's: d_i of the n_i jobs that got as far ended at the fraction x_i. A job
that still runs, or was cut off, counts as long as it was seen, and not as one that ended there.
(R2) leans a tenant of few jobs on the fleet: k jobs of it stand beside its own n_t.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.forecasting.quantiles import Values

FEWEST_ENDED = 20  # of the fleet: with less, hours are read as stated
SHRINKAGE = 20.0
LONGEST_FRACTION = 10.0


@dataclass(frozen=True, slots=True)
class RunLength:
    """How far one job got.

    Attributes
    ----------
    fraction
        Work it was seen to do, as a share of what was stated.
    has_ended
        It ended of itself there; else it went on, or was cut off.
    """

    tenant: str
    fraction: float
    has_ended: bool


@dataclass(frozen=True, slots=True, eq=False)
class RunTimes:
    """The distribution of fractions of the fleet and of each tenant.

    Attributes
    ----------
    grid
        Fractions at which jobs of the fleet ended, increasing.
    fleet_ended
        Share that has ended by each of them (fleet).
    tenant_ended, tenant_jobs
        The same of each tenant, and of how many jobs that ended.
    """

    grid: Values
    fleet_ended: Values
    tenant_ended: dict[str, Values]
    tenant_jobs: dict[str, int]

    def fraction(self, tenant: str, level: float, done: float = 0.0) -> float | None:
        """Return the fraction within which a share ``level`` of such jobs ends.

        Of those that got beyond ``done`` already. ``None`` where no job that ended took as long:
        nobody knows.
        """
        ended = self._ended(tenant)
        by_now = (
            float(ended[np.searchsorted(self.grid, done, side="right") - 1])
            if (len(self.grid) and done >= self.grid[0])
            else 0.0
        )
        wanted = by_now + level * (1.0 - by_now)
        index = int(np.searchsorted(ended, wanted - 1e-12))
        if index >= len(ended) or by_now >= 1.0:
            return None
        return float(self.grid[index])

    def _ended(self, tenant: str) -> Values:
        """Return (R2) on the grid."""
        own = self.tenant_ended.get(tenant)
        if own is None:
            return self.fleet_ended
        count = self.tenant_jobs[tenant]
        return np.asarray((count * own + SHRINKAGE * self.fleet_ended) / (count + SHRINKAGE))


def fitted_run_times(lengths: Sequence[RunLength]) -> RunTimes | None:
    """Fit (R1) to all jobs and to those of each tenant; ``None`` where too few have ended."""
    ended = [min(one.fraction, LONGEST_FRACTION) for one in lengths if one.has_ended]
    if len(ended) < FEWEST_ENDED:
        return None
    grid = np.unique(ended)
    by_tenant: dict[str, list[RunLength]] = {}
    for one in lengths:
        by_tenant.setdefault(one.tenant, []).append(one)
    jobs = {tenant: sum(one.has_ended for one in own) for tenant, own in by_tenant.items()}
    return RunTimes(
        grid=grid,
        fleet_ended=_share_ended(lengths, grid),
        tenant_ended={
            tenant: _share_ended(own, grid) for tenant, own in by_tenant.items() if jobs[tenant]
        },
        tenant_jobs=jobs,
    )


def _share_ended(lengths: Sequence[RunLength], grid: Values) -> Values:
    """Return 1 - S on the grid (R1)."""
    fractions = np.array([min(one.fraction, LONGEST_FRACTION) for one in lengths])
    has_ended = np.array([one.has_ended for one in lengths])
    deaths = np.array([np.count_nonzero(has_ended & (fractions == at)) for at in grid])
    ordered = np.sort(fractions)
    at_risk = len(ordered) - np.searchsorted(ordered, grid, side="left")
    survival = np.cumprod(1.0 - deaths / np.maximum(at_risk, 1))
    return np.asarray(1.0 - survival)
