r"""Demand-response events: import no more than called for, or decline.

.. math::
    \sum_{s \in k} i_{st} \le \bar c_{kt} + m_{kt} + \beta_{kt} o_k             \tag{C2}

For every event k and slot t of its call and of the rebound after it; ``i`` is import and ``c`` the
level [kW]. ``m`` is what is missed [kW], at the event's price per kWh. ``o`` is 1 where the event
is declined, which frees its slots (``beta`` is as much as can be imported beyond the level) and
costs its fee instead of earning its payment; an event that cannot be declined has no ``o``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyomo.environ as pyo

from optimizer.events import DemandEvent


@dataclass(frozen=True, slots=True)
class EventVars:
    """What others may use: whether an event is declined [its name], and sums in EUR."""

    is_declined: pyo.Var
    missed_eur: Any
    earned_eur: Any
    fees_eur: Any


def add_demand_events(
    block: pyo.Block,
    events: Sequence[DemandEvent],
    import_kw: Mapping[str, pyo.Var],
    import_most_kw: Mapping[str, Sequence[float]],
    n_slots: int,
    slot_hours: float,
) -> EventVars:
    """Add (C2) for ``events`` on ``import_kw`` [slot] of each site.

    No site ever imports more than ``import_most_kw`` [slot].
    """
    limit_kw = {
        (event.name, part.kind, t): (limit, part.eur_per_kwh)
        for event in events
        for part in event.parts
        for t, limit in part.limits(n_slots).items()
    }
    by_name = {event.name: event for event in events}
    optional = [event.name for event in events if event.may_be_declined]
    declined = block.is_declined = pyo.Var(optional, within=pyo.Binary)
    missed = block.missed_kw = pyo.Var(list(limit_kw), within=pyo.NonNegativeReals)

    def within_event(_: pyo.Block, name: str, kind: str, t: int) -> Any:
        event, (limit, _price) = by_name[name], limit_kw[name, kind, t]
        imported = pyo.quicksum(import_kw[site][t] for site in event.sites)
        if not event.may_be_declined:
            return imported <= limit + missed[name, kind, t]
        most = sum(import_most_kw[site][t] for site in event.sites)
        return imported <= limit + missed[name, kind, t] + max(0.0, most - limit) * declined[name]

    block.within_event = pyo.Constraint(list(limit_kw), rule=within_event)  # (C2)
    block.missed_eur = pyo.Expression(
        expr=pyo.quicksum(slot_hours * price * missed[key] for key, (_, price) in limit_kw.items())
    )
    certain = sum(event.pay_eur for event in events if not event.may_be_declined)
    block.earned_eur = pyo.Expression(
        expr=certain
        + pyo.quicksum(by_name[name].pay_eur * (1 - declined[name]) for name in optional)
    )
    block.fees_eur = pyo.Expression(
        expr=pyo.quicksum((by_name[name].decline_eur or 0.0) * declined[name] for name in optional)
    )
    return EventVars(declined, block.missed_eur, block.earned_eur, block.fees_eur)
