"""What one unit of work promises, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import Session

from scheduler.db.inserts import insert_new
from scheduler.db.models import ApiKey, Role
from scheduler.db.session import SessionFactory, transaction

NOON = datetime(2021, 7, 5, 12, tzinfo=UTC)


def key(name: str, created_at: datetime = NOON) -> ApiKey:
    """A row that is quick to make."""
    return ApiKey(name=name, role=Role.OPERATOR, digest=f"digest of {name}", created_at=created_at)


def n_keys(session: Session) -> int:
    """How many rows there are."""
    return session.scalars(select(func.count()).select_from(ApiKey)).one()


def write_then_fail(sessions: SessionFactory, in_savepoint: bool) -> None:
    """Write a row and end the transaction with an error."""
    with transaction(sessions) as session:
        with session.begin_nested() if in_savepoint else nullcontext():
            session.add(key("a"))
            session.flush()
        raise RuntimeError


@pytest.mark.parametrize("in_savepoint", [False, True])
def test_error_undoes_the_whole_transaction(sessions: SessionFactory, in_savepoint: bool) -> None:
    """What was written before the error is gone too, even where a savepoint was released."""
    with pytest.raises(RuntimeError):
        write_then_fail(sessions, in_savepoint)
    with transaction(sessions) as session:
        assert n_keys(session) == 0


def test_instants_come_back_aware_and_in_utc(sessions: SessionFactory) -> None:
    """An offset is converted, not dropped."""
    east = datetime(2021, 7, 5, 14, tzinfo=timezone(timedelta(hours=2)))
    with transaction(sessions) as session:
        session.add(key("a", created_at=east))
    with transaction(sessions) as session:
        read = session.scalars(select(ApiKey.created_at)).one()
    assert read.isoformat() == "2021-07-05T12:00:00+00:00"


def test_naive_instant_is_refused(sessions: SessionFactory) -> None:
    """Nobody can say which instant it is."""
    naive = NOON.replace(tzinfo=None)
    with pytest.raises(StatementError, match="has no time zone"), transaction(sessions) as session:
        session.add(key("a", created_at=naive))


def test_insert_new_counts_what_was_new(sessions: SessionFactory) -> None:
    """Rows whose unique key is taken are left alone."""
    rows = [
        {"name": name, "role": Role.ADMIN, "digest": name, "created_at": NOON} for name in "abc"
    ]
    with transaction(sessions) as session:
        assert insert_new(session, ApiKey, rows[:2]) == 2
        assert insert_new(session, ApiKey, rows) == 1
        assert insert_new(session, ApiKey, []) == 0
    with transaction(sessions) as session:
        assert n_keys(session) == 3


def test_one_of_many_concurrent_inserts_is_new(sessions: SessionFactory) -> None:
    """The others see the row of the one that won."""
    row = {"name": "a", "role": Role.ADMIN, "digest": "d", "created_at": NOON}

    def insert(_: int) -> int:
        with transaction(sessions) as session:
            return insert_new(session, ApiKey, [row])

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(insert, range(8))) == [0] * 7 + [1]


def test_error_does_not_tell_the_values_of_its_statement(sessions: SessionFactory) -> None:
    """Errors are logged, and shown with a failed run; values may be secret."""
    row = key("a")
    row.digest = "not for the log"
    with transaction(sessions) as session:
        session.add(key("a"))
    with pytest.raises(IntegrityError) as refused, transaction(sessions) as session:
        session.add(row)
    assert "not for the log" not in str(refused.value)
