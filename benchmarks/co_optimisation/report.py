"""The table of the five ways, and its section in RESULTS.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.co_optimisation.ways import Result
from benchmarks.section import write_section

RESULTS = Path(__file__).parents[1] / "RESULTS.md"
SECTION = "make bench-co-optimisation"
NAMES = {
    "neither": "run-now, batteries idle",
    "batteries": "batteries planned, jobs run-now",
    "jobs": "jobs planned, batteries idle",
    "separately": "each planned without the other, both carried out",
    "in_turn": "jobs planned first, batteries around them",
    "together": "**planned together**",
}
HEAD = """\
Jobs and batteries of two sites in four weeks of 2021, with a charge on the highest import and two
calls a week, planned alone, apart, one after the other, and as one. What was assumed:
[instance.py](co_optimisation/instance.py)."""
NOTES = """\
- *Objective* is money, carbon at 80 EUR/t and calls missed, less the charge left in batteries; cost
  is the money in it. Saved is against run-now with idle batteries.
- Planned apart, each counts on the site as the other found it: batteries charge when jobs moved to
  the same cheap hours run, and the highest import is paid for both.
- Signals are true and all jobs are known: this is what planning as one is worth, not what forecasts
  leave of it. All plans are settled by one function and verified."""
SOURCES = """\
Data: carbon intensity, wind and solar of DE and CISO from CarbonCast (aamyli/CarbonCast,
Apache-2.0); day-ahead prices from HewlettPackard/sustain-cluster (MIT; market operators upstream);
jobs from Microsoft's philly-traces (CC-BY-4.0)."""


@dataclass(frozen=True, slots=True)
class Week:
    """One week in every way."""

    monday: datetime
    n_jobs: int
    results: Mapping[str, Result]


def markdown(weeks: Sequence[Week]) -> str:
    """Return the sums over all weeks, and what each week saved."""
    lines = [
        f"{len(weeks)} weeks, {sum(week.n_jobs for week in weeks)} jobs.",
        "",
        "| | Objective [EUR] | Saved [EUR] | Cost [EUR] | Carbon [kg] | Peak charge [EUR]"
        " | Above ceilings [kWh] | Jobs left out | Breaches |",
        "| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, words in NAMES.items():
        all_of = [week.results[name] for week in weeks]
        eur = sum(one.eur for one in all_of)
        saved_eur = sum(week.results["neither"].eur for week in weeks) - eur
        terms = [one.plan.terms for one in all_of]
        lines.append(
            f"| {words} | {eur:,.0f} | {saved_eur:,.0f}"
            f" | {sum(one.cost_eur for one in all_of):,.0f}"
            f" | {sum(term.carbon_kg for term in terms):,.0f}"
            f" | {sum(term.peak_eur for term in terms):,.0f}"
            f" | {sum(one.breach_kwh for one in all_of):,.0f}"
            f" | {sum(len(one.plan.unserved) for one in all_of)}"
            f" | {sum(len(one.breaches) for one in all_of)} |"
        )
    lines += [
        "",
        "| Saved [EUR], week of | "
        + " | ".join(f"{week.monday:%Y-%m-%d}" for week in weeks)
        + " |",
        "| :--- |" + " ---: |" * len(weeks),
    ]
    for name, words in NAMES.items():
        if name != "neither":
            saved = (week.results["neither"].eur - week.results[name].eur for week in weeks)
            lines.append(f"| {words} | " + " | ".join(f"{one:,.0f}" for one in saved) + " |")
    return "\n".join(lines)


def write(weeks: Sequence[Week]) -> None:
    """Write the section of RESULTS.md."""
    parts = (
        "## What planning jobs and batteries as one is worth",
        HEAD,
        f"```\n{SECTION}\n```",
        markdown(weeks),
        NOTES,
        SOURCES,
    )
    write_section(RESULTS, "\n\n".join(parts), SECTION)
