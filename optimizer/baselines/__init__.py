"""The policies a plan is measured against, under the same capacity and settled the same way.

A policy is a plain function of a ``Problem`` (what is known: prices and carbon as forecast, jobs,
what runs already) that returns a ``Plan``. Those here place jobs one after another, in order of
release, then priority, then position, in what the ones before left of GPUs and power; batteries
stay idle; ``optimizer.settlement`` settles what comes of it. *Price* is what imported energy costs
by the operator's own weights: with a weight of 0 on money and a price on carbon, they are the
carbon-aware policies that were published.

``expected_work`` of some is what the policy takes the work of a job for while it chooses; without
it, what the problem states. How long a job runs is always what the problem states.
"""

from __future__ import annotations

from optimizer.baselines.chances import Chance, chances, default_points, prices_of
from optimizer.baselines.elastic import carbon_scaler
from optimizer.baselines.queueing import Place, Policy, place_in_order, run_now
from optimizer.baselines.relaxed import caspian
from optimizer.baselines.suspending import suspend_resume, wait_awhile
from optimizer.baselines.waiting import carbon_time, lowest_slot, lowest_window

__all__ = [
    "BASELINES",
    "Chance",
    "Place",
    "Policy",
    "carbon_scaler",
    "carbon_time",
    "caspian",
    "chances",
    "default_points",
    "lowest_slot",
    "lowest_window",
    "place_in_order",
    "prices_of",
    "run_now",
    "suspend_resume",
    "wait_awhile",
]

BASELINES: dict[str, Policy] = {
    policy.__name__: policy
    for policy in (
        run_now,
        lowest_slot,
        lowest_window,
        carbon_time,
        suspend_resume,
        wait_awhile,
        carbon_scaler,
        caspian,
    )
}
"""Every policy to compare plans with, by name; plans themselves are told against ``run_now``."""
