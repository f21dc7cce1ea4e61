"""``gridtide events``: calls of the grid side, and what they came to, on a server."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scheduler.cli.client import DEFAULT_SERVER, ServerOption, server_at, text_table
from scheduler.cli.console import JsonOption, emit

EventId = Annotated[str, typer.Argument(help="Number of the event.")]

EVENTS = {
    "EVENT": "external_id",
    "SITE": "site",
    "FROM": "start_at",
    "TO": "end_at",
    "AT MOST kW": "limit_kw",
    "CALLED OFF": "cancelled_at",
}
INTERVALS = {
    "FROM": "start_at",
    "CALLED kW": "called_kw",
    "BASELINE kW": "baseline_kw",
    "PLANNED kW": "planned_kw",
    "DRAWN kW": "metered_kw",
    "DELIVERED kW": "delivered_kw",
    "PAYMENT EUR": "payment_eur",
    "PENALTY EUR": "penalty_eur",
}

SOURCES = {
    "SOURCE": "name",
    "HOW": "how",
    "MEAN kW": "mean_kw",
    "ENERGY kWh": "energy_kwh",
    "COST EUR": "cost_eur",
}
SLOTS = {
    "FROM": "start_at",
    "CALLED kW": "called_kw",
    "PLANNED kW": "planned_kw",
    "WITHOUT kW": "without_kw",
}
ANSWER_WITHIN_S = 15.0
"""For the solve; the client waits twice as long."""


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="Calls of the grid side, on a server.", no_args_is_help=True)
    group.command("list")(list_events)
    group.command("settlement")(settlement)
    group.command("answer")(answer)
    app.add_typer(group, name="events")


def list_events(
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the last first.")] = 20,
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """List grid events, the one that starts last first."""
    with server_at(server) as api:
        events = api.pages("/v1/grid-events", limit)
    emit(events, text_table(EVENTS, events), as_json)


def settlement(
    event: EventId,
    revision: Annotated[int | None, typer.Option(min=0, help="Default: the latest.")] = None,
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """Show what an event came to: called, planned and delivered, and what it is worth."""
    with server_at(server) as api:
        found = api.get(f"/v1/grid-events/{event}/settlement", revision=revision)
    emit(found, _text(found), as_json)


def answer(
    event: EventId, server: ServerOption = DEFAULT_SERVER, as_json: JsonOption = False
) -> None:
    """Show which batteries, engines and jobs deliver how many kW of an event, and at what cost."""
    with server_at(server) as api:
        found = api.get(f"/v1/grid-events/{event}/answer", time_limit_s=ANSWER_WITHIN_S)
    words = "declined" if found["is_declined"] else "answered"
    lines = [
        f"{found['event']} of {', '.join(found['sites'])}: {words} by plan {found['plan_id']}",
        f"effort {found['effort_eur']:.2f} EUR, {found['other_eur']:.2f} EUR of it with no source;"
        f" the plan is better by {found['gain_eur']:.2f} EUR with the call",
        "",
        text_table(SOURCES, found["sources"]),
        "",
        text_table(SLOTS, found["slots"]),
    ]
    emit(found, "\n".join(lines), as_json)


def _text(found: dict[str, Any]) -> str:
    score = found["score"]
    lines = [
        f"{found['external_id']} at {found['site']}, {found['start_at']} to {found['end_at']},"
        f" at most {found['limit_kw']:g} kW",
        f"score {'-' if score is None else f'{100 * score:.1f} %'},"
        f" delivered {_told(found['delivered_kwh'])} of {_told(found['asked_kwh'])} kWh asked,"
        f" payment {_told(found['payment_eur'])} EUR, penalty {_told(found['penalty_eur'])} EUR,"
        f" metered {100 * found['metered_share']:.0f} %",
        f"baseline {found['baseline']['rule']} of {len(found['baseline']['days'])} days",
        *(f"- {note}" for note in found["notes"] + found["baseline"]["notes"]),
        "",
        text_table(INTERVALS, found["intervals"]),
    ]
    return "\n".join(lines)


def _told(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
