"""``gridtide jobs``: quote, submit, list, look at and cancel jobs on a server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from scheduler.cli.client import DEFAULT_SERVER, ServerOption, server_at, text_table
from scheduler.cli.console import JsonOption, emit, parse_instant
from scheduler.db.models import JobStatus
from scheduler.files import read_jobs
from scheduler.specs import JobSpec

JobName = Annotated[str, typer.Argument(help="Name or id of the job.")]

COLUMNS = {
    "NAME": "name",
    "STATUS": "status",
    "SITE": "site",
    "POINT": "point",
    "RELEASE": "release_at",
    "DEADLINE": "deadline_at",
    "DONE h": "work_done_hours",
    "TENANT": "tenant",
}
TRANSFERS = {
    "DATA TO": "site",
    "FROM": "from_site",
    "GB": "size_gb",
    "STATUS": "status",
    "STARTS": "starts",
    "GB/h": "gb_per_hour",
    "LINK GB/h": "link_gb_per_hour",
    "EUR": "eur",
    "REASON": "reason",
}
ENERGY = {
    "START": "start",
    "FROM": "started_at",
    "TO": "ended_at",
    "kWh": "kwh",
    "OF": "scope",
    "BY": "source",
    "REASON": "reason",
}
ALTERNATIVES = {
    "SITE": "site",
    "START": "start_at",
    "POINT": "point",
    "EXTRA EUR": "extra_eur",
    "EXTRA kg": "extra_kg",
    "BLOCKED BY": "blocked_by",
}
QUOTES = {
    "DEADLINE": "deadline_at",
    "FITS": "fits",
    "SITE": "site",
    "START": "start_at",
    "END": "end_at",
    "POINT": "point",
    "EUR": "cost_eur",
    "GPU EUR": "gpu_eur",
    "kg CO2": "carbon_kg",
    "kWh": "energy_kwh",
    "BLOCKED BY": "blocked_by",
}


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="Submit, list and cancel jobs on a server.", no_args_is_help=True)
    group.command("submit")(submit)
    group.command("list")(list_jobs)
    group.command("show")(show)
    group.command("why")(why)
    group.command("quote")(quote)
    group.command("logs")(logs)
    group.command("cancel")(cancel)
    app.add_typer(group, name="jobs")


def submit(
    file: Annotated[Path, typer.Argument(help="Jobs: CSV, JSON, JSON lines or TOML.", exists=True)],
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """Submit every job of a file. Submitting the same file again changes nothing."""
    specs = read_jobs(file)
    with server_at(server) as api:
        jobs = [
            api.post(
                "/v1/jobs", spec.model_dump(mode="json"), idempotency_key=_idempotency_key(spec)
            )
            for spec in specs
        ]
    emit(jobs, f"{len(jobs)} jobs are on record\n{_table(jobs)}", as_json)


def list_jobs(
    *,
    status: Annotated[JobStatus | None, typer.Option(help="Only jobs that stand so.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only jobs of this tenant.")] = None,
    site: Annotated[str | None, typer.Option(help="Only jobs handed to this site.")] = None,
    array: Annotated[str | None, typer.Option(help="Only tasks of this array.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 50,
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """List jobs, the one submitted last first."""
    wanted = None if status is None else status.value
    with server_at(server) as api:
        asked = {"status": wanted, "tenant": tenant, "site": site, "array": array}
        jobs = api.pages("/v1/jobs", limit, **asked)
    emit(jobs, _table(jobs), as_json)


def _table(jobs: Sequence[dict[str, Any]]) -> str:
    has_arrays = any(job["array"] is not None for job in jobs)
    return text_table(COLUMNS | ({"ARRAY": "array"} if has_arrays else {}), jobs)


def show(job: JobName, server: ServerOption = DEFAULT_SERVER, as_json: JsonOption = False) -> None:
    """Show where one job stands."""
    with server_at(server) as api:
        found = api.get(f"/v1/jobs/{job}")
    parts = [_lines(found, leave_out=("spec", "transfers", "energy"))]
    if found["transfers"]:
        parts.append(text_table(TRANSFERS, found["transfers"]))
    if found["energy"] is not None:
        parts.append(_energy_text(found["energy"]))
    emit(found, "\n\n".join(parts), as_json)


def _energy_text(energy: dict[str, Any]) -> str:
    kwh = "-" if energy["kwh"] is None else f"{energy['kwh']:.4g} kWh of {energy['scope']}"
    of_starts = f"{energy['starts_measured']} of {energy['starts']} starts"
    runs = [
        run | {"kwh": None if run["kwh"] is None else f"{run['kwh']:.4g}"} for run in energy["runs"]
    ]
    return f"energy measured: {kwh}, {of_starts}\n{text_table(ENERGY, runs)}"


def why(job: JobName, server: ServerOption = DEFAULT_SERVER, as_json: JsonOption = False) -> None:
    """Say why a job runs where and when it does, and what the alternatives would cost."""
    with server_at(server) as api:
        found = api.get(f"/v1/jobs/{job}/explanation")
    rows = [one | {"blocked_by": "; ".join(one["blocked_by"])} for one in found["alternatives"]]
    alternatives = text_table(ALTERNATIVES, rows)
    emit(found, f"{_lines(found, leave_out=('alternatives',))}\n\n{alternatives}", as_json)


def quote(
    file: Annotated[Path, typer.Argument(help="Jobs, as for `submit`.", exists=True)],
    deadline: Annotated[
        list[datetime] | None,
        typer.Option(
            parser=parse_instant,
            metavar="INSTANT",
            help="Done by when, e.g. 2026-06-08T12:00Z; may be repeated. Default: a menu.",
        ),
    ] = None,
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """Say what each job of a file would cost and emit by when it must be done.

    Nothing is submitted and nothing reserved.
    """
    asked = [instant.isoformat() for instant in deadline or ()] or None
    with server_at(server) as api:
        menus = [
            api.post("/v1/quotes", {"job": spec.model_dump(mode="json"), "deadlines": asked})
            for spec in read_jobs(file)
        ]
    emit(menus, "\n\n".join(map(_menu_text, menus)), as_json)


def _menu_text(menu: dict[str, Any]) -> str:
    rows = [
        line
        | {
            "fits": "yes" if line["fits"] else "no",
            "blocked_by": "; ".join(line["blocked_by"]),
        }
        for line in menu["quotes"]
    ]
    newer = menu["jobs_submitted_since"]
    since = f", {newer} jobs were submitted since" if newer else ""
    return (
        f"{menu['job']}, by plan {menu['plan_id']} of {menu['plan_created_at']}{since}\n"
        f"{text_table(QUOTES, rows)}\n{menu['note']}"
    )


def logs(
    job: JobName,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until the job ends.")] = False,
    data_to: Annotated[
        str | None,
        typer.Option(metavar="SITE", help="Of the transfer of its data to this site instead."),
    ] = None,
    server: ServerOption = DEFAULT_SERVER,
) -> None:
    """Print what a job wrote, or what brings its data."""
    whose = job if data_to is None else f"{job}/transfers/{data_to}"
    with server_at(server) as api:
        for line in api.lines(f"/v1/jobs/{whose}/logs", follow=follow):
            typer.echo(line)


def cancel(
    job: JobName,
    is_array: Annotated[
        bool, typer.Option("--array", help="It is an array: every task that has not ended.")
    ] = False,
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """Cancel a job that has not ended, or all of an array."""
    with server_at(server) as api:
        if is_array:
            array = api.post(f"/v1/job-arrays/{job}/cancel")
            counts = ", ".join(f"{n} {status}" for status, n in array["statuses"].items())
            text = f"array {job}: {counts}; what runs will be ended by the next dispatch"
            emit(array, text, as_json)
            return
        found = api.post(f"/v1/jobs/{job}/cancel")
    is_over = found["status"] == JobStatus.CANCELLED
    text = "cancelled" if is_over else "will be ended by the next dispatch"
    emit(found, f"{found['name']}: {text}", as_json)


def _idempotency_key(spec: JobSpec) -> str:
    """Derive a key from the job itself, so that the same job sent twice is one."""
    document = json.dumps(spec.model_dump(mode="json"), sort_keys=True)
    return f"cli-{hashlib.sha256(document.encode()).hexdigest()}"


def _lines(found: dict[str, Any], leave_out: tuple[str, ...]) -> str:
    shown = {key: value for key, value in found.items() if key not in leave_out}
    width = max(map(len, shown))
    return "\n".join(
        f"{key.replace('_', ' '):{width}}  {'-' if value in (None, '') else value}"
        for key, value in shown.items()
    )
