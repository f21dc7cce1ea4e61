"""A deployment on SQLite: what commands do does not depend on the kind of database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scheduler.db.session import SessionFactory, make_engine, make_session_factory


@pytest.fixture
def sqlite_sessions(sqlite_url: str) -> Iterator[SessionFactory]:
    """Sessions on a fresh SQLite database with all tables."""
    engine = make_engine(sqlite_url)
    yield make_session_factory(engine)
    engine.dispose()
