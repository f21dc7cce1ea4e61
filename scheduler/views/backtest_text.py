"""A backtest summed up in a terminal: a line for each region and policy."""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.sweep.summing_up import Line
from scheduler.views.summary import render, text_table
from scheduler.views.wording import number

COLUMNS = (
    "region",
    "policy",
    "cost EUR",
    "carbon kg",
    "saved EUR",
    "saved kg",
    "wait h",
    "p95 h",
    "late",
    "not done",
    "GPUs used",
)


def backtest_text(lines: Sequence[Line], baseline: str) -> str:
    """Write the table; savings are against ``baseline``."""
    rows = [
        (
            line.region,
            line.policy,
            number(line.cost_eur),
            number(line.carbon_kg),
            saving(line.saved_eur, line.saved_eur_share),
            saving(line.saved_kg, line.saved_kg_share),
            number(line.wait_mean_h, 1),
            number(line.wait_p95_h, 1),
            number(line.n_late, 1),
            number(line.n_not_done, 1),
            f"{100 * line.gpu_share:.0f} %",
        )
        for line in lines
    ]
    return render([text_table(f"Against {baseline}", COLUMNS, rows, words=(0, 1))])


def saving(amount: float | None, share: float | None) -> str:
    """Write an amount with its share, as far as they are known."""
    if amount is None:
        return "\u2013"
    return number(amount) if share is None else f"{number(amount)} ({100 * share:.1f} %)"
