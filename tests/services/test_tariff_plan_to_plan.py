"""A site on a tariff through the database: no price is needed, and the month goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest

from connectors.types import SignalKind
from scheduler.db.session import SessionFactory, make_engine, make_session_factory, transaction
from scheduler.services import fleet as fleets
from scheduler.services.coverage import coverage
from scheduler.services.plan_document import PlanDocument
from scheduler.services.signals import SignalPoint, insert_values
from scheduler.worker import Worker, WorkerTiming
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.scene import Scene
from tests.tariffs.documents import demand, time_of_use

TIMING = WorkerTiming(poll_s=0.05, renew_s=0.1, lease_s=20, overrun_factor=1, overrun_s=0)
CHARGES = {
    name: value for name, value in demand().items() if name.startswith(("flatdemand", "demand"))
}

AT_NIGHT = {
    "deadline_at": START + timedelta(hours=2),
    "operating_points": [{"pool": "a100", "gpus": 1, "kw": 4.0}],
    "value_eur": 1000.0,
}


@pytest.fixture
def scene(sqlite_url: str) -> Iterator[Scene]:
    """5 kW at any time, 8 ct/kWh and 20 from 12 to 18; carbon intensity, and no price."""
    engine = make_engine(sqlite_url)
    sessions: SessionFactory = make_session_factory(engine)
    site = site_spec(base_load_kw=5, tariff={"urdb": time_of_use(**CHARGES)})
    scene = Scene(sessions, fleet=fleet_spec(site))
    with transaction(sessions) as session:
        fleets.replace_fleet(session, scene.fleet, "test", scene.at)
        carbon = [
            SignalPoint(
                "DE",
                SignalKind.CARBON_INTENSITY,
                START + timedelta(hours=hour),
                60,
                200.0,
                scene.at,
            )
            for hour in range(72)
        ]
        insert_values(session, carbon, "test")
    yield scene
    engine.dispose()


def plan_from(scene: Scene, hour: int) -> PlanDocument:
    """Plan 24 hours from ``hour`` on and put the plan in force."""
    scene.at = START + timedelta(hours=hour, minutes=-1)
    run: UUID = scene.queue(f"manual/{hour}", window_start=START + timedelta(hours=hour))
    Worker(scene.sessions, scene.now, threading.Event(), timing=TIMING).work_once()
    made = scene.run(run)
    assert made.plan_id is not None, made.error
    scene.approve(made.plan_id)
    return scene.document(made.plan_id)


def test_energy_and_peaks_of_the_month_go_on_from_plan_to_plan(scene: Scene) -> None:
    """By 14:00 on Monday 60 kWh were bought before noon and 10 since; a job drew 9 kW by night."""
    scene.submit("night", **AT_NIGHT)
    first = plan_from(scene, 0)
    assert first.energy_so_far_kwh == {"DE": (0.0, 0.0)}
    assert first.plan.terms.energy_bought_eur == pytest.approx((18 * 5 + 8) * 0.08 + 30 * 0.20)
    assert first.plan.terms.peak_eur == pytest.approx(9 * 12 + 5 * 5)
    later = plan_from(scene, 14)
    assert later.energy_so_far_kwh == {"DE": pytest.approx((60.0 + 8.0, 10.0))}
    so_far = {peak.name: peak.so_far_kw for peak in later.problem.sites[0].peaks}
    assert so_far == {"flat 2021-07": pytest.approx(9.0), "tou-1 2021-07": pytest.approx(5.0)}


def test_a_price_is_not_missed_where_a_tariff_replaces_it(scene: Scene) -> None:
    """What a plan would lack is told without it."""
    with transaction(scene.sessions) as session:
        needed = {one.kind for one in coverage(session, scene.at) if one.is_needed}
    assert needed == {SignalKind.CARBON_INTENSITY}
