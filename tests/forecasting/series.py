"""Histories that tests forecast from."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scheduler.forecasting import History

START = pd.Timestamp("2026-03-02T00:00:00Z")  # a Monday


def daily_shape(days: float, minutes: int = 60, *, noise: float = 0.0, seed: int = 0) -> History:
    """Give a day's swing between 50 and 150, with noise of its own at each interval."""
    count = int(days * 24 * 60 / minutes)
    hours = np.arange(count) * minutes / 60
    values = 100 - 50 * np.cos(2 * np.pi * hours / 24)
    values += noise * np.random.default_rng(seed).standard_normal(count)
    return History(START, minutes, values)


def sunny(days: int, minutes: int = 60, *, seed: int = 0) -> History:
    """Give PV output [kW] between 06:00 and 18:00, each day's height drawn."""
    per_day = 24 * 60 // minutes
    hours = (np.arange(days * per_day) % per_day) * minutes / 60
    height = np.random.default_rng(seed).uniform(20, 100, days).repeat(per_day)
    return History(START, minutes, height * np.clip(np.sin(np.pi * (hours - 6) / 12), 0, None))


def correlated(days: int, *, by_hour: float, seed: int = 0) -> History:
    """Give a day's swing plus an error of which ``by_hour`` is left after an hour."""
    shape = daily_shape(days)
    rng = np.random.default_rng(seed)
    error = np.zeros(len(shape.values))
    for index in range(1, len(error)):
        error[index] = by_hour * error[index - 1] + rng.standard_normal()
    return History(shape.start_at, 60, shape.values + 5 * error)
