"""What peaks a plan pays for: each charge in each billing period, before it and after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer import billed_kw
from scheduler.services.plan_document import PlanDocument

PEAK_COLUMNS = ("billed before kW", "after kW", "run-now kW", "EUR/kW", "plan EUR")


@dataclass(frozen=True, slots=True)
class PeakRow:
    """One peak: demand billed before the window and after it, and what raising it costs.

    ``name`` says the charge and the billing period.
    """

    site: str
    name: str
    before_kw: float
    plan_kw: float
    baseline_kw: float
    charge_eur_per_kw: float

    @property
    def plan_eur(self) -> float:
        """What the plan pays for the rise."""
        return self.charge_eur_per_kw * (self.plan_kw - self.before_kw)

    def figures(self) -> tuple[float, ...]:
        """Values of ``PEAK_COLUMNS``."""
        return (
            self.before_kw,
            self.plan_kw,
            self.baseline_kw,
            self.charge_eur_per_kw,
            self.plan_eur,
        )


def peak_rows(doc: PlanDocument) -> tuple[PeakRow, ...]:
    """Return every peak that costs something, site by site."""
    rows: list[PeakRow] = []
    for site, flows, other in zip(
        doc.problem.sites, doc.plan.flows, doc.baseline.flows, strict=True
    ):
        planned = billed_kw(site, np.asarray(flows.import_kw))
        baseline = billed_kw(site, np.asarray(other.import_kw))
        rows += [
            PeakRow(
                site.name, peak.name, peak.paid_kw, float(kw), float(now_kw), peak.charge_eur_per_kw
            )
            for peak, kw, now_kw in zip(site.peaks, planned, baseline, strict=True)
            if peak.charge_eur_per_kw > 0.0
        ]
    return tuple(rows)
