"""The table and the plot of a rolling backtest, and its section in RESULTS.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.rolling_backtest.instance import FIRST_DAY, KW_PER_GPU, LAST_DAY, Settings
from benchmarks.rolling_backtest.outcome import Outcome
from benchmarks.rolling_backtest.plot import write_plot
from benchmarks.rolling_backtest.words import HEAD, NOTES, SOURCES
from benchmarks.section import write_section
from scheduler.backtest.comparing import Paid, shares_by_job

RESULTS = Path(__file__).parents[1] / "RESULTS.md"
PLOT = RESULTS.with_name("rolling_backtest.svg")
SECTION = "make bench-rolling"
NAMES = {
    "run_now": "run-now",
    "day_ahead": "(a) one plan a day",
    "rolling": "(b) rolling replan",
    "scenarios": "(c) rolling, for 8 scenarios",
    "uncorrected": "(b) with forecasts as issued",
    "perfect": "perfect forecast",
    "true_signals": "(b) with true signals",
    "true_prices": "(b) with true prices",
    "true_carbon": "(b) with true carbon",
    "true_plants": "(b) with true wind and sun",
    "true_lengths": "(b) with true lengths",
}


def markdown(settings: Settings, outcomes: Mapping[str, Outcome]) -> str:
    """Return what was replayed, and both tables."""
    first = f"{settings.begin:%Y-%m-%d} to {settings.end:%Y-%m-%d}"
    low, high = settings.stated_factors
    lengths = "exact" if high == 1.0 else f"{low:g} to {high:g} times the true ones"
    n_jobs, used = _load(settings, outcomes["run_now"])
    return "\n".join(
        [
            f"{first}: {n_jobs} jobs, {used:.0%} of GPU-hours used; stated lengths are {lengths};"
            f" carbon is worth {settings.carbon_eur_per_t:g} EUR/t; a plan every"
            f" {settings.every_hours:g} h, but for (a).",
            "",
            *_kept_table(outcomes, settings.carbon_eur_per_t),
            "",
            *_rounds_table(outcomes),
        ]
    )


def write(settings: Settings, outcomes: Mapping[str, Outcome]) -> None:
    """Write the section of RESULTS.md, and the plot beside it."""
    whole = {name: outcome for name, outcome in outcomes.items() if outcome.is_whole}
    write_plot(PLOT, settings, whole, NAMES)
    parts = (
        "## History replayed: what is kept of a perfect forecast",
        HEAD,
        f"```\n{_command(settings)}\n```",
        markdown(settings, whole),
        f"![What each policy saved]({PLOT.name})",
        NOTES,
        SOURCES,
    )
    write_section(RESULTS, "\n\n".join(parts), SECTION)


def _command(settings: Settings) -> str:
    """Return what makes these figures again."""
    words = ["python -m benchmarks.rolling_backtest"]
    if settings.begin > FIRST_DAY:
        words.append(f"--from-day {(settings.begin - FIRST_DAY).days}")
    if settings.end < LAST_DAY:
        words.append(f"--days {(settings.end - settings.begin).days}")
    if settings.stated_factors[1] == 1.0:
        words.append("--lengths exact")
    if settings.carbon_eur_per_t != Settings().carbon_eur_per_t:
        words.append(f"--carbon-price {settings.carbon_eur_per_t:g}")
    if settings.every_hours != Settings().every_hours:
        words.append(f"--every-hours {settings.every_hours:g}")
    return " ".join([*words, "--write"])


def _load(settings: Settings, outcome: Outcome) -> tuple[int, float]:
    """Count jobs, and the share of GPU-hours that they use while jobs come."""
    sites = outcome.account.sites.values()
    kwh = sum(share.kwh for site in sites for share in site.jobs.values())
    n_jobs = sum(len(site.jobs) for site in sites)
    return n_jobs, kwh / KW_PER_GPU / settings.gpu_hours


def _paid(outcome: Outcome, now: Outcome) -> Paid:
    """Whoever leaves a job out saves nothing by it."""
    account = outcome.account
    kg = account.terms.carbon_kg
    return Paid.of(account.cost_eur, kg, outcome.not_done, shares_by_job(now.account))


def _kept_table(outcomes: Mapping[str, Outcome], carbon_eur_per_t: float) -> list[str]:
    lines = [
        "| | Cost [EUR] | Carbon [kg] | Saved [EUR] | Saved [kg] | Kept of cost | Kept of carbon"
        f" | Kept of both at {carbon_eur_per_t:g} EUR/t |",
        "| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    run_now = outcomes["run_now"]
    paid = {name: _paid(outcome, run_now) for name, outcome in outcomes.items() if outcome.is_whole}
    now, best = paid["run_now"], paid.get("perfect")

    def worth(it: Paid) -> float:
        return it.weighed(carbon_eur_per_t)

    for name, it in paid.items():
        kept = ["", "", ""]
        if best is not None and name != "run_now":
            kept = [
                _share(now.eur - it.eur, now.eur - best.eur),
                _share(now.kg - it.kg, now.kg - best.kg),
                _share(worth(now) - worth(it), worth(now) - worth(best)),
            ]
        lines.append(
            f"| {NAMES[name]} | {it.eur:,.0f} | {it.kg:,.0f} | {now.eur - it.eur:,.0f}"
            f" | {now.kg - it.kg:,.0f} | {' | '.join(kept)} |"
        )
    return lines


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
