"""Whether events are taken part in, where nobody optimises: by what given flows come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from optimizer.plan import SiteFlows
from optimizer.problem import Problem
from optimizer.violations import event_violations


def answered(problem: Problem, flows: Sequence[SiteFlows]) -> tuple[SiteFlows, ...]:
    """Return ``flows`` with each event declined that costs more than its fee if taken part in."""
    imports = {flow.site: np.asarray(flow.import_kw) for flow in flows}
    declined: list[tuple[str, tuple[str, ...]]] = []
    for event in problem.events:
        if event.decline_eur is None:
            continue
        missed = event_violations(problem, event, imports)
        penalty_eur = sum(violation.penalty_eur for violation in missed)
        if penalty_eur - event.pay_eur > event.decline_eur:
            declined.append((event.name, event.sites))
    return tuple(
        replace(flow, declined=tuple(name for name, sites in declined if flow.site in sites))
        for flow in flows
    )
