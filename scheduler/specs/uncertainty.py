"""How errors of forecasts count in plans."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from scheduler.specs.base import Spec


class UncertaintySpec(Spec):
    """What past errors of forecasts are used for.

    Attributes
    ----------
    scenarios
        Futures that a plan is made for, with the same first decisions in all; 0: it is made for
        the forecast alone.
    first_hours
        Jobs that begin in these first hours of the window have one placement for all futures: at
        least up to the next plan [h].
    battery_hours
        Batteries do the same in all futures in these first hours [h].
    cvar_weight, cvar_alpha
        Weight of CVaR against the mean of the futures, and its level: CVaR is the mean of the
        dearest 1 - alpha of them.
    shift_confidence
        A job waits only for a gain of more than so many of its standard errors; ``None``: for any
        gain.
    history_days
        As many past days are looked at, one issue of each, at the hour of the plan [d].
    """

    scenarios: Annotated[int, Field(ge=0, le=30)] = 10
    first_hours: Annotated[int, Field(ge=1, le=24 * 31)] = 24
    battery_hours: Annotated[int, Field(ge=0, le=24 * 31)] = 6
    cvar_weight: Annotated[float, Field(ge=0, le=1)] = 0.0
    cvar_alpha: Annotated[float, Field(ge=0, le=0.99)] = 0.9
    shift_confidence: Annotated[float, Field(ge=0, le=10)] | None = 1.0
    history_days: Annotated[int, Field(ge=8, le=90)] = 28
