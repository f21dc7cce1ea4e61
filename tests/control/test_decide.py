"""What batteries are told, for any load, any plan and any state: properties, and a day by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scheduler.control.decide import bounds, decide
from scheduler.control.types import Bind, Decided, Ratings, SiteLimits, Step, Unit

NEAR = 1e-6
STEP = Step(since_last_s=2.0, holds_s=6.0)
RATINGS = Ratings(50.0, 40.0, 100.0, 10.0, 0.95, 0.95, ramp_kw_per_s=5.0)
LIMITS = SiteLimits(import_kw=100.0, export_kw=0.0)

powers = st.floats(-300.0, 300.0)
ratings = st.builds(
    Ratings,
    charge_max_kw=st.floats(0.0, 100.0),
    discharge_max_kw=st.floats(0.0, 100.0),
    capacity_kwh=st.floats(1.0, 200.0),
    floor_kwh=st.floats(0.0, 1.0),
    charge_efficiency=st.floats(0.5, 1.0),
    discharge_efficiency=st.floats(0.5, 1.0),
    ramp_kw_per_s=st.one_of(st.just(math.inf), st.floats(0.1, 50.0)),
)
units = st.builds(
    Unit,
    ratings=ratings,
    soc_kwh=st.floats(0.0, 220.0),
    last_kw=powers,
    wanted_kw=powers,
    charge_max_kw=st.one_of(st.just(math.inf), st.floats(0.0, 50.0)),
    discharge_max_kw=st.one_of(st.just(math.inf), st.floats(0.0, 50.0)),
)
fleets = st.lists(units, min_size=1, max_size=4).map(tuple)
limits = st.builds(
    SiteLimits,
    import_kw=st.floats(0.0, 200.0),
    export_kw=st.one_of(st.just(0.0), st.floats(0.0, 100.0)),
    margin_kw=st.one_of(st.just(0.0), st.floats(0.0, 30.0)),
)
steps = st.builds(Step, since_last_s=st.floats(0.0, 10.0), holds_s=st.floats(0.5, 30.0))
many = settings(max_examples=80, deadline=None)


def one(**changes: float) -> Unit:
    """A battery half full that rests, with changes."""
    return replace(Unit(RATINGS, soc_kwh=50.0, last_kw=0.0), **changes)


def far_kw(unit: Unit, step: Step) -> float:
    """How far its ramp lets it move; without one, anywhere at once."""
    ramp = unit.ratings.ramp_kw_per_s
    return math.inf if ramp == math.inf else ramp * step.since_last_s


def told(unit: Unit, load_kw: float | None, limit: SiteLimits = LIMITS) -> Decided:
    """What one battery is told."""
    return decide((unit,), load_kw, limit, STEP)


@many
@given(fleets, st.one_of(st.none(), powers), limits, steps)
def test_no_setpoint_is_beyond_what_a_battery_can_do(
    batteries: tuple[Unit, ...], load_kw: float | None, limit: SiteLimits, step: Step
) -> None:
    """Its ratings, what it says it can do, and the charge that lasts while nobody speaks to it."""
    decided = decide(batteries, load_kw, limit, step)
    for unit, power_kw in zip(batteries, decided.setpoints_kw, strict=True):
        rated = unit.ratings
        assert power_kw <= min(rated.charge_max_kw, unit.charge_max_kw) + NEAR
        assert -power_kw <= min(rated.discharge_max_kw, unit.discharge_max_kw) + NEAR
        hours = step.holds_s / 3600
        if power_kw > NEAR:
            after_kwh = unit.soc_kwh + power_kw * rated.charge_efficiency * hours
            assert after_kwh <= rated.capacity_kwh + NEAR
        if power_kw < -NEAR:
            after_kwh = unit.soc_kwh + power_kw / rated.discharge_efficiency * hours
            assert after_kwh >= rated.floor_kwh - NEAR


@many
@given(fleets, powers, limits, steps)
@example((one(wanted_kw=50.0, last_kw=50.0),), 90.0, LIMITS, STEP)  # the ramp alone would go on
@example((one(wanted_kw=-40.0, last_kw=-40.0),), 3.0, LIMITS, STEP)
@example((one(wanted_kw=20.0), one(wanted_kw=-20.0)), 101.0, LIMITS, STEP)
def test_none_charges_or_discharges_into_a_breach(
    batteries: tuple[Unit, ...], load_kw: float, limit: SiteLimits, step: Step
) -> None:
    """Where import is above its limit nobody charges, where export is nobody discharges."""
    decided = decide(batteries, load_kw, limit, step)
    flow_kw = load_kw + sum(decided.setpoints_kw)
    if flow_kw > limit.import_kw + NEAR:
        assert all(power_kw <= NEAR for power_kw in decided.setpoints_kw)
        assert decided.beyond_kw == pytest.approx(flow_kw - limit.import_kw)
    elif flow_kw < -limit.export_kw - NEAR:
        assert all(power_kw >= -NEAR for power_kw in decided.setpoints_kw)
        assert decided.beyond_kw == pytest.approx(flow_kw + limit.export_kw)
    else:
        assert abs(decided.beyond_kw) <= NEAR


@many
@given(fleets, powers, limits, steps)
@example((one(last_kw=-20.0),), 150.0, LIMITS, STEP)
def test_a_limit_that_can_be_held_is_held(
    batteries: tuple[Unit, ...], load_kw: float, limit: SiteLimits, step: Step
) -> None:
    """What is left beyond it, no battery could have helped within its bounds and ramp."""
    beyond_kw = decide(batteries, load_kw, limit, step).beyond_kw
    way = [far_kw(unit, step) for unit in batteries]
    within = [bounds(unit, step.holds_s) for unit in batteries]
    if beyond_kw > NEAR:
        least_kw = sum(
            min(0.0, max(low, min(high, unit.last_kw - far)))
            for unit, far, (low, high) in zip(batteries, way, within, strict=True)
        )
        assert load_kw + least_kw >= limit.import_kw - NEAR
    if beyond_kw < -NEAR:
        most_kw = sum(
            max(0.0, min(high, max(low, unit.last_kw + far)))
            for unit, far, (low, high) in zip(batteries, way, within, strict=True)
        )
        assert load_kw + most_kw <= -limit.export_kw + NEAR


@many
@given(fleets, powers, limits, steps)
@example((one(wanted_kw=50.0),), 0.0, LIMITS, STEP)
def test_power_moves_by_its_ramp_unless_it_must_stop(
    batteries: tuple[Unit, ...], load_kw: float, limit: SiteLimits, step: Step
) -> None:
    """It moves faster towards rest only, and for a bound or a limit alone."""
    decided = decide(batteries, load_kw, limit, step)
    for unit, power_kw in zip(batteries, decided.setpoints_kw, strict=True):
        way_kw = far_kw(unit, step)
        if abs(power_kw - unit.last_kw) <= way_kw + NEAR:
            continue
        low, high = bounds(unit, step.holds_s)
        is_bound = min(abs(power_kw - low), abs(power_kw - high)) <= NEAR
        flow_kw = load_kw + sum(decided.setpoints_kw)
        may_rise = min(0.0, -limit.export_kw + limit.margin_kw - load_kw)
        is_limited = (
            flow_kw >= limit.import_kw - limit.margin_kw - NEAR
            or flow_kw - load_kw <= max(may_rise, -limit.export_kw - load_kw) + NEAR
        )
        assert abs(power_kw) <= abs(unit.last_kw) + NEAR
        assert power_kw * unit.last_kw >= -NEAR
        assert is_bound or is_limited


@many
@given(fleets, steps)
def test_without_a_meter_all_go_to_rest(batteries: tuple[Unit, ...], step: Step) -> None:
    """Nobody charges, nobody discharges more than before, and none by a leap."""
    decided = decide(batteries, None, LIMITS, step)
    for unit, power_kw in zip(batteries, decided.setpoints_kw, strict=True):
        low, _ = bounds(unit, step.holds_s)
        least_kw = max(low, min(0.0, unit.last_kw))
        assert least_kw - NEAR <= power_kw <= NEAR
        way_kw = far_kw(unit, step)
        assert power_kw == pytest.approx(max(low, min(0.0, unit.last_kw + way_kw)))
    assert set(decided.binds) == {Bind.REST}


@many
@given(st.floats(-40.0, 40.0), st.floats(0.0, 50.0))
def test_the_plan_is_followed_where_nothing_is_against_it(wanted: float, load: float) -> None:
    """To the letter."""
    unit = one(wanted_kw=wanted, last_kw=wanted, soc_kwh=50.0)
    limit = SiteLimits(import_kw=100.0, export_kw=100.0, margin_kw=5.0)
    assert told(unit, load, limit) == Decided((wanted,), (Bind.PLAN,), 0.0)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.floats(0.0, 130.0), min_size=3, max_size=12),
    st.lists(st.floats(-50.0, 50.0), min_size=3, max_size=3),
)
def test_a_site_comes_below_its_limit_within_the_ramp(
    loads: list[float], plan: list[float]
) -> None:
    """Load leaps, the plan turns: import is beyond the limit for as long as the ramp takes only."""
    unit = one(soc_kwh=60.0)
    for index, load_kw in enumerate(loads):
        wanted_kw = plan[index % 3]
        for tick in range(12):
            decided = told(replace(unit, wanted_kw=wanted_kw), load_kw)
            unit = replace(unit, last_kw=decided.setpoints_kw[0])
            needed_kw = load_kw - LIMITS.import_kw
            if needed_kw <= 10.0 * tick:  # 5 kW/s for 2 s; the first stops what charges
                assert load_kw + unit.last_kw <= LIMITS.import_kw + NEAR


@pytest.mark.parametrize(
    ("unit", "load_kw", "power_kw", "bind"),
    [
        (one(wanted_kw=8.0), 50.0, 8.0, Bind.PLAN),
        (one(wanted_kw=50.0), 20.0, 10.0, Bind.RAMP),
        (one(wanted_kw=50.0, last_kw=45.0), 60.0, 40.0, Bind.LIMIT),
        (one(wanted_kw=90.0, last_kw=45.0), 20.0, 50.0, Bind.BOUNDS),
        (one(wanted_kw=0.0), 107.0, -7.0, Bind.LIMIT),
        (one(wanted_kw=0.0), 130.0, -10.0, Bind.LIMIT),
        (one(wanted_kw=-40.0, last_kw=-40.0), 25.0, -25.0, Bind.LIMIT),
        (one(wanted_kw=0.0), -4.0, 4.0, Bind.LIMIT),  # what the sun gives may not be exported
        (one(wanted_kw=-5.0, soc_kwh=10.0), 50.0, 0.0, Bind.BOUNDS),
        (one(wanted_kw=5.0, last_kw=5.0, charge_max_kw=3.0), 50.0, 3.0, Bind.BOUNDS),
    ],
)
def test_what_one_battery_is_told(unit: Unit, load_kw: float, power_kw: float, bind: Bind) -> None:
    """Import limit 100 kW, no export, ramp 10 kW in 2 s; worked out by hand."""
    decided = told(unit, load_kw)
    assert decided.setpoints_kw == (pytest.approx(power_kw),)
    assert decided.binds == (bind,)


def test_the_margin_is_kept_and_moves_nobody_from_rest_for_export() -> None:
    """With 5 kW of margin a load of 97 kW is relieved to 95; one of 2 kW is left alone."""
    limit = replace(LIMITS, margin_kw=5.0)
    assert told(one(), 97.0, limit).setpoints_kw == (pytest.approx(-2.0),)
    assert told(one(), 2.0, limit).setpoints_kw == (0.0,)


def test_those_that_charge_stop_before_others_are_asked_for_help() -> None:
    """Two charge 20 and 10 kW into 15 kW too much: they give up a half each, the third rests."""
    batteries = (
        one(wanted_kw=20.0, last_kw=20.0),
        one(wanted_kw=10.0, last_kw=10.0),
        one(),
    )
    decided = decide(batteries, 85.0, LIMITS, STEP)
    assert decided.setpoints_kw == pytest.approx((10.0, 5.0, 0.0))
