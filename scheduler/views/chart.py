"""A plan as one picture, for the API's docs, mails and reports: a column of charts per site.

Drawn on ``Figure`` objects: ``pyplot`` keeps figures in a global that threads would share. Settings
and fonts are global in matplotlib still, so one picture is drawn at a time.
"""

from __future__ import annotations

from io import BytesIO
from threading import Lock
from typing import Literal
from zoneinfo import ZoneInfo

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure

from scheduler.services.plan_document import PlanDocument
from scheduler.views.series import Array, PoolUse, SiteSeries, array, site_series
from scheduler.views.wording import when

Format = Literal["svg", "png"]

_SOURCES = (
    ("Solar and wind", "#eab02d", "renewable_kw"),
    ("Battery discharge", "#3fa57f", "discharge_kw"),
    ("Generator", "#a2673f", "generator_kw"),
    ("Grid import", "#7d8fa9", "import_kw"),
    ("Shortfall", "#d13b3b", "shortfall_kw"),
)
_USES = (("Battery charge", "#93d2bb", "charge_kw"), ("Grid export", "#b6c4d8", "export_kw"))
_PRICE, _CARBON, _SOC, _GPUS, _INK, _LIMIT = (
    "#7b4bb3",
    "#a8502f",
    "#2f8f6a",
    "#1f63ad",
    "#17202b",
    "#b3261e",
)
_ONE_AT_A_TIME = Lock()
_COLUMN_INCHES, _PANEL_INCHES, _DPI = 7.0, 1.45, 110


def chart(doc: PlanDocument, fmt: Format) -> bytes:
    """Draw every site: power by source against load, price and carbon, charge, GPUs.

    The time axis is on the site's clock. SVG holds its text as text; both formats say what unit
    every axis has and which carbon intensity is drawn.
    """
    series = site_series(doc.problem, doc.plan)
    n_pools = max(len(one.pools) for one in series)
    heights = [2.2, 1.0, 1.0, *([1.0] * n_pools)]
    size = (_COLUMN_INCHES * len(series), _PANEL_INCHES * sum(heights) + 1.2)
    # Text as text keeps an SVG small and searchable; the salt makes equal plans equal files.
    with (
        _ONE_AT_A_TIME,
        mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "gridtide", "font.size": 9}),
    ):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(
            len(heights), len(series), sharex="col", squeeze=False, height_ratios=heights
        )
        figure.suptitle(_title(doc), fontsize=11)
        for column, one in enumerate(series):
            _draw_site(doc, one, list(axes[:, column]))
        out = BytesIO()
        metadata = {"Date": None} if fmt == "svg" else None
        figure.savefig(out, format=fmt, dpi=_DPI, metadata=metadata)
    return out.getvalue()


def _title(doc: PlanDocument) -> str:
    start, end = when(doc.window.start, "UTC"), when(doc.window.end, "UTC")
    return (
        f"Plan of {doc.fleet.name}, {start.utc} to {end.utc}\n"
        f"Carbon: {doc.problem.carbon_intensity_name} intensity of imported energy"
    )


def _draw_site(doc: PlanDocument, series: SiteSeries, axes: list[Axes]) -> None:
    zone = ZoneInfo(doc.fleet.site(series.site.name).time_zone)
    slots = range(doc.window.n_slots + 1)
    # Matplotlib counts days since 1970; its stairs take numbers only.
    edges = array([float(date2num(doc.window.instant(slot))) for slot in slots])
    power, rates, charge, *pools = axes
    power.set_title(f"{series.site.name} ({zone.key})", fontweight="bold", loc="left", pad=34)
    _draw_power(power, series, edges)
    _draw_rates(rates, series, edges)
    _draw_charge(charge, series, edges)
    for axis, pool in zip(pools, series.pools, strict=False):
        _draw_pool(axis, pool, edges)
    for axis in pools[len(series.pools) :]:
        axis.set_axis_off()
    for axis in axes:
        axis.grid(axis="y", color="#d8dee6", linewidth=0.6)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(axis is rates)
        axis.set_xlim(edges[0], edges[-1])
    locator = AutoDateLocator(tz=zone)
    last = axes[2 + len(series.pools)]
    last.xaxis.set_major_locator(locator)
    last.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))
    last.tick_params(labelbottom=True)


def _draw_power(axis: Axes, series: SiteSeries, edges: Array) -> None:
    base = np.zeros_like(series.load_kw)
    for label, colour, name in _SOURCES:
        values = getattr(series, name)
        if values.any():
            top = base + values
            axis.stairs(top, edges, baseline=base, fill=True, color=colour, label=label)
            base = top
    base = np.zeros_like(base)
    for label, colour, name in _USES:
        values = getattr(series, name)
        if values.any():
            low = base - values
            axis.stairs(base, edges, baseline=low, fill=True, color=colour, label=label)
            base = low
    axis.stairs(series.load_kw, edges, baseline=None, color=_INK, linewidth=1.4, label="Load")
    for limit in series.limits:
        span = edges[limit.start_slot], edges[min(limit.end_slot, len(base))]
        axis.hlines(limit.limit_kw, *span, color=_LIMIT, linewidth=2, label="Limit of a grid event")
    axis.axhline(0, color=_INK, linewidth=0.6)
    axis.set_ylabel("power [kW]")
    axis.margins(y=0.05)
    axis.legend(ncols=3, fontsize=7.5, frameon=False, loc="lower left", bbox_to_anchor=(0, 1.0))


def _draw_rates(axis: Axes, series: SiteSeries, edges: Array) -> None:
    axis.stairs(series.price_eur_per_mwh, edges, baseline=None, color=_PRICE, linewidth=1.4)
    axis.set_ylabel("price with fee\n[EUR/MWh]", color=_PRICE)
    carbon = axis.twinx()
    carbon.stairs(
        series.carbon_g_per_kwh, edges, baseline=None, color=_CARBON, linewidth=1.2, linestyle="--"
    )
    carbon.set_ylabel("carbon (dashed)\n[g/kWh]", color=_CARBON)
    carbon.set_ylim(bottom=0)
    carbon.spines["top"].set_visible(False)


def _draw_charge(axis: Axes, series: SiteSeries, edges: Array) -> None:
    axis.set_ylabel("battery charge\n[kWh]")
    if not series.site.storage:
        axis.text(0.5, 0.5, "no battery", transform=axis.transAxes, ha="center", color="#556272")
        axis.set_yticks([])
        return
    before = sum(unit.soc_initial_kwh for unit in series.site.storage)
    soc = np.concatenate(([before], series.soc_kwh))
    axis.fill_between(edges, soc, color=_SOC, alpha=0.25)
    axis.plot(edges, soc, color=_SOC, linewidth=1.4)
    axis.axhline(series.soc_floor_kwh, color=_INK, linewidth=0.8, linestyle=":")
    axis.set_ylim(0, max(1.0, series.soc_max_kwh * 1.05))


def _draw_pool(axis: Axes, pool: PoolUse, edges: Array) -> None:
    axis.stairs(pool.used, edges, fill=True, color=_GPUS, alpha=0.35)
    axis.stairs(pool.available, edges, baseline=None, color=_INK, linewidth=1, linestyle="--")
    axis.set_ylabel(f"GPUs in use\n{pool.pool}")
    axis.set_ylim(0, max(1.0, float(pool.available.max()) * 1.1))
