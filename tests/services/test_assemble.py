"""Sites, money, local time and grid events, from what people write to slots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from connectors.types import GridEventNotice, SignalKind, Window
from optimizer import InvalidProblem, Problem
from scheduler.services.assemble import Assembled, FleetState, JobToPlan, assemble
from scheduler.services.assemble_peaks import peaks_of
from scheduler.specs import FleetSpec
from tests.services.builders import (
    START,
    flat_signals,
    fleet_spec,
    job_spec,
    signal_rows,
    site_spec,
    window,
)


def assembled(
    fleet: FleetSpec,
    *more: pd.DataFrame,
    events: tuple[GridEventNotice, ...] = (),
    state: FleetState | None = None,
    n_slots: int = 2,
) -> Assembled:
    """The fleet at flat prices, with more signals."""
    signals = pd.concat([flat_signals(*(site.name for site in fleet.sites)), *more])
    return assemble(fleet, (), signals, events, window(n_slots), now=START, state=state)


def problem(fleet: FleetSpec, *more: pd.DataFrame) -> Problem:
    """Its problem alone."""
    return assembled(fleet, *more).problem


def test_money_in_another_currency_is_converted_at_the_stated_rate() -> None:
    """At 0.5 EUR per USD every price, fee, charge, wear and fuel cost is halved."""
    site = site_spec(
        currency="USD",
        grid={"import_limit_kw": 9, "network_fee_per_mwh": 8, "export_fee_per_mwh": 10},
        peak={"charge_per_kw": 12},
        batteries=[
            {"power_kw": 1, "capacity_kwh": 2, "wear_per_kwh": 0.02, "terminal_value_per_kwh": 0.1}
        ],
        generators=[{"max_kw": 3, "fuel_per_kwh": 0.4, "start_cost": 6}],
    )
    made = problem(fleet_spec(site, eur_per_unit={"USD": 0.5})).sites[0]
    assert made.grid.import_price_eur_per_mwh == (25, 25)
    assert made.grid.export_price_eur_per_mwh == (20, 20)
    assert made.grid.network_fee_eur_per_mwh == (4, 4)
    assert [peak.charge_eur_per_kw for peak in made.peaks] == [6]
    assert made.storage[0].wear_eur_per_kwh == 0.01
    assert made.storage[0].terminal_value_eur_per_kwh == 0.05
    assert made.generators[0].fuel_eur_per_kwh == 0.2
    assert made.generators[0].start_eur == 3
    assert made.grid.carbon_g_per_kwh == (200, 200)


def test_export_price_is_a_share_of_the_import_price_less_a_fee() -> None:
    """80 % of 50 EUR/MWh less 5 EUR/MWh is 35 EUR/MWh."""
    grid = {"import_limit_kw": 9, "export_price_share": 0.8, "export_fee_per_mwh": 5}
    made = problem(fleet_spec(site_spec(grid=grid))).sites[0]
    assert made.grid.export_price_eur_per_mwh == (35, 35)


def test_export_price_of_its_own_holds_where_there_is_one() -> None:
    """The hour without one is derived, and marked."""
    own = signal_rows("DE", SignalKind.EXPORT_PRICE, [11])
    made = assembled(fleet_spec(), own)
    assert made.problem.sites[0].grid.export_price_eur_per_mwh == (11, 50)
    assert made.marks == ("DE export_price: 1 of 2 slots derived from the import price",)


def test_pv_and_wind_are_plants_of_the_site() -> None:
    """Their signals are the plants' output; a little below zero at night is zero, with a mark."""
    made = assembled(
        fleet_spec(site_spec(has_pv=True, has_wind=True)),
        signal_rows("DE", SignalKind.PV, [-0.2, 30]),
        signal_rows("DE", SignalKind.WIND, [5, 6]),
    )
    plants = {plant.name: plant.available_kw for plant in made.problem.sites[0].renewables}
    assert plants == {"pv": (0, 30), "wind": (5, 6)}
    assert made.marks == ("DE pv: 1 slots below 0 kW taken as 0 kW",)


def test_missing_pv_is_no_sun_and_says_so() -> None:
    """A plan without the PV signal counts on none."""
    made = assembled(fleet_spec(site_spec(has_pv=True)))
    assert made.problem.sites[0].renewables[0].available_kw == (0, 0)
    assert made.marks == ("DE pv: 2 of 2 slots missing, taken as 0 kW",)


def test_a_signal_for_a_plant_the_site_does_not_have_is_named() -> None:
    """Nothing that came in is dropped silently."""
    made = assembled(fleet_spec(), signal_rows("DE", SignalKind.PV, [1, 2]))
    assert made.problem.sites[0].renewables == ()
    assert made.marks == ("DE pv: not used, the site has no such plant",)


def test_base_load_and_pue_come_from_the_spec_unless_signalled() -> None:
    """Constants need no mark; a signal that ends early falls back to them with one."""
    fleet = fleet_spec(site_spec(base_load_kw=7, pue=1.3))
    plain = assembled(fleet)
    assert plain.problem.sites[0].base_load_kw == (7, 7)
    assert plain.problem.sites[0].pue == (1.3, 1.3)
    assert {one.kind for one in plain.inputs} == {SignalKind.PRICE, SignalKind.CARBON_INTENSITY}
    assert plain.marks == ()
    signalled = assembled(fleet, signal_rows("DE", SignalKind.PUE, [1.1]))
    assert signalled.problem.sites[0].pue == (1.1, 1.3)
    assert signalled.marks == ("DE pue: 1 of 2 slots missing, taken as 1.3",)


def test_state_of_charge_and_peak_so_far_override_the_spec() -> None:
    """What the battery reports holds, but never more than it can hold."""
    site = site_spec(
        peak={"charge_per_kw": 1, "so_far_kw": 10},
        batteries=[{"power_kw": 1, "capacity_kwh": 5, "soc_initial_kwh": 1}],
    )
    plain = problem(fleet_spec(site)).sites[0]
    assert plain.storage[0].soc_initial_kwh == 1
    state = FleetState(
        soc_kwh={("DE", "battery"): 5.01}, peak_so_far_kw={("DE", "peak 2021-07"): 44}
    )
    made = assembled(fleet_spec(site), state=state).problem.sites[0]
    assert made.storage[0].soc_initial_kwh == 5
    assert [peak.so_far_kw for peak in made.peaks] == [44]


def test_a_window_into_the_next_month_has_a_peak_of_each() -> None:
    """Until 22:00 UTC it is July in Berlin; the peak stated so far is July's alone."""
    start = datetime(2021, 7, 31, 12, tzinfo=UTC)
    peak = {"charge_per_kw": 3, "so_far_kw": 20}
    fleet = fleet_spec(site_spec(time_zone="Europe/Berlin", peak=peak))
    made = assemble(fleet, (), flat_signals(start=start), (), window(12, start=start), now=start)
    july, august = made.problem.sites[0].peaks
    assert (july.name, july.so_far_kw, july.counts) == ("peak 2021-07", 20, (1,) * 10 + (0,) * 2)
    assert (august.name, august.so_far_kw, august.counts) == (
        "peak 2021-08",
        0,
        (0,) * 10 + (1,) * 2,
    )
    assert (july.charge_eur_per_kw, august.charge_eur_per_kw) == (3, 3)
    assert made.marks == ()


def counted(zone: str, start: datetime, hours: tuple[int, int], minutes: int, n: int) -> list[int]:
    """Slots whose import counts."""
    site = site_spec(time_zone=zone, peak={"charge_per_kw": 1, "local_hours": hours})
    (spec,) = fleet_spec(site).sites
    made = peaks_of(spec, window(n, minutes, start))
    return [slot for slot in range(n) if any(peak.counts[slot] for peak in made)]


@pytest.mark.parametrize(
    ("zone", "midnight", "hours_of_day", "first"),
    [
        ("Europe/Berlin", datetime(2021, 3, 27, 23, tzinfo=UTC), 23, 7),
        ("Europe/Berlin", datetime(2021, 10, 30, 22, tzinfo=UTC), 25, 9),
        ("America/New_York", datetime(2021, 3, 14, 5, tzinfo=UTC), 23, 7),
        ("America/New_York", datetime(2021, 11, 7, 4, tzinfo=UTC), 25, 9),
        ("Europe/Berlin", datetime(2021, 7, 4, 22, tzinfo=UTC), 24, 8),
    ],
)
def test_peak_hours_follow_the_local_clock_on_clock_change_days(
    zone: str, midnight: datetime, hours_of_day: int, first: int
) -> None:
    """08-20 local begins 7 h after midnight when an hour is skipped, 9 h when one is repeated."""
    assert counted(zone, midnight, (8, 20), 60, hours_of_day) == [*range(first, first + 12)]
    quarters = counted(zone, midnight, (8, 20), 15, hours_of_day * 4)
    assert quarters == [*range(first * 4, (first + 12) * 4)]


def test_a_repeated_local_hour_counts_twice_and_a_skipped_one_never() -> None:
    """02-03 in Berlin: two UTC hours on the day of 25 h, none on the day of 23 h."""
    autumn = datetime(2021, 10, 30, 22, tzinfo=UTC)
    assert counted("Europe/Berlin", autumn, (2, 3), 60, 25) == [2, 3]
    assert counted("Europe/Berlin", autumn, (2, 3), 15, 100) == [*range(8, 16)]
    spring = datetime(2021, 3, 27, 23, tzinfo=UTC)
    assert counted("Europe/Berlin", spring, (2, 3), 60, 23) == []


def test_peak_hours_may_wrap_around_midnight() -> None:
    """22-06 counts eight hours of a day."""
    assert counted("UTC", START, (22, 6), 60, 24) == [0, 1, 2, 3, 4, 5, 22, 23]


def test_a_slot_counts_where_any_part_of_it_does() -> None:
    """In Kolkata 10:00 is 04:30 UTC: the UTC hour from 04:00 is half inside."""
    assert counted("Asia/Kolkata", START, (10, 11), 60, 24) == [4, 5]
    assert counted("Asia/Kolkata", START, (10, 11), 15, 96) == [18, 19, 20, 21]


def event(start_h: float, end_h: float, **changes: object) -> GridEventNotice:
    """An event at DE, in hours from START."""
    span = Window(START + timedelta(hours=start_h), START + timedelta(hours=end_h))
    values = {"event_id": "dr-1", "site": "DE", "window": span, "limit_kw": 5.0}
    return GridEventNotice(**(values | {"breach_eur_per_kwh": 2.0} | changes))  # type: ignore[arg-type]


def test_a_grid_event_limits_every_slot_it_touches() -> None:
    """From 01:30 to 03:30 touches the hours 1, 2 and 3."""
    (limit,) = assembled(
        fleet_spec(), events=(event(1.5, 3.5),), n_slots=24
    ).problem.capacity_limits
    assert (limit.name, limit.site, limit.start_slot, limit.end_slot) == ("dr-1", "DE", 1, 4)
    assert (limit.limit_kw, limit.breach_eur_per_kwh) == (5.0, 2.0)


def test_a_ramp_puts_the_limit_off_and_a_payment_weighs_as_a_breach() -> None:
    """From 01:00 with 90 minutes of ramp it holds in the hours 2 and 3; 2 + 0.5 EUR are lost."""
    terms = {"ramp_minutes": 90.0, "payment_eur_per_kwh": 0.5}
    (limit,) = assembled(
        fleet_spec(), events=(event(1, 4, **terms),), n_slots=24
    ).problem.capacity_limits
    assert (limit.start_slot, limit.end_slot, limit.breach_eur_per_kwh) == (2, 4, 2.5)
    whole_slot = event(1, 4, ramp_minutes=60.0)  # what is told at 02:00 would come too late
    (limit,) = assembled(fleet_spec(), events=(whole_slot,), n_slots=24).problem.capacity_limits
    assert limit.start_slot == 1
    all_ramp = event(1, 4, ramp_minutes=180.0)
    assert assembled(fleet_spec(), events=(all_ramp,), n_slots=24).problem.capacity_limits == ()


def test_events_are_cut_to_the_window_and_passed_over_outside_it() -> None:
    """Cancelled ones and those that are over or yet to come make no limit."""
    events = (
        event(-2, 1, event_id="now"),
        event(-4, 0, event_id="over"),
        event(24, 25, event_id="later"),
        event(0, 1, event_id="called off", is_cancelled=True),
    )
    (limit,) = assembled(fleet_spec(), events=events, n_slots=24).problem.capacity_limits
    assert (limit.name, limit.start_slot, limit.end_slot) == ("now", 0, 1)


def test_an_event_at_an_unknown_site_is_named() -> None:
    """It cannot be honoured, and the plan says so."""
    made = assembled(fleet_spec(), events=(event(0, 1, site="FR"),))
    assert made.problem.capacity_limits == ()
    assert made.marks == ("grid event dr-1: not used, FR is no site",)


def test_weights_ceilings_and_links_reach_the_problem() -> None:
    """What the operator values is what is minimised."""
    planning = {
        "weights": {"peak": 2.0, "carbon_eur_per_t": 70.0},
        "carbon_budget_kg": 9.0,
        "carbon_intensity_name": "marginal",
    }
    link = {"from_site": "DE", "to_site": "FR", "gb_per_hour": 10, "eur_per_gb": 0.1}
    made = problem(fleet_spec(site_spec(), site_spec("FR"), planning=planning, links=[link]))
    assert (made.weights.peak, made.weights.carbon_eur_per_t) == (2.0, 70.0)
    assert made.ceilings.carbon_budget_kg == 9.0
    assert made.carbon_intensity_name == "marginal"
    assert (made.links[0].from_site, made.links[0].gb_per_hour) == ("DE", 10)


def test_quarter_hours_are_counted_in_quarter_hours() -> None:
    """Eight slots of 15 minutes are two hours of price."""
    made = assemble(fleet_spec(), (), flat_signals(hours=2), (), window(8, 15), now=START)
    assert made.problem.horizon.n_slots == 8
    assert made.problem.horizon.slot_hours == 0.25
    assert made.marks == ()


def test_a_contradiction_in_the_specs_is_refused_by_name() -> None:
    """Two jobs that each wait for the other can never start."""
    pairs = (("a", "b"), ("b", "a"))
    jobs = [JobToPlan(job_spec(name, after=[other]), 2.0) for name, other in pairs]
    with pytest.raises(InvalidProblem, match=r"problem: after = .*, must be free of cycles"):
        assemble(fleet_spec(), jobs, flat_signals(), (), window(), now=START)
