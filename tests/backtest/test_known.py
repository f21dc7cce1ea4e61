"""The past in memory answers as the database does."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from connectors.types import SignalKind, Window
from scheduler.backtest.known import SignalHistory
from scheduler.db.session import make_engine, make_session_factory, transaction
from scheduler.services.signals import insert_values, points_of, signals_frame
from tests.services.builders import START
from tests.services.scene import Scene

COLUMNS = ["site", "kind", "start_at", "known_at", "minutes", "value"]


def revisions(seed: int) -> pd.DataFrame:
    """Hours of two signals, each known at up to four instants, in any order."""
    rng = np.random.default_rng(seed)
    rows = [
        ("DE", kind, START + timedelta(hours=hour), 60, float(rng.normal(100, 9)), known)
        for kind in (SignalKind.PRICE, SignalKind.CARBON_INTENSITY)
        for hour in range(12)
        for known in {START + timedelta(hours=int(rng.integers(-24, 24))) for _ in range(4)}
    ]
    table = pd.DataFrame(rows, columns=["site", "kind", "start_at", "minutes", "value", "known_at"])
    return table.sample(frac=1.0, random_state=seed).reset_index(drop=True)


@pytest.mark.parametrize("seed", range(3))
def test_the_same_is_known_as_by_the_database(seed: int, sqlite_url: str) -> None:
    """At any instant, of any span."""
    table = revisions(seed)
    sessions = make_session_factory(make_engine(sqlite_url))
    Scene(sessions, at=START - timedelta(days=9)).set_up(hours=1)
    with transaction(sessions) as session:
        for known_at, rows in table.groupby("known_at"):
            insert_values(session, points_of(rows, known_at), "test")
    history = SignalHistory.of(table)
    for hours in (-30, -3, 0, 5, 30):
        now = START + timedelta(hours=hours)
        for first, last in ((0, 12), (3, 5)):
            span = Window(START + timedelta(hours=first, minutes=30), START + timedelta(hours=last))
            with transaction(sessions) as session:
                stored = signals_frame(session, span, now)
            stored = stored[stored["start_at"] + pd.Timedelta(hours=1) > pd.Timestamp(span.start)]
            since_set_up = stored[stored["known_at"] > pd.Timestamp(START - timedelta(days=2))]
            _assert_same(history.as_known(span, now), since_set_up)


def test_what_was_expected_is_what_was_known_as_it_began() -> None:
    """Not what was measured since, and nothing of what has not begun."""
    start = pd.Timestamp(START)
    hour = pd.Timedelta(hours=1)
    table = pd.DataFrame(
        [
            ("DE", SignalKind.PRICE, start, 60, 1.0, start - 5 * hour),
            ("DE", SignalKind.PRICE, start, 60, 2.0, start),
            ("DE", SignalKind.PRICE, start, 60, 3.0, start + hour),
            ("DE", SignalKind.PRICE, start + hour, 60, 4.0, start),
        ],
        columns=["site", "kind", "start_at", "minutes", "value", "known_at"],
    )
    span = Window(START, START + timedelta(days=1))
    found = SignalHistory.of(table).as_expected(span, START + timedelta(hours=1))
    assert found["value"].tolist() == [2.0]


@pytest.mark.parametrize(
    ("known_at", "why"),
    [([START, None], "known_at is missing"), ([START, START], "two values known at")],
)
def test_a_past_that_contradicts_itself_is_refused(known_at: list[object], why: str) -> None:
    """Without an instant, or with two values at one, nobody can say what was known."""
    table = pd.DataFrame(
        {
            "site": "DE",
            "kind": SignalKind.PRICE,
            "start_at": pd.to_datetime([START, START], utc=True),
            "minutes": 60,
            "value": [1.0, 2.0],
            "known_at": pd.to_datetime(known_at, utc=True),
        }
    )
    with pytest.raises(ValueError, match=why):
        SignalHistory.of(table)


def _assert_same(found: pd.DataFrame, stored: pd.DataFrame) -> None:
    by_interval = ["site", "kind", "start_at"]
    left = found[COLUMNS].sort_values(by_interval).to_dict("records")
    right = stored[COLUMNS].sort_values(by_interval).to_dict("records")
    assert left == right
