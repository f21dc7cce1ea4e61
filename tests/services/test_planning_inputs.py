"""What a plan is made from, read at one instant."""

from __future__ import annotations

from scheduler.db.session import SessionFactory, transaction
from scheduler.services.planning_inputs import read_inputs
from tests.services.scene import Scene


def test_jobs_submitted_at_one_instant_come_by_name(sessions: SessionFactory) -> None:
    """Not by their random ids: the same jobs give the same problem, so the same plan."""
    scene = Scene(sessions).set_up()
    names = [f"job-{(7 * k) % 10}" for k in range(10)]
    for name in names:
        scene.submit(name)
    run = scene.run(scene.queue())
    with transaction(sessions) as session:
        inputs = read_inputs(session, run, scene.now())
    assert [job.spec.name for job in inputs.jobs] == sorted(names)
