r"""What the batteries of a site are to do now. Pure.

With the measured load L of everything else at the connection (less its generation), what flows
there is L plus the power of the batteries. Import I, export E and a margin m leave them

.. math::
    -E + m - L \le \sum_u p_u \le I - m - L                        \tag{C1}

and the margin alone makes no battery charge. Each has bounds of its own: its ratings, what it says
it can do, and the charge that must last while setpoint and device are left alone,

.. math::
    0 \le p_u \le (\bar e_u - e_u) / (\eta^c_u h), \quad
    0 \le -p_u \le \eta^d_u (e_u - \underline e_u) / h             \tag{C2}

and from one setpoint to the next it moves by its ramp at most (C3). The plan's setpoints are taken
into (C2) and (C3), then into (C1): first whoever makes the breach stops, at once and whatever its
ramp; then the others help as far as theirs goes. So no battery ever charges into a breach of the
import, or discharges into one of the export.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from scheduler.control.types import Bind, Decided, SiteLimits, Step, Unit

_S_PER_HOUR = 3600.0
_NOTHING_KW = 1e-9

Range = tuple[float, float]


def decide(units: Sequence[Unit], load_kw: float | None, limits: SiteLimits, step: Step) -> Decided:
    """Return the setpoints of ``units``.

    Parameters
    ----------
    load_kw
        What flows at the connection without the batteries, positive for import; ``None``: nobody
        knows. Then charging ends at once, and discharging by its ramp.
    """
    if load_kw is None:
        return _to_rest(units, step)
    reach = [_reach(unit, step) for unit in units]
    wanted = [_into(unit.wanted_kw, of) for unit, of in zip(units, reach, strict=True)]
    least_kw, most_kw = _left_for_batteries(load_kw, limits)
    powers = _lowered(wanted, [low for low, _ in reach], sum(wanted) - most_kw)
    powers = _raised(powers, [high for _, high in reach], least_kw - sum(powers))
    binds = [
        _bind(unit, power, first, step)
        for unit, power, first in zip(units, powers, wanted, strict=True)
    ]
    flow_kw = load_kw + sum(powers)
    beyond_kw = max(0.0, flow_kw - limits.import_kw) + min(0.0, flow_kw + limits.export_kw)
    return Decided(tuple(powers), tuple(binds), beyond_kw)


def bounds(unit: Unit, holds_s: float) -> Range:
    """Return the least and the most a battery may be told (C2) [kW]; zero lies between."""
    ratings = unit.ratings
    hours = holds_s / _S_PER_HOUR
    room_kwh = max(0.0, ratings.capacity_kwh - unit.soc_kwh)
    stock_kwh = max(0.0, unit.soc_kwh - ratings.floor_kwh)
    charge_kw = min(
        ratings.charge_max_kw, unit.charge_max_kw, room_kwh / ratings.charge_efficiency / hours
    )
    discharge_kw = min(
        ratings.discharge_max_kw,
        unit.discharge_max_kw,
        stock_kwh * ratings.discharge_efficiency / hours,
    )
    return -max(0.0, discharge_kw), max(0.0, charge_kw)


def _reach(unit: Unit, step: Step) -> Range:
    """Return where the ramp lets it get to (C3), within its bounds, which hold at any pace."""
    low, high = bounds(unit, step.holds_s)
    way_kw = _way_kw(unit, step)
    return _into(unit.last_kw - way_kw, (low, high)), _into(unit.last_kw + way_kw, (low, high))


def _way_kw(unit: Unit, step: Step) -> float:
    """Return how far its power may move; with no ramp any way, also in no time."""
    ramp = unit.ratings.ramp_kw_per_s
    return ramp if math.isinf(ramp) else ramp * step.since_last_s


def _left_for_batteries(load_kw: float, limits: SiteLimits) -> Range:
    """Return the least and the most all batteries may take together (C1) [kW]."""
    margin_kw = min(limits.margin_kw, (limits.import_kw + limits.export_kw) / 2)
    most_kw = limits.import_kw - margin_kw - load_kw
    least_kw = -limits.export_kw + margin_kw - load_kw
    must_kw = -limits.export_kw - load_kw
    return (max(must_kw, min(0.0, least_kw)), most_kw)


def _lowered(powers: Sequence[float], floors: Sequence[float], excess_kw: float) -> list[float]:
    """Take ``excess_kw`` off: charging first, then by discharging; each by its share."""
    if excess_kw <= 0:
        return list(powers)
    powers, excess_kw = _take(powers, [max(0.0, power) for power in powers], excess_kw)
    room = [max(0.0, power - floor) for power, floor in zip(powers, floors, strict=True)]
    powers, _ = _take(powers, room, excess_kw)
    return powers


def _raised(powers: Sequence[float], tops: Sequence[float], lack_kw: float) -> list[float]:
    """Add ``lack_kw``: the mirror image of taking it off."""
    mirrored = _lowered([-power for power in powers], [-top for top in tops], lack_kw)
    return [-power for power in mirrored] if lack_kw > 0 else list(powers)


def _take(
    powers: Sequence[float], of: Sequence[float], amount_kw: float
) -> tuple[list[float], float]:
    """Take an amount off in proportion to what each has; return what is left to take as well."""
    there_kw = sum(of)
    if there_kw <= _NOTHING_KW:
        return list(powers), amount_kw
    share = min(1.0, amount_kw / there_kw)
    taken = [power - share * part for power, part in zip(powers, of, strict=True)]
    return taken, max(0.0, amount_kw - there_kw)


def _to_rest(units: Sequence[Unit], step: Step) -> Decided:
    powers = []
    for unit in units:
        way_kw = _way_kw(unit, step)
        low, _ = bounds(unit, step.holds_s)
        powers.append(max(low, min(0.0, unit.last_kw + way_kw)))
    return Decided(tuple(powers), (Bind.REST,) * len(powers))


def _bind(unit: Unit, power_kw: float, first_kw: float, step: Step) -> Bind:
    if abs(power_kw - first_kw) > _NOTHING_KW:
        return Bind.LIMIT
    if abs(power_kw - unit.wanted_kw) <= _NOTHING_KW:
        return Bind.PLAN
    within = _into(unit.wanted_kw, bounds(unit, step.holds_s))
    return Bind.BOUNDS if abs(power_kw - within) <= _NOTHING_KW else Bind.RAMP


def _into(value: float, of: Range) -> float:
    return min(max(value, of[0]), of[1])
