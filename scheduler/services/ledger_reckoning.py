"""A day of a site is reckoned: from meters, runs of jobs, signals and the plans that held.

Everything is read as it is known now. What is not metered is modelled: the cluster from runs of
jobs and idle GPUs, plants from their signals, batteries and generators from the plan that held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy.orm import Session

from connectors.types import SignalKind, Window
from optimizer import Site
from scheduler.ledger.account import SlotFacts, account_of
from scheduler.ledger.metering import BothWays
from scheduler.ledger.slots import site_in_slot
from scheduler.services.assemble import FILL_HISTORY, FleetState
from scheduler.services.assemble_signals import SignalTable
from scheduler.services.assemble_sites import assemble_site
from scheduler.services.ledger_readings import Metered, read_metered
from scheduler.services.ledger_slots import Reckoned
from scheduler.services.ledger_tariff import energy_in_month
from scheduler.services.ledger_work import SlotWork, read_work
from scheduler.services.signal_store import Wanted, known_values
from scheduler.services.signals import LONGEST_MINUTES
from scheduler.services.window import PlanWindow
from scheduler.specs import FleetSpec
from scheduler.specs.fleet import SiteSpec

Expected = Mapping[str, Any]
ExpectedAt = Callable[[Window], Expected]

_KINDS = (
    SignalKind.PRICE,
    SignalKind.EXPORT_PRICE,
    SignalKind.CARBON_INTENSITY,
    SignalKind.MARGINAL_CARBON_INTENSITY,
    SignalKind.PV,
    SignalKind.WIND,
    SignalKind.BASE_LOAD,
    SignalKind.PUE,
)
_REST = BothWays(0.0, 0.0)
_STEP = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class FleetAt:
    """The fleet that held in some slots, and which version of it that is."""

    version: int
    fleet: FleetSpec


def reckon(
    session: Session,
    held: FleetAt,
    site: str,
    slots: Sequence[Window],
    expected_at: ExpectedAt,
    now: datetime,
) -> list[Reckoned]:
    """Reckon ``slots`` of a site, which are of one length and follow each other.

    Slots that no price or no carbon intensity can be told for are left out: they are gaps.
    """
    fleet, spec = held.fleet, held.fleet.site(site)
    window = _window_of(slots)
    signals = _signals(session, site, window, now)
    metered = read_metered(session, spec, slots)
    work = read_work(session, spec, slots)
    found: list[Reckoned] = []
    for first, last in _priced(fleet, spec, signals, window, now):
        part = PlanWindow(window.instant(first), window.slot_minutes, last - first)
        so_far = energy_in_month(session, spec, part.start)
        state = FleetState(energy_so_far_kwh={} if so_far is None else {site: so_far})
        table = _table(fleet, spec, signals, part, now)
        assembled, _ = assemble_site(fleet, spec, table, part, state, now)
        published = _Published(spec, signals, part)
        length = slots[first].end - slots[first].start
        before = expected_at(Window(slots[first].start - length, slots[first].start))
        for k in range(last - first):
            slot = slots[first + k]
            expected = expected_at(slot)
            alone = site_in_slot(assembled, k, _ran(assembled, before))
            before = expected
            around = _Around(alone, metered, work[first + k], first + k, expected)
            found.append(_reckoned(held, slot, around, published.in_slot(k)))
    return found


@dataclass(frozen=True, slots=True)
class _Around:
    """What is known of one slot: the site in it, its number in what was metered, and the plan."""

    site: Site
    metered: Metered
    work: SlotWork
    k: int
    expected: Expected


@dataclass(frozen=True, slots=True)
class _Signals:
    """What was published for one slot."""

    marginal_g_per_kwh: float | None
    estimated: tuple[str, ...]


def _reckoned(held: FleetAt, slot: Window, around: _Around, signals: _Signals) -> Reckoned:
    site = around.site
    facts, measured = _facts(around, (slot.end - slot.start) / timedelta(hours=1))
    return Reckoned(
        start_at=slot.start,
        minutes=round((slot.end - slot.start) / timedelta(minutes=1)),
        fleet_version=held.version,
        account=account_of(site, signals.marginal_g_per_kwh, facts),
        pue=site.pue[0],
        price_eur_per_mwh=site.grid.import_price_eur_per_mwh[0],
        carbon_intensity=held.fleet.planning.carbon_intensity_name,
        carbon_g_per_kwh=site.grid.carbon_g_per_kwh[0],
        marginal_g_per_kwh=signals.marginal_g_per_kwh,
        measured=measured,
        estimated=signals.estimated,
        expected=around.expected,
    )


def _facts(around: _Around, hours: float) -> tuple[SlotFacts, tuple[str, ...]]:
    """Take what was metered, else what is modelled; also say what was metered."""
    site, metered, k = around.site, around.metered, around.k
    grid, cluster = metered.grid[k], metered.cluster[k]
    plants = [_at(metered.plants, plant.name, k) for plant in site.renewables]
    available = [plant.available_kw[0] * hours for plant in site.renewables]
    batteries = [_at(metered.batteries, unit.name, k) for unit in site.storage]
    planned = around.expected.get("storage", {})
    by_generator = around.expected.get("generators", {})
    facts = SlotFacts(
        hours=hours,
        grid=grid,
        it_kwh=None if cluster is None else cluster.inward_kwh,
        produced_kwh=tuple(
            kwh if told is None else told.inward_kwh
            for told, kwh in zip(plants, available, strict=True)
        ),
        is_produced_measured=bool(plants) and None not in plants,
        storage=tuple(
            BothWays(*planned.get(unit.name, (0.0, 0.0))) if told is None else told
            for told, unit in zip(batteries, site.storage, strict=True)
        ),
        generators_kwh=tuple(by_generator.get(unit.name, 0.0) for unit in site.generators),
        base_load_kwh=site.base_load_kw[0] * hours,
        pue=site.pue[0],
        idle_kwh=around.work.idle_kwh,
        export_limit_kwh=site.grid.export_limit_kw[0] * hours,
        work=around.work.work,
    )
    is_measured = {
        "grid": grid is not None,
        "cluster": cluster is not None,
        "plants": facts.is_produced_measured,
        "batteries": bool(batteries) and None not in batteries,
    }
    return facts, tuple(name for name, told in is_measured.items() if told)


def _at(by_name: Mapping[str, Sequence[BothWays | None]], name: str, k: int) -> BothWays | None:
    return by_name[name][k] if name in by_name else None


def _ran(site: Site, before: Expected) -> tuple[bool, ...]:
    """Whether each generator ran in the slot before, by the plan that held then."""
    given = before.get("generators", {})
    return tuple(given.get(unit.name, 0.0) > 0.0 for unit in site.generators)


def _window_of(slots: Sequence[Window]) -> PlanWindow:
    minutes = round((slots[0].end - slots[0].start) / timedelta(minutes=1))
    return PlanWindow(slots[0].start, minutes, len(slots))


def _signals(session: Session, site: str, window: PlanWindow, now: datetime) -> pd.DataFrame:
    earliest = window.start - FILL_HISTORY - timedelta(minutes=LONGEST_MINUTES)
    return known_values(session, Wanted(earliest, window.end, (site,), _KINDS), now)


def _table(
    fleet: FleetSpec, spec: SiteSpec, signals: pd.DataFrame, window: PlanWindow, now: datetime
) -> SignalTable:
    used = signals[signals["kind"] != SignalKind.MARGINAL_CARBON_INTENSITY]
    max_age_hours = fleet.planning.max_signal_age_hours
    return SignalTable(used, window, now, max_age_hours, {spec.name: spec.time_zone})


def _priced(
    fleet: FleetSpec, spec: SiteSpec, signals: pd.DataFrame, window: PlanWindow, now: datetime
) -> Iterator[tuple[int, int]]:
    """Yield the stretches [first, last) of slots that a price and an intensity can be told for."""
    table = _table(fleet, spec, signals, window, now)
    needed = [SignalKind.CARBON_INTENSITY]
    needed += [SignalKind.PRICE] if spec.needs_price_signal else []
    is_known = np.ones(window.n_slots, dtype=bool)
    for kind in needed:
        is_known &= ~np.isnan(table.optional(spec.name, kind).values)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], is_known, [False])).astype(int)))
    for first, last in edges.reshape(-1, 2):
        yield int(first), int(last)


class _Published:
    """Which signals were published for each slot of a window; the rest was filled in."""

    def __init__(self, spec: SiteSpec, signals: pd.DataFrame, window: PlanWindow) -> None:
        kinds = set(signals["kind"])
        needed = {SignalKind.CARBON_INTENSITY}
        if spec.needs_price_signal:
            needed.add(SignalKind.PRICE)
        if spec.has_pv:
            needed.add(SignalKind.PV)
        if spec.has_wind:
            needed.add(SignalKind.WIND)
        needed |= kinds & {SignalKind.BASE_LOAD, SignalKind.PUE, SignalKind.EXPORT_PRICE}
        n_steps = window.slot // _STEP
        self._values = {
            kind: _by_step(signals[signals["kind"] == kind], window).reshape(-1, n_steps)
            for kind in (*sorted(needed), SignalKind.MARGINAL_CARBON_INTENSITY)
        }

    def in_slot(self, k: int) -> _Signals:
        """Say what was published for slot ``k``."""
        marginal = float(self._values[SignalKind.MARGINAL_CARBON_INTENSITY][k].mean())
        return _Signals(
            marginal_g_per_kwh=None if np.isnan(marginal) else marginal,
            estimated=tuple(
                kind.value
                for kind, values in self._values.items()
                if kind is not SignalKind.MARGINAL_CARBON_INTENSITY and np.isnan(values[k]).any()
            ),
        )


def _by_step(rows: pd.DataFrame, window: PlanWindow) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Lay values on steps of five minutes; of two for one step that known last stands."""
    steps = np.full((window.end - window.start) // _STEP, np.nan)
    ordered = rows.sort_values("known_at", kind="stable")
    starts = ordered["start_at"].dt.to_pydatetime()
    for start, minutes, value in zip(starts, ordered["minutes"], ordered["value"], strict=True):
        first = (start - window.start) // _STEP
        last = first + int(minutes) // 5
        if last > 0:
            steps[max(first, 0) : last] = value
    return steps
