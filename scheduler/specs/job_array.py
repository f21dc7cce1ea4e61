"""An array of jobs as it is handed in: one job, as many times as it has tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator

from scheduler.specs.array import ArrayTaskSpec, tasks_of
from scheduler.specs.base import Text
from scheduler.specs.job import JobSpec

MOST_CHARACTERS = 50_000_000  # of all jobs of an array together


class JobArraySpec(JobSpec):
    """A job for each task of ``array``: ``0-49``, ``0-9:3,17``; called ``name-INDEX``."""

    array: Annotated[Text, Field(min_length=1, max_length=10_000)]

    @model_validator(mode="after")
    def _tasks_make_sense(self) -> Self:
        if self.array_task is not None:
            raise ValueError(f"job {self.name}: array and array_task are given, must be one")
        try:
            tasks = tasks_of(self.name, self.array)
        except ValueError as error:
            raise ValueError(f"job {self.name}: array = {self.array!r}: {error}") from error
        characters = len(tasks) * len(self.model_dump_json())
        if characters > MOST_CHARACTERS:
            raise ValueError(
                f"job {self.name}: array = {self.array!r:.80}: its {len(tasks)} jobs are"
                f" {characters} characters, must be <= {MOST_CHARACTERS}"
            )
        own = {task.job_name for task in tasks}.intersection(self.after)
        if own:
            raise ValueError(f"job {self.name}: after names {min(own)}, a task of its own")
        self._job_of(tasks[-1])  # which has the longest name
        return self

    def jobs(self) -> tuple[JobSpec, ...]:
        """Return the jobs it stands for, in the order of their indices."""
        return tuple(map(self._job_of, tasks_of(self.name, self.array)))

    def _job_of(self, task: ArrayTaskSpec) -> JobSpec:
        fields = self.model_dump(exclude={"array", "name", "array_task"})
        return JobSpec.model_validate(fields | {"name": task.job_name, "array_task": task})


def with_tasks(names: Sequence[str], arrays: Mapping[str, Sequence[JobSpec]]) -> tuple[str, ...]:
    """Return ``names`` with the names of all tasks in the place of that of an array."""
    found: dict[str, None] = {}
    for name in names:
        tasks = [job.name for job in arrays[name]] if name in arrays else [name]
        found |= dict.fromkeys(tasks)
    return tuple(found)
