"""Words of the section on the rolling backtest in RESULTS.md."""

from __future__ import annotations

HEAD = """\
Jobs, prices and carbon of 2021 at three sites, replayed through the planning of production:
signals as they were known then, jobs as they came, true lengths (`scheduler/backtest`, and what
was assumed: [instance.py](rolling_backtest/instance.py),
[signals.py](rolling_backtest/signals.py)). `make bench-rolling` replays all of July to December;
what is here was made by"""
NOTES = """\
- *Run-now* starts every job as soon as GPUs are free, batteries idle, on the same capacity and
  settled by the same function. A job that a policy never starts is charged what run-now paid for
  it: nobody saves by leaving work out. Cost is money less the worth of the charge that is left.
- 195 EUR/t, where it is the price of carbon, is what Germany's environment agency puts the damage
  of a tonne at for 2020 (Umweltbundesamt, Methodenkonvention 3.1).
- *Perfect forecast* plans as often as (b), with true signals and true lengths. What will be
  submitted later it knows as little as the others do.
- (a), (b) and (c) see the same forecasts: as issued, weighed against earlier days and pulled to the
  value measured last as far as that would have helped in the 28 days before, as in production.
- *Limits broken* is what `optimizer.verify` found in what happened, on true signals: a job before
  it came, GPUs given twice, a battery beyond its limits. *Largest error of sums* is relative, of
  energy (bought + generated + discharged = used + charged + curtailed + sold) and of money and
  carbon over jobs and sites.
- *Mean gap* is objective less bound of those plans that have a bound within their CPU time: a
  second, and for (c) one for each scenario.
- What of a window nobody has published yet, prices of the days after tomorrow above all, is
  forecast by the blend, as in production."""
SOURCES = """\
Data: carbon intensity (zone average, lifecycle), wind and solar of DE, CISO and NYISO with their
forecasts as issued from CarbonCast (aamyli/CarbonCast, Apache-2.0); day-ahead prices from
HewlettPackard/sustain-cluster (MIT; market operators upstream); jobs from Microsoft's
philly-traces (CC-BY-4.0)."""
