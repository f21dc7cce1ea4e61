"""What is made of published forecasts before a plan is: weighed by earlier days, pulled to now.

Pure. Weighed first (``weighed_signals``), then pulled by the error that a weighed forecast would
have had (``corrected_signals``): what both know counts once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from scheduler.services.corrected_signals import Decays, corrected_by_measured, fitted_decays
from scheduler.services.weighed_signals import AllWeights, fitted_to_published, weighed_by_days


@dataclass(frozen=True, slots=True, eq=False)
class Fits:
    """How each signal's forecasts are weighed, and how much of an error lasts."""

    weights: AllWeights
    decays: Decays


def fitted(known: pd.DataFrame, expected: pd.DataFrame, every: pd.DataFrame, now: datetime) -> Fits:
    """Fit both to the past.

    Parameters
    ----------
    known, expected
        As for ``fitted_decays``.
    every
        As for ``fitted_to_published``.
    """
    weights = fitted_to_published(every, now)
    was = weighed_by_days(expected, known, weights)
    return Fits(weights, fitted_decays(known, was, now))


def bettered(
    known: pd.DataFrame, past: pd.DataFrame, expected: pd.DataFrame, now: datetime, fits: Fits
) -> pd.DataFrame:
    """Return ``known`` with its forecasts weighed and pulled; their source says which.

    Parameters
    ----------
    known, expected
        As for ``corrected_by_measured``.
    past
        What is known of the time before: of ``NEEDS_BEFORE`` before the first of ``expected``.
    """
    was = weighed_by_days(expected, past, fits.weights)
    will_be = weighed_by_days(known, past, fits.weights)
    return corrected_by_measured(will_be, was, now, fits.decays)
