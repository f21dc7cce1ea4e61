"""Table and plot of the field event, and its section in RESULTS.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.field_event.instance import BEGIN, EVENT_BEGIN, SLOT_MINUTES, Published
from benchmarks.field_event.outcome import Outcome
from benchmarks.section import write_section

RESULTS = Path(__file__).parents[1] / "RESULTS.md"
PLOT = RESULTS.with_name("field_event.svg")
SECTION = "make bench-field-event"
FIELD_WEIGHTED = 0.9096
HEAD = """\
A quarter less power for three hours on 256 GPUs, as called by a utility in Phoenix in May 2025 and
done there by power caps: the same workloads, planned. What was published of it, and what was
assumed where nothing was: [instance.py](field_event/instance.py)."""
NOTES = f"""\
- *Performance* is work done in the event over that at full speed, weighted by GPUs. The field's
  {FIELD_WEIGHTED} is weighted in a way that was not published, at a mean of 64 kW; by GPUs as
  assumed here its six values are 0.92.
- *No plan exceeds* changes caps at any moment and has no slots; see
  [possible.py](field_event/possible.py). A plan counts lateness in whole slots of five minutes, a
  36th of the event.
- Workloads are as long as the hours to the end of the event at full speed: planned power falls to
  nothing once they are done."""
SOURCES = """\
Data: ai-emerald/emerald-ai-demo-may-2025 (Apache-2.0)."""
_STEP: Any = {"where": "post", "linewidth": 1.3}
_STYLE: Any = {"svg.hashsalt": "field-event", "svg.fonttype": "none", "font.size": 9}


@dataclass(frozen=True, slots=True)
class Case:
    """One call with or without a battery, and its plan."""

    name: str
    has_battery: bool
    outcome: Outcome


def markdown(published: Published, cases: Sequence[Case]) -> str:
    """Return both tables."""
    rows = [
        "| | Ceiling [kW] | Highest import [kW] | Performance | No plan exceeds"
        " | Lowest, over its floor | Gap [%] | Breaches, violations |",
        "| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    floors = {workload.name: workload.floor for workload in published.workloads}
    for case in cases:
        it = case.outcome
        margin = min(share - floors[name] for name, share in it.performance.items())
        rows.append(
            f"| {case.name} | {it.limit_kw:.2f} | {it.highest_kw:.2f} | {it.weighted:.4f}"
            f" | {it.possible:.4f} | {margin:+.3f} | {100 * it.gap:.1f}"
            f" | {len(it.breaches)}, {it.n_violations} |"
        )
    rows += [
        "",
        "| Workload | GPUs | Floor | In the field |" + "".join(f" {case.name} |" for case in cases),
        "| :--- |" + " ---: |" * (3 + len(cases)),
    ]
    for workload in published.workloads:
        shares = "".join(f" {case.outcome.performance[workload.name]:.3f} |" for case in cases)
        rows.append(
            f"| {workload.name} | {workload.gpus} | {workload.floor}"
            f" | {workload.field_performance:.3f} |{shares}"
        )
    gpus = sum(one.gpus for one in published.workloads)
    by_gpus = sum(one.gpus * one.field_performance for one in published.workloads) / gpus
    weighted = "".join(f" {case.outcome.weighted:.3f} |" for case in cases)
    rows.append(f"| weighted by GPUs | {gpus} | | {by_gpus:.3f} |{weighted}")
    return "\n".join(rows)


def write(published: Published, cases: Sequence[Case]) -> None:
    """Write the section of RESULTS.md, and the plot beside it."""
    _write_plot(published, cases)
    parts = (
        "## The field event of Phoenix, planned",
        HEAD,
        "```\nmake bench-field-event\n```",
        markdown(published, cases),
        f"![Power before, in and after the event]({PLOT.name})",
        NOTES,
        SOURCES,
    )
    write_section(RESULTS, "\n\n".join(parts), SECTION)


def _write_plot(published: Published, cases: Sequence[Case]) -> None:
    """Draw power as the field's figure does: minutes measured, and slots planned."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9, 4.8), layout="constrained")
        panels = figure.subplots(2, 2, sharex=True, sharey=True).ravel()
        for panel, case in zip(panels, cases, strict=True):
            _draw(panel, published, case)
        panels[1].legend(frameon=False, fontsize=8, loc="lower right")
        for panel in panels[::2]:
            panel.set_ylabel("kW")
        for panel in panels[2:]:
            panel.set_xlabel("hours from the begin of the event")
        figure.savefig(PLOT, metadata={"Date": None, "Creator": None})


def _draw(panel: Any, published: Published, case: Case) -> None:
    it = case.outcome
    end = BEGIN + len(it.import_kw) * timedelta(minutes=SLOT_MINUTES)
    seen = published.power_kw[published.power_kw.index < pd.Timestamp(end)]
    panel.plot(
        _hours(pd.DatetimeIndex(seen.index)),
        seen,
        color="0.7",
        linewidth=1.0,
        label="measured in the field",
    )
    starts = pd.date_range(BEGIN, periods=len(it.import_kw), freq=f"{SLOT_MINUTES}min")
    if case.has_battery:
        panel.step(_hours(starts), it.load_kw, color="C1", label="load planned", **_STEP)
    panel.step(_hours(starts), it.import_kw, color="C0", label="import planned", **_STEP)
    span = _hours(pd.DatetimeIndex([EVENT_BEGIN, it.call.end_at]))
    panel.plot(span, [it.limit_kw] * 2, color="black", linewidth=1.5, label="ceiling")
    panel.set_title(case.name, loc="left")
    panel.set_ylim(0, 110)
    panel.spines[["top", "right"]].set_visible(False)


def _hours(instants: pd.DatetimeIndex) -> pd.Index[float]:
    """Return hours from the event's begin."""
    return (instants - pd.Timestamp(EVENT_BEGIN)) / pd.Timedelta(hours=1)
