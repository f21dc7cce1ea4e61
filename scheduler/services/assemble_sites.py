"""Sites as written, with their signals and state, become ``optimizer.Site``.

Money is turned from the site's currency into EUR here, at the rate the fleet states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from connectors.types import SignalKind
from optimizer import (
    Generator,
    GridConnection,
    Renewable,
    Site,
    StorageUnit,
)
from scheduler.services.assemble_commitments import with_backup
from scheduler.services.assemble_peaks import Peak, assemble_peaks
from scheduler.services.assemble_pools import PoolsSeen, assemble_pools
from scheduler.services.assemble_signals import SignalTable, Values
from scheduler.services.assemble_tariff import EnergySoFar, assemble_tariff, energy_before
from scheduler.services.window import PlanWindow
from scheduler.specs.fleet import BatterySpec, FleetSpec, GeneratorSpec, SiteSpec


@dataclass(frozen=True, slots=True)
class FleetState:
    """What is known of the fleet beyond its spec; where nothing is known, the spec holds.

    Attributes
    ----------
    soc_kwh
        Energy in a battery at the start of the window, by site and battery [kWh].
    peak_so_far_kw
        Highest import of each billing period before the window, by site and peak [kW].
    energy_so_far_kwh
        Energy bought in the month that the window begins in, by site on a tariff and period [kWh].
    pools
        What clusters last said of their pools, by site and pool.
    declined
        Grid events that the plan in force takes no part in.
    succeeded, failed
        Names of jobs that ended well, and of those that failed, were cancelled or expired.
    """

    soc_kwh: Mapping[tuple[str, str], float] = field(default_factory=dict)
    peak_so_far_kw: Mapping[Peak, float] = field(default_factory=dict)
    energy_so_far_kwh: EnergySoFar = field(default_factory=dict)
    pools: PoolsSeen = field(default_factory=dict)
    declined: frozenset[str] = frozenset()
    succeeded: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()


def assemble_site(
    fleet: FleetSpec,
    spec: SiteSpec,
    signals: SignalTable,
    window: PlanWindow,
    state: FleetState,
    now: datetime,
) -> tuple[Site, tuple[str, ...]]:
    """Return the site by slot, and a sentence per filled, stale or missing input."""
    rate = fleet.eur_rate(spec.currency)
    grid, marks = _grid(spec, rate, signals, window, state)
    renewables = []
    for kind, is_there in ((SignalKind.PV, spec.has_pv), (SignalKind.WIND, spec.has_wind)):
        if is_there:
            plant, more = _renewable(spec.name, kind, signals)
            renewables.append(plant)
            marks += more
        elif signals.has(spec.name, kind):
            marks.append(f"{spec.name} {kind.value}: not used, the site has no such plant")
    base_load, more = _or_constant(spec.name, SignalKind.BASE_LOAD, spec.base_load_kw, signals)
    marks += more
    pue, more = _or_constant(spec.name, SignalKind.PUE, spec.pue, signals)
    marks += more
    gpus = assemble_pools(fleet, spec, window, state.pools, now)
    marks += gpus.marks
    if not signals.has(spec.name, SignalKind.BASE_LOAD):  # a meter's has what others draw in it
        base_load = base_load + pue * gpus.others_kw
    peaks, more = assemble_peaks(spec, rate, window, state.peak_so_far_kw)
    marks += more
    units = [_storage(spec.name, unit, rate, state) for unit in spec.batteries]
    site = Site(
        name=spec.name,
        pools=gpus.pools,
        grid=grid,
        pue=_series(pue),
        base_load_kw=_series(base_load),
        renewables=tuple(renewables),
        storage=with_backup(units, spec.backup),
        generators=tuple(_generator(unit, rate) for unit in spec.generators),
        peaks=peaks,
    )
    return site, tuple(marks)


def _grid(
    spec: SiteSpec, rate: float, signals: SignalTable, window: PlanWindow, state: FleetState
) -> tuple[GridConnection, list[str]]:
    price, derived, marks = _prices(spec, signals, window, state)
    carbon = signals.required(spec.name, SignalKind.CARBON_INTENSITY)
    marks += carbon.marks
    export = derived
    if signals.has(spec.name, SignalKind.EXPORT_PRICE):
        given = signals.optional(spec.name, SignalKind.EXPORT_PRICE)
        missing = np.isnan(given.values)
        export = np.where(missing, derived, given.values)
        marks += given.marks
        if missing.any():
            marks.append(
                f"{spec.name} export_price: {missing.sum()} of {window.n_slots} slots"
                " derived from the import price"
            )
    n_slots = window.n_slots
    connection = GridConnection(
        import_limit_kw=(spec.grid.import_limit_kw,) * n_slots,
        export_limit_kw=(spec.grid.export_limit_kw,) * n_slots,
        import_price_eur_per_mwh=_series(price * rate),
        export_price_eur_per_mwh=_series(export * rate),
        network_fee_eur_per_mwh=(spec.grid.network_fee_per_mwh * rate,) * n_slots,
        carbon_g_per_kwh=_series(carbon.values),
    )
    return connection, marks


def _prices(
    spec: SiteSpec, signals: SignalTable, window: PlanWindow, state: FleetState
) -> tuple[Values, Values, list[str]]:
    """Return what import costs and export earns [slot]: by the signal, the tariff, or both."""
    bought = sold = np.zeros(window.n_slots)
    marks: list[str] = []
    if spec.needs_price_signal:
        price = signals.required(spec.name, SignalKind.PRICE)
        bought, sold = price.values, price.values * spec.grid.export_price_share
        marks += price.marks
    elif signals.has(spec.name, SignalKind.PRICE):
        marks.append(f"{spec.name} price: not used, the site's tariff is its price")
    if spec.tariff is not None:
        so_far_kwh = energy_before(spec, spec.tariff, window, state.energy_so_far_kwh)
        tariff = assemble_tariff(spec, spec.tariff, window, so_far_kwh)
        bought, sold = bought + tariff.import_per_mwh, sold + tariff.export_per_mwh
        marks += tariff.marks
    return bought, sold - spec.grid.export_fee_per_mwh, marks


def _renewable(site: str, kind: SignalKind, signals: SignalTable) -> tuple[Renewable, list[str]]:
    available, marks = _or_constant(site, kind, 0.0, signals, is_expected=True)
    below = available < 0.0
    if below.any():
        # Plants draw a little at night; what they draw is in the base load.
        marks.append(f"{site} {kind.value}: {below.sum()} slots below 0 kW taken as 0 kW")
    return Renewable(kind.value, _series(np.maximum(available, 0.0))), marks


def _or_constant(
    site: str,
    kind: SignalKind,
    constant: float,
    signals: SignalTable,
    *,
    is_expected: bool = False,
) -> tuple[Values, list[str]]:
    """Return a signal, or ``constant`` where it is missing, with a mark.

    Of a signal that nobody gives and nobody expects, the fleet's constant is no stand-in: nothing
    is missing.
    """
    if not (is_expected or signals.has(site, kind)):
        return np.full(signals.n_slots, constant), []
    series = signals.optional(site, kind)
    missing = np.isnan(series.values)
    marks = [*series.marks]
    if missing.any():
        marks.append(
            f"{site} {kind.value}: {missing.sum()} of {len(missing)} slots missing,"
            f" taken as {constant:g}{'' if kind.unit == '1' else ' ' + kind.unit}"
        )
    return np.where(missing, constant, series.values), marks


def _storage(site: str, spec: BatterySpec, rate: float, state: FleetState) -> StorageUnit:
    soc_kwh = state.soc_kwh.get((site, spec.name), spec.soc_initial_kwh)
    return StorageUnit(
        name=spec.name,
        charge_max_kw=spec.power_kw,
        discharge_max_kw=spec.power_kw,
        capacity_kwh=spec.capacity_kwh,
        # Telemetry may read a hair above full or below empty.
        soc_initial_kwh=min(max(soc_kwh, 0.0), spec.capacity_kwh),
        charge_efficiency=spec.charge_efficiency,
        discharge_efficiency=spec.discharge_efficiency,
        soc_floor_kwh=spec.soc_floor_kwh,
        soc_final_min_kwh=spec.soc_final_min_kwh,
        terminal_value_eur_per_kwh=spec.terminal_value_per_kwh * rate,
        wear_eur_per_kwh=spec.wear_per_kwh * rate,
    )


def _generator(spec: GeneratorSpec, rate: float) -> Generator:
    return Generator(
        name=spec.name,
        min_kw=spec.min_kw,
        max_kw=spec.max_kw,
        fuel_eur_per_kwh=spec.fuel_per_kwh * rate,
        start_eur=spec.start_cost * rate,
        emissions_g_per_kwh=spec.emissions_g_per_kwh,
        is_on_initially=spec.is_on_initially,
    )


def _series(values: Values) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
