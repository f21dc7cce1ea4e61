"""The planned window: which instant each slot of a plan begins at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SLOT_MINUTES = (5, 15, 30, 60)


@dataclass(frozen=True, slots=True)
class PlanWindow:
    """Slots of equal length from ``start`` on. Slots are UTC: a clock change moves none of them.

    Attributes
    ----------
    start
        Start of slot 0; a multiple of the slot's length since midnight UTC.
    slot_minutes
        5, 15, 30 or 60.
    n_slots
        At least 1.
    """

    start: datetime
    slot_minutes: int
    n_slots: int

    def __post_init__(self) -> None:
        if self.start.utcoffset() is None:
            raise ValueError(f"window: start = {self.start.isoformat()}, must carry a time zone")
        if self.slot_minutes not in SLOT_MINUTES:
            raise ValueError(
                f"window: slot_minutes = {self.slot_minutes}, must be one of {SLOT_MINUTES}"
            )
        if self.n_slots < 1:
            raise ValueError(f"window: n_slots = {self.n_slots}, must be >= 1")
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        if (self.start - EPOCH) % self.slot:
            raise ValueError(
                f"window: start = {self.start.isoformat()},"
                f" must be a multiple of {self.slot_minutes} minutes"
            )

    @property
    def slot(self) -> timedelta:
        """Length of a slot."""
        return timedelta(minutes=self.slot_minutes)

    @property
    def slot_hours(self) -> float:
        """Length of a slot [h]."""
        return self.slot_minutes / 60

    @property
    def end(self) -> datetime:
        """End of the last slot."""
        return self.instant(self.n_slots)

    def instant(self, slot: int) -> datetime:
        """Instant at which ``slot`` begins; slots before 0 and past the end included."""
        return self.start + slot * self.slot

    def slot_of(self, instant: datetime) -> int:
        """Slot that ``instant`` lies in; below 0 or past the last where it is outside."""
        return (instant - self.start) // self.slot

    def slot_not_before(self, instant: datetime) -> int:
        """First slot that begins at ``instant`` or later."""
        return -((self.start - instant) // self.slot)


def slot_start_not_before(instant: datetime, slot_minutes: int) -> datetime:
    """Start of the first slot of the UTC grid at ``instant`` or later."""
    slot = timedelta(minutes=slot_minutes)
    return EPOCH - (EPOCH - instant) // slot * slot
