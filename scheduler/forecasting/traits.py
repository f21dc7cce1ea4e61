"""What kind of thing a signal is: its season and its limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.forecasting.history import History
from scheduler.forecasting.quantiles import Flags, Indices, Values

_DAY_HOURS = 24
_WEEK_HOURS = 7 * 24
# Days change their length by less than this within a forecast; coarser slots see it as it comes.
_DAWN_MINUTES = 20
_NIGHT_DAYS = 14
DARK_SHARE = 1e-3  # of the most that was seen: meters are not zero at night


@dataclass(frozen=True, slots=True)
class Traits:
    """How a signal behaves.

    Attributes
    ----------
    season_hours
        After how long it looks alike: a day or a week.
    least
        It is never below this, in its own unit.
    is_dark_at_night
        Zero at times of day at which it always was.
    """

    season_hours: int = _DAY_HOURS
    least: float = -np.inf
    is_dark_at_night: bool = False


PRICE = Traits(season_hours=_WEEK_HOURS)
CARBON = Traits(least=0.0)
PV = Traits(least=0.0, is_dark_at_night=True)
WIND = Traits(least=0.0)
BASE_LOAD = Traits(season_hours=_WEEK_HOURS, least=0.0)


def bounded(values: Values, history: History, first: int, traits: Traits) -> Values:
    """Keep ``values`` [interval, level] within what is possible and plausible.

    Plausible is what was seen, and half its range beyond.

    Parameters
    ----------
    first
        Index of the first interval on the grid of ``history``.
    """
    seen = history.values[np.isfinite(history.values)]
    margin = (seen.max() - seen.min()) / 2
    kept = np.clip(values, max(traits.least, seen.min() - margin), seen.max() + margin)
    if traits.is_dark_at_night:
        kept[_is_night(history, first + np.arange(len(kept)))] = 0.0
    return kept


def _is_night(history: History, index: Indices) -> Flags:
    """Say of every interval whether it was dark at that time of day on all recent days."""
    per_day = history.steps_per_day
    recent = history.values[-_NIGHT_DAYS * per_day :]
    time_of_day = (len(history.values) - len(recent) + np.arange(len(recent))) % per_day
    most = np.zeros(per_day)
    np.maximum.at(most, time_of_day, np.nan_to_num(recent, nan=0.0))
    seen = np.zeros(per_day, dtype=bool)
    seen[time_of_day[np.isfinite(recent)]] = True
    reach = _DAWN_MINUTES // history.minutes
    shone = most > DARK_SHARE * most.max()
    lit = shone | ~seen
    for steps in range(1, reach + 1):
        lit = lit | np.roll(shone, steps) | np.roll(shone, -steps)
    return np.asarray(~lit)[index % per_day]
