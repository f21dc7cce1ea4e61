"""``gridtide demo``: the example day planned, approved and carried out on this machine.

Everything goes the way it goes in earnest: through the database, a worker, an approval and dispatch
to local clusters that run real processes. Only time is made to run faster while it is carried out.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from optimizer import Progress, require_verified
from scheduler.cli.carry_out import Tally, carry_out
from scheduler.cli.console import ExitCode, JsonOption, UserError, emit, solve_progress, working
from scheduler.cli.example_day import ExampleDay, prepare, take_in
from scheduler.db.session import SessionFactory, transaction
from scheduler.files import write_plan_folder
from scheduler.main import connect
from scheduler.services.plan_document import PlanDocument
from scheduler.services.plans import approve_plan, read_document
from scheduler.services.runs import RunRequest, get_run, queue_run
from scheduler.timekeeping import accelerated_now
from scheduler.views import summary_text
from scheduler.views.totals import totals
from scheduler.worker import Worker, WorkerTiming

ACTOR = "demo"
PROVEN_GAP = 0.005
POLL_S = 0.5


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    *,
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder to write to.")] = Path("out"),
    example: Annotated[
        Path, typer.Option(file_okay=False, exists=True, help="Folder with generate.py.")
    ] = Path("examples"),
    hours: Annotated[
        float, typer.Option(min=0.5, max=24, help="Hours of the plan to carry out.")
    ] = 6.0,
    seconds_per_hour: Annotated[
        float, typer.Option(min=1, help="Seconds an hour of the plan takes.")
    ] = 2.0,
    as_json: JsonOption = False,
) -> None:
    """Plan the example day, approve the plan, and carry out its first hours with real processes."""
    with working("Preparing the example day"):
        day = prepare(example, out, seconds_per_hour)
        sessions = take_in(day, ACTOR)
    plan_id = _plan(sessions, day)
    with transaction(sessions) as session:
        document = read_document(session, plan_id)
        require_verified(document.problem, document.plan)
        approve_plan(session, plan_id, ACTOR, day.start, "approved by the demo")
    files = write_plan_folder(out, document)
    now = accelerated_now(day.start, 3600 / seconds_per_hour)
    tally = carry_out(sessions, connect(day.settings, day.fleet, now), now, timedelta(hours=hours))
    emit(_as_data(document, tally, files), _as_text(document, tally, files), as_json)
    raise typer.Exit(_exit_code(document, tally))


def _plan(sessions: SessionFactory, day: ExampleDay) -> UUID:
    """Queue a planning run and have a worker do it; return the id of its plan."""
    planning = day.fleet.planning
    request = RunRequest(
        trigger_key="demo",
        requested_by=ACTOR,
        hours=planning.horizon_hours,
        time_limit_s=planning.time_limit_s,
        window_start=day.start,
    )
    with transaction(sessions) as session:
        run_id = queue_run(session, request, day.start)[0].id
    timing = WorkerTiming(renew_s=POLL_S)
    # Time stands still while the plan is made: it starts with the plan.
    worker = Worker(sessions, lambda: day.start, threading.Event(), timing=timing)
    with ThreadPoolExecutor(max_workers=1) as pool:
        _show_progress(sessions, run_id, pool.submit(worker.work_once), planning.time_limit_s)
    with transaction(sessions) as session:
        run = get_run(session, run_id)
        if run.plan_id is None:
            raise UserError(f"the planning run failed: {run.error}", code=ExitCode.UNEXPECTED)
        return run.plan_id


def _show_progress(
    sessions: SessionFactory, run_id: UUID, work: Future[UUID | None], time_limit_s: float
) -> None:
    """Show what the worker notes in the run, until it is done."""
    with solve_progress(time_limit_s) as show:
        while wait((work,), timeout=POLL_S).not_done:
            with transaction(sessions) as session:
                noted = get_run(session, run_id).progress
            if noted is not None:
                show(
                    Progress(
                        noted["phase"], noted["seconds"], noted.get("best"), noted.get("bound")
                    )
                )
    work.result()


def _exit_code(document: PlanDocument, tally: Tally) -> ExitCode:
    plan = document.plan
    is_proven = plan.gap is not None and plan.gap <= PROVEN_GAP
    is_whole = is_proven and not plan.violations and not plan.unserved
    return ExitCode.OK if is_whole and tally.is_clean else ExitCode.MISSED


def _as_text(document: PlanDocument, tally: Tally, files: dict[str, Path]) -> str:
    written = "\n".join(f"  {path}" for path in files.values())
    return f"{summary_text(document)}\n{tally}\nWritten:\n{written}"


def _as_data(document: PlanDocument, tally: Tally, files: dict[str, Path]) -> dict[str, object]:
    return {
        "gap": document.plan.gap,
        "totals": {
            figure.key: {"unit": figure.unit, "plan": figure.plan, "run_now": figure.other}
            for figure in totals(document)
        },
        "jobs": {status.value: number for status, number in tally.jobs.items()},
        "commands": dict(tally.commands),
        "outcomes": {outcome.value: number for outcome, number in tally.outcomes.items()},
        "files": files,
    }
