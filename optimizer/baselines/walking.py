"""A job that goes through its window slot by slot: it runs where it is cheap, and waits elsewhere.

It knows nothing of later slots but how much time it has left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from optimizer.baselines.chances import Bools, Chance, all_free
from optimizer.pieces import begins_with_restart, min_run_slots, slots_needed
from optimizer.room import Room

Pieces = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a job may do in each slot of its window, which begins at ``first_slot``.

    Attributes
    ----------
    is_cheap, is_free
        Whether it wants to run, and whether there is room.
    may_begin, may_resume
        Whether its first piece, and a later one, may begin.
    least_first, least_later
        Fewest slots of the first piece, and of a later one.
    most_pauses
        How often it may stop.
    slots_with
        Slots it runs in all with so many pauses.
    is_pinned
        It begins where it may, wanted or not.
    """

    first_slot: int
    is_cheap: list[bool]
    is_free: list[bool]
    may_begin: list[bool]
    may_resume: list[bool]
    least_first: int
    least_later: int
    most_pauses: float
    slots_with: Callable[[int], int]
    is_pinned: bool

    @classmethod
    def of(cls, room: Room, chance: Chance, is_cheap: Bools) -> Self:
        """Take them from what the job finds; ``is_cheap`` begins with its window."""
        job, point = chance.job, chance.point
        hours = room.problem.horizon.slot_hours

        def slots_with(n_pauses: int) -> int:
            return slots_needed(job, point, n_pauses, room.links, hours)

        first = later = chance.n_slots
        most_pauses = 0.0
        if job.pausing is not None and job.may_pause:
            least = min_run_slots(job, room.links, hours)
            first = later = max(least, job.pausing.restart_slots + 1)
            first = first if begins_with_restart(job) else least
            pinned = 0 if job.pin is None else job.pin.n_slots
            first = min(max(first, pinned), chance.n_slots)
            limit = job.pausing.max_pauses
            most_pauses = float("inf") if limit is None else limit
        return cls(
            chance.first_slot,
            is_cheap.tolist(),
            chance.is_free.tolist(),
            _with_room(chance, first, chance.may_begin),
            _with_room(chance, later, np.isfinite(chance.way.restart_eur[0])),
            first,
            later,
            most_pauses,
            slots_with,
            job.pin is not None,
        )

    def begin(self, slot: int, left: int, n_pauses: int) -> int | None:
        """Return where the next piece begins at or after ``slot``, ``left`` slots before it."""
        may = self.may_resume if n_pauses else self.may_begin
        last = len(self.is_free) - left
        for begin in range(slot, last + 1):
            is_wanted = self.is_cheap[begin] or begin == last or self.is_pinned
            if may[begin] and is_wanted:
                return begin
        return None

    def end(self, begin: int, left: int, n_pauses: int) -> int | None:
        """Return where a piece from ``begin`` on ends; ``None``: it may not stop where it must."""
        least = self.least_later if n_pauses else self.least_first
        done = begin + left
        for end in range(begin + min(least, left), done):
            has_time = done < len(self.is_free)
            if self.is_free[end] and (self.is_cheap[end] or not has_time):
                continue
            if self._may_stop(end, done - end, n_pauses):
                return end
            if not self.is_free[end]:
                return None
        return done

    def restart_slots(self, n_pauses: int) -> int:
        """Slots that the last of ``n_pauses`` adds."""
        return self.slots_with(n_pauses) - self.slots_with(n_pauses - 1)

    def _may_stop(self, slot: int, left: int, n_pauses: int) -> bool:
        left += self.restart_slots(n_pauses + 1)
        is_in_time = slot + 1 + left <= len(self.is_free)
        return n_pauses < self.most_pauses and left >= self.least_later and is_in_time


def walk(rules: Rules) -> Pieces | None:
    """Return the pieces of the horizon it runs in; ``None`` where that leads to no end."""
    pieces: Pieces = []
    slot, left, n_pauses = 0, rules.slots_with(0), 0
    while left:
        begin = rules.begin(slot, left, n_pauses)
        end = None if begin is None else rules.end(begin, left, n_pauses)
        if begin is None or end is None:
            return None
        pieces.append((rules.first_slot + begin, rules.first_slot + end))
        left -= end - begin
        if left:
            n_pauses += 1
            left += rules.restart_slots(n_pauses)
        slot = end + 1
    return pieces


def _with_room(chance: Chance, n_slots: int, may: Bools) -> list[bool]:
    """Where a piece of ``n_slots`` may begin and has room [slot of its window]."""
    room = all_free(chance.is_free, n_slots)
    both = np.zeros(len(may), dtype=np.bool_)
    both[: len(room)] = room & may[: len(room)]
    listed: list[bool] = both.tolist()
    return listed
