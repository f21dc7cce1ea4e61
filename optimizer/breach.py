"""A limit that a plan breaks."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Breach:
    """Who breaks what, when and by how much.

    Attributes
    ----------
    owner
        For example ``"job train-7"``, ``"site DE"``, ``"storage DE/battery"``, ``"plan"``.
    limit_name
        For example ``"deadline"``, ``"import_limit"``, ``"soc_balance"``.
    slot
        First slot concerned; ``None`` where it concerns the whole horizon.
    amount
        By how much, in ``unit``; NaN where a name or a number itself is wrong.
    """

    owner: str
    limit_name: str
    slot: int | None
    amount: float
    unit: str

    def __str__(self) -> str:
        when = "" if self.slot is None else f" in slot {self.slot}"
        if math.isnan(self.amount):
            return f"{self.owner} breaks {self.limit_name}{when}: {self.unit}"
        return f"{self.owner} breaks {self.limit_name}{when} by {self.amount:.6g} {self.unit}"
