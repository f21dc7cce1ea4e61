"""A site on a utility tariff: its prices, peaks and tiers, as slots of a problem."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from connectors.types import SignalKind
from optimizer import Site, baselines
from scheduler.services.assemble import Assembled, FleetState, InputRefused, assemble
from scheduler.services.documents import make_document
from scheduler.specs import FleetSpec
from tests.services.builders import fleet_spec, signal_rows, site_spec, window
from tests.tariffs.documents import demand, document, time_of_use

MIDNIGHT = datetime(2026, 7, 6, 7, tzinfo=UTC)  # a Monday in Los Angeles
DAY = 24


def fleet_on(urdb: dict[str, Any], tariff: dict[str, Any] | None = None, **site: Any) -> FleetSpec:
    """One site in Los Angeles under ``urdb``; a dollar is worth half a euro."""
    tariff = {"urdb": urdb} | (tariff or {})
    on = site_spec("LA", time_zone="America/Los_Angeles", currency="USD", tariff=tariff, **site)
    return fleet_spec(on, eur_per_unit={"USD": 0.5})


def signals_of(*more: pd.DataFrame, start: datetime = MIDNIGHT, hours: int = DAY) -> pd.DataFrame:
    """Carbon intensity, and no price."""
    carbon = signal_rows("LA", SignalKind.CARBON_INTENSITY, [200.0] * hours, start)
    return pd.concat([carbon, *more], ignore_index=True)


def assembled(
    fleet: FleetSpec,
    *more: pd.DataFrame,
    start: datetime = MIDNIGHT,
    n_slots: int = DAY,
    minutes: int = 60,
    state: FleetState | None = None,
) -> Assembled:
    """A day from local midnight on."""
    span = window(n_slots, minutes, start)
    return assemble(fleet, (), signals_of(*more, start=start), (), span, now=start, state=state)


def site_of(fleet: FleetSpec, **changes: Any) -> Site:
    """Its only site."""
    return assembled(fleet, **changes).problem.sites[0]


def marks(fleet: FleetSpec, *more: pd.DataFrame, **changes: Any) -> tuple[str, ...]:
    """What is to be known of it."""
    return assembled(fleet, *more, **changes).marks


def test_a_tariff_is_the_price_by_the_local_clock_and_no_signal_is_needed() -> None:
    """From 12 to 18 in Los Angeles 200 USD/MWh, else 80, at half a euro each."""
    made = assembled(fleet_on(time_of_use()))
    expected = (40.0,) * 12 + (100.0,) * 6 + (40.0,) * 6
    assert made.problem.sites[0].grid.import_price_eur_per_mwh == pytest.approx(expected)
    assert made.marks == ()


def test_quarter_hours_have_the_price_of_their_hour() -> None:
    """48 quarters before noon, 24 in the peak, 24 after it."""
    site = site_of(fleet_on(time_of_use()), n_slots=96, minutes=15)
    expected = (40.0,) * 48 + (100.0,) * 24 + (40.0,) * 24
    assert site.grid.import_price_eur_per_mwh == pytest.approx(expected)


def test_weekends_and_stated_holidays_have_their_own_schedule() -> None:
    """Sunday has no peak, nor has the Monday that is named a holiday."""
    sunday = MIDNIGHT - timedelta(days=1)
    assert set(site_of(fleet_on(time_of_use()), start=sunday).grid.import_price_eur_per_mwh) == {40}
    holiday = fleet_on(time_of_use(), {"holidays": ["2026-07-06"]})
    assert set(site_of(holiday).grid.import_price_eur_per_mwh) == {40}


def test_an_hour_of_the_grid_across_two_local_hours_costs_the_mean_of_both() -> None:
    """In Kolkata noon is 06:30 UTC: the hour from 06:00 is half at 8 and half at 20 ct."""
    on = site_spec("LA", time_zone="Asia/Kolkata", tariff={"urdb": time_of_use()})
    start = datetime(2026, 7, 6, 5, tzinfo=UTC)
    site = site_of(fleet_spec(on), start=start, n_slots=3)
    assert site.grid.import_price_eur_per_mwh == pytest.approx((80.0, 140.0, 200.0))


def test_a_tariff_may_come_on_top_of_the_price_signal() -> None:
    """30 USD/MWh of energy and 80 or 200 of delivery."""
    fleet = fleet_on(time_of_use(), {"price_signal": "added"})
    price = signal_rows("LA", SignalKind.PRICE, [30.0] * DAY, MIDNIGHT)
    site = assembled(fleet, price).problem.sites[0]
    assert site.grid.import_price_eur_per_mwh[:13] == pytest.approx((55.0,) * 12 + (115.0,))
    with pytest.raises(InputRefused, match="site LA: no price for"):
        assembled(fleet)


def test_a_price_signal_that_the_tariff_replaces_is_named() -> None:
    """Nothing that came in is dropped silently."""
    price = signal_rows("LA", SignalKind.PRICE, [30.0] * DAY, MIDNIGHT)
    made = assembled(fleet_on(time_of_use()), price)
    assert made.problem.sites[0].grid.import_price_eur_per_mwh[0] == pytest.approx(40)
    assert made.marks == ("LA price: not used, the site's tariff is its price",)


def test_exports_earn_what_the_tariff_pays_less_the_fee() -> None:
    """4 ct from 12 to 18, nothing else; the fee is 10 USD/MWh."""
    grid = {"import_limit_kw": 100, "export_limit_kw": 50, "export_fee_per_mwh": 10}
    site = site_of(fleet_on(time_of_use(), grid=grid))
    expected = (-5.0,) * 12 + (15.0,) * 6 + (-5.0,) * 6
    assert site.grid.export_price_eur_per_mwh == pytest.approx(expected)


def test_a_share_of_a_price_signal_that_is_not_there_is_refused() -> None:
    """It would be ignored."""
    grid = {"import_limit_kw": 100, "export_price_share": 0.8}
    with pytest.raises(ValidationError, match=r"site LA: grid.export_price_share = 0\.8, must be"):
        fleet_on(time_of_use(), grid=grid)


TIERS = [{"max": 1000, "rate": 0.10}, {"max": 5000, "rate": 0.15}, {"rate": 0.20}]
READ_AT = "2026-07-05T00:00:00-07:00"


@pytest.mark.parametrize(
    ("bought_kwh", "usd_per_mwh", "said"),
    [
        (999.0, 100, "tier 1 of 3: 999 kWh are bought so far and the tier ends at 1,000 kWh"),
        (1000.0, 150, "tier 2 of 3: 1,000 kWh are bought so far and the tier ends at 5,000 kWh"),
        (7000.0, 200, "tier 3 of 3: 7,000 kWh are bought so far"),
    ],
)
def test_a_plan_is_made_at_the_tier_the_month_has_reached(
    bought_kwh: float, usd_per_mwh: float, said: str
) -> None:
    """And says so: what it buys itself may reach the next one."""
    urdb = document(energyratestructure=[TIERS])
    made = assembled(fleet_on(urdb, {"so_far": {"at": READ_AT, "energy_kwh": [bought_kwh]}}))
    assert set(made.problem.sites[0].grid.import_price_eur_per_mwh) == {usd_per_mwh / 2}
    assert made.marks == (f"LA tariff: energy of 2026-07 in period 0 is planned at {said}",)
    assert made.energy_so_far_kwh == {"LA": (bought_kwh,)}


@pytest.mark.parametrize(
    ("bought_kwh", "falls", "said"),
    [
        (4880.0, False, " 6.00 USD more than planned"),
        (4880.0, True, " 6.00 USD less than planned"),
        (4700.0, False, None),
        (6000.0, False, None),
    ],
)
def test_a_plan_says_what_its_own_energy_does_to_tiers(
    bought_kwh: float, falls: bool, said: str | None
) -> None:
    """10 kW are 240 kWh: of these 120 lie beyond 5000 and are 5 ct dearer, or cheaper."""
    tiers = [*TIERS[:2], {"rate": 0.10}] if falls else TIERS
    so_far = {"at": READ_AT, "energy_kwh": [bought_kwh]}
    fleet = fleet_on(document(energyratestructure=[tiers]), {"so_far": so_far}, base_load_kw=10.0)
    made = assembled(fleet)
    plan = baselines.run_now(made.problem)
    crossings = make_document(fleet, made, plan, plan, MIDNIGHT).marks[: -len(made.marks)]
    assert [mark.split("billed")[1] for mark in crossings] == ([] if said is None else [said])


def test_a_new_month_begins_at_the_first_tier() -> None:
    """7000 kWh of July do not count in August."""
    start = datetime(2026, 8, 1, 4, tzinfo=UTC)  # 21:00 on 31 July in Los Angeles
    urdb = document(energyratestructure=[TIERS])
    fleet = fleet_on(urdb, {"so_far": {"at": READ_AT, "energy_kwh": [7000]}})
    made = assembled(fleet, start=start, n_slots=6)
    expected = (100.0,) * 3 + (50.0,) * 3
    assert made.problem.sites[0].grid.import_price_eur_per_mwh == pytest.approx(expected)
    july, august = made.marks
    assert "2026-07 in period 0 is planned at tier 3 of 3" in july
    assert "2026-08 in period 0 is planned at tier 1 of 3" in august


def test_what_was_read_in_another_month_says_nothing() -> None:
    """A reading of June is over in July; the state known otherwise comes first."""
    urdb = document(energyratestructure=[TIERS])
    june = {"so_far": {"at": "2026-06-30T23:00:00-07:00", "energy_kwh": [7000]}}
    assert assembled(fleet_on(urdb, june)).energy_so_far_kwh == {"LA": (0.0,)}
    known = FleetState(energy_so_far_kwh={"LA": (1500.0,)})
    site = site_of(fleet_on(urdb, june), state=known)
    assert set(site.grid.import_price_eur_per_mwh) == {75}


def test_every_demand_charge_is_a_peak_in_its_own_hours() -> None:
    """6 EUR/kW of the month's highest, 2.50 of the highest from 12 to 18; none of no charge."""
    flat, noon = site_of(fleet_on(demand())).peaks
    assert (flat.name, flat.charge_eur_per_kw, sum(flat.counts)) == ("flat 2026-07", 6.0, 24)
    assert (noon.name, noon.charge_eur_per_kw) == ("tou-1 2026-07", 2.5)
    assert [slot for slot, counts in enumerate(noon.counts) if counts] == [*range(12, 18)]


def test_peaks_so_far_are_those_the_meter_showed_this_month() -> None:
    """What was read in June is not July's."""
    stated = {"peaks_kw": {"flat": 40, "tou-1": 30}}
    july = fleet_on(demand(), {"so_far": {"at": READ_AT} | stated})
    assert [peak.so_far_kw for peak in site_of(july).peaks] == [40, 30]
    june = fleet_on(demand(), {"so_far": {"at": "2026-06-10T00:00Z"} | stated})
    assert [peak.so_far_kw for peak in site_of(june).peaks] == [0, 0]


def test_across_a_months_end_each_charge_has_two_peaks() -> None:
    """21:00 to 03:00 around the end of July."""
    start = datetime(2026, 8, 1, 4, tzinfo=UTC)
    peaks = {
        peak.name: peak.counts for peak in site_of(fleet_on(demand()), start=start, n_slots=6).peaks
    }
    assert peaks == {
        "flat 2026-07": (1, 1, 1, 0, 0, 0),
        "flat 2026-08": (0, 0, 0, 1, 1, 1),
        "tou-1 2026-07": (0,) * 6,
        "tou-1 2026-08": (0,) * 6,
    }


def test_a_charge_by_the_day_has_a_peak_every_day() -> None:
    """Two days, two peaks."""
    urdb = demand(demandrateunit="kW daily", flatdemandstructure=[], flatdemandmonths=None)
    fleet = fleet_on(urdb)
    signals = signals_of(hours=48)
    made = assemble(fleet, (), signals, (), window(48, 60, MIDNIGHT), now=MIDNIGHT)
    first, second = made.problem.sites[0].peaks
    assert (first.name, second.name) == ("tou-1 2026-07-06", "tou-1 2026-07-07")
    assert [slot for slot, counts in enumerate(second.counts) if counts] == [*range(36, 42)]


def test_a_ratchet_is_a_floor_and_says_which_months_it_lacks() -> None:
    """80 % of 500 kW; of the 11 months before July nine are not stated."""
    past = {"2026-05": 500.0, "2026-06": 200.0}
    fleet = fleet_on(demand(demandratchetpercentage=[0.8] * 12), {"past_peaks_kw": past})
    made = assembled(fleet)
    flat, noon = made.problem.sites[0].peaks
    assert (flat.floor_kw, flat.paid_kw, noon.floor_kw) == (400, 400, 0)
    assert made.marks == (
        "LA tariff: the ratchet of 2026-07 is reckoned without 9 months, 2025-08 to 2026-04:"
        " past_peaks_kw does not state the peak",
    )


def test_the_month_that_ends_in_the_window_counts_for_the_ratchet_of_the_next() -> None:
    """August is billed for 80 % of July's 600 kW so far at least."""
    past = {f"2025-{month:02d}": 1.0 for month in range(9, 13)}
    past |= {f"2026-{month:02d}": 1.0 for month in range(1, 7)}
    tariff = {
        "past_peaks_kw": past,
        "so_far": {"at": READ_AT, "peaks_kw": {"flat": 600}},
    }
    fleet = fleet_on(demand(demandratchetpercentage=[0.8] * 12), tariff)
    start = datetime(2026, 8, 1, 4, tzinfo=UTC)
    peaks = {peak.name: peak.paid_kw for peak in site_of(fleet, start=start, n_slots=6).peaks}
    assert peaks["flat 2026-07"] == 600
    assert peaks["flat 2026-08"] == pytest.approx(480)


def test_tiers_of_demand_that_rise_are_peaks_of_their_own() -> None:
    """10 USD/kW, and 4 more on what exceeds 50 kW; 30 kW were billed already."""
    urdb = demand(
        flatdemandstructure=[[{"max": 50, "rate": 10}, {"rate": 14}]], demandratestructure=[]
    )
    fleet = fleet_on(urdb, {"so_far": {"at": READ_AT, "peaks_kw": {"flat": 30}}})
    made = assembled(fleet)
    low, high = made.problem.sites[0].peaks
    assert (low.name, low.charge_eur_per_kw, low.paid_kw) == ("flat 2026-07", 5.0, 30)
    assert (high.name, high.charge_eur_per_kw, high.paid_kw) == (
        "flat 2026-07 above 50 kW",
        2.0,
        50,
    )
    assert made.marks == ()


@pytest.mark.parametrize(
    ("load_kw", "past_kw", "eur"),
    [
        (40.0, 0.0, 10 * 10 / 2),
        (80.0, 0.0, (20 * 10 + 30 * 14) / 2),
        (200.0, 0.0, (20 * 10 + 50 * 14 + 100 * 20) / 2),
        (80.0, 75.0, 20 * 14 / 2),
        (200.0, 500.0, 0.0),
    ],
)
def test_raising_a_peak_through_tiers_costs_what_the_bill_rises_by(
    load_kw: float, past_kw: float, eur: float
) -> None:
    """10, 14 above 50 and 20 above 100 USD/kW; 30 kW before, or 80 % of an earlier month."""
    urdb = demand(
        flatdemandstructure=[[{"max": 50, "rate": 10}, {"max": 100, "rate": 14}, {"rate": 20}]],
        demandratestructure=[],
        demandratchetpercentage=[0.8] * 12,
    )
    before = {"at": READ_AT, "peaks_kw": {"flat": 30}}
    tariff = {"so_far": before, "past_peaks_kw": {"2026-06": past_kw}}
    grid = {"import_limit_kw": 500}
    made = assembled(fleet_on(urdb, tariff, base_load_kw=load_kw, grid=grid))
    assert baselines.run_now(made.problem).terms.peak_eur == pytest.approx(eur)


@pytest.mark.parametrize(("so_far_kw", "usd_per_kw"), [(30.0, 10.0), (60.0, 4.0)])
def test_tiers_of_demand_that_fall_are_planned_at_the_one_reached(
    so_far_kw: float, usd_per_kw: float
) -> None:
    """A cheaper rate for more is not convex; the plan says which one it took."""
    urdb = demand(
        flatdemandstructure=[[{"max": 50, "rate": 10}, {"rate": 4}]], demandratestructure=[]
    )
    fleet = fleet_on(urdb, {"so_far": {"at": READ_AT, "peaks_kw": {"flat": so_far_kw}}})
    made = assembled(fleet)
    assert [peak.charge_eur_per_kw for peak in made.problem.sites[0].peaks] == [usd_per_kw / 2]
    assert made.marks == (
        f"LA tariff: flat 2026-07 has tiers that fall; planned at {usd_per_kw:g} USD/kW, that of"
        f" {so_far_kw:g} kW",
    )


@pytest.mark.parametrize(
    ("metered", "meaning"),
    [
        (15, "what exceeds the mean within a slot is not seen"),
        (5, "what exceeds the mean within a slot is not seen"),
        (None, None),
        (60, None),
    ],
)
def test_a_meter_of_other_intervals_than_the_slots_is_said(
    metered: int | None, meaning: str | None
) -> None:
    """15 minutes in slots of an hour; nothing where both are the same or the tariff says none."""
    said = marks(fleet_on(demand(demandwindow=metered)))
    assert [mark.split(": ", 2)[-1] for mark in said] == ([meaning] if meaning else [])


def test_what_a_plan_does_not_reckon_with_is_said() -> None:
    """Unknown fields, a minimum bill, net metering where something can be exported, and dates."""
    grid = {"import_limit_kw": 9, "export_limit_kw": 9}
    urdb = document(
        weathercharge=1, mincharge=400, dgrules="Net Metering", enddate=int(MIDNIGHT.timestamp())
    )
    assert marks(fleet_on(urdb, grid=grid)) == (
        "LA tariff: Example Power, GS-1 ended on 2026-07-06; it is used after that",
        "LA tariff: not reckoned with: weathercharge",
        "LA tariff: a bill is at least 400 USD per month; the plan saves below that all the same",
        "LA tariff: Net Metering is not reckoned with: exports earn what the tariff's sell rate"
        " says, interval by interval",
    )
    early = document(startdate=int(MIDNIGHT.timestamp()) + 3 * 86400)
    assert marks(fleet_on(early)) == (
        "LA tariff: Example Power, GS-1 begins on 2026-07-09; it is used before that",
    )
