"""State of charge, carried from the plan in force into the next window."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest

from optimizer import Rung, StorageFlows, dispatch, settled_plan
from scheduler.db.models import CommandKind, CommandOutcome, DispatchCommand
from scheduler.db.session import SessionFactory, make_engine, make_session_factory, transaction
from scheduler.services.assemble import PlanWindow, assemble
from scheduler.services.carried_state import soc_at
from scheduler.services.plan_document import PlanDocument
from tests.services.builders import START, flat_signals, fleet_spec, site_spec

HOUR = timedelta(hours=1)


def charging(
    start: datetime = START, n_slots: int = 24, local_hours: tuple[int, int] = (0, 24)
) -> PlanDocument:
    """A plan that charges 1 kW in the hours 0 to 3 and then rests, at a base load of 5 kW."""
    site = site_spec(
        base_load_kw=5,
        time_zone="Europe/Berlin",
        peak={"charge_per_kw": 1, "so_far_kw": 2, "local_hours": local_hours},
        batteries=[{"power_kw": 1, "capacity_kwh": 9, "charge_efficiency": 1.0}],
    )
    fleet = fleet_spec(site)
    window = PlanWindow(start, 60, n_slots)
    problem = assemble(fleet, (), flat_signals(start=start), (), window, now=start).problem
    charge = np.zeros((1, n_slots))
    charge[0, :4] = 1.0
    storage = StorageFlows(charge, np.zeros((1, n_slots)), charge.cumsum(axis=1))
    flows = dispatch(problem, (), {"DE": storage})
    plan = settled_plan(problem, Rung.EXACT, (), (), flows)
    return PlanDocument(
        fleet=fleet,
        window=window,
        problem=problem,
        plan=plan,
        baseline=plan,
        marks=(),
        created_at=start,
    )


@pytest.fixture
def sessions(sqlite_url: str) -> SessionFactory:
    """Nothing here differs between databases."""
    return make_session_factory(make_engine(sqlite_url))


def read_at(sessions: SessionFactory, instant: datetime, soc_kwh: float) -> None:
    """Record a reading."""
    with transaction(sessions) as session:
        session.add(
            DispatchCommand(
                site="DE",
                kind=CommandKind.BATTERY_POWER,
                detail={"battery": "battery", "power_kw": 1.0, "soc_kwh": soc_kwh},
                decided_at=instant,
                outcome=CommandOutcome.DONE,
            )
        )


def test_charge_is_the_last_reading_plus_what_is_planned_until_then(
    sessions: SessionFactory,
) -> None:
    """Read 2.0 at 01:30, where 1.5 was planned: at hour 3 it is 1.5 kWh more, later 2.5."""
    read_at(sessions, START + 1 * HOUR, 9.0)
    read_at(sessions, START + 1.5 * HOUR, 2.0)
    plan = charging()
    with transaction(sessions) as session:
        expected = {
            hour: soc_at(session, plan, START + hour * HOUR)["DE", "battery"] for hour in (3, 20)
        }
        assert expected == {3: pytest.approx(3.5), 20: pytest.approx(4.5)}
        assert soc_at(session, None, START + 3 * HOUR) == {("DE", "battery"): 2.0}


def test_nothing_is_known_of_a_battery_that_was_never_read(sessions: SessionFactory) -> None:
    """Nor of one read days ago: the spec holds."""
    read_at(sessions, START - 72 * HOUR, 3.0)
    with transaction(sessions) as session:
        assert soc_at(session, charging(), START) == {}
