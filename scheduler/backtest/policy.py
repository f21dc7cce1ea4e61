"""Who plans: how often, from what knowledge, and by which solver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from optimizer import Plan
from scheduler.doubt import Doubt
from scheduler.services.planning import Prepared
from scheduler.services.window import PlanWindow
from scheduler.specs.uncertainty import UncertaintySpec

Knows = Callable[[PlanWindow, datetime], pd.DataFrame]
"""What is known at an instant for a window and the days before it: as ``assemble`` takes it."""

Solver = Callable[[Prepared, Doubt], Plan]
"""Answers a prepared problem; production's is ``solve_in_doubt`` under a time limit."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One way to plan.

    Attributes
    ----------
    every
        Time from one plan to the next: whole slots.
    lead
        Time from what a plan knows to the first slot it is for: whole steps.
    knows
        The signals it sees.
    knows_lengths
        It is told the true length of jobs, not the stated one.
    uncertainty, history
        What it makes of past errors, and what it takes them from: of the days before a window,
        every value that was known by then. ``None``: it takes forecasts at their word.
    """

    name: str
    every: timedelta
    knows: Knows
    solver: Solver
    lead: timedelta = timedelta(minutes=5)
    knows_lengths: bool = False
    uncertainty: UncertaintySpec | None = None
    history: Knows | None = None
