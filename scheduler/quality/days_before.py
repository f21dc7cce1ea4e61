"""The days before some hours, as the sun and as the clock on the wall has them."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np

from scheduler.quality.days import DAY, Days
from scheduler.quality.findings import instant
from scheduler.quality.series import HOUR_MINUTES, Series


def days_before(history: Series, first_hour: int, n_days: int, time_zone: str) -> tuple[Days, Days]:
    """Cut the ``n_days`` before ``first_hour`` (since 1970) into days that begin at its time.

    Returns
    -------
    by_sun, by_clock
        The same days twice: at the same time of day in UTC, and at the same local time. Where the
        clock was changed between, what people do comes an hour earlier or later, the sun does not.
    """
    zone = ZoneInfo(time_zone)

    def offset_hours(hour: int) -> int:
        local = instant(hour * HOUR_MINUTES).astimezone(zone)
        return int((local.utcoffset() or timedelta()) / timedelta(hours=1))

    begins = first_hour - DAY * np.arange(n_days, 0, -1)
    now = offset_hours(first_hour)
    moves = np.array([now - offset_hours(int(begin)) for begin in begins])
    hours = history.by_hour(int(begins[0]) - DAY, (n_days + 2) * DAY)
    at = DAY * np.arange(1, n_days + 1)[:, None] + np.arange(DAY)
    return Days.of(hours[at].ravel()), Days.of(hours[at + moves[:, None]].ravel())
