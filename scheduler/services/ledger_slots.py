"""What one slot was reckoned to, before it is added to the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from scheduler.ledger.account import SlotAccount


@dataclass(frozen=True, slots=True)
class Reckoned:
    """A slot of a site with all that its entry says.

    ``measured`` names what was metered, ``estimated`` the signals that nobody published for it;
    ``expected`` is what the plan that held let expect, empty where there was none.
    """

    start_at: datetime
    minutes: int
    fleet_version: int
    account: SlotAccount
    pue: float
    price_eur_per_mwh: float
    carbon_intensity: str
    carbon_g_per_kwh: float
    marginal_g_per_kwh: float | None
    measured: tuple[str, ...]
    estimated: tuple[str, ...]
    expected: Mapping[str, Any]

    @property
    def end_at(self) -> datetime:
        """End of the slot."""
        return self.start_at + timedelta(minutes=self.minutes)
