"""How wrong plans were told signals: errors by how far ahead, of what each plan saw. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from connectors.types import SignalKind
from scheduler.backtest.policies import to_plan
from scheduler.backtest.policy import Policy
from scheduler.backtest.replay import window_of
from scheduler.backtest.world import Scene
from scheduler.services.assemble_scenarios import signal_table
from scheduler.services.window import PlanWindow

KINDS = (SignalKind.PRICE, SignalKind.CARBON_INTENSITY, SignalKind.PV, SignalKind.WIND)
BANDS_HOURS = ((0, 6), (6, 24), (24, 48), (48, 96))
MOST_ISSUES = 60
"""Plans that are looked at, evenly over the span; more tell no more."""

Floats = npt.NDArray[np.float64]
_Key = tuple[str, SignalKind, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class ForecastScore:
    """Errors of one signal of one site, from ``from_hours`` to ``to_hours`` ahead.

    ``mean``, ``mean_error`` (forecast less truth) and ``mean_absolute_error`` in ``kind.unit``.
    """

    site: str
    kind: SignalKind
    from_hours: int
    to_hours: int
    n_slots: int
    mean: float
    mean_error: float
    mean_absolute_error: float


def forecast_scores(
    scene: Scene, policy: Policy, truth: pd.DataFrame, most_issues: int = MOST_ISSUES
) -> tuple[ForecastScore, ...]:
    """Compare what plans were told with ``truth``, slot by slot."""
    told: dict[_Key, list[Floats]] = {}
    came: dict[_Key, list[Floats]] = {}
    for window, now in _issues(scene, policy, most_issues):
        expected = _values(scene, policy.knows(window, now), window, now)
        measured = _values(scene, to_plan(truth, window), window, now)
        for (site, kind), values in expected.items():
            if (site, kind) not in measured:
                continue
            for band in BANDS_HOURS:
                part = slice(*(round(hours / window.slot_hours) for hours in band))
                told.setdefault((site, kind, band), []).append(values[part])
                came.setdefault((site, kind, band), []).append(measured[site, kind][part])
    return tuple(_scores(told, came))


def _issues(
    scene: Scene, policy: Policy, most_issues: int
) -> Iterator[tuple[PlanWindow, datetime]]:
    """Yield the first plan of each day and when it was made, evenly thinned."""
    each = max(1, round(timedelta(days=1) / policy.every))
    numbers = []
    number = 0
    while (window := window_of(scene, policy, number)) is not None:
        numbers.append(window)
        number += each
    for position in np.unique(np.linspace(0, len(numbers) - 1, min(len(numbers), most_issues))):
        window = numbers[int(position)]
        yield window, window.start - policy.lead


def _values(
    scene: Scene, signals: pd.DataFrame, window: PlanWindow, now: datetime
) -> Mapping[tuple[str, SignalKind], Floats]:
    """Return what a plan is told of each slot; signals with a slot nobody tells are left out."""
    table = signal_table(scene.fleet, signals, window, now)
    found = {}
    for site in scene.fleet.sites:
        for kind in KINDS:
            if table.has(site.name, kind):
                series = table.optional(site.name, kind)
                if series.is_whole:
                    found[site.name, kind] = np.asarray(series.values, dtype=np.float64)
    return found


def _scores(
    told: Mapping[_Key, list[Floats]], came: Mapping[_Key, list[Floats]]
) -> Iterator[ForecastScore]:
    for key, parts in told.items():
        site, kind, (first, last) = key
        measured = np.concatenate(came[key])
        error = np.concatenate(parts) - measured
        if len(error):
            yield ForecastScore(
                site=site,
                kind=kind,
                from_hours=first,
                to_hours=last,
                n_slots=len(error),
                mean=float(measured.mean()),
                mean_error=float(error.mean()),
                mean_absolute_error=float(np.abs(error).mean()),
            )
