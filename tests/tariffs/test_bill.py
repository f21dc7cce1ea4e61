"""Bills of a month, line by line, against arithmetic on paper.

March 2026 has 31 days: in Los Angeles 743 hours, as an hour is skipped on the 8th; in Berlin 743 as
well, on the 29th. It begins on a Sunday and has 22 weekdays.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from scheduler.specs.tariff import TariffSpec
from scheduler.tariffs.bill import Bill, BillRefused, MeteredLoad, month_bill, month_bounds
from tests.tariffs.documents import demand, document, schedule, tariff, time_of_use

LOS_ANGELES = "America/Los_Angeles"
MARCH = "2026-03"


def metered(
    power_kw: Callable[[datetime], float], minutes: int = 60, month: str = MARCH, **more: Any
) -> MeteredLoad:
    """A month in Los Angeles of a load by the local clock."""
    start, end = month_bounds(month, LOS_ANGELES)
    zone, step = ZoneInfo(LOS_ANGELES), timedelta(minutes=minutes)
    starts = [(start + k * step).astimezone(zone) for k in range((end - start) // step)]
    return MeteredLoad(start, minutes, tuple(power_kw(at) for at in starts), **more)


def billed(spec: TariffSpec, load: MeteredLoad, month: str = MARCH) -> Bill:
    """The bill of a month in Los Angeles."""
    return month_bill(spec, LOS_ANGELES, month, load)


def amounts(bill: Bill) -> dict[str, float]:
    """Each line's amount."""
    return {line.what: line.amount for line in bill.lines}


@pytest.mark.parametrize(
    ("month", "hours"), [("2026-02", 672), (MARCH, 743), ("2026-11", 721), ("2026-12", 744)]
)
def test_a_month_is_as_long_as_the_local_clock_makes_it(month: str, hours: int) -> None:
    """10 kW at 10 ct: an hour less where one is skipped, an hour more where one is repeated."""
    bill = billed(tariff(), metered(lambda _: 10.0, month=month), month)
    assert bill.total == pytest.approx(10 * hours * 0.10)


@pytest.mark.parametrize("minutes", [5, 15, 60])
def test_time_of_use_by_hand(minutes: int) -> None:
    """10 kW: 22 weekdays of 6 hours at 20 ct, all other of the 743 hours at 8 ct."""
    bill = billed(tariff(time_of_use()), metered(lambda _: 10.0, minutes))
    assert amounts(bill) == {
        "energy, period 0, tier 1": pytest.approx((743 - 22 * 6) * 10 * 0.08),
        "energy, period 1, tier 1": pytest.approx(22 * 6 * 10 * 0.20),
    }


def test_a_holiday_is_a_weekend_day() -> None:
    """One weekday less at 20 ct."""
    spec = tariff(time_of_use(), holidays=["2026-03-31"])
    peak = amounts(billed(spec, metered(lambda _: 10.0)))["energy, period 1, tier 1"]
    assert peak == pytest.approx(21 * 6 * 10 * 0.20)


def test_a_repeated_hour_is_bought_twice_and_a_skipped_one_never() -> None:
    """1 kW from 1 to 3 in the night: on 1 November 3 hours, on 8 March 1, on other days 2."""
    urdb = document(
        energyratestructure=[[{"rate": 0.0}], [{"rate": 1.0}]],
        energyweekdayschedule=schedule(range(1, 3)),
        energyweekendschedule=schedule(range(1, 3)),
    )
    november = billed(tariff(urdb), metered(lambda _: 1.0, 15, "2026-11"), "2026-11")
    assert november.total == pytest.approx(30 * 2 + 1)
    march = billed(tariff(urdb), metered(lambda _: 1.0, 15))
    assert march.total == pytest.approx(31 * 2 - 1)


def test_tiers_of_the_month_by_hand() -> None:
    """7430 kWh: 1000 at 10 ct, 4000 at 15 ct, the remaining 2430 at 20 ct."""
    tiers = [{"max": 1000, "rate": 0.10}, {"max": 5000, "rate": 0.15}, {"rate": 0.20}]
    bill = billed(tariff(document(energyratestructure=[tiers])), metered(lambda _: 10.0))
    assert [line.amount for line in bill.lines] == pytest.approx([100.0, 600.0, 486.0])
    assert bill.total == pytest.approx(1186.0)


def test_tiers_by_the_day_end_with_the_days_of_the_month() -> None:
    """100 kWh a day are 3100 in March: 3100 at 10 ct and 4330 at 20 ct."""
    tiers = [{"max": 100, "rate": 0.10, "unit": "kWh daily"}, {"rate": 0.20, "unit": "kWh daily"}]
    bill = billed(tariff(document(energyratestructure=[tiers])), metered(lambda _: 10.0))
    assert [line.amount for line in bill.lines] == pytest.approx([310.0, 866.0])


def tiers_by_time_of_use() -> dict[str, Any]:
    """In both periods 1000 kWh are 5 ct cheaper."""
    return time_of_use(
        energyratestructure=[
            [{"max": 1000, "rate": 0.05}, {"rate": 0.10}],
            [{"max": 1000, "rate": 0.15}, {"rate": 0.20}],
        ]
    )


def test_tiers_of_each_period_by_hand() -> None:
    """6110 kWh and 1320 kWh: in each 1000 at the lower rate."""
    spec = tariff(tiers_by_time_of_use(), tiers_count="period")
    assert billed(spec, metered(lambda _: 10.0)).total == pytest.approx(
        1000 * 0.05 + 5110 * 0.10 + 1000 * 0.15 + 320 * 0.20
    )


def test_tiers_of_all_energy_go_by_the_order_it_was_bought_in() -> None:
    """At 10 kW, 1000 kWh are bought in 100 hours, to Thursday 5 March 04:00, with 3 peaks in it."""
    bill = billed(tariff(tiers_by_time_of_use()), metered(lambda _: 10.0))
    assert bill.total == pytest.approx(
        820 * 0.05 + 180 * 0.15 + (6110 - 820) * 0.10 + (1320 - 180) * 0.20
    )


def test_demand_by_hand() -> None:
    """30 kW on a Sunday at noon; 25 kW on a weekday at 17, 20 at 18, 10 otherwise."""
    peaks = {(8, 12): 30.0, (10, 17): 25.0, (10, 18): 20.0}
    load = metered(lambda at: peaks.get((at.day, at.hour), 10.0))
    assert amounts(billed(tariff(demand()), load)) == {
        "energy, period 0, tier 1": pytest.approx((7430 + 20 + 15 + 10) * 0.10),
        "demand, flat, tier 1": pytest.approx(30 * 12.0),
        "demand, tou-1, tier 1": pytest.approx(25 * 5.0),
    }


def test_demand_is_the_mean_of_the_tariffs_window() -> None:
    """40 kW for 15 minutes and 20 for the next are 30 over half an hour."""
    load = metered(lambda at: 40.0 if (at.day, at.hour, at.minute) == (10, 9, 0) else 20.0, 15)
    by_quarter = amounts(billed(tariff(demand(demandwindow=15)), load))
    by_half_hour = amounts(billed(tariff(demand(demandwindow=30)), load))
    assert by_quarter["demand, flat, tier 1"] == pytest.approx(40 * 12.0)
    assert by_half_hour["demand, flat, tier 1"] == pytest.approx(30 * 12.0)


def test_a_load_coarser_than_the_window_says_so() -> None:
    """What happened within the hour is not in the bill."""
    bill = billed(tariff(demand(demandwindow=15)), metered(lambda _: 1.0))
    assert bill.notes == (
        "demand is metered over 15 minutes and the load is given by 60: peaks within an interval"
        " are not seen",
    )


def test_tiers_of_demand_by_hand() -> None:
    """80 kW: the first 50 at 10, the other 30 at 4."""
    urdb = demand(flatdemandstructure=[[{"max": 50, "rate": 10}, {"rate": 4}]])
    lines = amounts(billed(tariff(urdb), metered(lambda _: 80.0)))
    assert lines["demand, flat, tier 1"] == pytest.approx(500.0)
    assert lines["demand, flat, tier 2"] == pytest.approx(120.0)


def test_demand_of_every_day_is_a_charge_of_every_day() -> None:
    """10 kW on 30 days and 25 kW on one, at 2 per kW and day."""
    urdb = document(
        flatdemandstructure=[[{"rate": 2.0}]],
        flatdemandmonths=[0] * 12,
        flatdemandunit="kW daily",
    )
    load = metered(lambda at: 25.0 if (at.day, at.hour) == (8, 20) else 10.0)
    assert amounts(billed(tariff(urdb), load))["demand, flat, tier 1"] == pytest.approx(650.0)


def test_demand_differs_by_season() -> None:
    """March is in the period of 7 per kW."""
    urdb = demand(
        flatdemandstructure=[[{"rate": 12}], [{"rate": 7}]], flatdemandmonths=[1] * 4 + [0] * 8
    )
    lines = amounts(billed(tariff(urdb), metered(lambda _: 10.0)))
    assert lines["demand, flat, tier 1"] == pytest.approx(70.0)


def test_a_ratchet_bills_a_share_of_the_highest_month_before() -> None:
    """80 % of August's 100 kW, though 10 were drawn; of a March a year ago nothing."""
    past = {"2025-08": 100.0, "2025-11": 60.0, "2025-03": 900.0}
    spec = tariff(demand(demandratchetpercentage=[80] * 12), past_peaks_kw=past)
    bill = billed(spec, metered(lambda _: 10.0))
    assert amounts(bill)["demand, flat, tier 1"] == pytest.approx(80 * 12.0)
    assert amounts(bill)["demand, tou-1, tier 1"] == pytest.approx(10 * 5.0)
    assert len(bill.notes) == 1
    assert "past_peaks_kw lacks them" in bill.notes[0]


def test_a_ratchet_of_named_months_looks_at_these_alone() -> None:
    """Half of the highest of June to September, a year back; November's 90 kW do not count."""
    summer = [month in range(5, 9) for month in range(12)]
    past = {"2025-06": 40.0, "2025-07": 50.0, "2025-08": 60.0, "2025-09": 50.0, "2025-11": 90.0}
    urdb = demand(lookbackMonths=summer, lookbackPercent=0.5, lookbackRange=0)
    bill = billed(tariff(urdb, past_peaks_kw=past), metered(lambda _: 10.0))
    assert amounts(bill)["demand, flat, tier 1"] == pytest.approx(30 * 12.0)
    assert bill.notes == ()


FIXED = [
    ({"fixedchargefirstmeter": 100.0}, 100.0),
    ({"fixedchargefirstmeter": 2.0, "fixedchargeunits": "$/day"}, 62.0),
    ({"fixedchargefirstmeter": 120.0, "fixedchargeunits": "$/year"}, 10.0),
    ({"fixedchargefirstmeter": 100.0, "fixedchargeeaaddl": 30.0}, 160.0),
]


@pytest.mark.parametrize(("charge", "amount"), FIXED)
def test_fixed_charges_by_hand(charge: dict[str, Any], amount: float) -> None:
    """By the month, the 31 days or a twelfth of the year; two further meters."""
    bill = billed(tariff(document(**charge), meters=3), metered(lambda _: 0.0))
    assert bill.total == pytest.approx(amount)


@pytest.mark.parametrize(("load_kw", "total"), [(0.0, 400.0), (1.0, 400.0), (10.0, 743.0)])
def test_a_bill_is_no_less_than_the_minimum_charge(load_kw: float, total: float) -> None:
    """743 hours at 10 ct are 74.3 for each kW."""
    bill = billed(tariff(document(mincharge=400)), metered(lambda _: load_kw))
    assert bill.total == pytest.approx(total)


def test_fuel_is_added_to_every_kwh_of_its_month() -> None:
    """2 ct in March, 1 ct in other months."""
    fuel = [0.01, 0.01, 0.02, *[0.01] * 9]
    bill = billed(tariff(document(fueladjustmentsmonthly=fuel)), metered(lambda _: 10.0))
    assert amounts(bill)["fuel adjustment"] == pytest.approx(7430 * 0.02)
    assert bill.total == pytest.approx(7430 * 0.12)


def test_energy_fed_in_earns_what_the_tariff_pays() -> None:
    """5 kW are fed in all month; 22 weekdays of 6 hours earn 4 ct, other hours nothing."""
    load = metered(lambda _: 0.0, export_kw=(5.0,) * 743)
    assert billed(tariff(time_of_use()), load).total == pytest.approx(-22 * 6 * 5 * 0.04)
    netting = billed(tariff(time_of_use(dgrules="Net Metering")), load)
    assert netting.notes == (
        "Net Metering is not reckoned with: energy fed in is paid at the sell rate",
    )


def test_what_is_not_in_a_bill_is_said() -> None:
    """Fields nobody knows, and a minimum of the year."""
    urdb = document(weathercharge=2, mincharge=50, minchargeunits="$/year")
    assert billed(tariff(urdb), metered(lambda _: 0.0)).notes == (
        "not in the bill: weathercharge",
        "not in the bill: the minimum of 50 per year",
    )


def test_a_load_of_less_than_the_month_is_refused() -> None:
    """With what it covers and what it must."""
    load = metered(lambda _: 1.0)
    short = MeteredLoad(load.start, 60, load.import_kw[:-1])
    with pytest.raises(BillRefused, match=r"must be 2026-03-01T08:00:00\+00:00 to 2026-04-01T07"):
        billed(tariff(), short)


def test_a_load_whose_intervals_make_up_no_demand_window_is_refused() -> None:
    """Twenty minutes are no whole number of quarters."""
    with pytest.raises(BillRefused, match="minutes = 15, must divide the tariff's demandwindow"):
        billed(tariff(demand(demandwindow=20)), metered(lambda _: 1.0, 15))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"start": datetime.fromisoformat("2026-03-01")},
            "start = 2026-03-01T00:00:00, must carry a time zone",
        ),
        ({"minutes": 7}, "minutes = 7"),
        ({"import_kw": (1.0, -2.0)}, r"import_kw\[1\] = -2"),
        ({"import_kw": (float("nan"),)}, r"import_kw\[0\] = nan"),
        ({"export_kw": (1.0,)}, "1 values of export, must be 2"),
    ],
)
def test_a_load_that_is_none_is_refused(fields: dict[str, Any], message: str) -> None:
    """The value and the limit."""
    whole = {"start": month_bounds(MARCH, LOS_ANGELES)[0], "minutes": 60, "import_kw": (1.0, 2.0)}
    with pytest.raises(BillRefused, match=message):
        MeteredLoad(**(whole | fields))
