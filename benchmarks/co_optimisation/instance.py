"""The weeks that are planned: DE and CISO in 2021, with a peak charge and two calls a week.

* Sites, batteries, jobs and prices as in the rolling backtest
  (``benchmarks/rolling_backtest/instance.py``), without NYISO, 70 % of the GPUs used; true signals.
* Four weeks, one of each quarter, from Monday 00:00 UTC; jobs come from Monday to Friday.
* Highest import of the week: 2 EUR/kW, about a quarter of 8 EUR/kW for a month.
* Calls on Tuesday and Thursday, 17 to 20 o'clock of each site: at most 10 kW; 1 EUR for every kWh
  above.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from benchmarks.rolling_backtest.instance import PLANTS, Settings, scene_of
from benchmarks.rolling_backtest.signals import ZONES, read_signals
from connectors.types import GridEventNotice, Window
from optimizer import Problem
from scheduler.services.assemble import JobToPlan, assemble
from scheduler.services.window import PlanWindow
from scheduler.specs.fleet import PeakSpec

SITES = ("DE", "CISO")
MONDAYS = (
    datetime(2021, 1, 18, tzinfo=UTC),
    datetime(2021, 4, 19, tzinfo=UTC),
    datetime(2021, 7, 19, tzinfo=UTC),
    datetime(2021, 10, 18, tzinfo=UTC),
)
WEEK = timedelta(days=7)
USED = 0.7
PEAK_PER_KW = 2.0  # of the site's currency
CALLED_WEEKDAYS = (1, 3)
CALLED_FROM, CALLED_TO = 17, 20
CALLED_KW = 10.0
BREACH_EUR_PER_KWH = 1.0


def week_of(data: Path, monday: datetime, used: float = USED) -> Problem:
    """Return one week as one problem; ``used`` is a share of the GPU-hours while jobs come."""
    share = used * len(SITES) / len(ZONES)  # jobs are drawn for the GPUs of all zones
    settings = Settings(begin=monday, end=monday + WEEK, used=share, stated_factors=(1.0, 1.0))
    scene = scene_of(data, settings)
    peak = PeakSpec(charge_per_kw=PEAK_PER_KW)
    sites = tuple(
        site.model_copy(update={"peak": peak}) for site in scene.fleet.sites if site.name in SITES
    )
    fleet = scene.fleet.model_copy(update={"sites": sites})
    jobs = [JobToPlan(job.spec, job.true_work_hours) for job in scene.jobs]
    truth = read_signals(data, PLANTS, monday, monday + WEEK).truth
    window = PlanWindow(monday, 60, WEEK // timedelta(hours=1))
    events = [call for name in SITES for call in _calls(name, monday)]
    assembled = assemble(fleet, jobs, truth, events, window, now=monday + WEEK)
    return assembled.problem


def without_batteries(problem: Problem) -> Problem:
    """Return the problem of who plans jobs alone."""
    sites = tuple(replace(site, storage=()) for site in problem.sites)
    return replace(problem, sites=sites)


def _calls(name: str, monday: datetime) -> list[GridEventNotice]:
    zone = ZoneInfo(ZONES[name])
    calls = []
    for weekday in CALLED_WEEKDAYS:
        day = monday.date() + timedelta(days=weekday)
        start, end = (
            datetime(day.year, day.month, day.day, hour, tzinfo=zone).astimezone(UTC)
            for hour in (CALLED_FROM, CALLED_TO)
        )
        event_id = f"{name}-{day.isoformat()}"
        calls.append(
            GridEventNotice(event_id, name, Window(start, end), CALLED_KW, BREACH_EUR_PER_KWH)
        )
    return calls
