"""Figures as they stand in a table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

NONE = "–"
WIDTH = 105
MB_PER_GB = 1000.0


def number(value: float, digits: int = 0) -> str:
    """Write a number with thin gaps between thousands and a true minus."""
    return f"{value:,.{digits}f}".replace(",", " ").replace("-", "−")


def seconds(value: float | None) -> str:
    """Write seconds: two figures or more."""
    if value is None:
        return NONE
    return number(value, 0 if value >= 100 else 1 if value >= 1 else 2)


def percent(share: float | None) -> str:
    """Write a share in hundredths."""
    return NONE if share is None else f"{100 * share:.2f}".replace("-", "−")


def share(value: float) -> str:
    """Write a round share with its unit."""
    return f"{100 * value:g} %"


def verified(breaches: Sequence[str]) -> str:
    """Say what ``verify`` said."""
    return f"**{len(breaches)} breaches**" if breaches else "accepts"


def paragraph(text: str) -> str:
    """Break a paragraph into lines."""
    return textwrap.fill(" ".join(text.split()), WIDTH, break_on_hyphens=False)


def eur(value: float | None) -> str:
    """Write money to the cent."""
    return NONE if value is None else number(value, 2)


def memory(mb: float) -> str:
    """Write memory, with its unit."""
    return f"{number(mb)} MB" if mb < MB_PER_GB else f"{mb / MB_PER_GB:.2f} GB"


def against(figure: float | None, target: float, unit: str, digits: int = 1) -> str:
    """Say whether a figure that should be small meets its target, or by how much it does not."""
    if figure is None:
        return "**missed**: never"
    if figure <= target:
        return "met"
    return f"**missed** by {number(figure - target, digits)} {unit}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], n_left: int = 1) -> str:
    """Write a table whose first ``n_left`` columns are words, and the others figures."""
    rule = [":---" if column < n_left else "---:" for column in range(len(head))]
    lines = [head, rule, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
