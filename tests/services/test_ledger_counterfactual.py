"""A month done over by a named policy: the same jobs, energy, prices and GPUs, settled alike."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import delete, select

from connectors.types import Window
from optimizer import baselines
from scheduler.db.models import LedgerEntry, LedgerShare
from scheduler.db.session import make_engine, make_session_factory, transaction
from scheduler.services.errors import Conflict
from scheduler.services.ledger_counterfactual import Counterfactual, compared, read_month
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.play import HOUR
from tests.services.scene import Scene
from tests.services.test_ledger import POOL, look, ran

MONTH = Window(START - timedelta(days=4), START + timedelta(days=27))


@pytest.fixture
def scene(sqlite_url: str) -> Iterator[Scene]:
    """Half a day in which the price falls from 50 to 10 EUR/MWh at six."""
    engine = make_engine(sqlite_url)
    fleet = fleet_spec(site_spec(pools=[POOL | {"gpus": 1}], pue=1.5, base_load_kw=2.0))
    scene = Scene(make_session_factory(engine)).set_up(fleet)
    look(scene)
    yield scene
    engine.dispose()


def done_over(scene: Scene, policy: str = "run_now") -> Counterfactual:
    """The month by a policy."""
    with transaction(scene.sessions) as session:
        asked = read_month(session, MONTH, scene.at)
    return compared(asked, policy, baselines.BASELINES[policy](asked.problem))


def test_run_now_does_the_same_work_sooner_and_dearer(scene: Scene) -> None:
    """What was saved is the difference in price of the energy that was moved, and no more."""
    ran(scene, "train", 6, 8)
    look(scene, 12.5)
    found = done_over(scene)
    assert (found.start, found.end) == (START, START + 12 * HOUR)
    assert (found.n_jobs, found.unserved) == (1, ())
    assert found.by_policy.used_kwh == pytest.approx(found.real.used_kwh)
    moved_kwh = 1.5 * (2.0 - 0.2)  # two hours of 1 kW instead of an idle GPU
    assert found.by_policy.eur - found.real.eur == pytest.approx(moved_kwh * 0.04)
    assert found.by_policy.carbon_kg == pytest.approx(found.real.carbon_kg)


def test_a_job_uses_the_energy_that_the_ledger_has_for_it(scene: Scene) -> None:
    """Also where it ran for a part of a slot: whole slots make no policy use more."""
    ran(scene, "train", 6.25, 7.5)
    look(scene, 12.5)
    found = done_over(scene)
    idle_kwh = 1.5 * 0.1 * 0.75  # of the two slots it holds for 1.25 h
    assert found.by_policy.used_kwh == pytest.approx(found.real.used_kwh - idle_kwh)


def test_jobs_that_find_no_place_are_named(scene: Scene) -> None:
    """One GPU for ten hours, and two jobs that want it at once: the policy leaves one out."""
    ran(scene, "one", 0, 4, deadline_at=(START + 5 * HOUR).isoformat())
    ran(scene, "two", 0, 4, deadline_at=(START + 5 * HOUR).isoformat())
    look(scene, 12.5)
    assert done_over(scene).unserved == ("two",)


def test_a_month_with_gaps_is_not_done_over(scene: Scene) -> None:
    """It would compare two different months."""
    with transaction(scene.sessions) as session, pytest.raises(Conflict, match="nothing of this"):
        read_month(session, MONTH, scene.at)
    look(scene, 12.5)
    with transaction(scene.sessions) as session:
        fourth = select(LedgerEntry.id).where(LedgerEntry.seq == 3).scalar_subquery()
        session.execute(delete(LedgerShare).where(LedgerShare.entry_id == fourth))
        session.execute(delete(LedgerEntry).where(LedgerEntry.seq == 3))
    with transaction(scene.sessions) as session, pytest.raises(Conflict, match="1 slots"):
        read_month(session, MONTH, scene.at)
