"""A small deployment on a fresh database of each kind."""

from __future__ import annotations

import pytest

from scheduler.db.session import SessionFactory
from tests.api.world import World


@pytest.fixture
def empty_world(sessions: SessionFactory) -> World:
    """Keys, but no fleet yet."""
    return World(sessions)


@pytest.fixture
def world(empty_world: World) -> World:
    """Keys, a fleet of one site, and a day of its signals."""
    empty_world.furnish()
    return empty_world
