"""The plot of a rolling backtest: what each policy has saved against run-now, day by day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.rolling_backtest.instance import Settings
from benchmarks.rolling_backtest.outcome import Outcome

# The same file for the same figures: no random ids, no date.
_STYLE: Any = {"svg.hashsalt": "rolling-backtest", "svg.fonttype": "none", "font.size": 9}


def write_plot(
    path: Path, settings: Settings, outcomes: Mapping[str, Outcome], names: Mapping[str, str]
) -> None:
    """Write an SVG."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        panels = figure.subplots(1, 2)
        now = outcomes["run_now"]
        days = [settings.begin + timedelta(days=day) for day in range(len(now.eur_by_day))]
        for name, outcome in outcomes.items():
            if name == "run_now":
                continue
            line = {"label": names[name], "linewidth": 2.0 if name == "perfect" else 1.2}
            panels[0].plot(days, _saved(now.eur_by_day, outcome.eur_by_day), **line)
            panels[1].plot(days, _saved(now.kg_by_day, outcome.kg_by_day), **line)
        panels[0].set_title("Saved cost against run-now [EUR]", loc="left")
        panels[1].set_title("Saved carbon against run-now [kg CO₂e]", loc="left")
        for panel in panels:
            panel.axhline(0.0, color="0.6", linewidth=0.8)
            panel.tick_params(axis="x", rotation=30)
            panel.spines[["top", "right"]].set_visible(False)
        panels[0].legend(frameon=False)
        figure.savefig(path, metadata={"Date": None, "Creator": None})


def _saved(now: tuple[float, ...], it: tuple[float, ...]) -> np.ndarray:
    """Return what was saved up to the end of each day."""
    return np.cumsum(np.asarray(now) - np.asarray(it))
