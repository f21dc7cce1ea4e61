"""A fleet is refused when it is put, not when dispatch first works with it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from scheduler.specs import FleetSpec
from tests.api.world import SITE

POOL = {"name": "a100", "gpus": 8}
BATTERY = {"name": "b", "power_kw": 10, "capacity_kwh": 20}
GENERATOR = {"name": "g", "max_kw": 10, "fuel_per_kwh": 0.3}


def refusal_of(**fleet: Any) -> str:
    """What a fleet of site DE with these fields is refused with."""
    with pytest.raises(ValidationError) as refused:
        FleetSpec.model_validate({"sites": [SITE]} | fleet)
    return str(refused.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"pools": [POOL, POOL]}, "site DE: pool 'a100' occurs twice"),
        ({"batteries": [BATTERY, BATTERY]}, "site DE: battery 'b' occurs twice"),
        ({"generators": [GENERATOR, GENERATOR]}, "site DE: generator 'g' occurs twice"),
        (
            {"batteries": [BATTERY | {"soc_initial_kwh": 21}]},
            "battery b: soc_initial_kwh = 21, must be <= capacity_kwh = 20",
        ),
        (
            {"batteries": [BATTERY | {"soc_floor_kwh": 21}]},
            "battery b: soc_floor_kwh = 21, must be <= capacity_kwh = 20",
        ),
        (
            {"batteries": [BATTERY | {"soc_final_min_kwh": 21}]},
            "battery b: soc_final_min_kwh = 21, must be <= capacity_kwh = 20",
        ),
        (
            {"generators": [GENERATOR | {"min_kw": 11}]},
            "generator g: min_kw = 11, must be <= max_kw = 10",
        ),
        ({"peak": {"charge_per_kw": 1, "local_hours": [30, 99]}}, "less than or equal to 24"),
        ({"peak": {"charge_per_kw": 1, "local_hours": [-1, 24]}}, "greater than or equal to 0"),
        ({"peak": {"charge_per_kw": 1, "local_hours": [8, 8]}}, "local_hours = (8, 8)"),
        ({"grid": {"import_limit_kw": 1e300}}, "less than or equal to 1000000000"),
        ({"pools": [POOL | {"gpus": 10**30}]}, "less than or equal to 1000000"),
    ],
)
def test_site_that_contradicts_itself_is_refused(changes: dict[str, Any], told: str) -> None:
    """One such site would stop the planning and the dispatch of all."""
    assert told in refusal_of(sites=[SITE | changes])


def test_group_has_one_trigger() -> None:
    """A run is known by group and day: of two triggers the second would never fire."""
    triggers = [{"local_time": "06:00"}, {"local_time": "18:00"}]
    assert "trigger of group 'default' occurs twice" in refusal_of(triggers=triggers)


def test_link_is_named_once() -> None:
    """Of two links between the same sites only one would count."""
    link = {"from_site": "DE", "to_site": "FR", "gb_per_hour": 100}
    sites = [SITE, SITE | {"name": "FR"}]
    assert "link 'DE -> FR' occurs twice" in refusal_of(sites=sites, links=[link, link])


@pytest.mark.parametrize(
    "planning",
    [
        {"time_limit_s": 1e300},
        {"freeze_minutes": 10**15},
        {"max_signal_age_hours": 1e300},
        {"carbon_intensity_name": "x" * 121},
        {"carbon_intensity_name": "marginal\0"},
    ],
)
def test_extreme_planning_rule_is_refused(planning: dict[str, Any]) -> None:
    """No plan could be made by it."""
    refusal_of(planning=planning)
