"""``gridtide clusters``: say that a cluster that is gone will not come back."""

from __future__ import annotations

from typing import Annotated

import typer

from scheduler.cli.console import JsonOption, UserError, emit
from scheduler.cli.database import ready_sessions
from scheduler.db.session import transaction
from scheduler.services.dispatch_identity import forget
from scheduler.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="Look after the clusters of the sites.", no_args_is_help=True)
    group.callback()(_group)
    group.command("forget")(forget_cluster)
    app.add_typer(group, name="clusters")


def _group() -> None:
    # With a single command and no callback, Typer would make "clusters" itself that command.
    pass


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
