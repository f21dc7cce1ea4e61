"""Plans made ready: once each, whoever asks, and the oldest is let go."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from scheduler.db.session import SessionFactory, transaction
from scheduler.services import plans
from scheduler.services.errors import NotFound
from scheduler.services.plan_document import PlanDocument
from scheduler.services.ready_plans import ReadyPlan, ReadyPlans
from tests.services.play import runs
from tests.services.scene import Scene, put_in_force


@pytest.fixture
def scene(sessions: SessionFactory) -> Scene:
    """A fleet with signals and one job."""
    scene = Scene(sessions).set_up()
    scene.submit("train")
    return scene


def ready(scene: Scene, of: ReadyPlans) -> ReadyPlan:
    """The plan in force, in a transaction of its own."""
    with transaction(scene.sessions) as session:
        return of.in_force(session)


def test_many_threads_make_a_plan_ready_once_and_get_the_same_answers(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Explaining takes the job out of the plan for a moment: nobody else may see that."""
    put_in_force(scene, runs("train", (3, 5)))
    read: list[UUID] = []
    real, together = plans.read_document, threading.Barrier(6)

    def counted(session: Any, plan_id: UUID) -> PlanDocument:
        read.append(plan_id)
        return real(session, plan_id)

    monkeypatch.setattr(plans, "read_document", counted)
    cache = ReadyPlans()

    def ask(_: int) -> list[object]:
        together.wait()
        return [ready(scene, cache).explain("train", str) for _ in range(20)]

    with ThreadPoolExecutor(6) as pool:
        answers = [answer for told in pool.map(ask, range(6)) for answer in told]
    assert len(read) == 1
    assert all(answer == answers[0] for answer in answers)


def test_the_plan_that_was_asked_about_longest_ago_is_let_go(scene: Scene) -> None:
    """Of three plans in force one after another, the last two are kept."""
    cache = ReadyPlans(most=2)
    kept = []
    for number, hours in enumerate(((0, 2), (3, 5), (6, 8))):
        put_in_force(scene, runs("train", hours), key=f"plan-{number}")
        kept.append(ready(scene, cache))
        assert ready(scene, cache) is kept[-1]
        scene.wait(minutes=1)
    assert list(cache._places) == [one.plan_id for one in kept[1:]]


def test_without_a_plan_in_force_nothing_is_made_ready(scene: Scene) -> None:
    """The next question asks again."""
    cache = ReadyPlans()
    with pytest.raises(NotFound, match="in force"):
        ready(scene, cache)
    put_in_force(scene, runs("train", (3, 5)))
    assert ready(scene, cache).explain("train", str).placement is not None


def test_a_plan_that_could_not_be_read_is_tried_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure is not kept."""
    put_in_force(scene, runs("train", (3, 5)))
    cache = ReadyPlans()
    with monkeypatch.context() as broken:
        broken.setattr(plans, "read_document", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ready(scene, cache)
    assert ready(scene, cache).document.plan.placements
