"""Ratchets: demand billed at least, as a share of the highest of earlier months.

``demandratchetpercentage`` is a share by month, of the highest demand of the ``lookbackrange``
months before, or of the 11 before where that is not stated. ``lookbackpercent`` is a share in every
month, of the highest in ``lookbackrange`` months, or in the ``lookbackmonths`` of the year before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scheduler.specs.tariff import TariffSpec
from scheduler.specs.urdb import RATCHET_MONTHS
from scheduler.tariffs.periods import month_number, months_before


@dataclass(frozen=True, slots=True)
class Ratchet:
    """Least demand that ``month`` is billed for [kW], and months nobody stated the peak of."""

    month: str
    floor_kw: float
    unknown: tuple[str, ...]


def ratchet_in(spec: TariffSpec, month: str, peaks_kw: Mapping[str, float]) -> Ratchet:
    """Return the ratchet of ``month`` after ``peaks_kw``, the peaks of earlier months."""
    urdb = spec.urdb
    by_month = urdb.demandratchetpercentage
    before = months_before(month, urdb.lookbackrange or RATCHET_MONTHS)
    named = tuple(
        earlier
        for earlier in months_before(month, 12)
        if urdb.lookbackmonths is not None and urdb.lookbackmonths[month_number(earlier) - 1]
    )
    shares: list[tuple[float, Sequence[str]]] = [
        (0.0 if by_month is None else by_month[month_number(month) - 1], before),
        (urdb.lookbackpercent, named or before),
    ]
    in_use = [(share, months) for share, months in shares if share > 0.0]
    unknown = {earlier for _, months in in_use for earlier in months} - peaks_kw.keys()
    floor_kw = max(
        (share * peaks_kw.get(earlier, 0.0) for share, months in in_use for earlier in months),
        default=0.0,
    )
    return Ratchet(month, floor_kw, tuple(sorted(unknown)))
