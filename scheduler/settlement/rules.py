"""How programmes reckon what a site would have drawn had nobody called: high X of Y days.

The figures are those of the published rules as they stood when this was written; a contract may say
otherwise, and then the contract holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class AdjustmentKind(StrEnum):
    """How the morning of the event moves the baseline."""

    ADDITIVE = "additive"  # by so many kW
    SCALAR = "scalar"  # by a factor


@dataclass(frozen=True, slots=True)
class Adjustment:
    """The same-day adjustment: what was metered before the event over what is typical then.

    Attributes
    ----------
    begins_hours_before, hours
        Its window: so long before the event it begins, and so long it lasts [h].
    most
        How far it moves at most: kW where it is additive, a share of 1 where it is a factor;
        ``None``: any distance.
    """

    kind: AdjustmentKind
    begins_hours_before: float
    hours: float
    most: float | None = None


@dataclass(frozen=True, slots=True)
class DayChoice:
    """The ``highest`` of the last ``of`` days; with fewer than ``least`` there is no baseline."""

    highest: int
    of: int
    least: int


@dataclass(frozen=True, slots=True)
class BaselineRule:
    """Which days make a baseline, and how the day of the event moves it.

    Attributes
    ----------
    workdays, off_days
        The choice for an event on a Monday to Friday, and on another day or a holiday.
    saturdays_apart
        Saturdays are compared with Saturdays, Sundays and holidays with their like; else all days
        off are alike.
    look_back_days
        No day is further back.
    low_use_share
        A day whose use in the hours of the event is below this share of the mean of the days
        chosen is left out, as a day on which the site was shut. 0: none is.
    skips_day_before
        The day before the event is not looked at: the call may have been known.
    fills_with_event_days
        Where days are lacking, those of other events are taken, highest first.
    """

    name: str
    workdays: DayChoice
    off_days: DayChoice
    saturdays_apart: bool
    look_back_days: int
    low_use_share: float
    skips_day_before: bool
    fills_with_event_days: bool
    adjustment: Adjustment | None


PJM_HIGH_4_OF_5 = BaselineRule(
    name="pjm_high_4_of_5",
    workdays=DayChoice(highest=4, of=5, least=4),
    off_days=DayChoice(highest=2, of=3, least=2),
    saturdays_apart=True,
    look_back_days=45,
    low_use_share=0.25,
    skips_day_before=False,
    fills_with_event_days=True,
    adjustment=Adjustment(AdjustmentKind.ADDITIVE, begins_hours_before=4, hours=3),
)
"""PJM's economic customer baseline (Manual 11, section 10.4.2, "3 Day Types with SAA").

The four highest of the last five days of its kind within 45 days, without event days and days of
low use; moved by the symmetric additive adjustment of the three hours that end an hour before.
"""

CAISO_10_IN_10 = BaselineRule(
    name="caiso_10_in_10",
    workdays=DayChoice(highest=10, of=10, least=5),
    off_days=DayChoice(highest=4, of=4, least=4),
    saturdays_apart=False,
    look_back_days=45,
    low_use_share=0.0,
    skips_day_before=False,
    fills_with_event_days=True,
    adjustment=Adjustment(AdjustmentKind.SCALAR, begins_hours_before=4, hours=3, most=0.2),
)
"""CAISO's day matching baseline, "10 in 10" (tariff, section 4.13.4.1).

The mean of the last ten workdays within 45 days, or of the last four days off; times the load of
the second to fourth hour before the event over what is typical then, from 0.8 to 1.2.
"""

NYISO_HIGH_5_OF_10 = BaselineRule(
    name="nyiso_high_5_of_10",
    workdays=DayChoice(highest=5, of=10, least=5),
    off_days=DayChoice(highest=2, of=3, least=2),
    saturdays_apart=True,
    look_back_days=30,
    low_use_share=0.25,
    skips_day_before=True,
    fills_with_event_days=False,
    adjustment=Adjustment(AdjustmentKind.SCALAR, begins_hours_before=4, hours=2, most=0.2),
)
"""NYISO's average day customer baseline with in-day adjustment (Emergency Demand Response Manual).

The five highest of the last ten workdays within 30 days, the day before the event left out; times
the load of the two hours that begin four hours before the event, from 0.8 to 1.2.
"""

RULES: Mapping[str, BaselineRule] = MappingProxyType(
    {rule.name: rule for rule in (PJM_HIGH_4_OF_5, CAISO_10_IN_10, NYISO_HIGH_5_OF_10)}
)
