"""What was agreed with the grid side, in the slots of a plan."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.types import GridEventKind, GridEventNotice, Window
from scheduler.services.assemble_commitments import (
    assemble_calls,
    assemble_positions,
    assemble_reserves,
)
from scheduler.services.assemble_points import shed_kw
from scheduler.services.window import PlanWindow
from scheduler.specs import FleetSpec
from scheduler.specs.fleet import SiteSpec
from tests.services.builders import START, fleet_spec, job_spec, site_spec
from tests.services.test_assemble import assembled

HOUR = timedelta(hours=1)
DAY = PlanWindow(START, 60, 24)
TERMS: dict[str, Any] = {
    "name": "aggregator",
    "sites": ["DE"],
    "decline_eur": 4.0,
    "notice_minutes": 30,
    "baseline_kw": 20.0,
    "pay_eur": 1.0,
    "rebound_kw": 12.0,
    "rebound_minutes": 90,
    "rebound_eur_per_kwh": 0.7,
}


def call(start_h: float, end_h: float, site: str = "DE", **changes: Any) -> GridEventNotice:
    """To 5 kW, in hours from START; 2 EUR/kWh above it, and 0.5 for what is not drawn."""
    span = Window(START + start_h * HOUR, START + end_h * HOUR)
    values = {"breach_eur_per_kwh": 2.0, "payment_eur_per_kwh": 0.5} | changes
    return GridEventNotice("dr-1", site, span, 5.0, **values)


def agreed(**commitments: Any) -> FleetSpec:
    """Two sites, and what was agreed."""
    return fleet_spec(site_spec("DE"), site_spec("FR"), commitments=commitments)


def test_a_call_under_terms_may_be_declined_and_has_a_rebound() -> None:
    """3 hours of 15 kW less at 0.5, and 1 EUR; for 90 minutes after it two slots are limited."""
    calls = assemble_calls(agreed(calls=[TERMS]), [call(2, 5)], DAY)
    (event,) = calls.events
    assert calls.limits == ()
    assert (event.sites, event.start_slot, event.level_kw) == (("DE",), 2, (5.0, 5.0, 5.0))
    assert event.missed_eur_per_kwh == 2.5
    assert event.pay_eur == pytest.approx(3 * 15 * 0.5 + 1.0)
    assert event.decline_eur == 4.0
    assert (event.rebound_kw, event.rebound_eur_per_kwh) == ((12.0, 12.0), 0.7)


def test_a_call_without_terms_is_a_limit() -> None:
    """Of another site than the terms are of."""
    calls = assemble_calls(agreed(calls=[TERMS]), [call(2, 5, "FR")], DAY)
    assert calls.events == ()
    assert [limit.site for limit in calls.limits] == ["FR"]


def test_a_call_of_several_sites_goes_by_the_name_of_its_terms() -> None:
    """Their imports count in sum."""
    fleet = agreed(calls=[TERMS | {"sites": ["DE", "FR"]}])
    (event,) = assemble_calls(fleet, [call(2, 5, "aggregator")], DAY).events
    assert event.sites == ("DE", "FR")
    assert len(assemble_calls(fleet, [call(2, 5)], DAY).limits) == 1


@pytest.mark.parametrize(
    ("changes", "decline_eur"),
    [
        ({"issued_at": START}, 4.0),
        ({"issued_at": START + 1.6 * HOUR}, 0.0),
        ({"kind": GridEventKind.EMERGENCY}, None),
        ({"kind": GridEventKind.SUBSCRIPTION}, None),
    ],
)
def test_what_declining_costs_goes_by_notice_and_kind(
    changes: dict[str, Any], decline_eur: float | None
) -> None:
    """With less than 30 minutes of notice it is free; an emergency nobody declines."""
    (event,) = assemble_calls(agreed(calls=[TERMS]), [call(2, 5, **changes)], DAY).events
    assert event.decline_eur == decline_eur


def test_a_call_that_has_begun_is_answered_already() -> None:
    """Taken part in, it binds; declined, it is gone with its rebound."""
    fleet = agreed(calls=[TERMS])
    (event,) = assemble_calls(fleet, [call(-1, 2)], DAY).events
    assert event.decline_eur is None
    assert assemble_calls(fleet, [call(-1, 2)], DAY, {"dr-1"}).events == ()
    assert assemble_calls(fleet, [call(1, 2)], DAY, {"dr-1"}).events != ()


def test_an_answer_given_before_a_call_began_is_handed_on() -> None:
    """The next plan need not know the one that declined; an emergency cannot have been."""
    fleet = agreed(calls=[TERMS])
    assert assemble_calls(fleet, [call(-1, 2)], DAY, {"dr-1"}).declined == ("dr-1",)
    emergency = call(-1, 2, kind=GridEventKind.EMERGENCY)
    calls = assemble_calls(fleet, [emergency], DAY, {"dr-1"})
    assert (len(calls.events), calls.declined) == (1, ())


def test_the_rebound_of_a_call_that_is_over_still_holds() -> None:
    """It ended half an hour ago: an hour of 90 minutes is left."""
    (event,) = assemble_calls(agreed(calls=[TERMS]), [call(-2, -0.5)], DAY).events
    assert (event.start_slot, event.level_kw) == (0, (12.0,))
    assert (event.missed_eur_per_kwh, event.pay_eur, event.decline_eur) == (0.7, 0.0, None)
    assert assemble_calls(agreed(calls=[TERMS]), [call(-4, -2)], DAY).events == ()


OWN = {"rebound_kw": 9.0, "rebound_minutes": 60.0, "rebound_eur_per_kwh": 0.3}


def test_a_rebound_that_came_with_a_call_holds_without_terms() -> None:
    """The call is binding and pays nothing; what is left of the rebound holds when it is over."""
    (event,) = assemble_calls(agreed(), [call(2, 5, **OWN)], DAY).events
    assert (event.sites, event.start_slot, event.level_kw) == (("DE",), 2, (5.0, 5.0, 5.0))
    assert (event.pay_eur, event.decline_eur, event.missed_eur_per_kwh) == (0.0, None, 2.5)
    assert (event.rebound_kw, event.rebound_eur_per_kwh) == ((9.0,), 0.3)
    (after,) = assemble_calls(agreed(), [call(-2, 0, **OWN)], DAY).events
    assert (after.start_slot, after.level_kw, after.missed_eur_per_kwh) == (0, (9.0,), 0.3)
    over = replace(call(-2, 0, **OWN), is_cancelled=True)
    assert assemble_calls(agreed(), [over], DAY).events == ()


@pytest.mark.parametrize(("start_h", "slot"), [(2, 5), (-1, 2)])
def test_a_call_that_ends_with_its_ramp_is_its_rebound_alone(start_h: int, slot: int) -> None:
    """Of its three hours no slot is limited, before it and while it lasts; the hour after is."""
    (event,) = assemble_calls(
        agreed(), [call(start_h, start_h + 3, ramp_minutes=180, **OWN)], DAY
    ).events
    assert (event.start_slot, event.level_kw, event.missed_eur_per_kwh) == (slot, (9.0,), 0.3)
    assert assemble_calls(agreed(), [call(30, 33, ramp_minutes=180, **OWN)], DAY).events == ()


def test_a_rebound_that_came_with_a_call_goes_before_that_of_its_terms() -> None:
    """All else stays as the terms say."""
    (event,) = assemble_calls(agreed(calls=[TERMS]), [call(2, 5, **OWN)], DAY).events
    assert (event.rebound_kw, event.rebound_eur_per_kwh) == ((9.0,), 0.3)
    assert event.decline_eur == 4.0


RESERVE: dict[str, Any] = {
    "name": "FCR",
    "sites": ["DE", "FR"],
    "direction": "symmetric",
    "lot_kw": 100,
    "most_lots": 5,
    "minutes": 15,
    "activation_s": 30,
    "time_zone": "Europe/Berlin",
    "eur_per_kw_hour": 0.02,
}


def test_a_reserve_has_blocks_of_the_local_clock() -> None:
    """4 hours from local midnight; the first began before the window, so nothing new is sold."""
    start = datetime(2026, 3, 28, 21, tzinfo=UTC)
    (product,) = assemble_reserves(agreed(reserves=[RESERVE]), PlanWindow(start, 60, 12), start)
    spans = [(block.start_slot, block.end_slot) for block in product.blocks]
    prices = [block.eur_per_kw for block in product.blocks]
    assert (product.hours, product.is_up, product.is_down) == (0.25, True, True)
    assert spans[0] == (2, 5)  # midnight to four, an hour of which the clock skips
    assert prices[0] == pytest.approx(0.02 * 3)
    assert spans[1] == (5, 9)


def test_what_is_sold_of_a_reserve_stays_when_its_gate_is_closed() -> None:
    """Nothing more is sold within six hours; two lots of the first block are, none of the next."""
    sold = [{"start_at": START.isoformat(), "end_at": (START + HOUR).isoformat(), "lots": 2}]
    spec = RESERVE | {"time_zone": "UTC", "gate_minutes": 360, "sold": sold}
    (product,) = assemble_reserves(agreed(reserves=[spec]), DAY, START)
    begins = {block.start_slot: (block.sold_lots, block.is_closed) for block in product.blocks}
    assert begins[0] == (2, True)
    assert 4 not in begins
    assert begins[8] == (0, False)


def test_a_position_says_what_was_agreed_slot_by_slot() -> None:
    """Two hours of the day; a position wholly outside the window is left out."""
    spec: dict[str, Any] = {"name": "day-ahead", "sites": ["DE"]}
    spec |= {"over_eur_per_kwh": 0.3, "under_eur_per_kwh": 0.1}
    inside = {"start_at": (START + HOUR).isoformat(), "end_at": (START + 3 * HOUR).isoformat()}
    outside = {"start_at": (START - 3 * HOUR).isoformat(), "end_at": START.isoformat()}
    (position,) = assemble_positions(
        agreed(positions=[spec | {"agreed": [inside | {"net_kw": -7.0}]}]), DAY
    )
    assert position.agreed == {1: -7.0, 2: -7.0}
    far = agreed(positions=[spec | {"agreed": [outside | {"net_kw": 7.0}]}])
    assert assemble_positions(far, DAY) == ()


def test_a_backup_is_shared_by_the_batteries_above_their_own_floors() -> None:
    """4 kW for 3 hours are 12 kWh at the meter: three quarters of 8 kWh and of 16."""
    batteries = [
        {
            "name": "a",
            "power_kw": 5,
            "capacity_kwh": 10,
            "soc_floor_kwh": 2,
            "discharge_efficiency": 0.5,
        },
        {"name": "b", "power_kw": 5, "capacity_kwh": 16, "discharge_efficiency": 0.75},
    ]
    spec = site_spec("DE", batteries=batteries, backup={"critical_kw": 4, "hours": 3})
    site = assembled(fleet_spec(spec)).problem.sites[0]
    assert [unit.soc_floor_kwh for unit in site.storage] == pytest.approx([2 + 6, 12])
    given = sum(
        (unit.soc_floor_kwh - own) * unit.discharge_efficiency
        for unit, own in zip(site.storage, (2.0, 0.0), strict=True)
    )
    assert given == pytest.approx(4 * 3)


@pytest.mark.parametrize(("critical_kw", "hours"), [(11, 1), (4, 5)])
def test_a_backup_no_battery_can_give_is_refused(critical_kw: float, hours: float) -> None:
    """Neither more power than there is, nor for longer."""
    batteries = [{"name": "a", "power_kw": 10, "capacity_kwh": 16}]
    backup = {"critical_kw": critical_kw, "hours": hours}
    with pytest.raises(ValidationError, match="site DE: backup"):
        fleet_spec(site_spec("DE", batteries=batteries, backup=backup))


@pytest.mark.parametrize(
    ("commitments", "words"),
    [
        ({"calls": [TERMS | {"sites": ["nowhere"]}]}, "nowhere"),
        ({"calls": [TERMS, TERMS]}, "occurs twice"),
        ({"calls": [TERMS, TERMS | {"name": "other"}]}, "DE"),
        ({"calls": [TERMS | {"name": "FR"}]}, "name of a site"),
        ({"reserves": [RESERVE | {"sites": []}]}, "sites"),
        ({"reserves": [RESERVE | {"direction": "sideways"}]}, "direction"),
        ({"reserves": [RESERVE | {"most_lots": 10**9}]}, "most_lots"),
    ],
)
def test_commitments_that_contradict_themselves_are_refused(
    commitments: dict[str, Any], words: str
) -> None:
    """Where they come in, by what is wrong with them."""
    with pytest.raises(ValidationError, match=words):
        agreed(**commitments)


def test_a_job_sheds_by_a_pause_or_down_to_its_lowest_cap() -> None:
    """3 of 4 kW, as its GPUs draw 1 idle; 1.5 by a cap at 2.5; nothing unless it says how soon."""
    points = [
        {"pool": "h100", "gpus": 2, "kw": 4.0, "power_cap_w": 700},
        {"pool": "h100", "gpus": 2, "kw": 2.5, "power_cap_w": 400},
    ]
    pools = [{"name": "h100", "gpus": 8, "idle_kw_per_gpu": 0.5}]
    site = SiteSpec.model_validate(site_spec("DE", pools=pools))
    spec = job_spec("j", operating_points=points, sheds_within_s=20, is_elastic=True)
    first = spec.operating_points[0]
    assert shed_kw(spec, first, site, may_pause=True) == pytest.approx(3.0)
    assert shed_kw(spec, first, site, may_pause=False) == pytest.approx(1.5)
    silent = spec.model_copy(update={"sheds_within_s": None})
    assert shed_kw(silent, first, site, may_pause=True) == 0.0


def test_the_example_of_the_documentation_is_a_fleet() -> None:
    """With every kind of commitment in it, and the sold lots where they were sold."""
    text = (Path(__file__).parents[2] / "docs" / "commitments.md").read_text(encoding="utf-8")
    written = tomllib.loads(text.split("```toml\n")[1].split("```")[0])
    fleet = agreed(**written["commitments"])
    window = PlanWindow(datetime(2026, 5, 31, 22, tzinfo=UTC), 60, 24)
    (product,) = assemble_reserves(fleet, window, window.start)
    (position,) = assemble_positions(fleet, window)
    assert len(fleet.commitments.calls) == 1
    assert [block.sold_lots for block in product.blocks] == [2] * 6
    assert position.agreed == dict.fromkeys(range(6), 150.0)
