"""How calls of the grid side are settled at a site."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from scheduler.specs.base import Spec


class BaselineName(StrEnum):
    """What a site would have drawn had nobody called; see ``scheduler.settlement.rules``."""

    PJM_HIGH_4_OF_5 = "pjm_high_4_of_5"
    CAISO_10_IN_10 = "caiso_10_in_10"
    NYISO_HIGH_5_OF_10 = "nyiso_high_5_of_10"
    PLAN = "plan"  # what the plan wanted that was in force before the call was known


class SettlementSpec(Spec):
    """The baseline of the contract, and its holidays by the site's calendar."""

    baseline: BaselineName = BaselineName.PJM_HIGH_4_OF_5
    holidays: Annotated[tuple[date, ...], Field(max_length=1000)] = ()
