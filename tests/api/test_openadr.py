"""The webhook: who has the token of the subscription has the grid side asked; nobody else can."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from scheduler.db.models import Role
from scheduler.db.session import SessionFactory, transaction
from scheduler.services.wake_ups import GRID_SIDE, times_asked
from tests.api.client import Client
from tests.api.world import World, problem_of

PATH = "/v1/openadr/notifications"
TOKEN = "a-token-of-thirty-two-characters"  # noqa: S105 - of a test


def asked(world: World) -> int:
    """How often the grid side was to be asked."""
    with transaction(world.sessions) as session:
        return times_asked(session, GRID_SIDE)


@pytest.fixture
def told(sessions: SessionFactory) -> World:
    """A deployment that a virtual power plant may tell of changes."""
    return World(sessions, webhook_token=SecretStr(TOKEN))


def test_who_shows_the_token_has_the_grid_side_asked(told: World) -> None:
    """Whatever it says: what it says is not read."""
    other_side = Client(told.app, TOKEN)
    for body in ("{}", "no JSON", ""):
        assert other_side.post(PATH, content=body).status_code == 200
    assert asked(told) == 3


def test_nobody_else_is_heard(told: World) -> None:
    """Not with no token or another, nor an administrator."""
    for client in (told.client(None), told.client(Role.ADMIN), Client(told.app, TOKEN + "x")):
        problem_of(client.post(PATH, json={}), 401, "unauthenticated")
    assert asked(told) == 0


def test_a_challenge_is_answered_as_plain_text_with_what_it_asks(told: World) -> None:
    """Nothing that a browser could take for a page; not at all where nobody is subscribed."""
    answer = told.client(None).get(PATH, params={"echo": "x-1_~."})
    assert (answer.status_code, answer.text) == (200, "x-1_~.")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"
    for wrong in ("<b>", "x" * 257, ""):
        assert told.client(None).get(PATH, params={"echo": wrong}).status_code == 422


def test_without_a_token_of_ours_nobody_is_heard_nor_answered(sessions: SessionFactory) -> None:
    """An empty one is none."""
    silent = World(sessions)
    for client in (silent.client(None), Client(silent.app, TOKEN), Client(silent.app, "")):
        assert client.post(PATH, json={}).status_code == 401
    assert silent.client(None).get(PATH, params={"echo": "x"}).status_code == 404
    assert asked(silent) == 0
