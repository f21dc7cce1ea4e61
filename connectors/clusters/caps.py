"""What nodes say of the power caps they set: asked, read back, and what was wrong.

One line for each node, as ``deploy/node/gridtide-power-cap`` and the agent of Kubernetes write it:
when [s since 1970], the cap that was asked for and the one in force [W per GPU], ``-`` for none,
and words.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

_NONE = "-"
_LONGEST = 1000


@dataclass(frozen=True, slots=True)
class CapReport:
    """What one node last said."""

    node: str
    asked_w: float | None
    in_force_w: float | None  # None: not known of all of its GPUs
    problem: str


@dataclass(frozen=True, slots=True)
class CapInForce:
    """What holds for all GPUs of a job: the most that one of them may draw, and what is wrong."""

    watts: float | None = None
    problem: str = ""


NOBODY_SAYS = CapInForce()


def read_report(node: str, line: str) -> CapReport:
    """Read the line of a node."""
    # A job can write it as well: it is the folder of its user.
    fields = "".join(filter(str.isprintable, line))[:_LONGEST].split(" ", 3)
    try:
        _, asked, in_force = fields[:3]
        return CapReport(node, _watts(asked), _watts(in_force), "".join(fields[3:]).strip())
    except ValueError:
        return CapReport(node, None, None, f"its report cannot be read: {line!r:.80}")


def silent(node: str) -> CapReport:
    """Return what counts for a node that says nothing, while another does."""
    return CapReport(node, None, None, "it does not say what is in force")


def cap_in_force(
    power_cap_w: float | None, reports: Sequence[CapReport], nodes: Collection[str]
) -> CapInForce:
    """Return what holds for a job with this cap that runs on ``nodes``; none say nothing at all."""
    if not reports:
        return NOBODY_SAYS
    said = [*reports, *map(silent, sorted(set(nodes) - {one.node for one in reports}))]
    wrong = [f"{one.node}: {problem}" for one in said if (problem := _wrong(one, power_cap_w))]
    limits = [one.in_force_w for one in said]
    known = [limit for limit in limits if limit is not None]
    is_known = len(known) == len(limits)
    return CapInForce(max(known) if is_known else None, "; ".join(wrong))


def _wrong(report: CapReport, power_cap_w: float | None) -> str:
    if report.problem or report.asked_w == power_cap_w:
        return report.problem
    return f"still at {_words(report.asked_w)}, to be {_words(power_cap_w)}"


def _words(power_cap_w: float | None) -> str:
    return "no cap" if power_cap_w is None else f"{power_cap_w:g} W"


def _watts(text: str) -> float | None:
    if text == _NONE:
        return None
    watts = float(text)
    if not 0 <= watts < math.inf:
        raise ValueError(f"{text} W, must be >= 0 and finite")
    return watts
