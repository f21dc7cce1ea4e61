"""Placements as columns: many of them in a few arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.placements.options import Integers


@dataclass(frozen=True, slots=True)
class Columns:
    """Placements: the option of each [column], and its slots in ascending order.

    Column k runs in ``slots[begins[k]:begins[k + 1]]``, in each of them as ``slot_option`` says:
    that is ``option`` again, but for a job that changes its operating point.
    """

    option: Integers
    begins: Integers
    slots: NDArray[np.int32]
    slot_option: Integers

    def __len__(self) -> int:
        return len(self.option)

    @classmethod
    def none(cls) -> Columns:
        """Return no column."""
        nothing = np.zeros(0, np.int64)
        return cls(nothing, np.zeros(1, np.int64), np.zeros(0, np.int32), nothing)

    @classmethod
    def at_one_point(cls, option: Integers, begins: Integers, slots: Integers) -> Columns:
        """Return columns that keep to the point of their option."""
        return cls(option, begins, slots.astype(np.int32), np.repeat(option, np.diff(begins)))

    @classmethod
    def joined(cls, parts: Sequence[Columns]) -> Columns:
        """Return the columns of ``parts`` one after another."""
        lengths = [np.diff(part.begins) for part in parts]
        begins = np.concatenate(([0], np.cumsum(np.concatenate([np.zeros(0, int), *lengths]))))
        none = cls.none()
        return cls(
            np.concatenate([none.option, *(part.option for part in parts)]),
            begins,
            np.concatenate([none.slots, *(part.slots for part in parts)]),
            np.concatenate([none.slot_option, *(part.slot_option for part in parts)]),
        )

    def take(self, chosen: Integers) -> Columns:
        """Return the columns at these positions, in this order."""
        lengths = np.diff(self.begins)[chosen]
        begins = np.concatenate(([0], np.cumsum(lengths)))
        at = np.repeat(self.begins[:-1][chosen] - begins[:-1], lengths) + np.arange(begins[-1])
        return Columns(self.option[chosen], begins, self.slots[at], self.slot_option[at])

    def column_of_slot(self) -> Integers:
        """Return the column each of ``slots`` belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.begins))


def in_one_piece(options: Integers, start: Integers, n_slots: int) -> Columns:
    """Return columns of ``n_slots`` slots in a row from each of ``start``."""
    slots = start[:, None] + np.arange(n_slots)
    begins = np.arange(len(options) + 1) * n_slots
    return Columns.at_one_point(options, begins, slots.ravel())


def distinct(columns: Columns) -> Columns:
    """Leave out columns that were there before."""
    _, first = np.unique(_keys(columns), return_index=True)
    return columns.take(np.sort(first))


def _keys(columns: Columns) -> NDArray[np.uint64]:
    """Give equal columns the same number, and others different ones but for one chance in 2**64."""
    if not len(columns):
        return np.zeros(0, np.uint64)
    rng = np.random.default_rng(0)
    of_slot = rng.integers(0, 2**64, int(columns.slots.max()) + 1, dtype=np.uint64)
    of_option = rng.integers(0, 2**64, int(columns.slot_option.max()) + 1, dtype=np.uint64)
    entries = of_slot[columns.slots] ^ of_option[columns.slot_option]
    sums: NDArray[np.uint64] = np.add.reduceat(entries, columns.begins[:-1])
    return sums
