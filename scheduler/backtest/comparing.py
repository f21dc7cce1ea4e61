"""What a policy is taken to have paid, so that nobody saves by leaving work out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from scheduler.backtest.accounts import Account, Share


@dataclass(frozen=True, slots=True)
class Paid:
    """Cost and carbon of a policy, with what a baseline had of the jobs that it did not do."""

    eur: float
    kg: float

    @classmethod
    def of(
        cls, eur: float, kg: float, not_done: Iterable[str], baseline: Mapping[str, Share]
    ) -> Self:
        """Add to what it paid what ``baseline`` has of the jobs ``not_done``; by job."""
        left = [baseline[name] for name in not_done if name in baseline]
        return cls(
            eur + sum(share.eur for share in left), kg + sum(share.carbon_kg for share in left)
        )

    def weighed(self, carbon_eur_per_t: float) -> float:
        """Both in EUR."""
        return self.eur + carbon_eur_per_t / 1000.0 * self.kg


def shares_by_job(account: Account) -> dict[str, Share]:
    """Return what each job has of an account."""
    return {name: share for site in account.sites.values() for name, share in site.jobs.items()}
