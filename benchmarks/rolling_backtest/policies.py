"""The policies that are compared, and what each of them knows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pandas as pd

from benchmarks.rolling_backtest.signals import HISTORY_DAYS, Signals
from connectors.types import SignalKind, Window
from optimizer import Plan
from scheduler.backtest.foresight import bettered_as_known
from scheduler.backtest.policy import Knows, Policy
from scheduler.doubt import Doubt, solve_in_doubt
from scheduler.services.assemble_scenarios import history_span
from scheduler.services.own_forecasts import with_own_forecasts
from scheduler.services.planning import Prepared
from scheduler.services.signal_inputs import with_origin
from scheduler.services.window import PlanWindow
from scheduler.specs import FleetSpec
from scheduler.specs.uncertainty import UncertaintySpec

DAILY = timedelta(hours=24)
UNCERTAINTY = UncertaintySpec(scenarios=8, first_hours=6, battery_hours=6)


def within_cpu_time(prepared: Prepared, doubt: Doubt) -> Plan:
    """Solve as production does, its time limit counted in CPU time: the machine may be shared."""
    return solve_in_doubt(
        prepared.assembled.problem,
        prepared.limits,
        doubt,
        last_plan=prepared.last_plan,
        clock=time.process_time,
    )


def within_more_cpu_time(prepared: Prepared, doubt: Doubt) -> Plan:
    """Solve so, with a second for each future."""
    limit_s = prepared.limits.time_limit_s * UNCERTAINTY.scenarios
    limits = replace(prepared.limits, time_limit_s=limit_s)
    return within_cpu_time(replace(prepared, limits=limits), doubt)


def day_ahead(signals: Signals, fleet: FleetSpec) -> Policy:
    """Make one plan a day and follow it."""
    knows = and_forecast(bettered_as_known(signals.history), fleet)
    return Policy("day_ahead", DAILY, knows, within_cpu_time)


def rolling(signals: Signals, fleet: FleetSpec) -> Policy:
    """Plan anew every few hours, from forecasts corrected by what was measured since."""
    return replace(day_ahead(signals, fleet), name="rolling")


def scenarios(signals: Signals, fleet: FleetSpec) -> Policy:
    """Plan as often for futures of past errors, around what (b) expects, with more CPU time."""

    def history(window: PlanWindow, now: datetime) -> pd.DataFrame:
        span = Window(*history_span(window, UNCERTAINTY.history_days))
        return signals.history.every_value(span, now)

    return replace(
        rolling(signals, fleet),
        name="scenarios",
        solver=within_more_cpu_time,
        uncertainty=UNCERTAINTY,
        history=history,
    )


def uncorrected(signals: Signals, fleet: FleetSpec) -> Policy:
    """Plan as often, from forecasts as they were issued."""
    knows = and_forecast(as_issued(signals), fleet)
    return replace(rolling(signals, fleet), name="uncorrected", knows=knows)


def perfect(signals: Signals, _fleet: FleetSpec) -> Policy:
    """Plan as often, with true signals and lengths; who comes later is as unknown."""
    return Policy("perfect", DAILY, as_it_came(signals), within_cpu_time, knows_lengths=True)


def true_signals(signals: Signals, fleet: FleetSpec) -> Policy:
    """Plan as often, with true signals, and lengths as stated."""
    return replace(perfect(signals, fleet), name="true_signals", knows_lengths=False)


def true_prices(signals: Signals, fleet: FleetSpec) -> Policy:
    """Plan as often, with true prices and forecasts of the rest."""
    return _with_true(signals, fleet, "true_prices", SignalKind.PRICE)


def true_carbon(signals: Signals, fleet: FleetSpec) -> Policy:
    """Plan as often, with true carbon intensity and forecasts of the rest."""
    return _with_true(signals, fleet, "true_carbon", SignalKind.CARBON_INTENSITY)


def true_plants(signals: Signals, fleet: FleetSpec) -> Policy:
    """Plan as often, with what the sites' own plants truly give and forecasts of the rest."""
    return _with_true(signals, fleet, "true_plants", SignalKind.PV, SignalKind.WIND)


def true_lengths(signals: Signals, fleet: FleetSpec) -> Policy:
    """Plan as often, with forecasts, and true lengths."""
    return replace(rolling(signals, fleet), name="true_lengths", knows_lengths=True)


POLICIES: dict[str, Callable[[Signals, FleetSpec], Policy]] = {
    make.__name__: make
    for make in (
        perfect,
        rolling,
        day_ahead,
        scenarios,
        uncorrected,
        true_signals,
        true_prices,
        true_carbon,
        true_plants,
        true_lengths,
    )
}


def policy_of(name: str, signals: Signals, fleet: FleetSpec, every: timedelta) -> Policy:
    """Return the policy of this name, that plans so often; who plans once a day does so anyway."""
    policy = POLICIES[name](signals, fleet)
    return policy if name == day_ahead.__name__ else replace(policy, every=every)


def as_issued(signals: Signals) -> Knows:
    """Know what was published by then."""

    def knows(window: PlanWindow, now: datetime) -> pd.DataFrame:
        span = Window(window.start - timedelta(days=HISTORY_DAYS), window.end)
        return signals.history.as_known(span, now)

    return knows


def and_forecast(knows: Knows, fleet: FleetSpec) -> Knows:
    """Know that, and forecast what of the window nobody has published, as production does."""

    def with_forecasts(window: PlanWindow, now: datetime) -> pd.DataFrame:
        return with_own_forecasts(fleet, knows(window, now), window, now)

    return with_forecasts


def _with_true(signals: Signals, fleet: FleetSpec, name: str, *kinds: SignalKind) -> Policy:
    policy = rolling(signals, fleet)
    came = with_origin(signals.truth[signals.truth["kind"].isin(kinds)])

    def knows(window: PlanWindow, now: datetime) -> pd.DataFrame:
        frame = policy.knows(window, now)
        return pd.concat([frame[~frame["kind"].isin(kinds)], came], ignore_index=True)

    return replace(policy, name=name, knows=knows)


def as_it_came(signals: Signals) -> Knows:
    """Know what truly came."""

    def knows(_window: PlanWindow, _now: datetime) -> pd.DataFrame:
        return signals.truth

    return knows
