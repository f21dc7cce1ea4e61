"""What a planner makes of what was published: bettered by what was measured, as in production.

A published forecast is weighed against earlier days and pulled to the value measured last
(``services.published_forecasts``). Where production takes a fit of the last day, a replay fits anew
for each plan.
"""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from connectors.types import Window
from scheduler.backtest.known import SignalHistory
from scheduler.backtest.policy import Knows
from scheduler.services.published_forecasts import bettered, fitted
from scheduler.services.signal_inputs import FITTED_OVER
from scheduler.services.weighed_signals import NEEDS_BEFORE
from scheduler.services.window import PlanWindow


def bettered_as_known(history: SignalHistory) -> Knows:
    """Know what was published, its forecasts bettered by what was measured, as in production."""

    def knows(window: PlanWindow, now: datetime) -> pd.DataFrame:
        since = min(now, window.start) - FITTED_OVER - NEEDS_BEFORE
        span = Window(since, window.end)
        known, expected = history.as_known(span, now), history.as_expected(span, now)
        fits = fitted(known, expected, history.every_value(Window(since, now), now), now)
        return bettered(known, known, expected, now, fits)

    return knows
