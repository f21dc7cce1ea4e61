r"""Several futures of one problem, and what is to be minimised over them.

A scenario replaces what is forecast (prices, carbon, renewables, base load) and nothing else. With
C_s what scenario s costs and pi_s its probability, a plan minimises

.. math::
    (1 - \beta) \sum_s \pi_s C_s + \beta \operatorname{CVaR}_\alpha(C)             \tag{V1} \\
    \operatorname{CVaR}_\alpha(C) = \min_\eta \eta
        + \frac{1}{1 - \alpha} \sum_s \pi_s \max(0, C_s - \eta)                    \tag{V2} \\
    = \max_q \Bigl\{ \sum_s q_s C_s : 0 \le q_s \le \frac{\pi_s}{1 - \alpha},
        \sum_s q_s = 1 \Bigr\}                                                     \tag{V3}

(R. T. Rockafellar, S. Uryasev, "Optimization of conditional value-at-risk", Journal of Risk 2
(2000) 21-41.) CVaR is the mean of the dearest 1 - alpha of all futures.

First decisions are the same in every scenario: a job that *begins* (its data transfer, or without
one its first run) before slot ``first_slots`` has one placement in all of them, and batteries do
the same before slot ``battery_slots``. All else may differ: later jobs, batteries after that,
imports, exports, curtailment, generators, which jobs are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.checks import Series, require_above, require_within
from optimizer.errors import InvalidProblem
from optimizer.problem import Problem
from optimizer.sites import Renewable, Site

Floats = NDArray[np.float64]

ROUNDING = 1e-6
"""By which the sum of probabilities may miss 1."""


@dataclass(frozen=True, slots=True)
class SiteFuture:
    """What one site finds in one scenario, in place of what the problem says [slot].

    ``renewable_kw`` is by plant, in the order of the site's.
    """

    import_price_eur_per_mwh: Series
    export_price_eur_per_mwh: Series
    carbon_g_per_kwh: Series
    base_load_kw: Series
    renewable_kw: tuple[Series, ...] = ()

    @classmethod
    def of(cls, site: Site) -> SiteFuture:
        """Return what ``site`` itself expects."""
        return cls(
            site.grid.import_price_eur_per_mwh,
            site.grid.export_price_eur_per_mwh,
            site.grid.carbon_g_per_kwh,
            site.base_load_kw,
            tuple(plant.available_kw for plant in site.renewables),
        )

    def put_into(self, site: Site) -> Site:
        """Return ``site`` as it is in this future."""
        if len(self.renewable_kw) != len(site.renewables):
            limit = f"{len(site.renewables)}, one for each plant"
            raise InvalidProblem(
                f"future of site {site.name}", "len(renewable_kw)", len(self.renewable_kw), limit
            )
        grid = replace(
            site.grid,
            import_price_eur_per_mwh=self.import_price_eur_per_mwh,
            export_price_eur_per_mwh=self.export_price_eur_per_mwh,
            carbon_g_per_kwh=self.carbon_g_per_kwh,
        )
        plants = tuple(
            Renewable(plant.name, kw)
            for plant, kw in zip(site.renewables, self.renewable_kw, strict=True)
        )
        return replace(site, grid=grid, base_load_kw=self.base_load_kw, renewables=plants)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way the forecasts may turn out; ``sites`` in the order of the problem's."""

    name: str
    probability: float
    sites: tuple[SiteFuture, ...]

    def __post_init__(self) -> None:
        owner = f"scenario {self.name}"
        require_above(owner, "probability", self.probability, 0.0)
        require_within(owner, "probability", self.probability, 0.0, 1.0)

    def put_into(self, problem: Problem) -> Problem:
        """Return ``problem`` as it is in this scenario."""
        if len(self.sites) != len(problem.sites):
            limit = f"{len(problem.sites)}, one for each site"
            raise InvalidProblem(f"scenario {self.name}", "len(sites)", len(self.sites), limit)
        sites = zip(self.sites, problem.sites, strict=True)
        return replace(problem, sites=tuple(future.put_into(site) for future, site in sites))


@dataclass(frozen=True, slots=True)
class Risk:
    """Weight of CVaR against the mean (beta of V1), and its level (alpha)."""

    weight: float = 0.0
    alpha: float = 0.9

    def __post_init__(self) -> None:
        require_within("risk", "weight", self.weight, 0.0, 1.0)
        require_within("risk", "alpha", self.alpha, 0.0, 0.999)


@dataclass(frozen=True, slots=True)
class UncertainProblem:
    """A problem, the ways its forecasts may turn out, and how far decisions are shared.

    Attributes
    ----------
    nominal
        The problem as forecast: what a plan is verified against.
    first_slots
        Jobs that begin in [0, first_slots) have one placement in all scenarios: at least up to
        when the next plan is made.
    battery_slots
        Batteries do the same in all scenarios in [0, battery_slots).
    """

    nominal: Problem
    scenarios: tuple[Scenario, ...]
    first_slots: int
    battery_slots: int = 0
    risk: Risk = field(default_factory=Risk)

    def __post_init__(self) -> None:
        n_slots = self.nominal.horizon.n_slots
        require_within("uncertain problem", "first_slots", self.first_slots, 0, n_slots)
        require_within("uncertain problem", "battery_slots", self.battery_slots, 0, n_slots)
        if not self.scenarios:
            raise InvalidProblem("uncertain problem", "scenarios", (), "at least one scenario")
        total = sum(scenario.probability for scenario in self.scenarios)
        if abs(total - 1.0) > ROUNDING:
            raise InvalidProblem("uncertain problem", "sum of probabilities", total, "1")

    @property
    def probability(self) -> Floats:
        """Of each scenario [scenario]."""
        return np.array([scenario.probability for scenario in self.scenarios])

    def problems(self) -> tuple[Problem, ...]:
        """Return the problem of each scenario."""
        return tuple(scenario.put_into(self.nominal) for scenario in self.scenarios)

    def weighted_mean(self, weights: Floats) -> Problem:
        """Return the problem with the mean of all that is uncertain, by ``weights`` [scenario]."""
        means = tuple(
            _mean([scenario.sites[row] for scenario in self.scenarios], weights)
            for row in range(len(self.nominal.sites))
        )
        return Scenario("mean", 1.0, means).put_into(self.nominal)


def cvar_eur(costs_eur: Floats, probability: Floats, alpha: float) -> float:
    """Return (V2) of ``costs_eur`` [scenario]."""
    return float(_tail(costs_eur, probability, alpha) @ costs_eur)


def risk_weights(costs_eur: Floats, probability: Floats, risk: Risk) -> Floats:
    """Return the weights [scenario] at which the sum of ``costs_eur`` is (V1): those of (V3).

    At any costs the sum with these weights is no more than (V1), so a bound with them is one of it.
    """
    tail = _tail(costs_eur, probability, risk.alpha)
    weights: Floats = (1.0 - risk.weight) * probability + risk.weight * tail
    return weights


def risk_eur(costs_eur: Floats, probability: Floats, risk: Risk) -> float:
    """Return (V1) of ``costs_eur`` [scenario]."""
    return float(risk_weights(costs_eur, probability, risk) @ costs_eur)


def _tail(costs_eur: Floats, probability: Floats, alpha: float) -> Floats:
    """Return q of (V3): all that is allowed to the dearest, until it sums to 1."""
    tail = np.zeros_like(probability)
    left = 1.0
    for row in np.argsort(-costs_eur, kind="stable"):
        tail[row] = min(left, probability[row] / (1.0 - alpha))
        left -= tail[row]
    return tail


def _mean(futures: Sequence[SiteFuture], weights: Floats) -> SiteFuture:
    def mean(series: Sequence[Series]) -> Series:
        return tuple((weights @ np.array(series)).tolist())

    plants = range(len(futures[0].renewable_kw))
    return SiteFuture(
        mean([future.import_price_eur_per_mwh for future in futures]),
        mean([future.export_price_eur_per_mwh for future in futures]),
        mean([future.carbon_g_per_kwh for future in futures]),
        mean([future.base_load_kw for future in futures]),
        tuple(mean([future.renewable_kw[k] for future in futures]) for k in plants),
    )
