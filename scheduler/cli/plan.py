"""``gridtide plan``: files in, a verified plan in a folder out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from optimizer import Plan, SolveLimits, baselines, verify
from scheduler.cli.console import (
    ExitCode,
    JsonOption,
    UserError,
    emit,
    input_file,
    parse_instant,
    working,
)
from scheduler.cli.solving import solve_watched
from scheduler.doubt import doubt_of
from scheduler.files import read_fleet, read_jobs, write_plan_folder
from scheduler.main import read_signal_file
from scheduler.services.assemble import Assembled, JobToPlan, PlanWindow, assemble
from scheduler.services.documents import make_document
from scheduler.services.own_forecasts import with_own_forecasts
from scheduler.services.plan_document import PlanDocument
from scheduler.side_by_side import HERE, NoCluster, SearchPlace
from scheduler.specs import FleetSpec
from scheduler.timekeeping import system_now
from scheduler.views import summary_text
from scheduler.views.totals import totals


@dataclass(frozen=True, slots=True)
class Outcome:
    """A plan document, and whether the solve was interrupted or the plan refused."""

    document: PlanDocument
    breaches: tuple[str, ...]
    is_interrupted: bool

    @property
    def exit_code(self) -> ExitCode:
        """Most serious thing to say about the plan."""
        plan = self.document.plan
        if self.breaches:
            return ExitCode.REFUSED
        if self.is_interrupted:
            return ExitCode.INTERRUPTED
        if plan.violations or any(not left.is_deferred for left in plan.unserved):
            return ExitCode.MISSED
        return ExitCode.OK


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plan")(plan_files)


def plan_files(
    *,
    fleet: Annotated[Path, input_file("Fleet, TOML.")],
    signals: Annotated[Path, input_file("Prices, carbon, PV ..., CSV or Parquet.")],
    jobs: Annotated[Path, input_file("Jobs: CSV, JSON, JSON lines or TOML.")],
    start: Annotated[
        datetime,
        typer.Option(parser=parse_instant, metavar="INSTANT", help="E.g. 2021-07-05T00:00Z."),
    ],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder to write the plan to.")],
    hours: Annotated[
        int | None, typer.Option(min=1, max=24 * 31, help="Default: as the fleet says.")
    ] = None,
    slot_minutes: Annotated[
        int | None, typer.Option(help="5, 15, 30 or 60. Default: as the fleet says.")
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds. Default: as the fleet says.")
    ] = None,
    gap: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Stop at this proven relative gap, e.g. 0.005."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same inputs and seed, same plan.")] = 0,
    workers: Annotated[
        int, typer.Option(min=1, max=256, help="Processes to search with, for many jobs.")
    ] = 1,
    dask_scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Search on this Dask cluster, e.g. tcp://host:8786."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Plan jobs over a window and write the plan, its page, tables and chart to a folder.

    Ctrl-C stops the solve and writes the best plan found so far.
    """
    spec = read_fleet(fleet)
    window = _window(spec, start, hours, slot_minutes)
    planning = spec.planning
    limits = SolveLimits(
        time_limit_s=time_limit or planning.time_limit_s,
        mip_gap=planning.mip_gap if gap is None else gap,
        seed=seed,
    )
    waiting = [JobToPlan(job, job.work_hours) for job in read_jobs(jobs)]
    with working("Reading signals"):
        read = read_signal_file(signals)
        known = with_own_forecasts(spec, read, window, window.start)
        assembled = assemble(spec, waiting, known, (), window, now=window.start, history=read)
    outcome = make_plan(spec, assembled, limits, SearchPlace(workers, dask_scheduler))
    files = write_plan_folder(out, outcome.document)
    emit(_as_data(outcome, files), _as_text(outcome, files), as_json)
    raise typer.Exit(outcome.exit_code)


def make_plan(
    fleet: FleetSpec, assembled: Assembled, limits: SolveLimits, place: SearchPlace = HERE
) -> Outcome:
    """Solve, verify and set beside the baseline; a refused or interrupted plan carries a mark."""
    try:
        doubt = doubt_of(fleet.planning, assembled)
        solved = solve_watched(assembled.problem, limits, place, doubt)
    except NoCluster as error:
        raise UserError(str(error)) from error
    with working("Verifying"):
        breaches = tuple(str(breach) for breach in verify(assembled.problem, solved.plan))
        baseline = baselines.run_now(assembled.problem)
    marks = (
        *(f"REFUSED by verify, do not use: {breach}" for breach in breaches),
        *(
            ["the solve was interrupted: this is the best plan found until then"]
            if solved.is_interrupted
            else []
        ),
    )
    document = make_document(fleet, assembled, solved.plan, baseline, system_now(), marks)
    return Outcome(document, breaches, solved.is_interrupted)


def _window(
    fleet: FleetSpec, start: datetime, hours: int | None, slot_minutes: int | None
) -> PlanWindow:
    minutes = slot_minutes or fleet.planning.slot_minutes
    n_hours = hours or fleet.planning.horizon_hours
    try:
        return PlanWindow(start, minutes, n_hours * 60 // minutes)
    except ValueError as error:
        raise UserError(str(error)) from error


def _as_text(outcome: Outcome, files: dict[str, Path]) -> str:
    written = "\n".join(f"  {path}" for path in files.values())
    refused = "".join(f"REFUSED: {breach}\n" for breach in outcome.breaches)
    return f"{summary_text(outcome.document)}{refused}Written:\n{written}"


def _as_data(outcome: Outcome, files: dict[str, Path]) -> dict[str, object]:
    plan: Plan = outcome.document.plan
    return {
        "rung": plan.rung.value,
        "objective_eur": plan.objective,
        "bound_eur": plan.bound,
        "gap": plan.gap,
        "is_interrupted": outcome.is_interrupted,
        "breaches": outcome.breaches,
        "totals": {
            figure.key: {"unit": figure.unit, "plan": figure.plan, "run_now": figure.other}
            for figure in totals(outcome.document)
        },
        "carbon_intensity": outcome.document.problem.carbon_intensity_name,
        "violations": [str(violation) for violation in plan.violations],
        "unserved": [
            {"job": left.job, "reason": left.reason, "is_deferred": left.is_deferred}
            for left in plan.unserved
        ],
        "marks": outcome.document.marks,
        "files": files,
    }
