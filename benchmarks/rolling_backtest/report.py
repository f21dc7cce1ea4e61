"""The table and the plot of a rolling backtest, and its section in RESULTS.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.rolling_backtest.instance import KW_PER_GPU, Settings
from benchmarks.rolling_backtest.outcome import Outcome
from benchmarks.section import write_section

RESULTS = Path(__file__).parents[1] / "RESULTS.md"
SECTION = "make bench-rolling"
EUR_PER_KG = 0.08  # the fleet's price of carbon
NAMES = {
    "run_now": "run-now",
    "day_ahead": "(a) one plan a day",
    "rolling": "(b) a plan every 6 h",
    "perfect": "perfect forecast",
    "true_signals": "(b) with true signals",
    "true_lengths": "(b) with true lengths",
}
SOURCES = """\
Data: carbon intensity (zone average, lifecycle), wind and solar of DE, CISO and NYISO with their
forecasts as issued from CarbonCast (aamyli/CarbonCast, Apache-2.0); day-ahead prices from
HewlettPackard/sustain-cluster (MIT; market operators upstream); jobs from Microsoft's
philly-traces (CC-BY-4.0)."""


def markdown(settings: Settings, outcomes: Mapping[str, Outcome]) -> str:
    """Return what was replayed, and both tables."""
    first = f"{settings.begin:%Y-%m-%d} to {settings.end:%Y-%m-%d}"
    low, high = settings.stated_factors
    lengths = "exact" if high == 1.0 else f"{low:g} to {high:g} times the true ones"
    n_jobs, used = _load(settings, outcomes["run_now"])
    return "\n".join(
        [
            f"{first}: {n_jobs} jobs, {used:.0%} of GPU-hours used; stated lengths are {lengths}.",
            "",
            *_kept_table(outcomes),
            "",
            *_rounds_table(outcomes),
        ]
    )


def write(settings: Settings, outcomes: Mapping[str, Outcome]) -> None:
    """Write the section of RESULTS.md."""
    text = f"{markdown(settings, outcomes)}\n\n{SOURCES}"
    write_section(RESULTS, text, SECTION)


def _load(settings: Settings, outcome: Outcome) -> tuple[int, float]:
    """Count jobs, and the share of GPU-hours that they use while jobs come."""
    sites = outcome.account.sites.values()
    kwh = sum(share.kwh for site in sites for share in site.jobs.values())
    n_jobs = sum(len(site.jobs) for site in sites)
    return n_jobs, kwh / KW_PER_GPU / settings.gpu_hours


def _kept_table(outcomes: Mapping[str, Outcome]) -> list[str]:
    now = outcomes["run_now"].account
    lines = [
        "| | Cost [EUR] | Carbon [kg] | Saved [EUR] | Saved [kg] | Kept of cost | Kept of carbon"
        " | Kept of both at 80 EUR/t |",
        "| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    best = _saved(now_is=outcomes["run_now"], outcome=outcomes.get("perfect"))
    for name, outcome in outcomes.items():
        it = outcome.account
        eur, kg = _saved(now_is=outcomes["run_now"], outcome=outcome)
        both = eur + EUR_PER_KG * kg, best[0] + EUR_PER_KG * best[1]
        pairs = (eur, best[0]), (kg, best[1]), both
        kept = " | ".join(_share(*pair) if it is not now else "" for pair in pairs)
        lines.append(
            f"| {_name(name, outcome)} | {it.cost_eur:,.0f} | {it.terms.carbon_kg:,.0f}"
            f" | {eur:,.0f} | {kg:,.0f} | {kept} |"
        )
    return lines


def _saved(now_is: Outcome, outcome: Outcome | None) -> tuple[float, float]:
    """Return what is saved against run-now [EUR, kg]; nothing by who was not played."""
    if outcome is None:
        return 0.0, 0.0
    now, it = now_is.account, outcome.account
    return now.cost_eur - it.cost_eur, now.terms.carbon_kg - it.terms.carbon_kg


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole > 0.0 else "n/a"


def _name(name: str, outcome: Outcome) -> str:
    return f"{NAMES[name]}{'' if outcome.is_whole else ', not played to the end'}"


def _rounds_table(outcomes: Mapping[str, Outcome]) -> list[str]:
    lines = [
        "| | Late | Never started | Mean wait [h] | Plans | Refused | Starts moved per plan"
        " | Mean gap [EUR] | Largest error of sums | Limits broken |",
        "| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, it in outcomes.items():
        moved = it.n_churned / it.n_rounds if it.n_rounds else 0.0
        lines.append(
            f"| {_name(name, it)} | {it.account.n_late} | {it.account.n_unserved}"
            f" | {it.wait_h:.1f} | {it.n_rounds} | {it.n_refused} | {moved:.1f}"
            f" | {it.gap_eur:.2f} | {it.account.worst_error:.0e} | {len(it.account.breaches)} |"
        )
    return lines
