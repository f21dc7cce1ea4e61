"""What the meter will have read, carried from the plan in force into the next window."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.types import SignalKind
from optimizer import baselines
from scheduler.services.assemble import FleetState, PlanWindow, assemble
from scheduler.services.carried_meter import energy_so_far, peak_so_far
from scheduler.services.documents import make_document
from scheduler.services.plan_document import PlanDocument
from scheduler.specs import FleetSpec
from tests.services.builders import START, fleet_spec, signal_rows, site_spec
from tests.services.test_carried_state import HOUR, charging
from tests.tariffs.documents import demand, time_of_use

JULY, AUGUST = ("DE", "peak 2021-07"), ("DE", "peak 2021-08")
NOON = datetime(2021, 7, 5, 10, tzinfo=UTC)  # 12:00 on a Monday in Berlin


def test_the_peak_so_far_is_what_was_imported_in_slots_that_are_over() -> None:
    """5 kW and 1 kW of charging make 6; before the plan began it was 2."""
    plan = charging()
    assert peak_so_far(plan.fleet, plan, PlanWindow(START, 60, 24)) == {JULY: 2.0}
    later = PlanWindow(START + 5 * HOUR, 60, 24)
    assert peak_so_far(plan.fleet, plan, later) == {JULY: pytest.approx(6.0)}
    assert peak_so_far(plan.fleet, None, later) == {}


def test_a_peak_somebody_entered_since_counts() -> None:
    """The meter said 9 kW. One that is lower than what was imported since changes nothing."""
    plan = charging()
    later = PlanWindow(START + 5 * HOUR, 60, 24)
    for entered_kw, peak_kw in ((9.0, 9.0), (3.0, 6.0)):
        (site,) = plan.fleet.sites
        assert site.peak is not None
        peak = site.peak.model_copy(update={"so_far_kw": entered_kw})
        fleet = plan.fleet.model_copy(update={"sites": (site.model_copy(update={"peak": peak}),)})
        assert peak_so_far(fleet, plan, later) == {JULY: pytest.approx(peak_kw)}


def test_a_new_month_begins_at_zero_in_local_time() -> None:
    """On 31 July 22:00 UTC it is August in Berlin: what was imported before counts no more."""
    start = datetime(2021, 7, 31, 20, tzinfo=UTC)
    plan = charging(start)
    at_midnight = PlanWindow(start + 2 * HOUR, 60, 24)
    assert peak_so_far(plan.fleet, plan, at_midnight) == {AUGUST: 0.0}
    an_hour_on = PlanWindow(start + 3 * HOUR, 60, 24)
    assert peak_so_far(plan.fleet, plan, an_hour_on) == {AUGUST: pytest.approx(6.0)}


def test_a_window_across_a_months_end_begins_with_a_peak_for_each_month() -> None:
    """Two hours of July imported 6 kW; what is to come in August has no peak yet."""
    start = datetime(2021, 7, 31, 18, tzinfo=UTC)
    plan = charging(start)
    evening = PlanWindow(start + 2 * HOUR, 60, 24)
    assert peak_so_far(plan.fleet, plan, evening) == {JULY: pytest.approx(6.0), AUGUST: 0.0}


def test_a_peak_is_kept_over_a_window_in_which_nothing_counts() -> None:
    """Peak hours are 08-20; a plan of the night still knows what the day before it was."""
    night = datetime(2021, 7, 5, 20, tzinfo=UTC)
    plan = charging(night, n_slots=4, local_hours=(8, 20))
    assert peak_so_far(plan.fleet, plan, PlanWindow(night + 2 * HOUR, 60, 4)) == {JULY: 2.0}


def on_tariff(urdb: dict[str, Any], base_load_kw: float = 5.0, **tariff: Any) -> FleetSpec:
    """A site in Berlin that draws 5 kW, under ``urdb``."""
    site = site_spec(
        time_zone="Europe/Berlin", base_load_kw=base_load_kw, tariff={"urdb": urdb} | tariff
    )
    return fleet_spec(site)


def planned(
    fleet: FleetSpec, start: datetime, n_slots: int = 24, state: FleetState | None = None
) -> PlanDocument:
    """The plan of ``fleet`` without jobs."""
    carbon = signal_rows("DE", SignalKind.CARBON_INTENSITY, [200.0] * n_slots, start)
    window = PlanWindow(start, 60, n_slots)
    made = assemble(fleet, (), carbon, (), window, now=start, state=state)
    plan = baselines.run_now(made.problem)
    return make_document(fleet, made, plan, plan, start)


def test_energy_so_far_is_what_was_imported_in_slots_that_are_over() -> None:
    """5 kW: three hours of the peak that begins at noon; and 7 kWh of it before that."""
    fleet = on_tariff(time_of_use())
    plan = planned(fleet, NOON, state=FleetState(energy_so_far_kwh={"DE": (100.0, 7.0)}))
    assert energy_so_far(fleet, plan, PlanWindow(NOON, 60, 24)) == {"DE": (100.0, 7.0)}
    later = PlanWindow(NOON + 3 * HOUR, 60, 24)
    assert energy_so_far(fleet, plan, later) == {"DE": pytest.approx((100.0, 22.0))}
    evening = PlanWindow(NOON + 8 * HOUR, 60, 24)
    assert energy_so_far(fleet, plan, evening) == {"DE": pytest.approx((110.0, 37.0))}
    assert energy_so_far(fleet, None, later) == {}


def test_energy_goes_on_from_plan_to_plan() -> None:
    """Two plans, three hours each: nothing is counted twice, nothing is lost."""
    fleet = on_tariff(time_of_use())
    first, second = NOON + 3 * HOUR, NOON + 6 * HOUR
    plan = planned(fleet, NOON)
    state = FleetState(energy_so_far_kwh=energy_so_far(fleet, plan, PlanWindow(first, 60, 24)))
    again = planned(fleet, first, state=state)
    made = energy_so_far(fleet, again, PlanWindow(second, 60, 24))
    assert made == {"DE": pytest.approx((0.0, 30.0))}


def test_a_reading_stated_since_is_counted_from() -> None:
    """At 13:00 the meter showed 50 and 60 kWh; the hours of peak since then come on top."""
    plan = planned(on_tariff(time_of_use()), NOON)
    so_far = {"at": NOON + HOUR, "energy_kwh": [50.0, 60.0]}
    fleet = on_tariff(time_of_use(), so_far=so_far)
    later = PlanWindow(NOON + 3 * HOUR, 60, 24)
    assert energy_so_far(fleet, plan, later) == {"DE": pytest.approx((50.0, 70.0))}


def test_a_reading_of_nothing_is_a_reading() -> None:
    """The meter was changed at 13:00 and began anew; two hours of peak are over since then."""
    plan = planned(on_tariff(time_of_use()), NOON)
    fleet = on_tariff(time_of_use(), so_far={"at": NOON + HOUR, "energy_kwh": [0.0, 0.0]})
    later = PlanWindow(NOON + 3 * HOUR, 60, 24)
    assert energy_so_far(fleet, plan, later) == {"DE": pytest.approx((0.0, 10.0))}


def test_a_reading_is_counted_once_however_many_plans_know_it() -> None:
    """The plan of 14:00 began with it and two hours are over since then: 10 kWh more, no others."""
    so_far = {"at": NOON + HOUR, "energy_kwh": [50.0, 60.0]}
    fleet = on_tariff(time_of_use(), so_far=so_far)
    plan = planned(fleet, NOON + 2 * HOUR)
    later = PlanWindow(NOON + 4 * HOUR, 60, 24)
    assert energy_so_far(fleet, plan, later) == {"DE": pytest.approx((50.0, 70.0))}


def test_a_new_month_of_energy_begins_at_nothing_in_local_time() -> None:
    """From 22:00 UTC it is August in Berlin: one hour of it is over at 23:00."""
    start = datetime(2021, 7, 31, 20, tzinfo=UTC)
    fleet = on_tariff(time_of_use())
    plan = planned(fleet, start, state=FleetState(energy_so_far_kwh={"DE": (900.0, 90.0)}))
    august = PlanWindow(start + 3 * HOUR, 60, 24)
    assert energy_so_far(fleet, plan, august) == {"DE": pytest.approx((5.0, 0.0))}


def test_peaks_of_a_tariff_go_from_plan_to_plan_each_in_its_own_hours() -> None:
    """At 17:00 both are 5 kW; in the evening another load makes the flat one 8 kW alone."""
    fleet = on_tariff(demand())
    plan = planned(fleet, NOON)
    so_far = peak_so_far(fleet, plan, PlanWindow(NOON + 5 * HOUR, 60, 24))
    assert so_far == {("DE", "flat 2021-07"): 5.0, ("DE", "tou-1 2021-07"): 5.0}
    louder = on_tariff(demand(), base_load_kw=8.0)
    evening = planned(louder, NOON + 6 * HOUR, state=FleetState(peak_so_far_kw=so_far))
    assert peak_so_far(louder, evening, PlanWindow(NOON + 9 * HOUR, 60, 24)) == {
        ("DE", "flat 2021-07"): 8.0,
        ("DE", "tou-1 2021-07"): 5.0,
    }
