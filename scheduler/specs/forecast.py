"""How what nobody publishes is forecast, and how cautiously it is planned with."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from scheduler.specs.base import Spec

LEAST_LEVEL, MOST_LEVEL = 0.1, 0.9  # quantiles that are kept of every forecast

Level = Annotated[float, Field(ge=LEAST_LEVEL, le=MOST_LEVEL)]


class ForecastMethod(StrEnum):
    """What forecasts a signal where it is not published."""

    NONE = "none"  # its values of earlier days are copied instead
    SEASONAL_NAIVE = "seasonal-naive"
    BLEND = "blend"
    BOOSTED = "boosted"  # the blend and LightGBM, where the extra is installed


class MarginsSpec(Spec):
    """At which quantile forecasts of our own are planned with; 0.5 is the median.

    Less PV and wind than may be expected, and more base load, keep a plan within its connection and
    its commitments when the day turns out worse: 0.3 of PV is what is there on seven days of ten.
    Published values are planned with as they were published.
    """

    pv: Level = 0.5
    wind: Level = 0.5
    base_load: Level = 0.5
