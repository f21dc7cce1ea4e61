"""Everything there is to say about values that came in, by what was known before them."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.types import SignalKind
from scheduler.quality.copies import factor_of_copy, shift_of_copy
from scheduler.quality.days import DAY, SHIFTS, Days, factor_of, is_turned, shift_of
from scheduler.quality.days_before import days_before
from scheduler.quality.findings import Finding, Rule
from scheduler.quality.holes import gaps, late
from scheduler.quality.series import HOUR_MINUTES, Ints, Series
from scheduler.quality.single import outliers, stuck

HISTORY_DAYS = 28
_HISTORY_MINUTES = HISTORY_DAYS * DAY * HOUR_MINUTES
# More is parted, and the first days are history for the last.
_AT_ONCE_MINUTES = 4 * DAY * HOUR_MINUTES
_JUMPY = {SignalKind.PRICE: 10.0, SignalKind.EXPORT_PRICE: 10.0}
_OUTLIER_WIDTHS = 2.0
_ZERO_IS_NATURAL = {SignalKind.PV, SignalKind.WIND}
_UNITS_TAKEN = {  # by unit of the kind, what values are times those in it
    "currency/MWh": {1e-3: "a price per kWh", 0.1: "cents per kWh", 1e3: "a price per GWh"},
    "g/kWh": {1e-3: "kg/kWh", 1e3: "g/MWh"},
    "kW": {1e-3: "MW", 1e3: "W"},
    "MW": {1e-3: "GW", 1e3: "kW"},
    "1": {100.0: "percent"},
}
_SIGN = -1.0


def examine(
    kind: SignalKind,
    known: Series,
    fresh: Series,
    known_at: Ints,
    *,
    now_minute: int,
    max_age_hours: float,
    time_zone: str,
) -> list[Finding]:
    """Find what is suspicious about ``fresh``.

    Parameters
    ----------
    known
        What was known before it came, of the ``HISTORY_DAYS`` before its first interval and of its
        own time.
    known_at
        Since when each value of ``fresh`` is known [minute since 1970].
    max_age_hours
        What was known longer ago and is for a time to come is late.
    time_zone
        That people at the site live by.
    """
    if not len(fresh):
        return []
    first, last = int(fresh.starts[0]), int(fresh.starts[-1])
    found = [*gaps(known.between(first - _HISTORY_MINUTES, first), fresh)]
    found += late(fresh, known_at, now_minute, 60.0 * max_age_hours)
    whole = known.then(fresh)
    for begin in range(first, last + 1, _AT_ONCE_MINUTES):
        part = fresh.between(begin, begin + _AT_ONCE_MINUTES)
        if len(part):
            before = whole.between(begin - _HISTORY_MINUTES, begin)
            found += _of_part(kind, Part(known, before, part), time_zone)
    return found


@dataclass(frozen=True, slots=True)
class Part:
    """Some days of what came, what was known of the same time, and all that lies before."""

    known: Series
    before: Series
    fresh: Series

    @property
    def first_hour(self) -> int:
        """The hour since 1970 that it begins in."""
        return int(self.fresh.starts[0]) // HOUR_MINUTES

    @property
    def n_hours(self) -> int:
        """Hours of which it has any part."""
        return -(-int(self.fresh.ends[-1]) // HOUR_MINUTES) - self.first_hour

    def finding(self, rule: Rule, reason: str) -> Finding:
        """Say something of all of it."""
        start, end = int(self.fresh.starts[0]), int(self.fresh.ends[-1])
        return Finding(rule, start, end, len(self.fresh), reason)


def _of_part(kind: SignalKind, part: Part, time_zone: str) -> list[Finding]:
    whole = _as_copy(kind, part) or _as_days(kind, part, time_zone)
    if whole is not None:
        # Where all of it is off, every value of it is far from what is usual.
        return [whole]
    return [
        *outliers(part.before, part.fresh, _JUMPY.get(kind, _OUTLIER_WIDTHS)),
        *stuck(part.before, part.fresh, zero_is_natural=kind in _ZERO_IS_NATURAL),
    ]


def _as_copy(kind: SignalKind, part: Part) -> Finding | None:
    """Compare with what was known of the same hours."""
    margin = len(SHIFTS) // 2
    known = part.known.by_hour(part.first_hour - margin, part.n_hours + 2 * margin)
    fresh = part.fresh.by_hour(part.first_hour, part.n_hours)
    units = _UNITS_TAKEN.get(kind.unit, {})
    if (factor := factor_of_copy(known, fresh, (_SIGN, *units))) is not None:
        if factor == _SIGN:
            return part.finding(Rule.SIGN, "values are what was known before, with the other sign")
        what = f"values are {_times(factor)} what was known before"
        return part.finding(Rule.UNIT, f"{what}: {units[factor]}?")
    if (shift := shift_of_copy(known, fresh)) is not None:
        return part.finding(Rule.SHIFT, f"values are what was known before, {_moved(shift)}")
    return None


def _as_days(kind: SignalKind, part: Part, time_zone: str) -> Finding | None:
    """Compare with the days before."""
    fresh = Days.of(part.fresh.by_hour(part.first_hour, part.n_hours))
    if not len(fresh):
        return None
    by_sun, by_clock = days_before(part.before, part.first_hour, HISTORY_DAYS, time_zone)
    units = _UNITS_TAKEN.get(kind.unit, {})
    if (factor := factor_of(by_sun, fresh, tuple(units))) is not None:
        what = f"values are {_times(factor)} what is usual"
        return part.finding(Rule.UNIT, f"{what}: {units[factor]}?")
    if is_turned(by_sun, fresh):
        return part.finding(Rule.SIGN, "values are as usual, with the other sign")
    shift = shift_of(by_sun, fresh)
    if shift is not None and shift_of(by_clock, fresh) == shift:
        return part.finding(Rule.SHIFT, f"values are as usual, {_moved(shift)}")
    return None


def _moved(shift: int) -> str:
    way = "late" if shift > 0 else "early"
    return f"{abs(shift)} h too {way}: local time taken for UTC?"


def _times(factor: float) -> str:
    return f"{factor:g} times" if factor > 1 else f"1/{1 / factor:g} of"
