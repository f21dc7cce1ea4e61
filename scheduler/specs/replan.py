"""What a plan is made anew for, besides the times of the clock."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from scheduler.specs.base import MONTH_MINUTES, NonNegative, Positive, Spec


class ReplanSpec(Spec):
    """Causes to plan anew, each of which 0 or false turns off, and how often at most.

    ``arrivals`` jobs that no plan knows are a batch, as is any number of which the first has waited
    ``arrival_minutes``. Prices known for ``publication_hours`` more are a publication. Regret is
    what holding on to the plan costs beyond the least that any plan could, on top of what it was
    when the plan was made; it is material above both ``regret_eur`` and ``regret_share`` of what
    the rest of the plan costs. Grid events and lost GPUs wait for nothing; the others come
    ``spacing_minutes`` after the last run at the earliest. ``time_limit_s`` is the solver's where
    there is a plan to begin from.
    """

    grid_events: bool = True
    broken_plan: bool = True
    publication_hours: Annotated[float, Field(ge=0, le=24 * 31)] = 6.0
    arrivals: Annotated[int, Field(ge=0, le=1_000_000)] = 20
    arrival_minutes: Annotated[float, Field(ge=0, le=MONTH_MINUTES)] = 5.0
    regret: bool = True
    regret_eur: NonNegative = 5.0
    regret_share: Annotated[float, Field(ge=0, le=1)] = 0.02
    spacing_minutes: Annotated[float, Field(ge=0, le=MONTH_MINUTES)] = 5.0
    time_limit_s: Annotated[Positive, Field(le=24 * 3600)] | None = None  # None: as for the day
