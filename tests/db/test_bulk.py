"""Many rows at once: what is new goes in, what is there stays, on both databases alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from scheduler.db.bulk import insert_columns, insert_unseen
from scheduler.db.models import SeenMessage, TelemetryValue
from scheduler.db.session import SessionFactory, transaction
from scheduler.specs.message import TelemetrySeries

NOON = datetime(2021, 7, 5, 12, tzinfo=UTC)


def columns(seconds: range, value: float = 1.0) -> dict[str, list[object]]:
    """Readings of a meter, one a second."""
    n = len(seconds)
    return {
        "site": ["DE"] * n,
        "series": [TelemetrySeries.SITE_POWER] * n,
        "device": [""] * n,
        "at": [NOON + timedelta(seconds=second, microseconds=1) for second in seconds],
        "value": [value] * n,
        "source": ["it's ä \\ source"] * n,
        "received_at": [NOON] * n,
    }


def digests(first: int, last: int) -> dict[str, list[object]]:
    """So many digests, every byte of which may be anything."""
    found: list[object] = [bytes([number % 256, 0, 255]) * 5 for number in range(first, last)]
    return {"digest": found, "seen_at": [NOON] * len(found)}


def test_rows_that_are_there_are_left_alone(sessions: SessionFactory) -> None:
    """And how many went in is told."""
    with transaction(sessions) as session:
        assert insert_columns(session, TelemetryValue, columns(range(2500))) == 2500
        assert insert_columns(session, TelemetryValue, columns(range(2490, 2510), 2.0)) == 10
        assert insert_columns(session, TelemetryValue, columns(range(0))) == 0
    with transaction(sessions) as session:
        rows = list(session.scalars(select(TelemetryValue).order_by(TelemetryValue.at)))
    assert [row.value for row in rows] == [1.0] * 2500 + [2.0] * 10
    assert rows[7].at == NOON + timedelta(seconds=7, microseconds=1)
    assert rows[0].source == "it's ä \\ source"


def test_which_keys_are_new_is_told(sessions: SessionFactory) -> None:
    """Those, and no others."""
    with transaction(sessions) as session:
        assert len(insert_unseen(session, SeenMessage, digests(0, 100), "digest")) == 100
        new = insert_unseen(session, SeenMessage, digests(90, 120), "digest")
        assert new == set(digests(100, 120)["digest"])
        assert insert_unseen(session, SeenMessage, digests(0, 0), "digest") == set()


@pytest.mark.parametrize("n_writers", [4])
def test_of_several_writers_one_inserts_a_row(sessions: SessionFactory, n_writers: int) -> None:
    """However they come together: none fails, and the counts add up to what is there."""

    def write(_writer: int) -> int:
        with transaction(sessions) as session:
            return len(insert_unseen(session, SeenMessage, digests(0, 200), "digest"))

    with ThreadPoolExecutor(n_writers) as pool:
        assert sum(pool.map(write, range(n_writers))) == 200
