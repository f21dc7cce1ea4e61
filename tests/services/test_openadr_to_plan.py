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
from scheduler.services.errors import Invalid
from scheduler.services.grid_side import GridSide
from scheduler.settings import Settings
from tests.connectors.openadr3.vtn import SECRET, TestVtn, event, limit, serving
from tests.services.builders import START
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


def settings_of(folder: Path, url: str, **more: object) -> Settings:
    """Return settings with the connection in a file."""
    path = folder / "openadr.toml"
    path.write_text(FILE.format(url=url))
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


def test_a_fleet_answers_to_one_virtual_power_plant(tmp_path: Path) -> None:
    """A simulated one beside a real one is refused."""
    settings = settings_of(tmp_path, "https://vtn.example", simulated_vpp=tmp_path / "x.toml")
    with pytest.raises(Invalid, match="simulated_vpp"):
        virtual_power_plant_of(settings, lambda: START)


def test_secrets_are_not_sent_in_the_clear(tmp_path: Path) -> None:
    """An address without TLS is refused, but that of this machine."""
    with pytest.raises(BadFile, match="https"):
        virtual_power_plant_of(settings_of(tmp_path, "http://vtn.example"), lambda: START)
