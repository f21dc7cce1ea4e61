"""The connections to the outside that dispatch works with, by site."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from connectors.protocols import Battery, Cluster, EnergyAccounts
from scheduler.services.errors import Refusal
from scheduler.specs import FleetSpec


@dataclass(frozen=True, slots=True)
class Outside:
    """Clusters by site; batteries by site and name; accounts of energy, where a site has any.

    What is refused here, such as who is to measure, is no reason to stop dispatch, but keeps a
    new fleet out of force.
    """

    clusters: Mapping[str, Cluster]
    batteries: Mapping[tuple[str, str], Battery] = field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()
    accounts: Mapping[str, EnergyAccounts] = field(default_factory=dict)


OutsideOf = Callable[[FleetSpec], Outside]
"""Gives the connections of a fleet; the same ones for the same fleet."""
