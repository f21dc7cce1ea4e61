"""``gridtide plans``: ask for plans, review them, and decide on them, on a server."""

from __future__ import annotations

import time
from typing import Annotated, Any
from uuid import uuid4

import typer

from scheduler.cli.client import DEFAULT_SERVER, Server, ServerOption, server_at, text_table
from scheduler.cli.console import (
    ExitCode,
    JsonOption,
    NoteOption,
    UserError,
    emit,
    working,
)
from scheduler.db.models import PlanStatus, RunStatus

PlanId = Annotated[str, typer.Argument(help="Id of the plan.")]

POLL_S = 1.0
COLUMNS = {
    "ID": "id",
    "STATUS": "status",
    "CREATED": "created_at",
    "WINDOW": "window_start",
    "FOUND": "rung",
    "EUR": "money_eur",
    "RUN-NOW EUR": "baseline_money_eur",
    "kg CO2": "carbon_kg",
    "MISSED": "n_violations",
}


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="Make, review and decide on plans, on a server.", no_args_is_help=True)
    group.command("request")(request)
    group.command("list")(list_plans)
    group.command("show")(show)
    group.command("approve")(approve)
    group.command("reject")(reject)
    app.add_typer(group, name="plans")


def request(
    hours: Annotated[int | None, typer.Option(min=1, help="Default: as the fleet says.")] = None,
    time_limit: Annotated[float | None, typer.Option(min=0.1, help="For the solver [s].")] = None,
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """Ask for a plan from the next slot on, and wait for it."""
    asked = {"hours": hours, "time_limit_s": time_limit}
    body = {name: value for name, value in asked.items() if value is not None}
    with server_at(server) as api:
        run = api.post("/v1/planning-runs", body, idempotency_key=f"cli-{uuid4()}")
        with working("Planning"):
            run = _until_over(api, run)
        if run["status"] != RunStatus.SUCCEEDED:
            reason = run["error"] or run["status"]
            is_input = reason.startswith("InputRefused")
            code = ExitCode.INVALID if is_input else ExitCode.UNEXPECTED
            raise UserError(f"planning run {run['id']}: {reason}", code=code)
        plan = api.get(f"/v1/plans/{run['plan_id']}")
        text = api.text(f"/v1/plans/{run['plan_id']}/summary")
    emit(plan, f"{text.rstrip()}\n\nPlan {plan['id']} is {_standing(plan)}", as_json)


def list_plans(
    status: Annotated[PlanStatus | None, typer.Option(help="Only plans that stand so.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 20,
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """List plans, newest first."""
    wanted = None if status is None else status.value
    with server_at(server) as api:
        plans = api.pages("/v1/plans", limit, status=wanted)
    emit(plans, text_table(COLUMNS, plans), as_json)


def show(plan: PlanId, server: ServerOption = DEFAULT_SERVER, as_json: JsonOption = False) -> None:
    """Show a plan as the operator reviews it."""
    with server_at(server) as api:
        if as_json:
            emit(api.get(f"/v1/plans/{plan}"), "", as_json=True)
        else:
            typer.echo(api.text(f"/v1/plans/{plan}/summary"))


def approve(
    plan: PlanId,
    note: NoteOption = "",
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """Put a plan in force. The one before it is superseded."""
    _decide("approve", plan, note, server, as_json)


def reject(
    plan: PlanId,
    note: NoteOption = "",
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """Reject a plan. The one in force stays."""
    _decide("reject", plan, note, server, as_json)


def _decide(decision: str, plan: str, note: str, server: str, as_json: bool) -> None:
    with server_at(server) as api:
        decided = api.post(f"/v1/plans/{plan}/{decision}", {"note": note})
    emit(decided, f"plan {decided['id']} is {_standing(decided)}", as_json)


def _standing(plan: dict[str, Any]) -> str:
    return str(plan["status"]).replace("_", " ")


def _until_over(api: Server, run: dict[str, Any]) -> dict[str, Any]:
    while run["status"] in {RunStatus.QUEUED, RunStatus.RUNNING}:
        time.sleep(POLL_S)
        run = api.get(f"/v1/planning-runs/{run['id']}")
    return run
