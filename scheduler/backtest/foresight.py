"""What a planner makes of what was published: corrected by what was measured since, as production.

A published forecast is pulled to the value measured last (``services.corrected_signals``). Where
production takes a fit of the last day, a replay fits anew for each plan.
"""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from connectors.types import Window
from scheduler.backtest.known import SignalHistory
from scheduler.backtest.policy import Knows
from scheduler.services.corrected_signals import HISTORY, corrected_by_measured, fitted_decays
from scheduler.services.window import PlanWindow


def corrected_as_known(history: SignalHistory) -> Knows:
    """Know what was published, its forecasts corrected by what was measured, as in production."""

    def knows(window: PlanWindow, now: datetime) -> pd.DataFrame:
        span = Window(window.start - HISTORY, window.end)
        known, expected = history.as_known(span, now), history.as_expected(span, now)
        return corrected_by_measured(known, expected, now, fitted_decays(known, expected, now))

    return knows
