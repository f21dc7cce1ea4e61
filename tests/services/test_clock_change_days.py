"""Days of 23 and 25 hours, from signals or a tariff to slots, a plan, and a bill made by hand.

The load is 20 kW, but 90 kW in the hours of 15 and 20 and 30 kW in that of 16 by the local clock. A
job draws 40 kW for 3 hours. Energy costs 10 EUR/MWh in the hours of 1 and 2, 150 in those of 16 to
19 and 50 in all others; the network 8 EUR/MWh; the highest import from 16 to 20, of which 12 kW
were billed before, 3 EUR/kW. All six days are Sundays.

==================  ===============================  ================================
by hand             an hour is skipped               an hour is repeated
==================  ===============================  ================================
hours at 10/150/50  1 / 4 / 18                       3 / 4 / 18
load at 10          20 kW x 1 h =  20 kWh:  0.20 EUR  20 kW x 3 h =  60 kWh:  0.60 EUR
load at 150         30 + 3 x 20 =  90 kWh: 13.50 EUR  the same,      90 kWh: 13.50 EUR
load at 50          2 x 90 + 16 x 20 = 500: 25.00 EUR the same,     500 kWh: 25.00 EUR
job                 40 kW, 1 h at 10, 2 at 50: 4.40   40 kW, 3 h at 10:       1.20 EUR
energy              610 + 120 kWh:         43.10 EUR  650 + 120 kWh:         40.30 EUR
network             730 kWh x 8 EUR/MWh:    5.84 EUR  770 kWh x 8 EUR/MWh:    6.16 EUR
peak                (30 - 12) kW x 3:      54.00 EUR  the same:              54.00 EUR
==================  ===============================  ================================
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from connectors.types import SignalKind
from optimizer import Plan, Rung, SolveLimits, settle, solve, verify
from scheduler.services.assemble import Assembled, JobToPlan, assemble
from scheduler.services.triggers import daily_firing
from scheduler.specs.fleet import TriggerSpec
from scheduler.specs.tariff import TariffSpec
from scheduler.tariffs.bill import MeteredLoad, month_bill, month_bounds
from tests.services.builders import fleet_spec, job_spec, signal_rows, site_spec, window
from tests.tariffs.documents import document

HOUR = timedelta(hours=1)
SKIPPED_AT_2 = (0, 1, *range(3, 24))
REPEATED_AT_1 = (0, 1, 1, *range(2, 24))
REPEATED_AT_2 = (0, 1, 2, 2, *range(3, 24))


@dataclass(frozen=True)
class Day:
    """A local day: where, its midnight in UTC, its hours by the local clock, and what it costs."""

    zone: str
    midnight: datetime
    local_hours: tuple[int, ...]
    energy_eur: float
    network_eur: float

    @property
    def n_hours(self) -> int:
        """23 or 25."""
        return len(self.local_hours)


def _skipped(zone: str, midnight: datetime) -> Day:
    return Day(zone, midnight, SKIPPED_AT_2, energy_eur=43.10, network_eur=5.84)


def _repeated(zone: str, midnight: datetime, hours: tuple[int, ...]) -> Day:
    return Day(zone, midnight, hours, energy_eur=40.30, network_eur=6.16)


DAYS = {
    "Berlin, March": _skipped("Europe/Berlin", datetime(2026, 3, 28, 23, tzinfo=UTC)),
    "Berlin, October": _repeated(
        "Europe/Berlin", datetime(2026, 10, 24, 22, tzinfo=UTC), REPEATED_AT_2
    ),
    "New York, March": _skipped("America/New_York", datetime(2026, 3, 8, 5, tzinfo=UTC)),
    "New York, November": _repeated(
        "America/New_York", datetime(2026, 11, 1, 4, tzinfo=UTC), REPEATED_AT_1
    ),
    "Los Angeles, March": _skipped("America/Los_Angeles", datetime(2026, 3, 8, 8, tzinfo=UTC)),
    "Los Angeles, November": _repeated(
        "America/Los_Angeles", datetime(2026, 11, 1, 7, tzinfo=UTC), REPEATED_AT_1
    ),
}
PEAK_EUR = 54.00
LOAD_KW = {15: 90.0, 16: 30.0, 20: 90.0}
PRICES_EUR_PER_MWH = {1: 10.0, 2: 10.0, 16: 150.0, 17: 150.0, 18: 150.0, 19: 150.0}
SUNDAY = [{10.0: 0, 50.0: 1, 150.0: 2}[PRICES_EUR_PER_MWH.get(hour, 50.0)] for hour in range(24)]
PEAK_HOURS = [int(16 <= hour < 20) for hour in range(24)]


def by_clock(
    day: Day, kind: SignalKind, levels: dict[int, float], rest: float, minutes: int
) -> Any:
    """A signal that follows the local clock, in intervals of ``minutes``."""
    values = [levels.get(hour, rest) for hour in day.local_hours for _ in range(60 // minutes)]
    return signal_rows("DC", kind, values, day.midnight, minutes=minutes)


def tariff_of(day: Day) -> dict[str, Any]:
    """The same prices and peak as a tariff; on weekdays everything is at the price of the peak."""
    urdb = document(
        energyratestructure=[[{"rate": 0.010}], [{"rate": 0.045, "adj": 0.005}], [{"rate": 0.150}]],
        energyweekdayschedule=[[2] * 24] * 12,
        energyweekendschedule=[SUNDAY] * 12,
        demandratestructure=[[{"rate": 0.0}], [{"rate": 3.0}]],
        demandweekdayschedule=[[1] * 24] * 12,
        demandweekendschedule=[PEAK_HOURS] * 12,
    )
    return {"urdb": urdb, "so_far": {"at": day.midnight, "peaks_kw": {"tou-1": 12.0}}}


def assembled(day: Day, slot_minutes: int, signal_minutes: int, *, on_tariff: bool) -> Assembled:
    """The day as a problem: prices by a signal, or by a tariff."""
    own_peak = {"charge_per_kw": 3.0, "so_far_kw": 12.0, "local_hours": [16, 20]}
    site = site_spec(
        "DC",
        time_zone=day.zone,
        grid={"import_limit_kw": 1000.0, "network_fee_per_mwh": 8.0},
        **({"tariff": tariff_of(day)} if on_tariff else {"peak": own_peak}),
    )
    signals = [
        by_clock(day, SignalKind.BASE_LOAD, LOAD_KW, 20.0, signal_minutes),
        by_clock(day, SignalKind.CARBON_INTENSITY, {}, 300.0, signal_minutes),
    ]
    if not on_tariff:
        signals.append(by_clock(day, SignalKind.PRICE, PRICES_EUR_PER_MWH, 50.0, signal_minutes))
    job = job_spec(
        work_hours=3.0,
        operating_points=[{"pool": "a100", "gpus": 8, "kw": 40.0}],
        release_at=day.midnight,
        deadline_at=day.midnight + day.n_hours * HOUR,
    )
    span = window(day.n_hours * 60 // slot_minutes, slot_minutes, day.midnight)
    made = assemble(
        fleet_spec(site), [JobToPlan(job, 3.0)], pd.concat(signals), (), span, now=day.midnight
    )
    assert made.marks == ()
    return made


def planned(made: Assembled) -> Plan:
    """The optimum, which ``verify`` accepts."""
    plan = solve(made.problem, SolveLimits(time_limit_s=30.0, mip_gap=0.0))
    assert plan.rung is Rung.EXACT
    assert verify(made.problem, plan) == ()
    return plan


@pytest.mark.parametrize("on_tariff", [False, True], ids=["signal", "tariff"])
@pytest.mark.parametrize("signal_minutes", [15, 60])
@pytest.mark.parametrize("slot_minutes", [15, 60])
@pytest.mark.parametrize("name", DAYS)
def test_the_day_costs_what_it_does_by_hand(
    name: str, slot_minutes: int, signal_minutes: int, on_tariff: bool
) -> None:
    """Energy, network and peak, as planned and as settled from what the plan does."""
    day = DAYS[name]
    made = assembled(day, slot_minutes, signal_minutes, on_tariff=on_tariff)
    plan = planned(made)
    for terms in (plan.terms, settle(made.problem, plan.placements, plan.flows).terms):
        assert terms.energy_bought_eur == pytest.approx(day.energy_eur)
        assert terms.network_eur == pytest.approx(day.network_eur)
        assert terms.peak_eur == pytest.approx(PEAK_EUR)


@pytest.mark.parametrize("name", DAYS)
def test_the_job_runs_in_every_cheap_hour_there_is(name: str) -> None:
    """All three where one is repeated, and around the only one where one is skipped."""
    day = DAYS[name]
    placed = planned(assembled(day, 60, 60, on_tariff=False)).placement("train")
    assert placed is not None
    hours = [day.local_hours[slot] for slot, _ in placed.slots()]
    cheap = [hour for hour in hours if hour in {1, 2}]
    assert cheap == [hour for hour in day.local_hours if hour in {1, 2}]


@pytest.mark.parametrize("slot_minutes", [15, 60])
@pytest.mark.parametrize("name", DAYS)
def test_the_bill_of_the_month_is_that_of_the_day(name: str, slot_minutes: int) -> None:
    """Nothing else is drawn all month: its energy, and the whole of 30 kW at 3 EUR."""
    day = DAYS[name]
    (flows,) = planned(assembled(day, slot_minutes, 60, on_tariff=True)).flows
    month = f"{(day.midnight + 12 * HOUR):%Y-%m}"
    start, end = month_bounds(month, day.zone)
    slot = timedelta(minutes=slot_minutes)
    before, after = (day.midnight - start) // slot, (end - day.midnight) // slot
    nothing_after = (0.0,) * (after - len(flows.import_kw))
    load = MeteredLoad(start, slot_minutes, ((0.0,) * before) + flows.import_kw + nothing_after)
    bill = month_bill(TariffSpec.model_validate(tariff_of(day)), day.zone, month, load)
    assert bill.total == pytest.approx(day.energy_eur + 30.0 * 3.0)


@pytest.mark.parametrize(
    ("name", "due_at"),
    [
        ("Berlin, March", "2026-03-29T04:00:00+00:00"),
        ("Berlin, October", "2026-10-25T05:00:00+00:00"),
        ("New York, March", "2026-03-08T10:00:00+00:00"),
        ("New York, November", "2026-11-01T11:00:00+00:00"),
        ("Los Angeles, March", "2026-03-08T13:00:00+00:00"),
        ("Los Angeles, November", "2026-11-01T14:00:00+00:00"),
    ],
)
def test_the_daily_plan_is_made_at_its_local_time(name: str, due_at: str) -> None:
    """06:00 of the day that changes the clock is five or seven hours after its midnight."""
    day = DAYS[name]
    trigger = TriggerSpec(time_zone=day.zone, local_time="06:00")
    evening = day.midnight + (day.n_hours - 1) * HOUR
    assert daily_firing(trigger, evening).due_at == datetime.fromisoformat(due_at)
