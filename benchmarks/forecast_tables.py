"""Scores of forecasts as tables and a plot: error, pinball loss, coverage, on the same hours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.forecast_bettering import bettering_table
from benchmarks.forecast_data import HOURS, ISSUES, Signal, Values, Zone

WRITER = "make bench-forecasts"
HORIZONS = {
    "hours 1-6": slice(0, 6),
    "day 1": slice(0, 24),
    "day 2": slice(24, 48),
    "day 3": slice(48, 72),
    "day 4": slice(72, 96),
}
LOW, HIGH = 0.1, 0.9
TARGET = (0.75, 0.85)

_INTRO = """## Forecasts of half a year, scored on the same hours

`make bench-forecasts`. Every day of July to December 2021 at 00:00 UTC, 96 hours ahead, from
what had been measured before. Seasonal-naive and blend take 90 days of history; the boosted
model (the blend and LightGBM, with the wind and solar forecasts issued by then for carbon and
price) is fitted anew on the first of each month, to the 420 days before. "Issued" are the
forecasts of CarbonCast as they were issued, which have no quantiles. Hours that nobody
recorded, or of which no issued forecast exists where there are any, are left out for all alike;
NYISO reports no solar. Prices are forecast as if none were published ahead: "day 1" is the
first day after the published ones.

Within is the share of what came that lay between P10 and P90 (of solar: in daylight); of 80 %
that are due, 75 to 85 % are the goal. Pinball loss is the mean over P10, P30, P50, P70 and P90.
The width of the blend was set on January to June 2021 and on nothing later.

Data: [CarbonCast](https://github.com/aamyli/CarbonCast) (Apache-2.0) for carbon, wind, solar
and the issued forecasts; day-ahead prices of the market operators as collected by
[sustain-cluster](https://github.com/HewlettPackard/sustain-cluster) (MIT)."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """The forecasts of one signal [method, issue, hour, level]."""

    zone: Zone
    signal: Signal
    made: Values
    methods: tuple[str, ...]
    levels: tuple[float, ...]

    @property
    def came(self) -> Values:
        """What came [issue, hour]; NaN in hours that count for nobody."""
        came = np.array([self.zone.came(self.signal, issue) for issue in ISSUES])
        if self.signal.issued is not None:
            came[np.isnan(self.issued)] = np.nan
        return came

    @property
    def issued(self) -> Values:
        """Forecasts as issued [issue, hour]."""
        return self.zone.as_issued(self.signal)

    def quantile(self, method: str, level: float) -> Values:
        """Return one quantile of one method [issue, hour]."""
        return np.asarray(self.made[self.methods.index(method), :, :, self.levels.index(level)])

    def counts_for_coverage(self, came: Values) -> Values:
        """Return what came where a quantile can be missed: of what is dark at night, by day."""
        if not self.signal.traits.is_dark_at_night:
            return came
        is_lit = (came > 0) | (self.quantile("blend", HIGH) > 0)
        return np.where(is_lit, came, np.nan)


def section(scored: Sequence[Scored]) -> str:
    """Write everything that goes to RESULTS.md."""
    parts = [_INTRO, _table(scored), _whole(scored)]
    parts += ["![Calibration](forecast_calibration.png)"]
    parts += ["### Issued forecasts, as plans take them"]
    parts += [bettering_table([(one.zone, one.signal) for one in scored])]
    return "\n\n".join(parts)


def plot(scored: Sequence[Scored], path: Path) -> None:
    """Draw how often values lay below each quantile, by method and kind of signal."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    axes = figure.subplots(1, len(scored[0].methods), sharey=True)
    for axis, method in zip(axes, scored[0].methods, strict=True):
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        for one in scored:
            came = one.counts_for_coverage(one.came)
            known = np.isfinite(came)
            below = [
                float((came[known] <= one.quantile(method, level)[known]).mean())
                for level in one.levels
            ]
            axis.plot(one.levels, below, marker=".", linewidth=0.8, alpha=0.7)
        axis.set(title=method, xlabel="quantile", xlim=(0, 1), ylim=(0, 1))
    axes[0].set_ylabel("share of values below it")
    figure.savefig(path, dpi=110)


def _table(scored: Sequence[Scored]) -> str:
    """Write one row for each zone, signal and horizon."""
    methods = list(scored[0].methods)
    short = [name.split("-")[0] for name in methods]
    names = [*(f"{what} {name}" for what in ("MAE", "pinball", "within [%]") for name in short)]
    names.insert(len(methods), "MAE issued")
    lines = [
        "| Zone | Signal | Horizon | " + " | ".join(names) + " |",
        "| :--- | :--- | :--- |" + " ---: |" * len(names),
    ]
    for one in scored:
        for name, hours in HORIZONS.items():
            row = [one.zone.name, f"{one.signal.name} [{one.signal.unit}]", name]
            row += [*_errors(one, hours), *_pinballs(one, hours), *_coverages(one, hours)]
            lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def _errors(one: Scored, hours: slice) -> list[str]:
    came = one.came[:, hours]
    errors = [_mean(np.abs(came - one.quantile(method, 0.5)[:, hours])) for method in one.methods]
    if one.signal.issued is None:
        return [*_best_bold(errors), "–"]
    return _best_bold([*errors, _mean(np.abs(came - one.issued[:, hours]))])


def _pinballs(one: Scored, hours: slice) -> list[str]:
    came = one.came[:, hours]
    losses = []
    for method in one.methods:
        off = [(level, came - one.quantile(method, level)[:, hours]) for level in one.levels]
        losses.append(
            float(np.mean([_mean(np.maximum(q * miss, (q - 1) * miss)) for q, miss in off]))
        )
    return _best_bold(losses)


def _coverages(one: Scored, hours: slice) -> list[str]:
    return [f"{100 * _covered(one, method, hours):.0f}" for method in one.methods]


def _covered(one: Scored, method: str, hours: slice) -> float:
    came = one.counts_for_coverage(one.came)[:, hours]
    known = np.isfinite(came)
    low, high = (one.quantile(method, level)[:, hours] for level in (LOW, HIGH))
    return float(((came >= low) & (came <= high))[known].mean())


def _whole(scored: Sequence[Scored]) -> str:
    """Say for each method how many signals are covered as they should be, over all hours."""
    lines = []
    for method in scored[0].methods:
        covered = [_covered(one, method, slice(0, HOURS)) for one in scored]
        within = sum(TARGET[0] <= share <= TARGET[1] for share in covered)
        lines.append(
            f"- {method}: {within} of {len(covered)} signals between 75 and 85 % over all 96 hours;"
            f" least {100 * min(covered):.0f} %, mean {100 * np.mean(covered):.1f} %,"
            f" most {100 * max(covered):.0f} %"
        )
    return "\n".join(lines)


def _mean(values: Values) -> float:
    return float(values[np.isfinite(values)].mean())


def _best_bold(values: Sequence[float]) -> list[str]:
    """Write figures, the least of them bold."""
    least = min(values)
    return [f"**{_digits(value)}**" if value == least else _digits(value) for value in values]


def _digits(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if value >= 100 else f"{value:.2f}"
