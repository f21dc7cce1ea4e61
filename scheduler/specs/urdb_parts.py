"""What tariffs of the Utility Rate Database are made of: units, tiers, and schedules."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from scheduler.specs.base import EARLIEST, LATEST, MOST, NonNegative, Spec, Text

MONTHS, HOURS = 12, 24
MOST_PERIODS, MOST_TIERS = 100, 50

Rate = Annotated[float, Field(ge=-MOST, le=MOST)]
Index = Annotated[int, Field(ge=0, lt=MOST_PERIODS)]
Day = Annotated[tuple[Index, ...], Field(min_length=HOURS, max_length=HOURS)]
Schedule = Annotated[tuple[Day, ...], Field(min_length=MONTHS, max_length=MONTHS)]
"""Index of a period by month and hour of the local clock."""


def _as_share(value: Any) -> Any:
    """Take 80 for 80 % and 0.8 for a share: both are written."""
    is_percent = isinstance(value, int | float) and 1.0 < value <= 100.0
    return value / 100.0 if is_percent else value


Share = Annotated[float, BeforeValidator(_as_share), Field(ge=0, le=1)]
Epoch = Annotated[int, Field(ge=int(EARLIEST.timestamp()), lt=int(LATEST.timestamp()))]
"""Seconds since 1970, UTC."""


class DemandUnit(StrEnum):
    """What a demand charge is on: the highest power of a month, or of every day."""

    KW = "kW"
    KW_DAILY = "kW daily"


class EnergyUnit(StrEnum):
    """What the ``max`` of an energy tier counts: kWh of the month, or of a day on average."""

    KWH = "kWh"
    KWH_DAILY = "kWh daily"


class ChargeUnit(StrEnum):
    """What a fixed or a minimum charge is for."""

    MONTH = "$/month"
    DAY = "$/day"
    YEAR = "$/year"


class Tier(Spec):
    """A rate up to ``max``; the last tier has no end, whatever its ``max``."""

    max: NonNegative | None = None
    rate: Rate = 0.0
    adj: Rate = 0.0

    @property
    def price(self) -> float:
        """Rate with its adjustment."""
        return self.rate + self.adj


class DemandTier(Tier):
    """A rate per kW; ``max`` in kW."""

    unit: DemandUnit = DemandUnit.KW


class EnergyTier(Tier):
    """A rate per kWh; ``sell`` is what a kWh fed in earns."""

    unit: EnergyUnit = EnergyUnit.KWH
    sell: Rate = 0.0


_Tiers = Field(min_length=1, max_length=MOST_TIERS)
_Periods = Field(max_length=MOST_PERIODS)
EnergyPeriods = Annotated[tuple[Annotated[tuple[EnergyTier, ...], _Tiers], ...], _Periods]
DemandPeriods = Annotated[tuple[Annotated[tuple[DemandTier, ...], _Tiers], ...], _Periods]
BY_MONTH = Field(min_length=MONTHS, max_length=MONTHS)
FieldName = Annotated[Text, Field(max_length=120)]
