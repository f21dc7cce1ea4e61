r"""A published forecast, pulled to the value measured last, less and less with lead time.

.. math::
    e_t = y_t - f_t                                              \tag{C1}
    \hat y_{t+l} = f_{t+l} + \rho_l e_t                          \tag{C2}
    \rho_l = \sum_t e_t e_{t+l} / \sum_t e_t^2                   \tag{C3}

where f_t is what was forecast of t before it came. Errors of forecasts last for hours: of carbon in
three zones, 0.74 to 0.97 of one is left after an hour. So what was measured last tells of the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.forecasting.blending import last_error_left
from scheduler.forecasting.history import History
from scheduler.forecasting.quantiles import Values

_FEWEST_ERRORS = 48  # hours of errors that a decay is fitted to
_MOST_ERRORS = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Decay:
    """What is left of an error after 1, 2, ... intervals: (C3), within [0, 1] and never rising."""

    minutes: int
    left: Values

    def at(self, lead: int) -> float:
        """Return the share that is left ``lead`` intervals later; 0 past the last one fitted."""
        if lead <= 0:
            return 1.0
        return float(self.left[lead - 1]) if lead <= len(self.left) else 0.0


def fitted_decay(errors: History, n_leads: int) -> Decay | None:
    """Fit (C3) to past errors (C1); None where there are less than two days of them.

    Parameters
    ----------
    errors
        What came less what had been forecast of it; NaN where either is not known.
    """
    known = np.flatnonzero(np.isfinite(errors.values))
    if len(known) * errors.minutes < _FEWEST_ERRORS * 60:
        return None
    origins = known[-_MOST_ERRORS:]
    targets = origins[:, None] + np.arange(1, n_leads + 1)[None, :]
    inside = np.minimum(targets, len(errors.values) - 1)
    later = np.where(targets < len(errors.values), errors.values[inside], np.nan)
    return Decay(errors.minutes, last_error_left(errors.values[origins], later))


def corrected(
    published: Values, last_error: float, steps_since: int, decay: Decay, least: float = -np.inf
) -> Values:
    """Return (C2) for a published forecast.

    Parameters
    ----------
    published
        By interval, in the decay's resolution.
    last_error
        What was measured last, less what had been forecast of it.
    steps_since
        From the interval measured last to the first of ``published``: 1 where it is the next.
    least
        No value is pulled below this.
    """
    left = np.array([decay.at(steps_since + step) for step in range(len(published))])
    return np.maximum(published + left * last_error, least)
