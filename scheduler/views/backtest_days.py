"""A day of a backtest, drawn site by site, with what is to be read of each slot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from scheduler.sweep.days import ShownDay
from scheduler.views.panels import Key, Panel, Scale, Shape, area, line_panel, stack, steps
from scheduler.views.series import Array
from scheduler.views.wording import number

_SOURCES = (
    ("Solar and wind", "renewable", "renewable_kw"),
    ("Battery discharge", "discharge", "discharge_kw"),
    ("Generator", "generator", "generator_kw"),
    ("Grid import", "import", "import_kw"),
    ("No source (shortfall)", "shortfall", "shortfall_kw"),
)
_READ = (
    ("Load", "kW", "load_kw", 1),
    ("Grid import", "kW", "import_kw", 1),
    ("Solar and wind", "kW", "renewable_kw", 1),
    ("Battery charge", "kW", "charge_kw", 1),
    ("Battery discharge", "kW", "discharge_kw", 1),
    ("Battery holds", "kWh", "soc_kwh", 0),
    ("GPUs in use", "", "gpus_used", 0),
    ("Price", "EUR/MWh", "price_eur_per_mwh", 1),
    ("Carbon", "g/kWh", "carbon_g_per_kwh", 0),
)


@dataclass(frozen=True, slots=True)
class SiteDay:
    """One site on that day."""

    site: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class DayView:
    """One day under one policy; ``key`` is how its readouts are found."""

    key: str
    day: str
    begin: datetime
    policy: str
    why: str
    n_slots: int
    sites: tuple[SiteDay, ...]


def day_view(day: ShownDay, number_: int) -> DayView:
    """Draw a day."""
    sites = tuple(
        SiteDay(str(name), _panels(table)) for name, table in day.slots.groupby("site", sort=False)
    )
    n_slots = max((site.panels[0].n_slots for site in sites), default=0)
    label = f"{day.begin:%Y-%m-%d}"
    return DayView(str(number_), label, day.begin, day.policy, day.why, n_slots, sites)


def day_readouts(days: Sequence[ShownDay]) -> dict[str, object]:
    """Return what is read of each slot, by the key of its day."""
    return {str(number_): _readout(day) for number_, day in enumerate(days)}


def _readout(day: ShownDay) -> dict[str, object]:
    starts = day.slots["start_at"].drop_duplicates().tolist()
    length = starts[1] - starts[0] if len(starts) > 1 else timedelta(hours=1)
    sites = {
        str(name): [
            [
                f"{number(float(row[column]), digits)} {unit}".strip()
                for _, unit, column, digits in _READ
            ]
            for row in table.to_dict("records")
        ]
        for name, table in day.slots.groupby("site", sort=False)
    }
    jobs = [
        [
            f"{job.job} ({job.site}, {job.gpus} GPUs)"
            for job in day.jobs
            if job.start_at < start + length and job.end_at > start
        ]
        for start in starts
    ]
    return {
        "times": [f"{start:%a %-d %b %H:%M} UTC" for start in starts],
        "labels": [label for label, *_ in _READ],
        "sites": sites,
        "jobs": jobs,
    }


def _panels(table: pd.DataFrame) -> tuple[Panel, ...]:
    def column(name: str) -> Array:
        values: Array = table[name].to_numpy(np.float64)
        return values

    return (
        _power(table),
        line_panel("Price", "EUR/MWh", column("price_eur_per_mwh"), "price"),
        line_panel("Carbon intensity", "g/kWh", column("carbon_g_per_kwh"), "carbon"),
        _gpus(column("gpus_used"), column("gpus_there")),
    )


def _power(table: pd.DataFrame) -> Panel:
    layers = [(label, css, table[name].to_numpy(np.float64)) for label, css, name in _SOURCES]
    load = table["load_kw"].to_numpy(np.float64)
    total = np.sum([values for *_, values in layers], axis=0)
    scale = Scale(0.0, max(float(total.max()), float(load.max()), 1.0))
    keys = [Key(label, css) for label, css, values in layers if values.any()]
    return Panel(
        title="Power by source, and load",
        unit="kW",
        description=f"Load between {number(load.min())} and {number(load.max())} kW.",
        n_slots=len(load),
        shapes=(
            *stack([(css, values) for _, css, values in layers], scale, sign=1),
            Shape(steps(load, scale), "line load"),
        ),
        levels=scale.levels(),
        keys=(*keys, Key("Load with PUE", "load")),
    )


def _gpus(used: Array, there: Array) -> Panel:
    scale = Scale(0.0, max(1.0, float(there.max())))
    return Panel(
        title="GPUs in use",
        unit="GPUs",
        description=f"At most {number(used.max())} of {number(there.max())}.",
        n_slots=len(used),
        shapes=(
            Shape(area(np.zeros_like(used), used, scale), "area gpus"),
            Shape(steps(used, scale), "line gpus"),
            Shape(steps(there, scale), "line capacity"),
        ),
        levels=scale.levels(),
        keys=(Key("In use", "gpus"), Key("There", "capacity")),
    )
