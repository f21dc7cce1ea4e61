"""The charts of a site on the page: small SVG drawings that stretch to any width.

Drawn here rather than by a charting library: a library that can be inlined weighs megabytes on a
phone, and pictures drawn in advance follow neither the width of a screen nor its dark mode. The
drawing has one unit per slot and 100 in height; text lies beside it in HTML, so that it never
stretches. Colours are CSS classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from optimizer import CapacityLimit
from scheduler.views.axis import value_ticks
from scheduler.views.series import Array, PoolUse, SiteSeries
from scheduler.views.wording import number


@dataclass(frozen=True, slots=True)
class Shape:
    """One path of a drawing and the CSS classes that colour it."""

    path: str
    css: str


@dataclass(frozen=True, slots=True)
class Key:
    """One line of a legend."""

    label: str
    css: str


@dataclass(frozen=True, slots=True)
class Level:
    """A labelled height, as a percentage from the bottom."""

    at_percent: float
    label: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A drawing with its title, unit, legend and levels. ``description`` is for screen readers."""

    title: str
    unit: str
    description: str
    n_slots: int
    shapes: tuple[Shape, ...]
    levels: tuple[Level, ...]
    keys: tuple[Key, ...] = ()
    css: str = ""


@dataclass(slots=True)
class Scale:
    """Turns values into heights: 0 is the top of the drawing, 100 its bottom."""

    low: float
    high: float
    ticks: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.ticks = value_ticks(self.low, self.high)
        self.low, self.high = self.ticks[0], self.ticks[-1]

    def y(self, value: float) -> float:
        """Return how far below the top of the drawing ``value`` lies."""
        return 100 * (self.high - value) / (self.high - self.low)

    def levels(self) -> tuple[Level, ...]:
        """Return the labelled heights beside the drawing."""
        step = self.ticks[1] - self.ticks[0]
        digits = 0 if step >= 1 and step % 1 == 0 else 1 if step >= 0.1 else 2
        return tuple(Level(100 - self.y(tick), number(tick, digits)) for tick in self.ticks)


_SOURCES = (
    ("Solar and wind", "renewable", "renewable_kw"),
    ("Battery discharge", "discharge", "discharge_kw"),
    ("Generator", "generator", "generator_kw"),
    ("Grid import", "import", "import_kw"),
    ("No source (shortfall)", "shortfall", "shortfall_kw"),
)
_USES = (("Battery charge", "charge", "charge_kw"), ("Grid export", "export", "export_kw"))


def site_panels(series: SiteSeries) -> tuple[Panel, ...]:
    """Power, price, carbon, state of charge and GPUs of one site, from top to bottom."""
    panels = [_power_panel(series), _price_panel(series), _carbon_panel(series)]
    if series.site.storage:
        panels.append(_charge_panel(series))
    return (*panels, *(_pool_panel(pool) for pool in series.pools))


def _power_panel(series: SiteSeries) -> Panel:
    sources = [(label, css, getattr(series, name)) for label, css, name in _SOURCES]
    uses = [(label, css, getattr(series, name)) for label, css, name in _USES]
    above = np.sum([values for *_, values in sources], axis=0)
    below = np.sum([values for *_, values in uses], axis=0)
    limits = [limit.limit_kw for limit in series.limits]
    scale = Scale(
        -float(below.max()), max(float(above.max()), float(series.load_kw.max()), *limits)
    )
    shapes = [
        *stack([(css, values) for _, css, values in sources], scale, sign=1),
        *stack([(css, values) for _, css, values in uses], scale, sign=-1),
        Shape(steps(series.load_kw, scale), "line load"),
        Shape(level_line(0.0, len(above), scale), "zero"),
    ]
    shapes += [Shape(_limit_line(limit, scale), "line limit") for limit in series.limits]
    keys = [Key(label, css) for label, css, values in (*sources, *uses) if values.any()]
    keys.append(Key("Load with PUE", "load"))
    if series.limits:
        keys.append(Key("Import limit of a grid event", "limit"))
    return Panel(
        title="Power by source, and load",
        unit="kW",
        description=(
            f"Load between {number(series.load_kw.min())} and {number(series.load_kw.max())} kW;"
            f" highest grid import {number(series.import_kw.max())} kW."
            " Battery charge and export are drawn below zero."
        ),
        n_slots=len(above),
        shapes=tuple(shapes),
        levels=scale.levels(),
        keys=tuple(keys),
        css="tall",
    )


def _price_panel(series: SiteSeries) -> Panel:
    price = series.price_eur_per_mwh
    return line_panel("Price with network fee", "EUR/MWh", price, "price")


def _carbon_panel(series: SiteSeries) -> Panel:
    return line_panel("Carbon intensity", "g/kWh", series.carbon_g_per_kwh, "carbon")


def line_panel(title: str, unit: str, values: Array, css: str) -> Panel:
    """Draw values that hold through their slot as a line over an area."""
    scale = Scale(min(0.0, float(values.min())), float(values.max()))
    return Panel(
        title=title,
        unit=unit,
        description=f"Between {number(values.min())} and {number(values.max())} {unit}.",
        n_slots=len(values),
        shapes=(
            Shape(area(np.zeros_like(values), values, scale), f"area {css}"),
            Shape(steps(values, scale), f"line {css}"),
            Shape(level_line(0.0, len(values), scale), "zero"),
        ),
        levels=scale.levels(),
    )


def _charge_panel(series: SiteSeries) -> Panel:
    before = sum(unit.soc_initial_kwh for unit in series.site.storage)
    soc = np.concatenate(([before], series.soc_kwh))
    scale = Scale(0.0, series.soc_max_kwh)
    points = " L".join(f"{slot} {scale.y(value):.2f}" for slot, value in enumerate(soc))
    n_slots = len(series.soc_kwh)
    shapes = [
        Shape(f"M0 100 L{points} L{n_slots} 100 Z", "area soc"),
        Shape(f"M{points}", "line soc"),
    ]
    keys = [Key("Charge at slot end", "soc")]
    if series.soc_floor_kwh:
        shapes.append(Shape(level_line(series.soc_floor_kwh, n_slots, scale), "line floor"))
        keys.append(Key("Kept for backup", "floor"))
    return Panel(
        title=f"Battery charge, of {number(series.soc_max_kwh)}",
        unit="kWh",
        description=(
            f"Between {number(soc.min())} and {number(soc.max())} kWh,"
            f" {number(soc[-1])} kWh at the end."
        ),
        n_slots=n_slots,
        shapes=tuple(shapes),
        levels=scale.levels(),
        keys=tuple(keys),
    )


def _pool_panel(pool: PoolUse) -> Panel:
    scale = Scale(0.0, float(max(pool.available.max(), 1.0)))
    return Panel(
        title=f"GPUs in use, {pool.pool}",
        unit="GPUs",
        description=(
            f"At most {number(pool.used.max())} in use;"
            f" {number(pool.available.min())} to {number(pool.available.max())} available."
        ),
        n_slots=len(pool.used),
        shapes=(
            Shape(area(np.zeros_like(pool.used), pool.used, scale), "area gpus"),
            Shape(steps(pool.used, scale), "line gpus"),
            Shape(steps(pool.available, scale), "line capacity"),
        ),
        levels=scale.levels(),
        keys=(Key("In use", "gpus"), Key("Available", "capacity")),
    )


def heat_strip(values: Sequence[float], css: str) -> tuple[Shape, ...]:
    """One row of cells, stronger where the value is higher; in ten shades, runs merged."""
    low, high = min(values), max(values)
    span = high - low or 1.0
    shades = [round(9 * (value - low) / span) for value in values]
    edges = [0, *(slot for slot in range(1, len(shades)) if shades[slot] != shades[slot - 1])]
    return tuple(
        Shape(f"M{start} 0 H{end} V100 H{start} Z", f"{css} shade{shades[start]}")
        for start, end in pairwise([*edges, len(shades)])
    )


def stack(layers: Sequence[tuple[str, Array]], scale: Scale, *, sign: int) -> list[Shape]:
    """Draw layers on top of each other, upwards or downwards; each with its CSS class."""
    shapes, base = [], np.zeros_like(layers[0][1])
    for css, values in layers:
        if values.any():
            top = base + sign * values
            shapes.append(Shape(area(base, top, scale), f"fill {css}"))
            base = top
    return shapes


def steps(values: Array, scale: Scale) -> str:
    """Outline of values that hold through their slot."""
    return f"M0 {scale.y(values[0]):.2f} " + _along(values, scale)


def _along(values: Array, scale: Scale) -> str:
    return " ".join(f"V{scale.y(value):.2f} H{slot + 1}" for slot, value in enumerate(values))


def area(base: Array, top: Array, scale: Scale) -> str:
    """Outline of what lies between two rows of values."""
    n_slots = len(top)
    back = " ".join(f"V{scale.y(base[slot]):.2f} H{slot}" for slot in range(n_slots - 1, -1, -1))
    return f"{steps(top, scale)} {back} Z"


def level_line(value: float, n_slots: int, scale: Scale) -> str:
    """Draw one value through all slots."""
    return f"M0 {scale.y(value):.2f} H{n_slots}"


def _limit_line(limit: CapacityLimit, scale: Scale) -> str:
    return f"M{limit.start_slot} {scale.y(limit.limit_kw):.2f} H{limit.end_slot}"
