"""``gridtide clusters``: see what they have, and say that one that is gone will not come back."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scheduler.cli.client import DEFAULT_SERVER, ServerOption, server_at, text_table
from scheduler.cli.console import JsonOption, UserError, emit
from scheduler.cli.database import ready_sessions
from scheduler.db.session import transaction
from scheduler.services.dispatch_identity import forget
from scheduler.settings import Settings

COLUMNS = {
    "SITE": "site",
    "POOL": "pool",
    "GPUS": "gpus_total",
    "AVAILABLE": "gpus_available",
    "IN USE": "gpus_in_use",
    "OF OTHERS": "gpus_of_others",
    "CLOCK AHEAD s": "clock_ahead_s",
    "SEEN": "seen_at",
    "SILENT SINCE": "silent_since",
    "WHY": "silence",
}
LINKS = {
    "FROM": "from_site",
    "TO": "to_site",
    "GB/h": "gb_per_hour",
    "MEAN GB/h": "mean_gb_per_hour",
    "TRANSFERS": "transfers",
    "GB": "moved_gb",
    "EUR": "paid_eur",
}
POWER_COLUMNS = {
    "SITE": "site",
    "KW": "kw",
    "PLANNED": "planned",
    "HOW": "how",
    "OF": "of",
    "AT": "at",
    "WHY MODELLED": "reason",
}
SHOWN_GAPS = 10


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="Look after the clusters of the sites.", no_args_is_help=True)
    group.command("pools")(list_pools)
    group.command("links")(list_links)
    group.command("power")(show_power)
    group.command("energy")(show_energy)
    group.command("forget")(forget_cluster)
    app.add_typer(group, name="clusters")


def list_pools(server: ServerOption = DEFAULT_SERVER, as_json: JsonOption = False) -> None:
    """List the GPUs of every pool, as its cluster last saw them, on a server."""
    with server_at(server) as api:
        pools = api.get("/v1/pools")
    emit(pools, text_table(COLUMNS, pools), as_json)


def list_links(server: ServerOption = DEFAULT_SERVER, as_json: JsonOption = False) -> None:
    """List the links of the fleet, each beside what transfers over it came to, on a server."""
    with server_at(server) as api:
        links = api.get("/v1/links")
    emit(links, text_table(LINKS, links), as_json)


def show_power(server: ServerOption = DEFAULT_SERVER, as_json: JsonOption = False) -> None:
    """Show what every cluster drew when it was last read, measured or modelled, on a server."""
    with server_at(server) as api:
        found = api.get("/v1/power")
    rows = [
        {
            "site": one["site"],
            "kw": one["kw"],
            "planned": one["planned_kw"],
            "how": f"measured ({one['source']})" if one["is_measured"] else "modelled",
            "of": one["scope"],
            "at": one["at"],
            "reason": one["reason"],
        }
        for one in found
    ]
    emit(found, text_table(POWER_COLUMNS, rows), as_json)


def show_energy(
    site: Annotated[str, typer.Argument(help="Name of a site.")],
    start: Annotated[str, typer.Option(help="ISO 8601 with an offset.")],
    end: Annotated[str, typer.Option(help="ISO 8601 with an offset.")],
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """Show what SITE drew from start to end, how much of it was measured, and what is not known."""
    with server_at(server) as api:
        found = api.get("/v1/power/energy", site=site, start=start, end=end)
    emit(found, _energy_text(found), as_json)


def _energy_text(found: dict[str, Any]) -> str:
    measured = found["measured_share"]
    lines = [
        f"site {found['site']}, {found['start']} to {found['end']}",
        f"Drawn      {found['kwh']:.2f} kWh",
        f"Measured   {'nothing drawn' if measured is None else f'{measured:.1%} of it'}"
        + (f" ({', '.join(found['sources'])})" if found["sources"] else ""),
        f"Known      {found['covered_share']:.1%} of the time",
        f"Plan       {found['planned_kwh']:.2f} kWh wanted while one governed,"
        f" {found['compared_kwh']:.2f} kWh drawn",
    ]
    gaps = found["gaps"]
    lines += [f"Not known  {gap['start']} to {gap['end']}" for gap in gaps[:SHOWN_GAPS]]
    if len(gaps) > SHOWN_GAPS:
        lines.append(f"           and {len(gaps) - SHOWN_GAPS} more gaps (--json has them)")
    return "\n".join(lines)


def forget_cluster(
    site: Annotated[str, typer.Argument(help="Site whose cluster lost its memory for good.")],
    as_json: JsonOption = False,
) -> None:
    """Take the cluster that answers at SITE for its own. Jobs it does not know have then failed."""
    with transaction(ready_sessions(Settings())) as session:
        forgotten = forget(session, site)
    if forgotten is None:
        raise UserError(f"no cluster of site {site} was ever heard")
    text = f"site {site}: cluster {forgotten} is forgotten; the next one to answer is taken"
    emit({"site": site, "forgotten": forgotten}, text, as_json)
