"""The bill of a month of metered load under a tariff, line by line.

Energy is billed in the order it was bought: each kWh at the period of its local hour, and at the
tier that the energy before it has reached. Demand is the highest mean import over the tariff's
demand window; without one, over the meter's own interval. Nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from scheduler.specs.tariff import TariffSpec
from scheduler.specs.urdb_parts import ChargeUnit
from scheduler.tariffs.bill_lines import BillLine, DemandPeak, EnergyBilled, demand_lines
from scheduler.tariffs.demand import FLAT, billing_peaks, tariff_charges
from scheduler.tariffs.energy import (
    MonthEnergy,
    bought_by_tier,
    energy_period,
    fuel_adjustment,
    tier_at,
)
from scheduler.tariffs.local_time import LocalHours, local_hours
from scheduler.tariffs.periods import days_in, month_number
from scheduler.tariffs.ratchet import ratchet_in

_METER_MINUTES = (5, 10, 15, 20, 30, 60)


class BillRefused(ValueError):
    """A load that no bill can be made of. Names the object, the value and the limit."""


@dataclass(frozen=True, slots=True)
class MeteredLoad:
    """Mean power at the meter in consecutive intervals of ``minutes`` from ``start`` on [kW]."""

    start: datetime
    minutes: int
    import_kw: tuple[float, ...]
    export_kw: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.start.utcoffset() is None:
            raise BillRefused(f"load: start = {self.start.isoformat()}, must carry a time zone")
        if self.minutes not in _METER_MINUTES:
            raise BillRefused(f"load: minutes = {self.minutes}, must be one of {_METER_MINUTES}")
        if self.export_kw and len(self.export_kw) != len(self.import_kw):
            raise BillRefused(
                f"load: {len(self.export_kw)} values of export, must be {len(self.import_kw)},"
                " as many as of import"
            )
        for name, values in (("import", self.import_kw), ("export", self.export_kw)):
            for k, value in enumerate(values):
                if not 0.0 <= value < float("inf"):
                    raise BillRefused(f"load: {name}_kw[{k}] = {value:g}, must be finite and >= 0")


@dataclass(frozen=True, slots=True)
class Bill:
    """What a month costs, in the currency of the site; ``notes`` say what is not in it."""

    month: str
    lines: tuple[BillLine, ...]
    notes: tuple[str, ...]

    @property
    def total(self) -> float:
        """Sum of all lines."""
        return sum(line.amount for line in self.lines)


def month_bill(spec: TariffSpec, time_zone: str, month: str, load: MeteredLoad) -> Bill:
    """Return the bill of ``month`` (e.g. ``"2026-03"``, by the local clock) for ``load``.

    Raises
    ------
    BillRefused
        The load does not begin and end with the month, on its local midnights, or its intervals
        do not make up the tariff's demand window.
    """
    _require_whole_month(month, time_zone, load)
    hours = local_hours(load.start, load.minutes, len(load.import_kw), time_zone)
    lines = [
        *_fixed(spec, month),
        *_energy(spec, month, load, hours),
        *_demand(spec, time_zone, month, load),
    ]
    lines += _minimum(spec, month, sum(line.amount for line in lines))
    return Bill(month, tuple(lines), tuple(_notes(spec, month, load)))


def month_bounds(month: str, time_zone: str) -> tuple[datetime, datetime]:
    """Return the instants at which ``month`` begins and ends at a place."""
    year, number = int(month[:4]), month_number(month)
    after = (year + number // 12, number % 12 + 1)
    zone = ZoneInfo(time_zone)
    first, last = (datetime(y, m, 1, tzinfo=zone) for y, m in ((year, number), after))
    return first.astimezone(UTC), last.astimezone(UTC)


def _require_whole_month(month: str, time_zone: str, load: MeteredLoad) -> None:
    start, end = month_bounds(month, time_zone)
    covered = load.start + len(load.import_kw) * timedelta(minutes=load.minutes)
    if (load.start, covered) != (start, end):
        raise BillRefused(
            f"load: {load.start.astimezone(UTC).isoformat()} to"
            f" {covered.astimezone(UTC).isoformat()}, must be {start.isoformat()} to"
            f" {end.isoformat()}, all of {month} in {time_zone}"
        )


def _fixed(spec: TariffSpec, month: str) -> Iterator[BillLine]:
    urdb = spec.urdb
    quantity, unit = _times(urdb.fixedchargeunits, month)
    for what, rate, count in (
        ("fixed charge", urdb.fixedchargefirstmeter, 1),
        ("fixed charge of further meters", urdb.fixedchargeeaaddl, spec.meters - 1),
    ):
        if rate and count:
            yield BillLine(what, quantity * count, unit, rate)


def _times(unit: ChargeUnit, month: str) -> tuple[float, str]:
    """Return how many times a charge is due in a month: 1, its days, or a twelfth of a year."""
    if unit is ChargeUnit.DAY:
        return float(days_in(month)), "days"
    if unit is ChargeUnit.YEAR:
        return 1.0 / 12.0, "years"
    return 1.0, "months"


def _energy(
    spec: TariffSpec, month: str, load: MeteredLoad, hours: tuple[LocalHours, ...]
) -> Iterator[BillLine]:
    """Yield energy bought, its fuel adjustment, and energy fed in, by period and tier."""
    billed, period_of = EnergyBilled(), energy_period(spec)
    so_far = MonthEnergy.nothing(spec, month)
    exports = load.export_kw or (0.0,) * len(load.import_kw)
    for import_kw, export_kw, lies_in in zip(load.import_kw, exports, hours, strict=True):
        for hour, share in lies_in.items():
            period, hours_long = period_of(hour), share * load.minutes / 60.0
            tier = tier_at(spec, period, month, so_far.counted_kwh(spec, period))
            billed.sell(period, tier, export_kw * hours_long)
            parts, so_far = bought_by_tier(spec, so_far, period, import_kw * hours_long)
            for part_tier, kwh in parts:
                billed.buy(period, part_tier, kwh)
    yield from billed.lines(spec.urdb.energyratestructure)
    if fuel := fuel_adjustment(spec, month):
        yield BillLine("fuel adjustment", sum(so_far.by_period_kwh), "kWh", fuel)


def _demand(spec: TariffSpec, time_zone: str, month: str, load: MeteredLoad) -> Iterator[BillLine]:
    """Yield what is billed for the highest import of each charge and billing period."""
    window = spec.urdb.demandwindow or load.minutes
    minutes = max(load.minutes, window)
    if minutes % load.minutes:
        raise BillRefused(
            f"load: minutes = {load.minutes}, must divide the tariff's demandwindow of {window}"
        )
    demand_kw = _means(load.import_kw, minutes // load.minutes)
    hours = local_hours(load.start, minutes, len(demand_kw), time_zone)
    for charge in tariff_charges(spec):
        peaks = []
        for peak in billing_peaks(charge, hours):
            metered = [kw for kw, counts in zip(demand_kw, peak.counts, strict=True) if counts]
            floor_kw = _ratchet_kw(spec, month) if charge.name == FLAT else 0.0
            peaks.append(DemandPeak(peak, max([floor_kw, *metered])))
        yield from demand_lines(charge.name, peaks)


def _ratchet_kw(spec: TariffSpec, month: str) -> float:
    if not spec.urdb.has_ratchet:
        return 0.0
    return ratchet_in(spec, month, spec.past_peaks_kw).floor_kw


def _means(values: tuple[float, ...], count: int) -> tuple[float, ...]:
    """Return the means of ``count`` values each; the last may be of fewer."""
    parts = (values[k : k + count] for k in range(0, len(values), count))
    return tuple(sum(part) / len(part) for part in parts)


def _minimum(spec: TariffSpec, month: str, total: float) -> Iterator[BillLine]:
    """Yield what is missing to the least that a bill is."""
    urdb = spec.urdb
    if not urdb.mincharge or urdb.minchargeunits is ChargeUnit.YEAR:
        return
    quantity, _ = _times(urdb.minchargeunits, month)
    if (missing := quantity * urdb.mincharge - total) > 0.0:
        yield BillLine("up to the minimum charge", 1.0, "months", missing)


def _notes(spec: TariffSpec, month: str, load: MeteredLoad) -> Iterator[str]:
    urdb = spec.urdb
    if urdb.not_used:
        yield f"not in the bill: {', '.join(urdb.not_used)}"
    if urdb.mincharge and urdb.minchargeunits is ChargeUnit.YEAR:
        yield f"not in the bill: the minimum of {urdb.mincharge:g} per year"
    if urdb.has_ratchet and (unknown := ratchet_in(spec, month, spec.past_peaks_kw).unknown):
        yield f"the ratchet is reckoned without {', '.join(unknown)}: past_peaks_kw lacks them"
    window = urdb.demandwindow
    if window is not None and window < load.minutes and tariff_charges(spec):
        yield (
            f"demand is metered over {window} minutes and the load is given by"
            f" {load.minutes}: peaks within an interval are not seen"
        )
    may_net = urdb.usenetmetering or urdb.dgrules in {"Net Metering", "Buy All Sell All"}
    if may_net and any(load.export_kw):
        rule = urdb.dgrules or "usenetmetering"
        yield f"{rule} is not reckoned with: energy fed in is paid at the sell rate"
