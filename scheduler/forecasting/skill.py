r"""What a published forecast is worth at each lead time, by how it did before.

A forecast f of the days after tomorrow may be worse than a typical day n. Of both is taken what
past issues i, told at the same time of day, say of what came (a), for some hours ahead at a time:

.. math::
    g_{l} = w_b f_{l} + (1 - w_b) n_{l} + c_b                                          \tag{K1} \\
    w_b = \min\{1, \max\{0, \sum_{il} (f_{il} - n_{il})(a_{il} - n_{il})
        / \sum_{il} (f_{il} - n_{il})^2\}\}                                            \tag{K2} \\
    c_b = \frac{m}{m + m_0} \operatorname{mean}_{il} \{a_{il} - w_b f_{il} - (1 - w_b) n_{il}\}
                                                                                       \tag{K3}

over the leads l of block b; m issues tell of it, and m_0 are worth as much as no offset. Where (K1)
would have missed no less than the forecast by a twentieth, that is left as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.forecasting.quantiles import Values

FEWEST_ISSUES = 5
"""A block of which fewer issues tell is taken as it was published."""
OFFSET_ISSUES = 14.0
"""m_0 of (K3)."""
LEAST_GAIN = 0.05
"""Share of the mean absolute error that must be gained."""


@dataclass(frozen=True, slots=True, eq=False)
class Skill:
    """Weight of a forecast and offset of the sum, by lead."""

    weights: Values
    offsets: Values

    def applied(self, told: Values, typical: Values) -> Values:
        """Return (K1) by lead; what was told where no typical day is known."""
        weighed = self.weights * told + (1 - self.weights) * typical + self.offsets
        return np.where(np.isfinite(typical), weighed, told)


def fitted_skill(told: Values, typical: Values, came: Values, leads_per_block: int) -> Skill:
    """Fit (K2) and (K3) to past issues [issue, lead]; NaN where one is not known."""
    n_leads = told.shape[1]
    weights, offsets = np.ones(n_leads), np.zeros(n_leads)
    is_known = np.isfinite(told) & np.isfinite(typical) & np.isfinite(came)
    for first in range(0, n_leads, leads_per_block):
        block = slice(first, first + leads_per_block)
        known = is_known[:, block]
        n_issues = int(known.any(axis=1).sum())
        if n_issues < FEWEST_ISSUES:
            continue
        apart = (told - typical)[:, block][known]
        truly = (came - typical)[:, block][known]
        square = float(apart @ apart)
        weight = float(np.clip(apart @ truly / square, 0.0, 1.0)) if square > 0.0 else 1.0
        missed = truly - weight * apart
        offset = float(missed.mean()) * n_issues / (n_issues + OFFSET_ISSUES)
        if np.abs(missed - offset).mean() < (1 - LEAST_GAIN) * np.abs(truly - apart).mean():
            weights[block], offsets[block] = weight, offset
    return Skill(weights, offsets)
