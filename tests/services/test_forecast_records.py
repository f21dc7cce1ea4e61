"""Forecasts are kept as they were issued, and a plan is made from those known at its instant."""

from __future__ import annotations

import threading
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import select

from connectors.types import SignalKind, Window
from scheduler.db.models import RunStatus, SignalForecast
from scheduler.db.session import SessionFactory, transaction
from scheduler.services.forecast_models import ModelShelf
from scheduler.services.forecast_records import (
    KEPT_DAYS,
    due_forecasts,
    issue_due,
    known_forecasts,
    store_forecasts,
)
from scheduler.services.own_forecasts import IssuedForecast
from scheduler.services.planning_inputs import read_inputs
from scheduler.services.signals import SignalPoint, insert_values
from scheduler.worker import Worker
from tests.services.builders import START, fleet_spec, window
from tests.services.scene import Scene

CARBON = SignalKind.CARBON_INTENSITY
DAY = timedelta(days=1)
SPAN = window(24)
HISTORY_DAYS = 20


def measured(scene: Scene, values: list[float], start_h: int, kind: SignalKind = CARBON) -> None:
    """Take in hourly values as known now."""
    points = [
        SignalPoint("DE", kind, START + timedelta(hours=start_h + k), 60, value, scene.at)
        for k, value in enumerate(values)
    ]
    with transaction(scene.sessions) as session:
        insert_values(session, points, "meter")


@pytest.fixture
def scene(sessions: SessionFactory) -> Scene:
    """Prices for two days; carbon intensity of the twenty days before, and of two hours more."""
    made = Scene(sessions).set_up(hours=2)
    rng = np.random.default_rng(0)
    days = HISTORY_DAYS * 24
    swing = 300 + 100 * np.sin(2 * np.pi * np.arange(days) / 24) + rng.standard_normal(days)
    measured(made, swing.tolist(), -days)
    measured(made, [50.0] * 46, 2, SignalKind.PRICE)
    return made


def issued_now(scene: Scene) -> tuple[IssuedForecast, ...]:
    """Issue and keep what a day's plan needs, as the worker does."""
    with transaction(scene.sessions) as session:
        due = due_forecasts(session, scene.fleet, SPAN, scene.at)
    issued = issue_due(due, ModelShelf(), scene.at)
    with transaction(scene.sessions) as session:
        store_forecasts(session, issued)
    return issued


def on_record(scene: Scene, **since: float) -> tuple[IssuedForecast, ...]:
    """Forecasts known so long after now."""
    with transaction(scene.sessions) as session:
        known_at = scene.at + timedelta(**since)
        return known_forecasts(session, Window(SPAN.start, SPAN.end), known_at)


def test_what_is_kept_is_what_was_issued(scene: Scene) -> None:
    """Carbon alone is short; its quantiles come back to six digits, with issue and method."""
    (made,) = issued_now(scene)
    (kept,) = on_record(scene)
    assert (made.site, made.kind) == (kept.site, kept.kind) == ("DE", CARBON)
    np.testing.assert_allclose(kept.forecast.values, made.forecast.values, rtol=1e-5)
    assert kept.forecast.issued_at == scene.at
    assert kept.forecast.start_at == START + timedelta(hours=2)
    assert kept.forecast.method == made.forecast.method == "blend"
    assert len(kept.forecast.values) == 22


def test_a_forecast_is_known_from_its_issue_on(scene: Scene) -> None:
    """What did we know an hour before? Nothing of it."""
    issued_now(scene)
    assert on_record(scene, hours=-1) == ()
    assert len(on_record(scene, hours=1)) == 1


def test_it_is_issued_anew_only_when_something_new_is_known(scene: Scene) -> None:
    """The second plan of an hour takes the first one's forecast; a measurement makes a new one."""
    (first,) = issued_now(scene)
    scene.wait(minutes=10)
    assert issued_now(scene) == ()
    scene.wait(minutes=10)
    measured(scene, [900.0], 2)
    (second,) = issued_now(scene)
    assert second.forecast.start_at == START + timedelta(hours=3)
    (known,) = on_record(scene)
    assert known.forecast.issued_at == scene.at
    (before,) = on_record(scene, minutes=-20)
    assert before.forecast.issued_at == first.forecast.issued_at


def test_a_meter_that_only_tells_of_the_past_is_forecast(scene: Scene) -> None:
    """Base load is measured, never published: it is needed because it was there last week."""
    measured(scene, [40.0] * 48, -48, SignalKind.BASE_LOAD)
    kinds = {made.kind for made in issued_now(scene)}
    assert kinds == {CARBON, SignalKind.BASE_LOAD}


def test_another_method_is_another_forecast(scene: Scene) -> None:
    """The fleet asks for seasonal-naive: what the blend forecast will not do."""
    issued_now(scene)
    scene.fleet = fleet_spec(planning={"forecast": "seasonal-naive"})
    scene.wait(minutes=10)
    (made,) = issued_now(scene)
    assert made.forecast.method == "seasonal-naive"


def test_forecasts_of_more_than_a_year_ago_are_forgotten(scene: Scene) -> None:
    """A table that only grows would outgrow the values themselves."""
    issued_now(scene)
    with transaction(scene.sessions) as session:
        kept = session.scalars(select(SignalForecast)).one()
        old = {name: getattr(kept, name) for name in kept.__table__.columns.keys()}  # noqa: SIM118
        session.add(SignalForecast(**old | {"issued_at": kept.issued_at - (KEPT_DAYS + 1) * DAY}))
    scene.wait(minutes=10)
    measured(scene, [300.0], 2)
    issued_now(scene)
    with transaction(scene.sessions) as session:
        instants = session.scalars(
            select(SignalForecast.issued_at).order_by(SignalForecast.issued_at)
        ).all()
    assert instants == [scene.at - timedelta(minutes=10), scene.at]


def test_a_published_value_takes_the_place_of_a_forecast_however_it_is_dated(scene: Scene) -> None:
    """Published at an instant before the forecast was issued, and fetched after it."""
    issued_now(scene)
    scene.wait(minutes=-5)
    measured(scene, [111.0], 5)
    scene.wait(minutes=10)
    run = scene.run(scene.queue())
    with transaction(scene.sessions) as session:
        made = read_inputs(session, run, scene.at).assemble()
    carbon = made.problem.sites[0].grid.carbon_g_per_kwh
    assert carbon[5] == 111.0
    of_carbon = next(one for one in made.inputs if one.kind is CARBON)
    assert (of_carbon.published_slots, of_carbon.forecast_slots) == (3, 21)


def test_the_worker_forecasts_what_a_plan_needs_and_the_plan_says_so(scene: Scene) -> None:
    """From a queued run to a stored plan: forecast on record, mark on the plan, values in it."""
    scene.submit()
    run = scene.queue()
    Worker(scene.sessions, scene.now, threading.Event()).work_once()
    done = scene.run(run)
    assert done.status is RunStatus.SUCCEEDED
    assert done.plan_id is not None
    document = scene.document(done.plan_id)
    assert "DE carbon_intensity: 22 of 24 slots forecast by us (blend)" in document.marks
    (kept,) = on_record(scene)
    planned = document.problem.sites[0].grid.carbon_g_per_kwh[2:]
    np.testing.assert_array_equal(planned, kept.forecast.median)
