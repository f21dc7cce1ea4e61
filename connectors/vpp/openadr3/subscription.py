"""Having a top node (VTN) tell of changed events at an address of ours, as soon as they change.

What it tells is not believed, only taken as a reason to ask: polling stays what counts.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from connectors.vpp.openadr3.client import Vtn


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where changes are told, and what shows that it is the other side that tells them."""

    url: str
    token: str = field(repr=False)


async def subscribe(
    vtn: Vtn, client_name: str, programs: Collection[str], webhook: Webhook
) -> None:
    """Subscribe to changes of events, as far as we are not subscribed to them as we mean it.

    Parameters
    ----------
    programs
        One subscription is made for each; none: one for all, which 3.1.0 alone has.
    """
    listed = await vtn.listed("subscriptions", {"clientName": client_name})
    known = [each for each in listed if isinstance(each, dict)]
    each_program: list[str | None] = [*sorted(programs)]
    for program in each_program or [None]:
        wanted = _subscription(client_name, program, webhook)
        ours = [each for each in known if _is_of(each, program, webhook)]
        if not ours:
            await vtn.create("subscriptions", wanted)
        elif not any(_has(each, wanted) for each in ours):
            await vtn.replace(f"subscriptions/{ours[0].get('id')}", wanted)


def _subscription(client_name: str, program: str | None, webhook: Webhook) -> dict[str, Any]:
    told = {
        "objects": ["EVENT"],
        "operations": ["CREATE", "UPDATE", "DELETE"],
        "callbackUrl": webhook.url,
        "bearerToken": webhook.token,
    }
    of_program = {} if program is None else {"programID": program}
    return {"clientName": client_name, **of_program, "objectOperations": [told]}


def _is_of(known: dict[str, Any], program: str | None, webhook: Webhook) -> bool:
    urls = [each.get("callbackUrl") for each in _told(known)]
    return webhook.url in urls and known.get("programID") == program


def _has(known: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether all that is wanted is told; a token that is not shown is taken for ours."""
    (asked,) = wanted["objectOperations"]
    return any(
        set(asked["objects"]) <= set(_words(each, "objects"))
        and set(asked["operations"]) <= set(_words(each, "operations"))
        and each.get("bearerToken") in {asked["bearerToken"], None}
        for each in _told(known)
        if each.get("callbackUrl") == asked["callbackUrl"]
    )


def _told(known: dict[str, Any]) -> list[dict[str, Any]]:
    told = known.get("objectOperations")
    return [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []


def _words(told: dict[str, Any], name: str) -> list[str]:
    words = told.get(name)
    return [each for each in words if isinstance(each, str)] if isinstance(words, list) else []
