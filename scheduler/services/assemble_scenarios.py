"""Stored signals become scenarios: what past plans were told, what came, and what may come now.

Each past issue is seen as the plan of that instant saw it, gaps filled by the same rules, so that
an error is that of what was planned with. What came is what is known of that window now; an issue
in which a part of it is not is left out. Pure: frames in, ``optimizer.Scenario`` out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from connectors.types import SignalKind
from optimizer import Scenario, Site, SiteFuture
from scheduler.forecasting.error_paths import ErrorPaths, PastIssue, Signal, error_paths, reduced
from scheduler.services.assemble_signals import FILL_HISTORY, InputRefused, SignalTable, Values
from scheduler.services.signal_inputs import is_own_forecast, with_origin
from scheduler.services.window import PlanWindow
from scheduler.specs import FleetSpec
from scheduler.specs.fleet import SiteSpec

LEAST_ISSUES = 8
"""Fewer past issues than these say too little of how forecasts err."""
RULE_PATHS = 20
"""Paths that a wait is judged by, where plans are made for the forecast alone."""
DAY = timedelta(days=1)
_PLANTS = (SignalKind.PV, SignalKind.WIND)


@dataclass(frozen=True, slots=True)
class Futures:
    """How the forecasts of a plan may turn out, and a sentence for what is not known of them."""

    scenarios: tuple[Scenario, ...] = ()
    marks: tuple[str, ...] = ()


def signal_table(
    fleet: FleetSpec, signals: pd.DataFrame, window: PlanWindow, now: datetime
) -> SignalTable:
    """Return what ``signals`` say of ``window`` to a plan of ``fleet`` made at ``now``."""
    zones = {spec.name: spec.time_zone for spec in fleet.sites}
    return SignalTable(signals, window, now, fleet.planning.max_signal_age_hours, zones)


def history_span(window: PlanWindow, days: int) -> tuple[datetime, datetime]:
    """Return the first and last start of values that past issues are made of."""
    return window.start - days * DAY - FILL_HISTORY, window.start


def assemble_scenarios(
    fleet: FleetSpec,
    sites: Sequence[Site],
    table: SignalTable,
    history: pd.DataFrame | None,
    window: PlanWindow,
    now: datetime,
) -> Futures:
    """Return scenarios around what ``sites`` and ``table`` say of ``window``.

    None where the fleet does not plan with uncertainty, or nobody gives a history.

    Parameters
    ----------
    sites, table
        The sites as assembled, in the order of the fleet, and the signals they were made from.
    history
        Columns as those of signals, with *every* value known of an interval by ``now``, for
        intervals that start in ``history_span``; forecasts of our own among them as issued.
    """
    uncertainty = fleet.planning.uncertainty
    if uncertainty is None or history is None:
        return Futures()
    wanted = [*_signals(fleet, table)]
    issues = past_issues(window, now, uncertainty.history_days)
    past, unknown = _past(fleet, wanted, issues, history, now)
    marks = [f"{site} {kind}: taken as certain, too few past forecasts" for site, kind in unknown]
    n_whole = _n_whole(past)
    if n_whole < LEAST_ISSUES:
        why = f"{n_whole} past issues are whole, at least {LEAST_ISSUES} are needed"
        return Futures(marks=(f"planned for the forecast alone: {why}",))
    paths = error_paths(past, round(24 / window.slot_hours))
    paths = reduced(paths, uncertainty.scenarios or RULE_PATHS)
    by_site = [
        _futures(fleet, *pair, table, paths) for pair in zip(fleet.sites, sites, strict=True)
    ]
    scenarios = tuple(
        Scenario(f"issue of {issues[issue][1]:%Y-%m-%d}", share, tuple(own[k] for own in by_site))
        for k, (issue, share) in enumerate(
            zip(paths.issues, paths.probability.tolist(), strict=True)
        )
    )
    return Futures(scenarios, tuple(marks))


def _signals(fleet: FleetSpec, table: SignalTable) -> Iterator[Signal]:
    """Yield the signals that plans rest on."""
    for spec in fleet.sites:
        kinds = [SignalKind.CARBON_INTENSITY]
        kinds += [SignalKind.PRICE] if spec.needs_price_signal else []
        kinds += [SignalKind.PV] if spec.has_pv else []
        kinds += [SignalKind.WIND] if spec.has_wind else []
        for kind in (SignalKind.EXPORT_PRICE, SignalKind.BASE_LOAD):
            kinds += [kind] if table.has(spec.name, kind) else []
        yield from ((spec.name, kind.value) for kind in kinds)


def past_issues(window: PlanWindow, now: datetime, days: int) -> list[tuple[PlanWindow, datetime]]:
    """Return the windows and instants of past issues that are over, the newest first."""
    shifted = (
        (replace(window, start=window.start - day * DAY), now - day * DAY)
        for day in range(1, days + 1)
    )
    return [(past, at) for past, at in shifted if past.end <= min(window.start, now)]


def _past(
    fleet: FleetSpec,
    wanted: Sequence[Signal],
    issues: Sequence[tuple[PlanWindow, datetime]],
    history: pd.DataFrame,
    now: datetime,
) -> tuple[dict[Signal, PastIssue], list[Signal]]:
    """Return what was told and what came of each signal, and those too little is known of."""
    rows = [_told_and_came(fleet, wanted, *issue, history, now) for issue in issues]
    past: dict[Signal, PastIssue] = {}
    unknown: list[Signal] = []
    for k, signal in enumerate(wanted):
        pairs = [row[k] for row in rows]
        told, came = (np.array([pair[part] for pair in pairs]) for part in (0, 1))
        if rows and _n_whole({signal: PastIssue(told, came)}) >= LEAST_ISSUES:
            past[signal] = PastIssue(told, came)
        else:
            unknown.append(signal)
    return past, unknown


def _told_and_came(
    fleet: FleetSpec,
    wanted: Sequence[Signal],
    window: PlanWindow,
    issued_at: datetime,
    history: pd.DataFrame,
    now: datetime,
) -> list[tuple[Values, Values]]:
    """Return what a plan of ``issued_at`` was told of each signal, and what came [slot]."""
    in_time = history[history["start_at"] < window.end]
    # A value that does not say since when it is known tells nothing of what was known before.
    was_told = in_time["known_at"].notna() & (in_time["start_at"] >= window.start - FILL_HISTORY)
    seen = in_time[was_told]
    told = signal_table(fleet, seen, window, issued_at)
    is_own = is_own_forecast(with_origin(in_time)["source"]).to_numpy(bool)
    published = in_time[~is_own & (in_time["start_at"] >= window.start)]
    came = signal_table(fleet, published, window, now)
    n_slots = window.n_slots
    return [
        (_values(told, *signal, n_slots), _values(came, *signal, n_slots, may_fill=False))
        for signal in wanted
    ]


def _values(
    table: SignalTable, site: str, kind: str, n_slots: int, *, may_fill: bool = True
) -> Values:
    """Return a signal [slot]; nothing where no plan could be made from it, or it was filled."""
    try:
        series = table.optional(site, SignalKind(kind))
    except InputRefused:
        return np.full(n_slots, np.nan)
    is_filled = series.rests_on.filled_slots > 0
    return series.values if may_fill or not is_filled else np.full(n_slots, np.nan)


def _n_whole(past: Mapping[Signal, PastIssue]) -> int:
    """How many issues are whole in every signal."""
    if not past:
        return 0
    known = [np.isfinite(issue.told) & np.isfinite(issue.came) for issue in past.values()]
    return int(np.logical_and.reduce(np.concatenate(known, axis=1), axis=1).sum())


def _futures(
    fleet: FleetSpec, spec: SiteSpec, site: Site, table: SignalTable, paths: ErrorPaths
) -> list[SiteFuture]:
    """Return ``site`` on every path."""
    rate, grid = fleet.eur_rate(spec.currency), site.grid

    def error(kind: SignalKind) -> Values:
        """How far the signal may be from what is planned with [path, slot]."""
        said = np.nan_to_num(table.optional(spec.name, kind).values)
        off: Values = paths.around((spec.name, kind.value), said) - said
        return off

    price = error(SignalKind.PRICE)
    derived = price * spec.grid.export_price_share if spec.needs_price_signal else 0.0 * price
    is_own = table.has(spec.name, SignalKind.EXPORT_PRICE)
    sold = error(SignalKind.EXPORT_PRICE) if is_own else derived
    renewable = {kind.value: error(kind) for kind in _PLANTS}
    plants = [
        np.clip(np.asarray(plant.available_kw) + renewable[plant.name], 0.0, None)
        for plant in site.renewables
    ]
    bought = np.asarray(grid.import_price_eur_per_mwh) + rate * price
    exported = np.asarray(grid.export_price_eur_per_mwh) + rate * sold
    carbon = np.maximum(np.asarray(grid.carbon_g_per_kwh) + error(SignalKind.CARBON_INTENSITY), 0.0)
    base = np.maximum(np.asarray(site.base_load_kw) + error(SignalKind.BASE_LOAD), 0.0)
    return [
        SiteFuture(
            _series(bought[k]),
            _series(exported[k]),
            _series(carbon[k]),
            _series(base[k]),
            tuple(_series(plant[k]) for plant in plants),
        )
        for k in range(len(paths))
    ]


def _series(values: Values) -> tuple[float, ...]:
    return tuple(values.tolist())
