"""Who may plan in a replay, by name: our plans under more and less knowledge, and plain policies.

A plain policy is a function of a ``Problem`` that returns a ``Plan``, as ``optimizer.baselines``
has them. It is asked as often as our plans are, knows what the rolling plan knows, and what it
answers is carried out and settled in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pandas as pd

from connectors.types import SignalKind, Window
from optimizer import Clock, Plan, baselines
from scheduler.backtest.foresight import bettered_as_known
from scheduler.backtest.known import Signals
from scheduler.backtest.policy import Knows, Policy, Solver
from scheduler.doubt import Doubt, solve_in_doubt
from scheduler.services.assemble import FILL_HISTORY
from scheduler.services.assemble_scenarios import history_span
from scheduler.services.own_forecasts import with_own_forecasts
from scheduler.services.planning import Prepared
from scheduler.services.signal_inputs import with_origin
from scheduler.services.signals import LONGEST_MINUTES
from scheduler.services.window import PlanWindow
from scheduler.specs import FleetSpec
from scheduler.specs.uncertainty import UncertaintySpec

DAILY = timedelta(hours=24)
HISTORY_DAYS = 56
UNCERTAINTY = UncertaintySpec(scenarios=8, first_hours=6, battery_hours=6)
"""What the policy ``scenarios`` plans for where the fleet does not say."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a policy is made from.

    Attributes
    ----------
    every
        Time from one plan to the next, of all but ``day_ahead``.
    clock
        What the time limit of a plan is counted by [s]; CPU time where the machine is shared.
    """

    signals: Signals
    fleet: FleetSpec
    every: timedelta
    clock: Clock


def day_ahead(means: Means) -> Policy:
    """Make one plan a day and follow it."""
    return replace(rolling(means), name="day_ahead", every=DAILY)


def rolling(means: Means) -> Policy:
    """Plan anew every few hours, from forecasts corrected by what was measured since."""
    history = means.signals.history
    is_corrected = means.fleet.planning.correct_published
    published = bettered_as_known(history) if is_corrected else as_published(means.signals)
    knows = and_forecast(published, means.fleet)
    return Policy("rolling", means.every, knows, within_time(means.clock))


def scenarios(means: Means) -> Policy:
    """Plan as often for futures of past errors, with time for each of them."""
    uncertainty = means.fleet.planning.uncertainty or UNCERTAINTY

    def history(window: PlanWindow, now: datetime) -> pd.DataFrame:
        span = Window(*history_span(window, uncertainty.history_days))
        return means.signals.history.every_value(span, now)

    return replace(
        rolling(means),
        name="scenarios",
        solver=within_time(means.clock, max(1, uncertainty.scenarios)),
        uncertainty=uncertainty,
        history=history,
    )


def uncorrected(means: Means) -> Policy:
    """Plan as often, from forecasts as they were issued."""
    knows = and_forecast(as_published(means.signals), means.fleet)
    return replace(rolling(means), name="uncorrected", knows=knows)


def perfect(means: Means) -> Policy:
    """Plan as often, with true signals and lengths; who comes later is as unknown."""
    knows = as_it_came(means.signals)
    return replace(rolling(means), name="perfect", knows=knows, knows_lengths=True)


def true_signals(means: Means) -> Policy:
    """Plan as often, with true signals, and lengths as stated."""
    return replace(perfect(means), name="true_signals", knows_lengths=False)


def true_prices(means: Means) -> Policy:
    """Plan as often, with true prices and forecasts of the rest."""
    return _with_true(means, "true_prices", SignalKind.PRICE)


def true_carbon(means: Means) -> Policy:
    """Plan as often, with true carbon intensity and forecasts of the rest."""
    return _with_true(means, "true_carbon", SignalKind.CARBON_INTENSITY)


def true_plants(means: Means) -> Policy:
    """Plan as often, with what the sites' own plants truly give and forecasts of the rest."""
    return _with_true(means, "true_plants", SignalKind.PV, SignalKind.WIND)


def true_lengths(means: Means) -> Policy:
    """Plan as often, with forecasts, and true lengths."""
    return replace(rolling(means), name="true_lengths", knows_lengths=True)


POLICIES: dict[str, Callable[[Means], Policy]] = {
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
"""Plans of ours, by name."""


def plain(name: str, decide: baselines.Policy, means: Means) -> Policy:
    """Have ``decide`` plan where the rolling plan would, from what that knows."""
    return replace(rolling(means), name=name, solver=as_solver(decide))


def as_solver(decide: baselines.Policy) -> Solver:
    """Answer by ``decide``, without a time limit."""

    def solver(prepared: Prepared, _doubt: Doubt) -> Plan:
        return decide(prepared.assembled.problem)

    return solver


def within_time(clock: Clock, times: int = 1) -> Solver:
    """Solve as production does, within so many times the time limit by ``clock``."""

    def solver(prepared: Prepared, doubt: Doubt) -> Plan:
        limits = replace(prepared.limits, time_limit_s=prepared.limits.time_limit_s * times)
        return solve_in_doubt(
            prepared.assembled.problem, limits, doubt, last_plan=prepared.last_plan, clock=clock
        )

    return solver


def as_published(signals: Signals) -> Knows:
    """Know what was published by then."""

    def knows(window: PlanWindow, now: datetime) -> pd.DataFrame:
        span = Window(window.start - timedelta(days=HISTORY_DAYS), window.end)
        return signals.history.as_known(span, now)

    return knows


def and_forecast(knows: Knows, fleet: FleetSpec) -> Knows:
    """Know that, and forecast what of the window nobody has published, as production does."""

    def with_forecasts(window: PlanWindow, now: datetime) -> pd.DataFrame:
        return to_plan(with_own_forecasts(fleet, knows(window, now), window, now), window)

    return with_forecasts


def as_it_came(signals: Signals) -> Knows:
    """Know what truly came."""

    def knows(window: PlanWindow, _now: datetime) -> pd.DataFrame:
        return to_plan(signals.truth, window)

    return knows


def to_plan(signals: pd.DataFrame, window: PlanWindow) -> pd.DataFrame:
    """Return what a plan of ``window`` reads: as far back as production reads its database."""
    earliest = window.start - FILL_HISTORY - timedelta(minutes=LONGEST_MINUTES)
    start = signals["start_at"]
    return signals[(start >= earliest) & (start < window.end)]


def _with_true(means: Means, name: str, *kinds: SignalKind) -> Policy:
    policy, truth = rolling(means), means.signals.truth
    came = with_origin(truth[truth["kind"].isin(kinds)])

    def knows(window: PlanWindow, now: datetime) -> pd.DataFrame:
        frame, true = policy.knows(window, now), to_plan(came, window)
        return pd.concat([frame[~frame["kind"].isin(kinds)], true], ignore_index=True)

    return replace(policy, name=name, knows=knows)
