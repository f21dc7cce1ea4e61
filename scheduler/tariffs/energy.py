"""What a kWh costs under a tariff: by period of the local clock, and by tier of the month's energy.

A plan does not know the tier its own energy will reach, so each month is priced at the tier it has
reached when the plan is made. Whose tiers count the whole month is in ``TariffSpec.tiers_count``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scheduler.specs.tariff import TariffSpec, TierCount
from scheduler.specs.urdb_parts import EnergyTier, EnergyUnit
from scheduler.tariffs.local_time import LocalHour, LocalHours
from scheduler.tariffs.periods import PeriodOf, by_schedule, days_in, month_number

_ROUNDING = 1e-9
"""A tier is full where less than this share of its end is left: sums of a month are rounded."""


@dataclass(frozen=True, slots=True)
class MonthEnergy:
    """What was bought in a calendar month so far [kWh], by period of the tariff."""

    month: str
    by_period_kwh: tuple[float, ...]

    @classmethod
    def nothing(cls, spec: TariffSpec, month: str) -> MonthEnergy:
        """Begin a month."""
        return cls(month, (0.0,) * len(spec.urdb.energyratestructure))

    def counted_kwh(self, spec: TariffSpec, period: int) -> float:
        """Return the energy that decides in which tier of ``period`` the next kWh is."""
        if spec.tiers_count is TierCount.MONTH:
            return sum(self.by_period_kwh)
        return self.by_period_kwh[period]

    def plus(self, period: int, kwh: float) -> MonthEnergy:
        """Return what it is with ``kwh`` more in ``period``."""
        more = list(self.by_period_kwh)
        more[period] += kwh
        return MonthEnergy(self.month, tuple(more))


@dataclass(frozen=True, slots=True)
class EnergyRates:
    """Prices of energy by interval, in site currency, and the tiers that they are of.

    ``tiers`` holds the index of the tier by month and period, of periods that have several.
    """

    import_per_kwh: tuple[float, ...]
    export_per_kwh: tuple[float, ...]
    tiers: Mapping[tuple[str, int], int]


def energy_period(spec: TariffSpec) -> PeriodOf:
    """Return which period of ``energyratestructure`` a local hour is in."""
    return by_schedule(spec, spec.urdb.energyweekdayschedule, spec.urdb.energyweekendschedule)


def energy_rates(spec: TariffSpec, hours: Sequence[LocalHours], so_far: MonthEnergy) -> EnergyRates:
    """Return what energy costs in every interval, at the tiers reached by ``so_far``.

    Of another month than that of ``so_far`` nothing was bought yet. An interval across two local
    hours costs the mean of both, weighted by time.
    """
    period_of = energy_period(spec)
    tiers: dict[tuple[str, int], int] = {}
    prices: dict[LocalHour, tuple[float, float]] = {}

    def priced(hour: LocalHour) -> tuple[float, float]:
        period, month = period_of(hour), hour.month
        known = so_far if month == so_far.month else MonthEnergy.nothing(spec, month)
        index = tier_at(spec, period, month, known.counted_kwh(spec, period))
        if len(spec.urdb.energyratestructure[period]) > 1:
            tiers[month, period] = index
        tier = spec.urdb.energyratestructure[period][index]
        return tier.price + fuel_adjustment(spec, month), tier.sell

    for one in hours:
        for hour in one:
            if hour not in prices:
                prices[hour] = priced(hour)

    def mean(one: LocalHours, which: int) -> float:
        first = prices[next(iter(one))][which]
        # Around the first hour, so that an interval within one costs exactly its price.
        return first + sum(share * (prices[hour][which] - first) for hour, share in one.items())

    return EnergyRates(
        import_per_kwh=tuple(mean(one, 0) for one in hours),
        export_per_kwh=tuple(mean(one, 1) for one in hours),
        tiers=tiers,
    )


def tier_at(spec: TariffSpec, period: int, month: str, counted_kwh: float) -> int:
    """Return the tier of ``period`` that the next kWh is in."""
    ends = tier_ends_kwh(spec.urdb.energyratestructure[period], month)
    full = [end * (1.0 - _ROUNDING) for end in ends]
    return next((index for index, end in enumerate(full) if counted_kwh < end), len(ends))


def bought_by_tier(
    spec: TariffSpec, so_far: MonthEnergy, period: int, kwh: float
) -> tuple[list[tuple[int, float]], MonthEnergy]:
    """Return ``kwh`` more in ``period`` as kWh by tier, in order, and the month's energy after."""
    ends = tier_ends_kwh(spec.urdb.energyratestructure[period], so_far.month)
    parts: list[tuple[int, float]] = []
    while kwh > 0.0:
        counted_kwh = so_far.counted_kwh(spec, period)
        tier = tier_at(spec, period, so_far.month, counted_kwh)
        part_kwh = min(kwh, ends[tier] - counted_kwh) if tier < len(ends) else kwh
        parts.append((tier, part_kwh))
        so_far, kwh = so_far.plus(period, part_kwh), kwh - part_kwh
    return parts, so_far


def tier_ends_kwh(tiers: Sequence[EnergyTier], month: str) -> tuple[float, ...]:
    """Return where all tiers but the last end [kWh in ``month``]."""
    return tuple(
        (tier.max or 0.0) * (days_in(month) if tier.unit is EnergyUnit.KWH_DAILY else 1)
        for tier in tiers[:-1]
    )


def fuel_adjustment(spec: TariffSpec, month: str) -> float:
    """Return what ``month`` adds to the price of every kWh."""
    monthly = spec.urdb.fueladjustmentsmonthly
    return 0.0 if monthly is None else monthly[month_number(month) - 1]
