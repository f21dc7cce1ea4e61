"""Arrays of jobs, as ``sbatch --array`` counts them: which task of which one a job is."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import Field, model_validator

from scheduler.specs.base import Name, Spec

MOST_TASKS = 1000
HIGHEST_INDEX = 4_000_000  # as Slurm's
_PART = re.compile(r"(\d{1,9})(?:-(\d{1,9})(?::(\d{1,9}))?)?", re.ASCII)

Index = Annotated[int, Field(ge=0, le=HIGHEST_INDEX)]


class ArrayTaskSpec(Spec):
    """Task ``index`` of the ``count`` tasks of ``array``, which go from ``first`` to ``last``.

    Jobs are expanded from an array where they come in; each is a job by itself from then on.
    """

    array: Name
    index: Index
    first: Index
    last: Index
    step: Annotated[int, Field(ge=1, le=HIGHEST_INDEX)] = 1
    count: Annotated[int, Field(ge=1, le=MOST_TASKS)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.first <= self.index <= self.last:
            raise ValueError(
                f"array {self.array}: index = {self.index}, must be within"
                f" [{self.first}, {self.last}]"
            )
        return self

    @property
    def job_name(self) -> str:
        """What the job is called."""
        return f"{self.array}-{self.index}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables its command finds, also under the names that Slurm gives them."""
        values = {
            "MIN": self.first,
            "MAX": self.last,
            "STEP": self.step,
            "COUNT": self.count,
        }
        slurm = {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}
        ours = {f"GRIDTIDE_ARRAY_{name}": str(value) for name, value in values.items()}
        index = str(self.index)
        named = {"GRIDTIDE_ARRAY": self.array, "GRIDTIDE_ARRAY_INDEX": index}
        return ours | named | slurm | {"SLURM_ARRAY_TASK_ID": index}


def tasks_of(array: str, text: str) -> tuple[ArrayTaskSpec, ...]:
    """Read ``0-49``, ``0-9:3,17`` and the like, as Slurm does; a task named twice is one.

    Raises
    ------
    ValueError
        It is none of it, has more tasks than ``MOST_TASKS``, or a limit on tasks at once.
    """
    plain, percent, limit = text.partition("%")
    if percent:
        raise ValueError(
            f"a limit of tasks at once is not kept: the plan says when each runs. Leave %{limit}"
            " out"
        )
    indices: set[int] = set()
    steps: set[int] = set()
    for part in plain.split(","):
        found = _PART.fullmatch(part.strip())
        if found is None:
            raise ValueError(f"{part!r}, must be an index, a range 0-9 or a range 0-9:3 in steps")
        first, last, step = int(found[1]), int(found[2] or found[1]), int(found[3] or 1)
        if not first <= last <= HIGHEST_INDEX or step == 0:
            raise ValueError(
                f"{part!r}, must go up, to {HIGHEST_INDEX} at most, in steps of at least 1"
            )
        some = range(first, last + 1, step)
        if len(some) > MOST_TASKS or len(indices | set(some)) > MOST_TASKS:
            raise ValueError(f"it has more than {MOST_TASKS} tasks")
        indices |= set(some)
        steps.add(step)
    return tuple(
        ArrayTaskSpec(
            array=array,
            index=index,
            first=min(indices),
            last=max(indices),
            step=next(iter(steps)) if len(steps) == 1 and "," not in plain else 1,
            count=len(indices),
        )
        for index in sorted(indices)
    )
