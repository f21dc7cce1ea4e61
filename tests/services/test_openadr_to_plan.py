"""From an event of a VTN to the plan that honours it: over HTTP, through file and settings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from scheduler.db.models import GridEvent
from scheduler.db.session import SessionFactory, transaction
from scheduler.files import BadFile
from scheduler.main import virtual_power_plant_of
from scheduler.services import fleet as fleets
from scheduler.services.errors import Invalid
from scheduler.services.grid_side import GridSide
from scheduler.services.planning_inputs import inputs_for
from scheduler.services.site_orders import OrderBook
from scheduler.services.window import PlanWindow
from scheduler.settings import Settings
from tests.connectors.openadr3.vtn import SECRET, TestVtn, event, limit, serving
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.scene import Scene

CHEAP_AT = START + timedelta(hours=6)  # two hours that are cheap, and called
FILE = """
url = "{url}"
client_id = "us"
ven_name = "gridtide"
breach_eur_per_kwh = 5.0
[[sites]]
site = "DE"
resource = "N1"
contract_kw = 400
"""


@pytest.fixture
def vtn() -> Iterator[TestVtn]:
    """A VTN."""
    with serving(TestVtn("3.1.0")) as vtn:
        yield vtn


def settings_of(folder: Path, url: str, of_site: str = "", **more: object) -> Settings:
    """Return settings with the connection in a file."""
    path = folder / "openadr.toml"
    path.write_text(FILE.format(url=url) + of_site)
    return Settings(openadr=path, openadr_client_secret=SECRET, **more)  # type: ignore[arg-type]


def test_an_event_of_a_vtn_reaches_the_plan_and_its_deletion_the_record(
    sessions: SessionFactory, vtn: TestVtn, tmp_path: Path
) -> None:
    """The job leaves the cheap hours that are called; once the event is gone it is called off."""
    scene = Scene(sessions).set_up()
    period = {"start": CHEAP_AT.strftime("%Y-%m-%dT%H:%M:%SZ"), "duration": "PT2H"}
    vtn.events = [event("dr", limit(0), intervalPeriod=period)]
    vpp = virtual_power_plant_of(settings_of(tmp_path, vtn.base), scene.now)
    assert vpp is not None
    grid_side = GridSide(scene.sessions, vpp, "vpp", scene.now)
    scene.submit("train")
    scene.wait(hours=1)
    (number,) = grid_side.poll().changed
    document = scene.work_off()
    placement = document.plan.placement("train")
    assert placement is not None
    assert document.window.instant(placement.start_slot) == CHEAP_AT + timedelta(hours=2)
    vtn.events = []
    assert grid_side.poll().changed == (number,)
    with transaction(scene.sessions) as session:
        (on_record,) = session.scalars(select(GridEvent)).all()
    assert on_record.cancelled_at == scene.at


REBOUND = """rebound_kw = 0.25
rebound_minutes = 60
rebound_eur_per_kwh = 5
"""


@pytest.mark.parametrize(("more", "import_kw"), [("", 1.0), (REBOUND, 0.0)])
def test_after_a_call_the_plan_catches_up_no_faster_than_was_agreed(
    sessions: SessionFactory, vtn: TestVtn, tmp_path: Path, more: str, import_kw: float
) -> None:
    """The hour after it is cheap as well; the job that was kept from running waits it out.

    What is agreed stands on record, so it holds too when the call is over, for the plan and for
    the control loop.
    """
    controlled = site_spec("DE", control={"meter": {"kind": "cluster"}})
    scene = Scene(sessions).set_up(fleet_spec(controlled))
    period = {"start": CHEAP_AT.strftime("%Y-%m-%dT%H:%M:%SZ"), "duration": "PT2H"}
    vtn.events = [event("dr", limit(0), intervalPeriod=period)]
    vpp = virtual_power_plant_of(settings_of(tmp_path, vtn.base, more), scene.now)
    assert vpp is not None
    scene.submit("train")
    scene.wait(hours=1)
    GridSide(scene.sessions, vpp, "vpp", scene.now).poll()
    document = scene.work_off()
    after = document.window.slot_of(CHEAP_AT + timedelta(hours=2))
    (flows,) = document.plan.flows
    assert flows.import_kw[after] == pytest.approx(import_kw)
    over = CHEAP_AT + timedelta(hours=2)
    left = PlanWindow(over, 60, 24)
    with transaction(sessions) as session:
        version = fleets.find_current(session)
        assert version is not None
        inputs = inputs_for(session, version, left, over)
        orders = OrderBook().read(session, over, 0.0)
    rebounds = [one.level_kw for one in inputs.assemble().problem.events]
    assert rebounds == ([(0.25,)] if more else [])
    held = {call.rebound_kw for call in orders.calls}
    assert held == ({0.25} if more else set())


@pytest.mark.parametrize("name", ["rebound_minutes", "rebound_eur_per_kwh"])
def test_a_rebound_is_limited_for_a_time_and_at_a_price_or_not_at_all(
    tmp_path: Path, name: str
) -> None:
    """A limit that never holds or costs nothing is refused, as is a price of no limit."""
    alone = "".join(line for line in REBOUND.splitlines(keepends=True) if name in line)
    others = REBOUND.replace(alone, "")
    for more in (alone, others):
        with pytest.raises(BadFile, match="where rebound_kw"):
            virtual_power_plant_of(
                settings_of(tmp_path, "https://vtn.example", more), lambda: START
            )


def test_a_fleet_answers_to_one_virtual_power_plant(tmp_path: Path) -> None:
    """A simulated one beside a real one is refused."""
    settings = settings_of(tmp_path, "https://vtn.example", simulated_vpp=tmp_path / "x.toml")
    with pytest.raises(Invalid, match="simulated_vpp"):
        virtual_power_plant_of(settings, lambda: START)


def test_secrets_are_not_sent_in_the_clear(tmp_path: Path) -> None:
    """An address without TLS is refused, but that of this machine."""
    with pytest.raises(BadFile, match="https"):
        virtual_power_plant_of(settings_of(tmp_path, "http://vtn.example"), lambda: START)
