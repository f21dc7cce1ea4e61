"""The policies that are compared: those of the engine, their time limits counted in CPU time."""

from __future__ import annotations

import time
from datetime import timedelta

from scheduler.backtest.known import Signals
from scheduler.backtest.policies import POLICIES, Means
from scheduler.backtest.policy import Policy
from scheduler.specs import FleetSpec

__all__ = ["POLICIES", "policy_of"]


def policy_of(name: str, signals: Signals, fleet: FleetSpec, every: timedelta) -> Policy:
    """Return the policy of this name, that plans so often; who plans once a day does so anyway."""
    return POLICIES[name](Means(signals, fleet, every, time.process_time))
