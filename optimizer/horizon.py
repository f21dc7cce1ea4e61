"""The horizon: how many slots a problem has and how long each is.

The optimiser knows no instants. Slot ``t`` is the half-open interval [t, t + 1) counted from the
start of the horizon; what instant that is, is known by ``scheduler.services.assemble`` alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.errors import InvalidProblem

SLOT_HOURS = (1 / 12, 0.25, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Horizon:
    """A number of slots of equal length.

    Attributes
    ----------
    n_slots
        Slots in the horizon, at least 1.
    slot_hours
        Length of a slot [h]: 5, 15, 30 or 60 minutes.
    """

    n_slots: int
    slot_hours: float

    def __post_init__(self) -> None:
        if self.n_slots < 1:
            raise InvalidProblem("horizon", "n_slots", self.n_slots, ">= 1")
        if not any(abs(self.slot_hours - hours) < 1e-12 for hours in SLOT_HOURS):
            raise InvalidProblem(
                "horizon", "slot_hours", self.slot_hours, "one of 1/12, 1/4, 1/2, 1"
            )
