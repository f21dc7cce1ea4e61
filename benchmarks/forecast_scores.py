"""Score the forecasts of Gridtide on half a year of real signals: ``make bench-forecasts``.

Every day from July to December 2021 at 00:00 UTC, each method forecasts 96 hours from what had been
measured before; the boosted model is fitted anew on the first of each month, to 420 days before it,
with the wind and solar forecasts issued by then. All methods are scored on the same hours: those
that were recorded, and of which an issued forecast exists where somebody issues them. What is done
is kept in ``--out``, so that a run that was interrupted goes on; the tables go to RESULTS.md.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.forecast_data import (
    HOURS,
    ISSUES,
    SIGNALS,
    Signal,
    Values,
    Zone,
    read_zones,
)
from benchmarks.forecast_tables import WRITER, Scored, plot, section
from benchmarks.section import write_section
from scheduler.forecasting import History, QuantileForecast, Traits, blend, seasonal_naive
from scheduler.forecasting.boosted import MODEL_LEVELS, boosted, fit_boosted

RESULTS = Path(__file__).with_name("RESULTS.md")
PLOT = Path(__file__).with_name("forecast_calibration.png")
METHODS = ("seasonal-naive", "blend", "boosted")
HISTORY_DAYS = 90
MODEL_DAYS = 420


def main() -> None:
    """Forecast what is not on file, then write tables and plot."""
    arguments = _arguments()
    zones = read_zones(arguments.data)
    arguments.out.mkdir(parents=True, exist_ok=True)
    scored = []
    for zone in zones.values():
        for signal in SIGNALS:
            if zone.has(signal):
                made = _on_file(arguments.out, zone, signal)
                scored.append(Scored(zone, signal, made, METHODS, MODEL_LEVELS))
    text = section(scored)
    print(text)
    if arguments.write:
        plot(scored, PLOT)
        write_section(RESULTS, text, WRITER)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Score forecasts on real signals of 2021.")
    parser.add_argument("--out", type=Path, default=Path("out/forecast_scores"))
    parser.add_argument("--no-write", dest="write", action="store_false", help="print only")
    arguments = parser.parse_args()
    if not os.environ.get("GRIDTIDE_DATA"):
        parser.error("GRIDTIDE_DATA is not set: the folder of the real data")
    arguments.data = Path(os.environ["GRIDTIDE_DATA"])
    return arguments


def _on_file(folder: Path, zone: Zone, signal: Signal) -> Values:
    """Return all forecasts of a signal [method, issue, hour, level], month by month."""
    months = sorted({issue.strftime("%Y-%m") for issue in ISSUES})
    return np.concatenate([_month(folder, zone, signal, month) for month in months], axis=1)


def _month(folder: Path, zone: Zone, signal: Signal, month: str) -> Values:
    path = folder / f"{zone.name}-{signal.column}-{month}.npy"
    if path.exists():
        return np.asarray(np.load(path), dtype=np.float64)
    began = time.perf_counter()
    issues = [issue for issue in ISSUES if issue.strftime("%Y-%m") == month]
    made = _forecasts(zone, signal, issues)
    partial = path.with_suffix(".part.npy")
    np.save(partial, made)
    partial.rename(path)
    print(f"{path.stem}: {len(issues)} issues in {time.perf_counter() - began:.0f} s", flush=True)
    return made


def _forecasts(zone: Zone, signal: Signal, issues: list[pd.Timestamp]) -> Values:
    """Forecast from every issue of a month by every method [method, issue, hour, level]."""
    traits = signal.traits
    drivers = zone.drivers(signal, issues[0])
    model = fit_boosted(zone.history(signal, issues[0], MODEL_DAYS), traits, HOURS, drivers)
    made = np.empty((len(METHODS), len(issues), HOURS, len(MODEL_LEVELS)))
    for index, issue in enumerate(issues):
        history = zone.history(signal, issue, HISTORY_DAYS)
        known = zone.drivers(signal, issue)[: model.n_drivers]
        by_method = (
            _made_by(seasonal_naive, history, traits, issue),
            _made_by(blend, history, traits, issue),
            boosted(
                model,
                history,
                traits,
                issued_at=issue,
                start_at=issue,
                n_intervals=HOURS,
                drivers=known,
            ),
        )
        made[:, index] = [one.values for one in by_method]
    return made


def _made_by(
    method: Callable[..., QuantileForecast], history: History, traits: Traits, issue: pd.Timestamp
) -> QuantileForecast:
    return method(
        history,
        traits,
        issued_at=issue,
        start_at=issue,
        n_intervals=HOURS,
        levels=MODEL_LEVELS,
    )


if __name__ == "__main__":
    main()
