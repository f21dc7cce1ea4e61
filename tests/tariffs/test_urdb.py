"""Documents of the Utility Rate Database are read whole, bounded, and refused by name."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import ValidationError

from scheduler.specs.tariff import TariffSpec
from scheduler.specs.urdb import UrdbTariff
from scheduler.specs.urdb_parts import ChargeUnit, EnergyUnit
from tests.tariffs.documents import demand, document, schedule, tariff


def read(**changes: Any) -> UrdbTariff:
    """The document with these changes."""
    return UrdbTariff.model_validate(document(**changes))


def test_what_a_document_says_of_costs_is_kept() -> None:
    """Rates, tiers, units, schedules and fixed charges, as they are written."""
    tiers = [{"max": 500, "rate": 0.1, "adj": 0.01, "sell": 0.03, "unit": "kWh daily"}, {}]
    made = read(energyratestructure=[tiers], fixedchargefirstmeter=9, fixedchargeunits="$/day")
    first, last = made.energyratestructure[0]
    assert first.price == pytest.approx(0.11)
    assert (first.max, first.sell, first.unit) == (500, 0.03, EnergyUnit.KWH_DAILY)
    assert (last.max, last.price) == (None, 0.0)
    assert (made.fixedchargefirstmeter, made.fixedchargeunits) == (9, ChargeUnit.DAY)
    assert made.title == "Example Power, GS-1"
    assert made.not_used == ()


def test_an_answer_of_the_api_holds_the_document() -> None:
    """``{"items": [...]}`` with one tariff is that tariff; with two it is not known which."""
    assert UrdbTariff.model_validate({"items": [document()]}) == read()
    with pytest.raises(ValidationError, match="items: 2 tariffs, must be 1"):
        UrdbTariff.model_validate({"items": [document(), document()]})


def test_names_are_read_in_capitals_or_small() -> None:
    """Version 8 writes ``lookbackRange``, other exports ``lookbackrange``."""
    made = UrdbTariff.model_validate(demand(lookbackPercent=80, lookbackRange=11))
    assert (made.lookbackpercent, made.lookbackrange) == (0.8, 11)
    assert UrdbTariff.model_validate(demand(lookbackpercent=0.8, lookbackrange=11)) == made


def test_a_field_nobody_knows_is_kept_by_name() -> None:
    """So that plans and bills can say that they leave it out; what is empty says nothing."""
    made = read(weathercharge=3.0, demandreactivepowercharge=2.7, newfield=[], energyattrs=[{}])
    assert made.not_used == ("demandreactivepowercharge", "energyattrs", "weathercharge")


def test_a_document_read_back_is_the_document() -> None:
    """A fleet is stored, shown and put again: nothing is lost on the way, nor added."""
    spec = tariff(demand(weathercharge=3.0), past_peaks_kw={"2026-01": 9}, holidays=["2026-07-03"])
    again = TariffSpec.model_validate(json.loads(spec.model_dump_json()))
    assert again == spec
    assert again.urdb.not_used == ("weathercharge",)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a period that is not there": (
        {"energyweekdayschedule": schedule(range(7, 8), inside=3)},
        "energyweekdayschedule[0][7] = 3, must be < 1, the periods of energyratestructure",
    ),
    "eleven months": ({"energyweekendschedule": schedule()[:11]}, "at least 12 items"),
    "a day of 25 hours": ({"energyweekendschedule": [[0] * 25] * 12}, "at most 24 items"),
    "no period": ({"energyratestructure": []}, "energyratestructure is empty"),
    "no tier": ({"energyratestructure": [[]]}, "at least 1 item"),
    "a tier below the one before": (
        {"energyratestructure": [[{"max": 9}, {"max": 5}, {}]]},
        "energyratestructure[0][1].max = 5.0, must be > 9",
    ),
    "a tier without end before another": (
        {"energyratestructure": [[{"rate": 1}, {"rate": 2}]]},
        "energyratestructure[0][0].max = None, must be > 0",
    ),
    "hours of use of demand": (
        {"energyratestructure": [[{"max": 9, "unit": "kWh/kW"}, {}]]},
        "Input should be 'kWh' or 'kWh daily'",
    ),
    "a rate nobody pays": ({"energyratestructure": [[{"rate": 1e10}]]}, "less than or equal to"),
    "a rate that is no number": ({"energyratestructure": [[{"rate": float("nan")}]]}, "finite"),
    "a field of a tier nobody knows": (
        {"energyratestructure": [[{"rate": 1, "surcharge": 2}]]},
        "Extra inputs are not permitted",
    ),
    "demand in kVA": ({"flatdemandunit": "kVA"}, "Input should be 'kW' or 'kW daily'"),
    "demand without its months": (
        {"flatdemandstructure": [[{"rate": 1}]]},
        "flatdemandmonths is missing, must be there with flatdemandstructure",
    ),
    "demand without its hours": (
        {"demandratestructure": [[{"rate": 1}]]},
        "demandweekdayschedule is missing, must be there with demandratestructure",
    ),
    "demand that earns": (
        {"flatdemandstructure": [[{"rate": 1, "adj": -2}]], "flatdemandmonths": [0] * 12},
        "flatdemandstructure[0][0]: rate + adj = -1 per kW, must be >= 0",
    ),
    "a coincident peak": (
        {"coincidentratestructure": [[{"rate": 9.5}]]},
        "coincidentratestructure holds a rate, must be left out",
    ),
    "a field of version 3": (
        {"fixedmonthlycharge": 275},
        "fixedmonthlycharge = 275, must be left out: it is of version 3",
    ),
    "a ratchet on nothing": (
        {"demandratchetpercentage": [0.5] * 12},
        "demandratchetpercentage without flatdemandstructure",
    ),
    "a window no hour is made of": ({"demandwindow": 25}, "demandwindow = 25 minutes"),
    "an end before the start": ({"enddate": 1500000000}, "enddate = 1500000000, must be after"),
    "a share of 120 %": ({"lookbackpercent": 120}, "less than or equal to 1"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_reckoned_with_is_refused_by_name(what: str) -> None:
    """The field, the value and the limit; nothing is passed over that would change a bill."""
    changes, message = BAD[what]
    with pytest.raises(ValidationError, match=re.escape(message)):
        read(**changes)


def test_what_is_stated_of_the_month_must_fit_the_document() -> None:
    """Energy for every period, peaks of charges that there are."""
    at = "2026-03-10T00:00Z"
    with pytest.raises(ValidationError, match=r"so_far\.energy_kwh has 2 values, must be 1"):
        tariff(so_far={"at": at, "energy_kwh": [1, 2]})
    with pytest.raises(ValidationError, match=r"so_far\.peaks_kw has 'flat', must be one of"):
        tariff(so_far={"at": at, "peaks_kw": {"flat": 1}})
    assert tariff(demand(), so_far={"at": at, "peaks_kw": {"flat": 1, "tou-1": 2}}).so_far
