"""Calls of the grid side, reserves, positions and backups, in slots."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

import numpy as np

from connectors.types import GridEventKind, GridEventNotice
from optimizer import (
    CapacityLimit,
    DemandEvent,
    Position,
    Problem,
    ReserveBlock,
    ReserveProduct,
    StorageUnit,
)
from scheduler.services.window import PlanWindow
from scheduler.specs import FleetSpec
from scheduler.specs.commitments import BackupSpec, CallsSpec, PositionSpec, ReserveSpec

BINDING = (GridEventKind.EMERGENCY, GridEventKind.SUBSCRIPTION)
"""Calls that nobody declines, whatever the terms say."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls as limits where there are no terms for them, as events where there are, and marks.

    ``declined`` are those that have begun and bind nobody, because they were declined before.
    """

    limits: tuple[CapacityLimit, ...]
    events: tuple[DemandEvent, ...]
    marks: tuple[str, ...]
    declined: tuple[str, ...] = ()


def assemble_calls(
    fleet: FleetSpec,
    notices: Sequence[GridEventNotice],
    window: PlanWindow,
    declined: Collection[str] = (),
) -> Calls:
    """Limit every slot that any part of a call lies in, from the one in which its ramp ends.

    That slot begins before the ramp is over: what is told at its beginning takes its time.

    What is above the limit is not paid either: both are what keeping to it is worth. A call that
    has begun is answered already: ``declined`` are those that were, the others are binding now.

    Where its rebound is limited a call is an event that nobody declines, also without terms. One
    that is over, or whose ramp is as long as itself, is its rebound alone.
    """
    names = {site.name for site in fleet.sites}
    limits: list[CapacityLimit] = []
    events: list[DemandEvent] = []
    marks: list[str] = []
    gone: list[str] = []
    for notice in notices:
        start = max(0, _first_slot(notice, window))
        end = min(window.n_slots, window.slot_not_before(notice.window.end))
        terms = terms_of(fleet, notice.site)
        has_begun = notice.window.start < window.start
        if notice.is_cancelled:
            continue
        if has_begun and terms is not None and is_declined(notice, declined):
            gone.append(notice.event_id)
            continue
        sites = terms.sites if terms is not None else (notice.site,)
        rebound = _rebound(notice, terms)
        if not names.issuperset(sites):
            if end > start:
                marks.append(f"grid event {notice.event_id}: not used, {notice.site} is no site")
        elif end <= start:
            events += _rebound_alone(notice, sites, rebound, window)
        elif terms is None and rebound is None:
            limits.append(_limit(notice, start, end))
        else:
            events.append(_event(notice, terms, rebound, window, range(start, end)))
    return Calls(tuple(limits), tuple(events), tuple(marks), tuple(gone))


def is_declined(notice: GridEventNotice, declined: Collection[str]) -> bool:
    """Say whether a call is among ``declined``, and is still one that may be."""
    return notice.kind not in BINDING and notice.event_id in declined


def with_commitments(
    problem: Problem, calls: Calls, fleet: FleetSpec, window: PlanWindow, now: datetime
) -> Problem:
    """Return ``problem`` with ``calls`` and all that ``fleet`` has agreed."""
    return replace(
        problem,
        capacity_limits=calls.limits,
        events=calls.events,
        reserves=assemble_reserves(fleet, window, now),
        positions=assemble_positions(fleet, window),
    )


def _first_slot(notice: GridEventNotice, window: PlanWindow) -> int:
    ramp = timedelta(minutes=notice.ramp_minutes)
    held_from = notice.window.start + ramp
    if held_from >= notice.window.end:
        return window.slot_not_before(notice.window.end)
    return window.slot_of(held_from - timedelta.resolution if ramp else held_from)


def terms_of(fleet: FleetSpec, called: str) -> CallsSpec | None:
    """Return the terms of calls to ``called``: a site, or the name of terms."""
    for terms in fleet.commitments.calls:
        if called == terms.name or terms.sites == (called,):
            return terms
    return None


def _limit(notice: GridEventNotice, start_slot: int, end_slot: int) -> CapacityLimit:
    return CapacityLimit(
        name=notice.event_id,
        site=notice.site,
        start_slot=start_slot,
        end_slot=end_slot,
        limit_kw=notice.limit_kw,
        breach_eur_per_kwh=notice.breach_eur_per_kwh + notice.payment_eur_per_kwh,
    )


@dataclass(frozen=True, slots=True)
class _Rebound:
    """Import at most ``kw`` after a call and until then, and what each kWh above it costs."""

    kw: float
    until: datetime
    eur_per_kwh: float


def _rebound(notice: GridEventNotice, terms: CallsSpec | None) -> _Rebound | None:
    """Return what limits import after a call: what its sender agreed, else what its terms say."""
    own = notice.rebound
    if own is not None and notice.rebound_kw is not None:
        return _Rebound(notice.rebound_kw, own.end, notice.rebound_eur_per_kwh)
    if terms is None or terms.rebound_kw is None:
        return None
    until = notice.window.end + timedelta(minutes=terms.rebound_minutes)
    return _Rebound(terms.rebound_kw, until, terms.rebound_eur_per_kwh)


def _event(
    notice: GridEventNotice,
    terms: CallsSpec | None,
    rebound: _Rebound | None,
    window: PlanWindow,
    called: range,
) -> DemandEvent:
    after = max(0, _rebound_end(rebound, window) - called.stop)
    return DemandEvent(
        name=notice.event_id,
        sites=(notice.site,) if terms is None else terms.sites,
        start_slot=called.start,
        level_kw=(notice.limit_kw,) * len(called),
        missed_eur_per_kwh=notice.breach_eur_per_kwh + notice.payment_eur_per_kwh,
        pay_eur=0.0 if terms is None else _pay_eur(notice, terms, window, called),
        decline_eur=None if terms is None else _decline_eur(notice, terms, window),
        rebound_kw=() if rebound is None else (rebound.kw,) * after,
        rebound_eur_per_kwh=0.0 if rebound is None else rebound.eur_per_kwh,
    )


def _pay_eur(notice: GridEventNotice, terms: CallsSpec, window: PlanWindow, called: range) -> float:
    """Return what taking part is paid."""
    if terms.baseline_kw is None:
        return terms.pay_eur
    less_kw = max(0.0, terms.baseline_kw - notice.limit_kw)
    kwh = less_kw * len(called) * window.slot_hours
    return terms.pay_eur + notice.payment_eur_per_kwh * kwh


def _rebound_end(rebound: _Rebound | None, window: PlanWindow) -> int:
    """Return the slot in which the rebound is over; 0 where none is limited."""
    if rebound is None:
        return 0
    return min(window.n_slots, window.slot_not_before(rebound.until))


def _rebound_alone(
    notice: GridEventNotice,
    sites: tuple[str, ...],
    rebound: _Rebound | None,
    window: PlanWindow,
) -> Iterator[DemandEvent]:
    """Yield what is left of the rebound of a call that is over, or limits no slot itself."""
    start = max(0, window.slot_not_before(notice.window.end))
    end = _rebound_end(rebound, window)
    if rebound is not None and end > start:
        level_kw = (rebound.kw,) * (end - start)
        yield DemandEvent(notice.event_id, sites, start, level_kw, rebound.eur_per_kwh)


def _decline_eur(notice: GridEventNotice, terms: CallsSpec, window: PlanWindow) -> float | None:
    """Return what declining costs; of a call that has begun, or binds, there is no declining."""
    if notice.kind in BINDING or notice.window.start < window.start:
        return None
    return fee_of_declining(notice, terms)


def fee_of_declining(notice: GridEventNotice, terms: CallsSpec) -> float | None:
    """Return what the terms ask for it [EUR], nothing of a call that came too late."""
    if notice.issued_at is not None:
        notice_given = notice.window.start - notice.issued_at
        if notice_given < timedelta(minutes=terms.notice_minutes):
            return 0.0
    return terms.decline_eur


def assemble_reserves(
    fleet: FleetSpec, window: PlanWindow, now: datetime
) -> tuple[ReserveProduct, ...]:
    """Return what may be sold, and what is, in the blocks of ``window``."""
    return tuple(_reserve(spec, window, now) for spec in fleet.commitments.reserves)


def _reserve(spec: ReserveSpec, window: PlanWindow, now: datetime) -> ReserveProduct:
    return ReserveProduct(
        name=spec.name,
        sites=spec.sites,
        blocks=tuple(_blocks(spec, window, now)),
        lot_kw=spec.lot_kw,
        most_lots=spec.most_lots,
        hours=spec.minutes / 60.0,
        activation_s=spec.activation_s,
        missed_eur_per_kwh=spec.missed_eur_per_kwh,
        is_up=spec.direction != "down",
        is_down=spec.direction != "up",
    )


def _blocks(spec: ReserveSpec, window: PlanWindow, now: datetime) -> Iterator[ReserveBlock]:
    """Yield the blocks that lie in ``window``, or what of them does.

    A block that has begun before the window, or whose gate is closed, is there for what of it is
    sold.
    """
    zone, gate = ZoneInfo(spec.time_zone), now + timedelta(minutes=spec.gate_minutes)

    def block_of(slot: int) -> tuple[object, int]:
        local = window.instant(slot).astimezone(zone)
        return local.date(), local.hour // spec.block_hours

    before = block_of(-1)
    for number, slots in groupby(range(window.n_slots), key=block_of):
        held = list(slots)
        starts_at = window.instant(held[0])
        is_closed = number == before or starts_at < gate
        sold = [one.lots for one in spec.sold if one.start_at <= starts_at < one.end_at]
        if is_closed and not any(sold[-1:]):
            continue
        yield ReserveBlock(
            start_slot=held[0],
            end_slot=held[-1] + 1,
            eur_per_kw=spec.eur_per_kw_hour * len(held) * window.slot_hours,
            sold_lots=sold[-1] if sold else 0,
            is_closed=is_closed,
        )


def assemble_positions(fleet: FleetSpec, window: PlanWindow) -> tuple[Position, ...]:
    """Return the positions that say something of a slot of ``window``."""
    found = (_position(spec, window) for spec in fleet.commitments.positions)
    return tuple(position for position in found if position.agreed)


def _position(spec: PositionSpec, window: PlanWindow) -> Position:
    net_kw: list[float | None] = [None] * window.n_slots
    for agreed in spec.agreed:
        first = max(0, window.slot_not_before(agreed.start_at))
        last = min(window.n_slots, window.slot_not_before(agreed.end_at))
        for slot in range(first, last):
            net_kw[slot] = agreed.net_kw
    return Position(
        name=spec.name,
        sites=spec.sites,
        net_kw=tuple(net_kw),
        over_eur_per_kwh=(spec.over_eur_per_kwh,) * window.n_slots,
        under_eur_per_kwh=(spec.under_eur_per_kwh,) * window.n_slots,
    )


def with_backup(units: Sequence[StorageUnit], backup: BackupSpec | None) -> tuple[StorageUnit, ...]:
    """Let ``units`` keep what carries the critical load, each by what it can give when full.

    A unit's own floor stays beneath it.
    """
    if backup is None:
        return tuple(units)
    usable = np.array([unit.capacity_kwh - unit.soc_floor_kwh for unit in units])
    gives = usable * np.array([unit.discharge_efficiency for unit in units])
    share = min(1.0, backup.critical_kw * backup.hours / max(float(gives.sum()), 1e-9))
    return tuple(
        replace(unit, soc_floor_kwh=unit.soc_floor_kwh + share * float(kwh))
        for unit, kwh in zip(units, usable, strict=True)
    )
