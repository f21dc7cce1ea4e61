"""A job to be submitted, in the words of ``sbatch`` and in those of the two REST dialects."""

from __future__ import annotations

from typing import Any

from connectors.clusters.slurm.transport import Submission
from connectors.types import JobOrder

# The environment of the script; its job gets that of its order. Nothing of the scheduler's own.
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"}


def job_name(order: JobOrder, run: int) -> str:
    """Return what Slurm calls run ``run`` of a job."""
    return f"gridtide-{order.environment.get('GRIDTIDE_JOB', order.key)}-{run}"


def sbatch_options(submission: Submission) -> list[str]:
    """Return the options of ``sbatch``, which reads the script from its input."""
    variables = ",".join(f"{name}={value}" for name, value in ENVIRONMENT.items())
    options: dict[str, object] = {
        "job-name": submission.name,
        "comment": submission.ref.comment,
        "chdir": submission.folder,
        "output": submission.output,
        "partition": submission.partition,
        "nodes": submission.nodes,
        "ntasks-per-node": 1,
        "gres": submission.gres,
        "constraint": "&".join(submission.features) or None,
        "account": submission.account,
        "qos": submission.qos,
        "reservation": submission.reservation,
        "cpus-per-task": submission.cpus,
        "mem": None if submission.memory_mb is None else f"{submission.memory_mb}M",
        "time": submission.time_limit_minutes,
        "export": variables,
    }
    requeue = "--requeue" if submission.is_requeued else "--no-requeue"
    given = [f"--{name}={value}" for name, value in options.items() if value is not None]
    return ["--parsable", "--hold", "--open-mode=append", requeue, *given]


def rest_job(submission: Submission, version: int) -> dict[str, Any]:
    """Return the job of a REST request; ``version`` is the last number of its dialect."""
    job: dict[str, Any] = {
        "name": submission.name,
        "comment": submission.ref.comment,
        "current_working_directory": submission.folder,
        "standard_output": submission.output,
        "partition": submission.partition,
        "constraints": "&".join(submission.features) or None,
        "account": submission.account,
        "qos": submission.qos,
        "reservation": submission.reservation,
        "cpus_per_task": submission.cpus,
        "hold": True,
    }
    job |= _until_38(submission) if version < 39 else _since_40(submission)
    return {name: value for name, value in job.items() if value is not None}


def _until_38(submission: Submission) -> dict[str, Any]:
    return {
        "nodes": [submission.nodes, submission.nodes],
        "ntasks_per_node": 1,
        "gres": submission.gres,
        "memory_per_node": submission.memory_mb,
        "time_limit": submission.time_limit_minutes,
        "requeue": submission.is_requeued,
        "open_mode": "append",
        "environment": ENVIRONMENT,
    }


def _since_40(submission: Submission) -> dict[str, Any]:
    return {
        "minimum_nodes": submission.nodes,
        "maximum_nodes": submission.nodes,
        "tasks_per_node": 1,
        "tasks": submission.nodes,
        "tres_per_node": None if submission.gres is None else f"gres/{submission.gres}",
        "memory_per_node": _number(submission.memory_mb),
        "time_limit": _number(submission.time_limit_minutes),
        "requeue": submission.is_requeued,
        "environment": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
    }


def _number(value: int | None) -> dict[str, Any] | None:
    return None if value is None else {"set": True, "infinite": False, "number": value}
