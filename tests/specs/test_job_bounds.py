"""A job holds only what planning and dispatch can reckon with."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from scheduler.specs import JobSpec
from tests.api.world import job


@pytest.mark.parametrize(
    "changes",
    [
        {"work_hours": 1e200},
        {"pausing": {"restart_minutes": 1e13}},
        {"pausing": {"min_run_minutes": 1e13}},
        {"pausing": {"max_pauses": 10**30}},
        {"pausing": {"restart_kwh": 1e300}},
        {"checkpoint_grace_s": 1e300},
        {"value_eur": 1e300},
        {"lateness_eur_per_hour": 1e300},
        {"data": {"site": "DE", "size_gb": 1e300}},
        {"data": {"site": "DE", "size_gb": 1, "command": ["x" * 99_999] * 11}},
        {"data": {"site": "DE", "size_gb": 1, "command": ["rsync"], "retries": 101}},
        {"operating_points": [{"pool": "a100", "gpus": 10**30, "kw": 1}]},
        {"operating_points": [{"pool": "a100", "gpus": 1, "kw": 1e300}]},
        {"operating_points": [{"pool": "a100", "gpus": 1, "kw": 1, "speed": 1e-300}]},
        {"operating_points": [{"pool": "a100", "gpus": 1, "kw": k} for k in range(101)]},
        {"after": [f"job-{number}" for number in range(1001)]},
        {"command": ["echo"] * 10_001},
        {"command": ["x" * 100_001]},
        {"command": ["x" * 99_999] * 11},
        {"environment": {f"V{number}": "" for number in range(1001)}},
        {"release_at": "0001-01-01T00:00:00+14:00"},
        {"deadline_at": "9999-12-31T23:59:59-14:00"},
        {"deadline_at": "2200-01-01T00:00:00Z"},
    ],
)
def test_extreme_value_is_refused(changes: dict[str, Any]) -> None:
    """Such a job would fail every plan or every tick, for everybody."""
    with pytest.raises(ValidationError):
        JobSpec.model_validate(job(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"command": [""]},
        {"command": [" ", "x"]},
        {"command": ["train", "a\0b"]},
        {"command": ["train", "\ud800"]},
        {"command": ["train"], "environment": {"": "x"}},
        {"command": ["train"], "environment": {"A=B": "x"}},
        {"command": ["train"], "environment": {"A\0": "x"}},
        {"command": ["train"], "environment": {"A": "x\0"}},
        {"data": {"site": "DE", "size_gb": 1, "command": [" "]}},
        {"data": {"site": "DE", "size_gb": 1, "command": ["rsync"], "environment": {"A=B": ""}}},
        {"data": {"site": "DE", "size_gb": 1, "environment": {"A": "x"}}},
        {"data": {"site": "DE", "size_gb": 1, "image": "rclone"}},
    ],
)
def test_command_that_no_machine_could_start_is_refused(changes: dict[str, Any]) -> None:
    """It would be found out only when its turn has come."""
    with pytest.raises(ValidationError):
        JobSpec.model_validate(job(**changes))


def test_largest_plausible_job_is_taken() -> None:
    """The limits are far above what anybody runs."""
    JobSpec.model_validate(
        job(
            work_hours=5000,
            operating_points=[{"pool": "a100", "gpus": 100_000, "kw": 90_000, "speed": 0.1}],
            deadline_at="2030-01-01T00:00:00Z",
            pausing={"min_run_minutes": 24 * 60, "restart_minutes": 120, "max_pauses": 1000},
            checkpoint_grace_s=3600,
            data={"site": "DE", "size_gb": 5e6},
            command=["python", "train.py"],
        )
    )
