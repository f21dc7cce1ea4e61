"""Arrays of jobs: what ``sbatch --array`` takes is taken, and what is not kept is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from scheduler.specs import JobArraySpec, JobSpec
from scheduler.specs.array import MOST_TASKS, tasks_of
from tests.services.builders import job_spec


def array_spec(array: str, name: str = "train", **changes: Any) -> JobArraySpec:
    """An array of a small job."""
    return JobArraySpec.model_validate(
        job_spec(name, **changes).model_dump() | {"array": array, "name": name}
    )


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        ("0-3", [0, 1, 2, 3]),
        ("7", [7]),
        ("0-9:3,17", [0, 3, 6, 9, 17]),
        ("5,1-2, 2", [1, 2, 5]),
        ("10-10", [10]),
    ],
)
def test_indices_are_counted_as_slurm_counts_them(text: str, indices: list[int]) -> None:
    """Ranges, steps and lists, in the order of the indices; one that is named twice is one."""
    tasks = tasks_of("train", text)
    assert [task.index for task in tasks] == indices
    assert {task.count for task in tasks} == {len(indices)}
    assert {(task.first, task.last) for task in tasks} == {(indices[0], indices[-1])}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0-9%4", "a limit of tasks at once is not kept: .* Leave %4 out"),
        ("a-b", "'a-b', must be an index, a range"),
        ("1,,2", "'', must be an index"),
        ("-3", "'-3', must be an index"),
        ("9-0", "'9-0', must go up"),
        ("0-9:0", "steps of at least 1"),
        ("0-5000000", "must go up, to 4000000 at most"),
        (f"0-{MOST_TASKS}", f"more than {MOST_TASKS} tasks"),
        ("0-999,2000-2999", f"more than {MOST_TASKS} tasks"),
        ("٣", "must be an index"),
    ],
)
def test_what_is_no_array_is_refused_with_its_limit(text: str, why: str) -> None:
    """Before a range is counted out, however long."""
    with pytest.raises(ValidationError, match=why):
        array_spec(text)


def test_each_task_is_a_job_that_differs_in_name_and_environment() -> None:
    """As many as Slurm takes by default."""
    jobs = array_spec(f"1-{MOST_TASKS}", command=["true"], environment={"A": "b"}).jobs()
    assert len(jobs) == MOST_TASKS
    assert type(jobs[0]) is JobSpec
    assert [job.name for job in jobs[:2]] == ["train-1", "train-2"]
    first, second = (job.model_dump(exclude={"name", "array_task"}) for job in jobs[:2])
    assert first == second


def test_a_task_finds_its_place_under_both_names() -> None:
    """A script for sbatch runs unchanged."""
    (*_, last) = array_spec("0-9:3").jobs()
    assert last.array_task is not None
    values = {"MIN": "0", "MAX": "9", "STEP": "3", "COUNT": "4"}
    slurm = {f"SLURM_ARRAY_TASK_{name}": value for name, value in values.items()}
    ours = {f"GRIDTIDE_ARRAY_{name}": value for name, value in values.items()}
    which = {"SLURM_ARRAY_TASK_ID": "9", "GRIDTIDE_ARRAY_INDEX": "9", "GRIDTIDE_ARRAY": "train"}
    assert last.array_task.environment == slurm | ours | which
    (listed, *_) = array_spec("0-9:3,17").jobs()
    assert listed.array_task is not None
    assert listed.array_task.step == 1


def test_a_job_is_called_as_its_task_is() -> None:
    """Whoever hands it in by itself."""
    (first, *_) = array_spec("0-3").jobs()
    document = first.model_dump()
    assert JobSpec.model_validate(document) == first
    with pytest.raises(ValidationError, match="must be called train-0"):
        JobSpec.model_validate(document | {"name": "other"})
    task = document["array_task"] | {"index": 4}
    with pytest.raises(ValidationError, match=r"index = 4, must be within \[0, 3\]"):
        JobSpec.model_validate(document | {"name": "train-4", "array_task": task})


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"after": ["train-2"]}, "after names train-2, a task of its own"),
        ({"after": ["train"]}, "after names the job itself"),
        ({"name": "a" * 119}, "at most 120 characters"),
    ],
)
def test_what_no_task_could_be_is_refused_at_once(changes: dict[str, Any], why: str) -> None:
    """With the array, and not by the one task that it stands against."""
    document = job_spec("train").model_dump() | {"array": "0-3"} | changes
    with pytest.raises(ValidationError, match=why):
        JobArraySpec.model_validate(document)


def test_an_array_multiplies_its_job_within_a_limit() -> None:
    """Each of its jobs is kept whole."""
    of_two = array_spec("0-1", command=["true", "a" * 60_000])
    assert len(of_two.jobs()) == 2
    with pytest.raises(ValidationError, match=r"its 1000 jobs are 60\d{6} characters, must be <="):
        array_spec("0-999", command=["true", "a" * 60_000])


def test_a_job_without_an_array_is_written_as_before() -> None:
    """What was submitted before there were arrays is the same request today."""
    assert "array_task" not in job_spec().model_dump(mode="json")
