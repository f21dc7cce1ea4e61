"""A plan made for several futures, from the database to the pages people read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from connectors.types import SignalKind
from scheduler.db.session import SessionFactory, make_engine, make_session_factory, transaction
from scheduler.services.plan_document import PlanDocument
from scheduler.services.signals import SignalPoint, insert_values
from scheduler.views import plan_page, summary_text
from scheduler.worker import Worker
from tests.services.builders import START, fleet_spec
from tests.services.scene import Scene

DAYS = 12


@pytest.fixture
def sessions(sqlite_url: str) -> Iterator[SessionFactory]:
    """What differs between databases is tested where the store is."""
    engine = make_engine(sqlite_url)
    yield make_session_factory(engine)
    engine.dispose()


def with_history(sessions: SessionFactory) -> Scene:
    """A fleet that plans for three futures, and twelve days of forecasts and of what came."""
    planning = {"uncertainty": {"scenarios": 3, "history_days": DAYS, "first_hours": 6}}
    scene = Scene(sessions).set_up(fleet_spec(planning=planning))
    told_points, came_points = [], []
    for day in range(1, DAYS + 1):
        start = START - timedelta(days=day)
        told_at, came_at = start - timedelta(hours=2), start + timedelta(days=1, hours=-1)
        for hour in range(24):
            at = start + timedelta(hours=hour)
            for kind, told, came in (
                (SignalKind.PRICE, 50.0, 50.0 + (-1) ** day * 8.0),
                (SignalKind.CARBON_INTENSITY, 200.0, 200.0),
            ):
                told_points.append(SignalPoint("DE", kind, at, 60, told, told_at))
                came_points.append(SignalPoint("DE", kind, at, 60, came, came_at))
    with transaction(sessions) as session:
        insert_values(session, told_points, "test")
        insert_values(session, came_points, "test")
    return scene


def planned(scene: Scene) -> PlanDocument:
    """Have one plan made by the worker."""
    run = scene.queue()
    Worker(scene.sessions, scene.now, threading.Event()).work_once()
    plan_id = scene.run(run).plan_id
    assert plan_id is not None
    return scene.document(plan_id)


def test_plan_keeps_what_it_comes_to_in_its_futures(sessions: SessionFactory) -> None:
    """The worker's plan has an outlook; document, summary and page say it in words."""
    scene = with_history(sessions)
    scene.submit("train")
    document = planned(scene)
    outlook = document.plan.outlook
    assert outlook is not None
    assert len(outlook.scenario_eur) == 2  # the errors of twelve days are of two kinds
    assert outlook.first_slots == 6
    assert PlanDocument.from_json(document.to_json()) == document
    for text in (summary_text(document), plan_page(document)):
        assert "If forecasts err" in text
        assert "standard deviation" in " ".join(text.split())


def test_without_history_the_plan_says_it_was_made_for_the_forecast(
    sessions: SessionFactory,
) -> None:
    """Nothing is known of past errors: a mark, no outlook, and a plan."""
    planning = {"uncertainty": {"scenarios": 3}}
    scene = Scene(sessions).set_up(fleet_spec(planning=planning))
    scene.submit("train")
    document = planned(scene)
    assert document.plan.outlook is None
    assert any("planned for the forecast alone" in mark for mark in document.marks)
    assert [placed.job for placed in document.plan.placements] == ["train"]


def test_of_equal_slots_every_plan_takes_the_earliest(sessions: SessionFactory) -> None:
    """Without any word on uncertainty, a job begins with the cheap hours, not somewhere in them."""
    scene = Scene(sessions).set_up()
    scene.submit("train")
    (placed,) = planned(scene).plan.placements
    assert placed.start_slot == 6
