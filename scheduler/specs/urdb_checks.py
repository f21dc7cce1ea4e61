"""What a document of the Utility Rate Database must not hold, or must not hold together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scheduler.specs.urdb_parts import DemandTier, DemandUnit, Tier

if TYPE_CHECKING:
    from scheduler.specs.urdb import UrdbTariff

DEMAND_WINDOWS_MINUTES = (5, 10, 15, 20, 30, 60)
_OF_VERSION_3 = ("fixedmonthlycharge", "minmonthlycharge", "annualmincharge")
_UNIT_OF = {"flatdemandstructure": "flatdemandunit", "demandratestructure": "demandrateunit"}
_SCHEDULES_OF = {
    "energyratestructure": ("energyweekdayschedule", "energyweekendschedule"),
    "demandratestructure": ("demandweekdayschedule", "demandweekendschedule"),
}


def refuse_what_is_not_reckoned_with(given: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` for what would change plans and bills and is not understood here."""
    owner = f"tariff {str(given.get('name', ''))[:120]!r}"
    for name in _OF_VERSION_3:
        if given.get(name):
            raise ValueError(
                f"{owner}: {name} = {str(given[name])[:80]}, must be left out:"
                " it is of version 3, take the document of version 7 or 8"
            )
    if _holds_a_rate(given.get("coincidentratestructure")):
        raise ValueError(
            f"{owner}: coincidentratestructure holds a rate, must be left out: nothing here knows"
            " when the peak of the utility's grid will be"
        )


def _holds_a_rate(structure: Any) -> bool:
    if isinstance(structure, Mapping):
        return bool(structure.get("rate") or structure.get("adj"))
    if isinstance(structure, Sequence) and not isinstance(structure, str):
        return any(_holds_a_rate(part) for part in structure)
    return False


def contradictions(tariff: UrdbTariff) -> Iterator[str]:
    """Yield what is missing, out of order or without its counterpart, with value and limit."""
    yield from _bad_periods(tariff)
    yield from _bad_tiers("energyratestructure", tariff.energyratestructure)
    for name in ("flatdemandstructure", "demandratestructure"):
        periods = getattr(tariff, name)
        yield from _bad_tiers(name, periods)
        yield from _bad_demand_tiers(name, periods, getattr(tariff, _UNIT_OF[name]))
    yield from _bad_ratchet(tariff)
    window = tariff.demandwindow
    if window is not None and window not in DEMAND_WINDOWS_MINUTES:
        yield f"demandwindow = {window} minutes, must be one of {DEMAND_WINDOWS_MINUTES}"
    start, end = tariff.startdate, tariff.enddate
    if start is not None and end is not None and end <= start:
        yield f"enddate = {end}, must be after startdate = {start}"


def _bad_periods(tariff: UrdbTariff) -> Iterator[str]:
    if not tariff.energyratestructure:
        yield "energyratestructure is empty, must hold a period"
    for structure, schedules in _SCHEDULES_OF.items():
        n_periods = len(getattr(tariff, structure))
        for name in schedules if n_periods else ():
            schedule = getattr(tariff, name)
            if schedule is None:
                yield f"{name} is missing, must be there with {structure}"
            for month, day in enumerate(schedule or ()):
                if max(day) >= n_periods:
                    yield (
                        f"{name}[{month}][{day.index(max(day))}] = {max(day)},"
                        f" must be < {n_periods}, the periods of {structure}"
                    )
    n_flat, months = len(tariff.flatdemandstructure), tariff.flatdemandmonths
    if n_flat and months is None:
        yield "flatdemandmonths is missing, must be there with flatdemandstructure"
    for month, period in enumerate(months or ()):
        if n_flat and period >= n_flat:
            yield (
                f"flatdemandmonths[{month}] = {period}, must be < {n_flat},"
                " the periods of flatdemandstructure"
            )


def _bad_tiers(name: str, periods: Sequence[Sequence[Tier]]) -> Iterator[str]:
    """All tiers but the last end, each above the one before."""
    for period, tiers in enumerate(periods):
        before = 0.0
        for number, tier in enumerate(tiers[:-1]):
            if tier.max is None or tier.max <= before:
                yield f"{name}[{period}][{number}].max = {tier.max}, must be > {before:g}"
            before = tier.max or before


def _bad_demand_tiers(
    name: str, periods: Sequence[Sequence[DemandTier]], unit: DemandUnit
) -> Iterator[str]:
    for period, tiers in enumerate(periods):
        for number, tier in enumerate(tiers):
            place = f"{name}[{period}][{number}]"
            if tier.price < 0.0:
                yield f"{place}: rate + adj = {tier.price:g} per kW, must be >= 0"
            if tier.unit is not DemandUnit.KW and tier.unit is not unit:
                yield f"{place}.unit = {tier.unit.value!r}, must be {unit.value!r}, as of {name}"


def _bad_ratchet(tariff: UrdbTariff) -> Iterator[str]:
    if tariff.has_ratchet and not tariff.flatdemandstructure:
        field = "lookbackpercent" if tariff.lookbackpercent else "demandratchetpercentage"
        yield f"{field} without flatdemandstructure, must come with the demand that it is on"
    if tariff.has_ratchet and tariff.flatdemandunit is DemandUnit.KW_DAILY:
        yield "flatdemandunit = 'kW daily' with a ratchet, must be 'kW'"
    if tariff.lookbackrange and any(tariff.lookbackmonths or ()):
        yield (
            f"lookbackrange = {tariff.lookbackrange} beside lookbackmonths,"
            " must be 0 where months are named"
        )
