"""The figures a plan is judged by, beside those of its baseline; its objective, term by term."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer import Plan
from scheduler.services.plan_document import PlanDocument
from scheduler.views.job_rows import is_late, placed_jobs
from scheduler.views.series import site_totals
from scheduler.views.wording import digits_for


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity of a plan, beside the same of another."""

    key: str
    label: str
    unit: str
    plan: float
    other: float
    lower_is_better: bool | None  # None: neither

    @property
    def difference(self) -> float:
        """Plan less other."""
        return self.plan - self.other

    @property
    def digits(self) -> int:
        """Decimals worth showing; none for counts."""
        is_count = self.unit in {"jobs", ""}
        smallest = min((abs(value) for value in (self.plan, self.other) if value), default=0.0)
        return 0 if is_count or not smallest else digits_for(smallest)

    @property
    def is_better(self) -> bool | None:
        """Whether the plan is better here; ``None`` where that cannot be said."""
        if self.lower_is_better is None or abs(self.difference) < 1e-9:
            return None
        return (self.difference < 0) == self.lower_is_better


@dataclass(frozen=True, slots=True)
class Term:
    """One line of the objective [EUR before weight; kg or jobs where ``unit`` says so]."""

    key: str
    label: str
    unit: str
    weight: float
    plan: float
    baseline: float
    weighted_eur: float


def totals(doc: PlanDocument) -> tuple[Figure, ...]:
    """Totals of the plan beside those of its run-now baseline."""
    return figures(measure(doc, doc.plan), measure(doc, doc.baseline))


_FIGURES: tuple[tuple[str, str, str, bool | None], ...] = (
    ("money_eur", "Cost", "EUR", True),
    ("carbon_kg", "Carbon", "kg CO\u2082e", True),
    ("import_kwh", "Imported energy", "kWh", True),
    ("highest_import_kw", "Highest import, sum of sites", "kW", True),
    ("export_kwh", "Exported energy", "kWh", None),
    ("renewable_kwh", "Solar and wind used", "kWh", False),
    ("load_kwh", "Load with PUE", "kWh", None),
    ("discharge_kwh", "Battery discharge", "kWh", None),
    ("generator_kwh", "Generators", "kWh", None),
    ("served", "Jobs served", "jobs", False),
    ("deferred", "Jobs deferred past the window", "jobs", None),
    ("unserved", "Jobs not served", "jobs", True),
    ("late", "Jobs late", "jobs", True),
    ("violations", "Obligations missed", "", True),
)


def measure(doc: PlanDocument, plan: Plan) -> dict[str, float]:
    """Every total of ``plan``, by the key of its ``Figure``."""
    sites = site_totals(doc.problem, plan)
    sums = {
        name: sum(getattr(site, name) for site in sites)
        for name, *_ in _FIGURES
        if name.endswith(("_kwh", "_kw"))
    }
    return sums | {
        "money_eur": plan.terms.money_eur,
        "carbon_kg": plan.terms.carbon_kg,
        "served": len(plan.placements),
        "deferred": sum(left.is_deferred for left in plan.unserved),
        "unserved": sum(not left.is_deferred for left in plan.unserved),
        "late": sum(is_late(row) for row in placed_jobs(doc, plan)),
        "violations": len(plan.violations),
    }


def figures(plan: dict[str, float], other: dict[str, float]) -> tuple[Figure, ...]:
    """Put two measures side by side, in the order they are shown."""
    return tuple(
        Figure(key, label, unit, plan[key], other[key], lower_is_better)
        for key, label, unit, lower_is_better in _FIGURES
    )


_TERMS = (
    ("energy_bought_eur", "Energy bought", "energy", 1),
    ("energy_sold_eur", "Energy sold (revenue)", "energy", -1),
    ("network_eur", "Network fees", "network", 1),
    ("peak_eur", "Peak-demand charge", "peak", 1),
    ("generation_eur", "On-site generation", "generation", 1),
    ("storage_wear_eur", "Battery wear", "storage_wear", 1),
    ("storage_value_eur", "Energy left in batteries (value)", "storage_value", -1),
    ("restarts_eur", "Restarts", "restarts", 1),
    ("data_transfer_eur", "Data transfer", "data_transfer", 1),
    ("lateness_eur", "Lateness", "lateness", 1),
    ("unserved_eur", "Work not served", "unserved", 1),
    ("deferred_eur", "Work deferred past the window", None, 1),
    ("commitment_earned_eur", "Earned by events and reserves (revenue)", None, -1),
    ("commitment_paid_eur", "Fees of events declined, and deviations", None, 1),
    ("violations_eur", "Penalties for missed obligations", None, 1),
)


def objective_terms(doc: PlanDocument) -> tuple[Term, ...]:
    """Every term of the objective; their weighted parts add up to ``Plan.objective``."""
    weights, plan, baseline = doc.problem.weights, doc.plan.terms, doc.baseline.terms
    terms = [
        Term(
            key=key,
            label=label,
            unit="EUR",
            weight=(weight := 1.0 if name is None else getattr(weights, name)),
            plan=getattr(plan, key),
            baseline=getattr(baseline, key),
            weighted_eur=sign * weight * getattr(plan, key),
        )
        for key, label, name, sign in _TERMS
    ]
    carbon_price = weights.carbon_eur_per_t
    carbon_eur = carbon_price * plan.carbon_kg / 1000
    churn_eur = weights.churn_eur_per_job * plan.churned_jobs
    terms += [
        Term(
            "carbon_kg",
            f"Carbon at {carbon_price:g} EUR/t",
            "kg",
            carbon_price / 1000,
            plan.carbon_kg,
            baseline.carbon_kg,
            carbon_eur,
        ),
        Term(
            "churned_jobs",
            "Jobs moved from what was announced",
            "jobs",
            weights.churn_eur_per_job,
            plan.churned_jobs,
            baseline.churned_jobs,
            churn_eur,
        ),
    ]
    return tuple(terms)
