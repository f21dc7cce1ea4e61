"""``gridtide ledger``: what really ran and what it came to, and whether that is intact."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from scheduler.cli.client import DEFAULT_SERVER, ServerOption, server_at, text_table
from scheduler.cli.console import ExitCode, JsonOption, UserError, emit, parse_instant, working
from scheduler.cli.database import ready_sessions
from scheduler.db.session import transaction
from scheduler.ledger.reports import Spread
from scheduler.policies import UnknownPolicy, policy_named
from scheduler.services import ledger_store
from scheduler.services.ledger_counterfactual import compared, read_month
from scheduler.services.ledger_report import By, month_window, require_ledger
from scheduler.settings import Settings
from scheduler.timekeeping import system_now

SiteOption = Annotated[str | None, typer.Option(help="Only this site.")]
TenantOption = Annotated[str | None, typer.Option(help="Only this tenant.")]
MonthOption = Annotated[
    str | None, typer.Option(help="As 2026-11, by the site's clock or UTC. Default: this month.")
]
SpreadOption = Annotated[
    Spread, typer.Option(help="By what the sites' own energy and cost is laid on tenants.")
]
InstantOption = Annotated[
    datetime, typer.Option(parser=parse_instant, help="An instant with an offset.")
]

SUMS = {
    "kWh": "kwh",
    "MEASURED kWh": "measured_kwh",
    "GPU-HOURS": "gpu_hours",
    "EUR": "eur",
    "kg CO2": "carbon_kg",
    "MARGINAL kg": "marginal_kg",
}
CHARGED = {
    "TENANT": "tenant",
    "PROJECT": "project",
    "USED kWh": "used_kwh",
    "LAID ON kWh": "laid_on_kwh",
    "USED EUR": "used_eur",
    "LAID ON EUR": "laid_on_eur",
    **SUMS,
}
PER_UNIT = {
    "TENANT": "tenant",
    "PROJECT": "project",
    "E*I kg": "operational_kg",
    "M kg": "embodied_kg",
    "g/GPU-HOUR": "g_per_gpu_hour",
    "kWh/GPU-HOUR": "kwh_per_gpu_hour",
    "g/M TOKENS": "g_per_million_tokens",
    "kWh/M TOKENS": "kwh_per_million_tokens",
}
COMPARED = {
    "": "which",
    "USED kWh": "used_kwh",
    "BOUGHT kWh": "bought_kwh",
    "EUR": "eur",
    "kg CO2": "carbon_kg",
}


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="What really ran, and what it came to.", no_args_is_help=True)
    group.command("show")(show)
    group.command("export")(export)
    group.command("chargeback")(chargeback)
    group.command("sci")(sci)
    group.command("compare")(compare)
    group.command("verify")(verify)
    app.add_typer(group, name="ledger")


def show(
    start: InstantOption,
    end: InstantOption,
    by: Annotated[By, typer.Option(help="Of what a row is.")] = By.TENANT,
    site: SiteOption = None,
    tenant: TenantOption = None,
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """Sum what jobs and sites used, paid and emitted from START to END."""
    with server_at(server) as api:
        rows = api.get(
            "/v1/ledger/totals",
            start=start.isoformat(),
            end=end.isoformat(),
            by=by.value,
            site=site,
            tenant=tenant,
        )
    emit(rows, text_table({by.value.upper(): by.value} | SUMS, rows), as_json)


def export(
    start: InstantOption,
    end: InstantOption,
    file: Annotated[Path, typer.Argument(help="Where to write it; .json as JSON, else as CSV.")],
    site: SiteOption = None,
    with_corrected: Annotated[
        bool, typer.Option("--with-corrected", help="Those that were corrected, too.")
    ] = False,
    server: ServerOption = DEFAULT_SERVER,
) -> None:
    """Write the entries from START to END to a file, with the hash of each."""
    form = "json" if file.suffix == ".json" else "csv"
    with server_at(server) as api:
        text = api.text(
            "/v1/ledger/entries",
            start=start.isoformat(),
            end=end.isoformat(),
            site=site,
            with_corrected=with_corrected,
            format=form,
        )
    file.write_text(text, encoding="utf-8")


def chargeback(
    month: MonthOption = None,
    site: SiteOption = None,
    tenant: TenantOption = None,
    spread: SpreadOption = Spread.GPU_HOURS,
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """Tell what every tenant and project is charged for a month."""
    rows = _monthly("chargeback", month, site, tenant, spread, server)
    emit(rows, text_table(CHARGED, rows), as_json)


def sci(
    month: MonthOption = None,
    site: SiteOption = None,
    tenant: TenantOption = None,
    spread: SpreadOption = Spread.GPU_HOURS,
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """Tell carbon per GPU-hour and per million tokens (ISO/IEC 21031:2024), and its boundary."""
    rows = _monthly("sci", month, site, tenant, spread, server)
    boundary = [rows[0]["boundary"]] if rows else []
    emit(rows, "\n".join([text_table(PER_UNIT, rows), *boundary]), as_json)


def compare(
    month: MonthOption = None,
    policy: Annotated[
        str, typer.Option(help="A name, or module:function; see the docs of policies.")
    ] = "run_now",
    as_json: JsonOption = False,
) -> None:
    """Tell what a month would have come to by a policy: the same jobs, GPUs, prices and weather.

    Reads the database on this machine. Of the month, the slots that every site has an entry of.
    """
    try:
        chosen = policy_named(policy)
    except UnknownPolicy as error:
        raise UserError(str(error)) from error
    sessions = ready_sessions(Settings())
    with transaction(sessions) as session:
        window = month_window(session, month or _this_month(), None)
        asked = read_month(session, window, system_now())
    with working(f"{len(asked.problem.jobs)} jobs by {policy}"):
        found = compared(asked, policy, chosen(asked.problem))
    sides = [("as it was", found.real), (f"by {policy}", found.by_policy)]
    rows = [{"which": which} | asdict(came) for which, came in sides]
    unserved = f"{len(found.unserved)} of {found.n_jobs} jobs found no place by {policy}"
    span = f"{found.start.isoformat()} to {found.end.isoformat()}, without charges on peaks"
    told = {
        "policy": policy,
        "start": found.start.isoformat(),
        "end": found.end.isoformat(),
        "n_jobs": found.n_jobs,
        "unserved": list(found.unserved),
        "as_it_was": asdict(found.real),
        "by_policy": asdict(found.by_policy),
    }
    emit(told, "\n".join([text_table(COMPARED, rows), span, unserved]), as_json)


def verify(
    site: SiteOption = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(help="SITE:NUMBER:HASH as an earlier run told: that entry must be there."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Go through every entry in the database and name what was changed, is missing or is wrong.

    Tells the last entry of each site: keep it elsewhere, to find later that none was cut off.
    """
    sessions = ready_sessions(Settings())
    with transaction(sessions) as session:
        require_ledger(session, site)
        sites = [site] if site is not None else ledger_store.sites_in(session)
        heads = {one: ledger_store.head_of(session, one) for one in sites}
        found = [
            f"{fault.site}: entry {fault.seq}, {fault.start_at.isoformat()}: {fault.what}"
            for one in sites
            for fault in ledger_store.examine(session, one)
        ]
        for text in expect or ():
            found += ledger_store.missing(session, text)
    if found:
        raise UserError(f"{len(found)} faults in the ledger", tuple(found), ExitCode.INVALID)
    kept = {one: f"{one}:{head.seq}:{head.hash}" for one, head in heads.items() if head.hash}
    told = [
        {"site": one, "entries": head.seq + 1, "hash": head.hash, "expect": kept.get(one)}
        for one, head in heads.items()
    ]
    emit(told, "\n".join(["the ledger is intact; its last entries:", *kept.values()]), as_json)


def _this_month() -> str:
    return f"{system_now():%Y-%m}"


def _monthly(
    what: str,
    month: str | None,
    site: str | None,
    tenant: str | None,
    spread: Spread,
    server: str,
) -> list[dict[str, Any]]:
    with server_at(server) as api:
        rows: list[dict[str, Any]] = api.get(
            f"/v1/ledger/{what}",
            month=month or _this_month(),
            site=site,
            tenant=tenant,
            spread=spread.value,
        )
    return rows
