"""PV and wind of a site: what may be described, and what is refused in which words."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from scheduler.specs.fleet import SiteSpec
from tests.api.world import SITE

PLACE = {"latitude_deg": 52.52, "longitude_deg": 13.41}
PV = {"peak_kw": 800, "tilt_deg": 30, "azimuth_deg": 180, "inverter_kw": 700}
WIND = {"rating_kw": 3000, "hub_height_m": 135, "turbine": "E-126/4200"}
CURVE = {"rating_kw": 3000, "hub_height_m": 135, "curve": [[3, 0], [12, 1], [25, 1]]}


def site(**changes: Any) -> SiteSpec:
    """Read a site with these fields."""
    return SiteSpec.model_validate(SITE | changes)


def refusal_of(**changes: Any) -> str:
    """What a site with these fields is refused with."""
    with pytest.raises(ValidationError) as refused:
        site(**changes)
    return str(refused.value)


def test_a_site_has_what_it_describes() -> None:
    """Nobody has to say it twice, and what was read is read again the same."""
    described = site(**PLACE, pv=[PV, PV | {"azimuth_deg": 90}], wind=[WIND, CURVE])
    assert (described.has_pv, described.has_wind) == (True, True)
    assert SiteSpec.model_validate(described.model_dump(mode="json")) == described


def test_a_site_may_have_plants_that_it_does_not_describe() -> None:
    """As fleets did before plants could be described."""
    old = site(has_pv=True)
    assert (old.has_pv, old.has_wind, old.pv, old.latitude_deg) == (True, False, (), None)


def test_one_plant_described_says_nothing_of_the_other() -> None:
    """A site may tell its wind itself."""
    assert site(**PLACE, pv=[PV]).has_wind is False
    assert site(**PLACE, pv=[PV], has_wind=True).has_wind is True


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"pv": [PV]}, "site DE: pv or wind is described, but not where"),
        ({"wind": [WIND]}, "site DE: pv or wind is described, but not where"),
        ({"latitude_deg": 52.52}, "site DE: longitude_deg is missing, a place needs both"),
        ({"longitude_deg": 13.41}, "site DE: latitude_deg is missing, a place needs both"),
        (PLACE | {"pv": [PV], "has_pv": False}, "site DE: has_pv = false, but pv is described"),
        (PLACE | {"wind": [WIND], "has_wind": False}, "has_wind = false, but wind is described"),
        (PLACE | {"latitude_deg": 90.1}, "less than or equal to 90"),
        (PLACE | {"longitude_deg": -180.1}, "greater than or equal to -180"),
        (PLACE | {"pv": [PV | {"tilt_deg": 91}]}, "less than or equal to 90"),
        (PLACE | {"pv": [PV | {"azimuth_deg": 361}]}, "less than or equal to 360"),
        (PLACE | {"pv": [PV | {"peak_kw": 0}]}, "greater than 0"),
        (PLACE | {"pv": [PV | {"inverter_kw": 1e300}]}, "less than or equal to 1000000000"),
        (PLACE | {"pv": [PV | {"loss_share": 1}]}, "less than 1"),
        (PLACE | {"pv": [PV] * 51}, "at most 50 items"),
        (
            PLACE | {"wind": [WIND | CURVE]},
            "wind of 3000 kW: must have either turbine or curve, has both",
        ),
        (
            PLACE | {"wind": [{"rating_kw": 3000, "hub_height_m": 135}]},
            "wind of 3000 kW: must have either turbine or curve, has neither",
        ),
        (PLACE | {"wind": [CURVE | {"curve": [[3, 0]]}]}, "curve must have 2 pairs or more"),
        (
            PLACE | {"wind": [CURVE | {"curve": [[3, 0], [3, 1]]}]},
            "wind of 3000 kW: curve has 3 m/s after 3 m/s, must go up",
        ),
        (PLACE | {"wind": [CURVE | {"curve": [[3, 0], [12, 1.1]]}]}, "less than or equal to 1"),
        (PLACE | {"wind": [WIND | {"hub_height_m": 4}]}, "greater than or equal to 5"),
    ],
)
def test_plants_that_make_no_sense_are_refused(changes: dict[str, Any], told: str) -> None:
    """When the fleet is put, not when the first forecast is made."""
    assert told in refusal_of(**changes)
