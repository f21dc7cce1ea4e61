"""A backtest as one page: what was saved and what it cost in delay, and days to step through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

import numpy as np

from scheduler.specs.backtest import BacktestSpec
from scheduler.sweep.days import ShownDay
from scheduler.sweep.result import MOST_ERROR, CaseResult
from scheduler.sweep.summing_up import Line
from scheduler.views.backtest_days import DayView, day_readouts, day_view
from scheduler.views.backtest_text import saving
from scheduler.views.page import render_page
from scheduler.views.panels import Key, Panel, Scale, Shape, level_line
from scheduler.views.series import Array, array
from scheduler.views.wording import number, when

MOST_POINTS = 400
"""Of a curve over the span; a screen shows no more."""
N_COLOURS = 8


@dataclass(frozen=True, slots=True)
class Dot:
    """One policy in one region where saving and delay cross, in percent of the drawing."""

    left: float
    bottom: float
    colour: int
    label: str


@dataclass(frozen=True, slots=True)
class Scatter:
    """Savings against delay, with levels on both axes."""

    title: str
    unit: str
    dots: tuple[Dot, ...]
    levels: tuple[tuple[float, str], ...]
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a page is drawn from; ``days`` are of the case that ``days_of`` names."""

    spec: BacktestSpec
    lines: tuple[Line, ...]
    results: tuple[CaseResult, ...]
    days_of: str
    days: tuple[ShownDay, ...]
    n_missing: int


def backtest_page(it: Backtest) -> str:
    """Draw the page."""
    spec, lines = it.spec, it.lines
    colours = {policy.label: n % N_COLOURS for n, policy in enumerate(spec.policies)}
    views = [day_view(day, number_) for number_, day in enumerate(it.days)]
    return render_page(
        "backtest.html",
        title=f"Backtest {spec.name}",
        links={},
        spec=spec,
        begin=when(spec.begin, "UTC").utc,
        end=when(spec.end, "UTC").utc,
        n_missing=it.n_missing,
        regions=[(name, list(rows)) for name, rows in groupby(lines, lambda line: line.region)],
        saving=saving,
        scatters=_scatters(lines, colours),
        curves=_curves(it, colours),
        colours=colours,
        shares=_gpu_shares(it.results),
        forecasts=_forecasts(it.results),
        notes=_notes(it),
        days=views,
        day_choices=_day_choices(views),
        days_of=it.days_of,
        readouts=day_readouts(it.days),
    )


def _scatters(lines: Sequence[Line], colours: Mapping[str, int]) -> list[Scatter]:
    cost = [(line, line.saved_eur_share) for line in lines]
    carbon = [(line, line.saved_kg_share) for line in lines]
    return [
        _scatter("Saved cost", cost, colours),
        _scatter("Saved carbon", carbon, colours),
    ]


def _scatter(
    title: str, pairs: Sequence[tuple[Line, float | None]], colours: Mapping[str, int]
) -> Scatter:
    known = [(line, 100 * share) for line, share in pairs if share is not None]
    saved = Scale(min([0.0, *(share for _, share in known)]), max([1.0, *(s for _, s in known)]))
    waits = Scale(0.0, max([1.0, *(line.wait_mean_h for line, _ in known)]))
    dots = tuple(
        Dot(
            left=100 - waits.y(line.wait_mean_h),
            bottom=100 - saved.y(share),
            colour=colours[line.policy],
            label=f"{line.region}, {line.policy}: {number(share, 1)} % saved,"
            f" {number(line.wait_mean_h, 1)} h of wait",
        )
        for line, share in known
    )
    levels = tuple((level.at_percent, level.label) for level in saved.levels())
    ticks = tuple((level.at_percent, level.label) for level in waits.levels())
    return Scatter(title, "% of what the baseline paid", dots, levels, ticks)


def _curves(it: Backtest, colours: Mapping[str, int]) -> list[tuple[str, list[Panel]]]:
    """Draw what was saved up to the end of each day, for each region: the mean over its seeds."""
    drawn = []
    for region in it.spec.regions:
        money, carbon = {}, {}
        for policy in it.spec.policies:
            eur = _saved_by_day(it, region.name, policy.label, "eur_by_day")
            kg = _saved_by_day(it, region.name, policy.label, "kg_by_day")
            if policy.label != it.spec.baseline and eur is not None and kg is not None:
                money[policy.label], carbon[policy.label] = eur, kg
        if money:
            panels = [
                _curve("Saved cost, added up", "EUR", money, colours),
                _curve("Saved carbon, added up", "kg CO\u2082e", carbon, colours),
            ]
            drawn.append((region.name, panels))
    return drawn


def _saved_by_day(it: Backtest, region: str, policy: str, name: str) -> Array | None:
    own = {one.seed: one for one in it.results if (one.region, one.policy) == (region, policy)}
    now = {
        one.seed: one
        for one in it.results
        if (one.region, one.policy) == (region, it.spec.baseline)
    }
    both = [seed for seed in own if seed in now]
    if not both:
        return None
    saved = [
        np.cumsum(array(getattr(now[seed], name)) - array(getattr(own[seed], name)))
        for seed in both
    ]
    return array(np.mean(saved, axis=0).tolist())


def _curve(title: str, unit: str, curves: Mapping[str, Array], colours: Mapping[str, int]) -> Panel:
    whole = np.concatenate([*curves.values()])
    scale = Scale(min(0.0, float(whole.min())), max(0.0, float(whole.max())))
    n_days = max(map(len, curves.values()))
    shapes = [
        Shape(_through(values, scale), f"line series{colours[policy]}")
        for policy, values in curves.items()
    ]
    ends = ", ".join(f"{policy} {number(values[-1])}" for policy, values in curves.items())
    return Panel(
        title=title,
        unit=unit,
        description=f"At the end: {ends} {unit}.",
        n_slots=n_days,
        shapes=(*shapes, Shape(level_line(0.0, n_days, scale), "zero")),
        levels=scale.levels(),
        keys=tuple(Key(policy, f"series{colours[policy]}") for policy in curves),
        css="tall",
    )


def _through(values: Array, scale: Scale) -> str:
    """Draw a line from 0 through the value at the end of each day; of many days, some."""
    step = max(1, len(values) // MOST_POINTS)
    last = len(values) - 1
    chosen = sorted({*range(step - 1, len(values), step), last})
    points = " L".join(f"{day + 1} {scale.y(float(values[day])):.2f}" for day in chosen)
    return f"M0 {scale.y(0.0):.2f} L{points}"


def _gpu_shares(results: Sequence[CaseResult]) -> list[tuple[str, str, list[tuple[str, float]]]]:
    """Return GPUs in use by region and site, of each policy: the mean over seeds."""
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for one in results:
        for site in one.sites:
            of_site = found.setdefault((one.region, site.site), {})
            of_site.setdefault(one.policy, []).append(site.gpu_share)
    return [
        (region, site, [(policy, float(np.mean(shares))) for policy, shares in by_policy.items()])
        for (region, site), by_policy in found.items()
    ]


@dataclass(frozen=True, slots=True)
class ForecastRow:
    """Errors of one signal of one site: as many columns as there are bands of hours ahead."""

    region: str
    site: str
    kind: str
    unit: str
    policy: str
    cells: tuple[str, ...]


def _forecasts(results: Sequence[CaseResult]) -> dict[str, object]:
    """Tell errors of what was known, once for each region: of the first policy that forecasts."""
    bands: list[tuple[int, int]] = []
    rows: list[ForecastRow] = []
    seen: set[str] = set()
    for one in results:
        if not one.forecasts or one.region in seen:
            continue
        seen.add(one.region)
        by_signal = groupby(one.forecasts, lambda score: (score.site, score.kind))
        for (site, kind), scores in by_signal:
            told = list(scores)
            if len(told) > len(bands):
                bands = [(score.from_hours, score.to_hours) for score in told]
            cells = tuple(
                f"{number(score.mean_absolute_error, 1)} ({number(score.mean_error, 1)})"
                for score in told
            )
            rows.append(ForecastRow(one.region, site, kind.value, kind.unit, one.policy, cells))
    return {"bands": [f"{low} to {high} h" for low, high in bands], "rows": rows}


def _notes(it: Backtest) -> list[str]:
    """Say what is to be known about the figures."""
    notes = []
    for one in it.results:
        owner = f"{one.region}, seed {one.seed}, {one.policy}"
        notes += [f"{owner}: impossible: {breach}" for breach in one.breaches]
        if one.worst_error > MOST_ERROR:
            notes.append(
                f"{owner}: sums differ by {one.worst_error:.1e}, must be <= {MOST_ERROR:.0e}"
            )
    seen: dict[str, None] = {}
    for one in it.results:
        if one.n_outside:
            seen[f"{one.region}: {one.n_outside} jobs lie outside of the span"] = None
        seen |= dict.fromkeys(f"{one.region}: {mark}" for mark in one.marks)
    return [*notes, *seen]


def _day_choices(views: Sequence[DayView]) -> dict[str, list[tuple[str, str]]]:
    """Return days and policies one may choose, by what is sent and what is read."""
    days: dict[str, str] = {}
    policies: dict[str, str] = {}
    for view in views:
        days.setdefault(view.day, f"{_date(view.begin)}: {view.why}")
        policies.setdefault(view.policy, view.policy)
    return {"day": [*days.items()], "policy": [*policies.items()]}


def _date(at: datetime) -> str:
    return f"{at:%a %-d %b %Y}"
