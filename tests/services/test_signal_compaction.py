"""Old revisions are thinned, and nobody who may still ask is answered otherwise."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from connectors.types import SignalKind, Window
from scheduler.db.models import SignalFlag, SignalValue, StoredPlan, Verdict
from scheduler.db.session import SessionFactory, transaction
from scheduler.quality import Rule
from scheduler.services.signal_compaction import Compacted, Detail, compact
from scheduler.services.signal_quality import decide
from scheduler.services.signal_thinning import may_go
from scheduler.services.signals import SignalPoint, insert_values, signals_frame
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.scene import Scene, propose

PRICE = SignalKind.PRICE
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DETAIL = Detail(days=10, grid_hours=6)
NOW = START + 60 * DAY


@pytest.fixture
def scene(sessions: SessionFactory) -> Scene:
    """Eight hours of prices, each revised some 30 times over eight weeks."""
    scene = Scene(sessions, at=START - 2 * DAY).set_up(fleet_spec(site_spec()), hours=48)
    draw = random.Random(7)
    for revision in range(30):
        known = START + timedelta(hours=draw.uniform(-40, 1200), microseconds=revision)
        put(scene, {hour: draw.uniform(20, 90) for hour in range(8)}, known)
    return scene


def put(scene: Scene, prices: dict[int, float], known_at: datetime, source: str = "feed") -> None:
    """Store prices of some hours from START on."""
    points = [
        SignalPoint("DE", PRICE, START + hour * HOUR, 60, price, known_at)
        for hour, price in prices.items()
    ]
    with transaction(scene.sessions) as session:
        insert_values(session, points, source, known_at)


def answer(scene: Scene, at: datetime) -> list[Any]:
    """What was known at an instant of all prices."""
    with transaction(scene.sessions) as session:
        frame = signals_frame(session, Window(START - DAY, START + 3 * DAY), at)
    return frame[frame["kind"] == PRICE].drop(columns="is_flagged").to_dict("records")


def count(scene: Scene) -> int:
    """How many values there are."""
    with transaction(scene.sessions) as session:
        return session.scalar(select(func.count()).select_from(SignalValue)) or 0


def thin(scene: Scene, **changes: Any) -> Compacted:
    """Thin as of two months later."""
    return compact(scene.sessions, NOW, DETAIL, **changes)


def instants() -> list[datetime]:
    """Instants at which the answer must stay: newer than the limit, and on the grid."""
    limit = NOW - timedelta(days=DETAIL.days)
    draw = random.Random(11)
    newer = [limit + draw.random() * 12 * DAY for _ in range(20)]
    on_grid = [START + 6 * number * HOUR for number in range(-6, 200, 7)]
    return [limit, *newer, *on_grid]


def test_answers_that_matter_stay_and_much_is_removed(scene: Scene) -> None:
    """Those newer than the limit, those at every sixth hour, and those at delivery."""
    before = {at: answer(scene, at) for at in instants()}
    deliveries = {hour: answer(scene, START + hour * HOUR)[hour] for hour in range(8)}
    n_before = count(scene)
    done = thin(scene)
    assert 0 < done.removed < done.superseded
    assert count(scene) == n_before - done.removed
    assert {at: answer(scene, at) for at in instants()} == before
    assert {hour: answer(scene, START + hour * HOUR)[hour] for hour in range(8)} == deliveries
    assert thin(scene).removed == 0


def test_a_dry_run_counts_and_removes_nothing(scene: Scene) -> None:
    """What it says would go goes."""
    n_before = count(scene)
    counted = thin(scene, is_dry=True)
    assert count(scene) == n_before
    assert thin(scene) == counted


@pytest.mark.parametrize("is_old", [False, True])
def test_what_a_stored_plan_was_made_from_stays(scene: Scene, is_old: bool) -> None:
    """Also of plans of which it is known only when their run began and ended."""
    scene.at = START + 3 * HOUR + timedelta(minutes=7)
    for minute, price in ((5, 1.0), (9, 2.0), (11, 3.0)):
        known = START + 3 * HOUR + timedelta(minutes=minute)
        put(scene, dict.fromkeys(range(8), price), known)
    plan = propose(scene, start_h=4)
    if is_old:
        with transaction(scene.sessions) as session:
            session.get_one(StoredPlan, plan).inputs_known_at = None
    before = answer(scene, scene.at)
    assert {row["value"] for row in before[:8]} == {1.0}
    assert thin(scene).removed > 0
    assert answer(scene, scene.at) == before


def test_values_that_somebody_decided_on_stay_with_those_around_them(scene: Scene) -> None:
    """What was rejected is answered by what was known before it: none of that may go."""
    known = START + 100 * HOUR + timedelta(minutes=3)
    put(scene, dict.fromkeys(range(8), 1.0), known)
    put(scene, dict.fromkeys(range(8), 9.0), known + timedelta(minutes=3))
    flag = SignalFlag(
        site="DE",
        kind=PRICE,
        source="feed",
        start_at=START,
        end_at=START + 8 * HOUR,
        known_from=known + timedelta(minutes=3),
        known_to=known + timedelta(minutes=3),
        rule=Rule.OUTLIER,
        n_values=8,
        reason="9 is much",
        flagged_at=known + timedelta(minutes=3),
    )
    decided_at = known + timedelta(minutes=9)
    with transaction(scene.sessions) as session:
        session.add(flag)
        session.flush()
        decide(session, flag.id, Verdict.REJECTED, "op", decided_at)
    before = answer(scene, decided_at)
    assert {row["value"] for row in before[:8]} == {1.0}
    thin(scene)
    assert answer(scene, decided_at) == before


def test_it_stops_between_two_steps_and_goes_on_later(scene: Scene) -> None:
    """Nothing is lost, and nothing is done twice."""
    put(scene, {24 * 42: 5.0}, START - DAY)  # six more weeks, and steps
    asked = iter([False, False, True])  # carbon is one step, and comes before prices
    whole = thin(scene, is_dry=True)
    first = thin(scene, is_stopped=lambda: next(asked))
    rest = thin(scene)
    assert 0 < first.removed <= whole.removed
    assert first.removed + rest.removed == whole.removed


@settings(max_examples=300, deadline=None)
@given(
    known=st.lists(st.integers(0, 400), min_size=2, max_size=12, unique=True).map(sorted),
    start=st.integers(0, 400),
    limit=st.integers(0, 400),
    grid=st.integers(1, 90),
    plans=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 30)), max_size=5),
)
def test_no_question_that_may_be_asked_is_answered_otherwise(
    known: list[int], start: int, limit: int, grid: int, plans: list[tuple[int, int]]
) -> None:
    """From the limit on, on the grid, at delivery, for a plan; and what goes nobody asks for."""
    reads = [(first, first + long) for first, long in plans]
    went = may_go(
        np.full(len(known) - 1, start),
        np.array(known[:-1]),
        np.array(known[1:]),
        limit=limit,
        grid=grid,
        plans=(
            np.array(sorted(first for first, _ in reads)),
            np.array(sorted(e for _, e in reads)),
        ),
    )
    left = [*np.array(known[:-1])[~went], known[-1]]

    def last(values: list[int], at: int) -> int | None:
        return max((one for one in values if one <= at), default=None)

    may_ask = {*range(limit, 500), *range(0, 500, grid), start}
    may_ask |= {at for first, end in reads for at in range(first, end + 1)}
    for at in may_ask:
        assert last(left, at) == last(known, at)
    for gone in np.array(known[:-1])[went]:
        following = known[known.index(gone) + 1]
        assert not any(gone <= at < following for at in may_ask)
