"""A utility tariff as the OpenEI Utility Rate Database writes it: versions 7 and 8, JSON.

Read are the fields that say what electricity costs. What tells about a tariff (who may have it,
where it was published) is passed over by name, in ``INFORMATIVE``. A field that would change a plan
and is not reckoned with is refused by name. A field nobody knows is kept by name in ``not_used``,
and every plan and bill under the tariff says so. Money is in the currency of the site.

Format: https://openei.org/services/doc/rest/util_rates/?version=8
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from scheduler.specs.base import NonNegative, Spec, Text
from scheduler.specs.urdb_checks import contradictions, refuse_what_is_not_reckoned_with
from scheduler.specs.urdb_parts import (
    BY_MONTH,
    ChargeUnit,
    DemandPeriods,
    DemandUnit,
    EnergyPeriods,
    Epoch,
    FieldName,
    Index,
    Rate,
    Schedule,
    Share,
)

RATCHET_MONTHS = 11
"""How far a ratchet looks back where the document does not say [months]."""

INFORMATIVE = frozenset(
    {
        "label",
        "uri",
        "approved",
        "is_default",
        "supercedes",
        "supersedes",
        "sector",
        "servicetype",
        "description",
        "source",
        "sourceparent",
        "basicinformationcomments",
        "peakkwcapacitymin",
        "peakkwcapacitymax",
        "peakkwcapacityhistory",
        "demandunits",
        "peakkwhusagemin",
        "peakkwhusagemax",
        "peakkwhusagehistory",
        "voltageminimum",
        "voltagemaximum",
        "voltagecategory",
        "phasewiring",
        "demandcomments",
        "energycomments",
        "eiaid",
        "eia",
        "country",
        "revisions",
        "latest_update",
    }
)
"""Fields about a tariff: who may have it, and where it comes from."""


class UrdbTariff(Spec):
    """One tariff; fields are named as in the database, in small letters.

    ``not_used`` are fields of the document that no plan or bill reckons with.
    """

    name: Annotated[Text, Field(max_length=500)] = ""
    utility: Annotated[Text, Field(max_length=500)] = ""
    startdate: Epoch | None = None
    enddate: Epoch | None = None

    energyratestructure: EnergyPeriods
    energyweekdayschedule: Schedule
    energyweekendschedule: Schedule
    fueladjustmentsmonthly: Annotated[tuple[Rate, ...], BY_MONTH] | None = None
    dgrules: Annotated[Text, Field(max_length=120)] = ""
    usenetmetering: bool = False

    flatdemandstructure: DemandPeriods = ()
    flatdemandmonths: Annotated[tuple[Index, ...], BY_MONTH] | None = None
    flatdemandunit: DemandUnit = DemandUnit.KW
    demandratestructure: DemandPeriods = ()
    demandweekdayschedule: Schedule | None = None
    demandweekendschedule: Schedule | None = None
    demandrateunit: DemandUnit = DemandUnit.KW
    demandwindow: int | None = None
    demandratchetpercentage: Annotated[tuple[Share, ...], BY_MONTH] | None = None
    lookbackpercent: Share = 0.0
    lookbackrange: Annotated[int, Field(ge=0, le=60)] = 0
    lookbackmonths: Annotated[tuple[bool, ...], BY_MONTH] | None = None

    fixedchargefirstmeter: Rate = 0.0
    fixedchargeeaaddl: Rate = 0.0
    fixedchargeunits: ChargeUnit = ChargeUnit.MONTH
    mincharge: NonNegative = 0.0
    minchargeunits: ChargeUnit = ChargeUnit.MONTH

    not_used: Annotated[tuple[FieldName, ...], Field(max_length=200)] = ()

    @property
    def title(self) -> str:
        """How a person knows it."""
        return ", ".join(part for part in (self.utility, self.name) if part) or "tariff"

    @property
    def has_ratchet(self) -> bool:
        """Whether the peaks of earlier months can set what is billed."""
        return self.lookbackpercent > 0.0 or any(self.demandratchetpercentage or ())

    @model_validator(mode="before")
    @classmethod
    def _by_known_names(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        document = _the_only_item(data)
        given = {str(key).lower(): value for key, value in document.items() if value is not None}
        refuse_what_is_not_reckoned_with(given)
        known = {name: value for name, value in given.items() if name in cls.model_fields}
        unknown = [
            name
            for name, value in given.items()
            if name not in cls.model_fields and name not in INFORMATIVE and value
        ]
        return known | {"not_used": sorted({*known.get("not_used", ()), *_not_rates(unknown)})}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for problem in contradictions(self):
            raise ValueError(f"tariff {self.title!r}: {problem}")
        return self


def _the_only_item(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Unwrap an answer of the database's API, which must hold one tariff."""
    items = data.get("items")
    if not isinstance(items, Sequence) or isinstance(items, str):
        return data
    if len(items) != 1 or not isinstance(items[0], Mapping):
        raise ValueError(f"items: {len(items)} tariffs, must be 1")
    only: Mapping[str, Any] = items[0]
    return only


def _not_rates(unknown: Sequence[str]) -> Sequence[str]:
    """Leave out what only shapes a structure that is refused, or not there, in any case."""
    return [name for name in unknown if not name.startswith("coincident")]
