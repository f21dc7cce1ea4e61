"""The tariff a site is on: the utility's document, and what of it the document cannot know."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from scheduler.specs.base import Instant, NonNegative, Spec
from scheduler.specs.urdb import UrdbTariff
from scheduler.specs.urdb_parts import MOST_PERIODS

Month = Annotated[str, Field(pattern=r"^(19|20|21)\d{2}-(0[1-9]|1[0-2])$")]
"""A calendar month of the local clock, e.g. ``"2026-03"``."""
ChargeName = Annotated[str, Field(pattern=r"^(flat|tou-\d{1,2})$")]
"""``flat``, or ``tou-`` and the index of a period of ``demandratestructure``."""


class PriceSignal(StrEnum):
    """What becomes of the price signal of a site on a tariff."""

    REPLACED = "replaced"  # the tariff is the whole price: none is needed
    ADDED = "added"  # the tariff is for delivery: the signal is the energy's price


class TierCount(StrEnum):
    """Which energy decides in what tier a kWh is."""

    MONTH = "month"  # all that was bought in the month before it
    PERIOD = "period"  # what was bought in the month in its own period


class MonthSoFar(Spec):
    """What the meter said at an instant: of the calendar month that it lies in.

    ``energy_kwh`` is by period of ``energyratestructure``, ``peaks_kw`` by charge.
    """

    at: Instant
    energy_kwh: Annotated[tuple[NonNegative, ...], Field(max_length=MOST_PERIODS)] = ()
    peaks_kw: Annotated[dict[ChargeName, NonNegative], Field(max_length=MOST_PERIODS)] = Field(
        default_factory=dict
    )


class TariffSpec(Spec):
    """A tariff of the Utility Rate Database, as one site is on it.

    Attributes
    ----------
    urdb
        The document. In a fleet file, ``urdb_file`` names it: JSON, beside the fleet.
    meters
        How many the fixed charge is for.
    holidays
        Local days on which the weekend's schedules hold.
    past_peaks_kw
        Highest import of earlier months, for a ratchet.
    so_far
        Where the current month stands; where nothing is stated it begins at nothing.
    """

    urdb: UrdbTariff
    price_signal: PriceSignal = PriceSignal.REPLACED
    tiers_count: TierCount = TierCount.MONTH
    meters: Annotated[int, Field(ge=1, le=10_000)] = 1
    holidays: Annotated[tuple[date, ...], Field(max_length=1000)] = ()
    past_peaks_kw: Annotated[dict[Month, NonNegative], Field(max_length=240)] = Field(
        default_factory=dict
    )
    so_far: MonthSoFar | None = None

    @model_validator(mode="after")
    def _of_its_document(self) -> Self:
        if self.so_far is None:
            return self
        n_energy, n_demand = len(self.urdb.energyratestructure), len(self.urdb.demandratestructure)
        given = len(self.so_far.energy_kwh)
        if given not in (0, n_energy):
            raise ValueError(
                f"tariff {self.urdb.title!r}: so_far.energy_kwh has {given} values,"
                f" must be {n_energy}, the periods of energyratestructure"
            )
        known = {f"tou-{period}" for period in range(n_demand)}
        known |= {"flat"} if self.urdb.flatdemandstructure else set()
        for name in self.so_far.peaks_kw:
            if name not in known:
                raise ValueError(
                    f"tariff {self.urdb.title!r}: so_far.peaks_kw has {name!r},"
                    f" must be one of {sorted(known)}"
                )
        return self
