"""Reports that a virtual power plant asks for, sent by the grid side: with its twin."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

import pytest

from connectors.errors import Rejected
from connectors.types import GridEventNotice, Measure, Report, ReportRequest, Window
from connectors.vpp.simulated import SimulatedVirtualPowerPlant
from optimizer import Placement, Run
from scheduler.db.session import SessionFactory, transaction
from scheduler.services.grid_reports import recent_reports
from scheduler.services.grid_side import GridSide, Poll
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.scene import Scene, put_in_force

HOUR = timedelta(hours=1)
EVENT = GridEventNotice("dr-1", "DE", Window(START + 6 * HOUR, START + 8 * HOUR), 0.0, 5.0)


@pytest.fixture
def scene(sessions: SessionFactory) -> Scene:
    """One site, an hour before the first slot; energy is cheap in the hours 6 to 9."""
    return Scene(sessions).set_up()


@pytest.fixture
def vpp(scene: Scene) -> SimulatedVirtualPowerPlant:
    """It has called one event: no import at all in the hours 6 and 7."""
    return SimulatedVirtualPowerPlant([(scene.at, EVENT)], scene.now)


@pytest.fixture
def grid_side(scene: Scene, vpp: SimulatedVirtualPowerPlant) -> GridSide:
    """What listens to it."""
    return GridSide(scene.sessions, vpp, "vpp", scene.now)


def test_a_report_says_how_full_the_batteries_were(sessions: SessionFactory) -> None:
    """All of the site's, as the plan says: these two stand idle."""
    units = [
        {"name": name, "power_kw": 1, "capacity_kwh": 5, "soc_initial_kwh": soc}
        for name, soc in (("a", 1), ("b", 3))
    ]
    scene = Scene(sessions).set_up(fleet_spec(site_spec(batteries=units)))
    measures = frozenset((Measure.STORAGE, Measure.STATE))
    vpp = SimulatedVirtualPowerPlant([(scene.at, EVENT)], scene.now, measures=measures)
    side = GridSide(scene.sessions, vpp, "vpp", scene.now)
    side.poll()
    put_in_force(scene)
    scene.wait(hours=9)
    assert side.poll().reported == 2
    first, _ = vpp.reports
    (figures,) = first.figures
    assert (figures.stored_kwh, figures.storage_kwh, figures.limit_kw) == (4.0, 10.0, 0.0)


def test_every_report_is_sent_once_as_the_plan_of_its_time_says(
    scene: Scene, vpp: SimulatedVirtualPowerPlant, grid_side: GridSide
) -> None:
    """The first hour was planned to import 1 kW; a plan that begins with the second, nothing."""
    scene.submit("train")
    grid_side.poll()
    put_in_force(scene, Placement("train", "DE", (Run("DE/a100x1", 6, 8),)))
    scene.wait(hours=7, minutes=59)
    assert grid_side.poll().reported == 0
    put_in_force(scene, start_h=7, key="second")
    scene.wait(minutes=1)
    assert grid_side.poll().reported == 1
    scene.wait(minutes=30)
    assert grid_side.poll().reported == 0
    scene.wait(minutes=30)
    assert grid_side.poll().reported == 1
    assert GridSide(scene.sessions, vpp, "vpp", scene.now).poll().reported == 0
    told = [
        (figures.import_kw, figures.is_measured) for one in vpp.reports for figures in one.figures
    ]
    assert told == [(1.0, False), (0.0, False)]


def test_without_a_plan_what_was_drawn_is_not_known(
    scene: Scene, vpp: SimulatedVirtualPowerPlant, grid_side: GridSide
) -> None:
    """The report says so, and is not sent again."""
    grid_side.poll()
    scene.wait(hours=10)
    assert grid_side.poll().reported == 2
    assert grid_side.poll() == Poll()
    assert {figures.import_kw for one in vpp.reports for figures in one.figures} == {None}


class Picky(SimulatedVirtualPowerPlant):
    """One that refuses a report, or asks for what nobody can tell."""

    asks_for: ClassVar[tuple[str, ...]] = ("POWER",)

    def reports_due(self) -> tuple[ReportRequest, ...]:
        """Ask for a fee besides."""
        refused = (("FEE", "is not told here"),)
        due = super().reports_due()
        return tuple(replace(one, asked=self.asks_for, refused=refused) for one in due)

    async def report(self, report: Report) -> None:
        """Refuse it."""
        raise Rejected(f"{report.request.name}: no")


@pytest.mark.parametrize(
    ("asks_for", "problem"), [(("POWER",), "refused: "), ((), "nothing of what it asks for")]
)
def test_what_is_not_reported_is_on_record_with_the_reason_and_not_tried_again(
    scene: Scene,
    asks_for: tuple[str, ...],
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whether it is refused there, or nobody here can tell; the log says it once."""
    monkeypatch.setattr(Picky, "asks_for", asks_for)
    vpp = Picky([(scene.at, EVENT)], scene.now)
    side = GridSide(scene.sessions, vpp, "vpp", scene.now)
    side.poll()
    scene.wait(hours=8)
    with caplog.at_level(logging.WARNING):
        assert side.poll().reported == 0
        assert side.poll().reported == 0
    with transaction(scene.sessions) as session:
        (report,) = recent_reports(session, 10)
    assert report.problem.startswith(problem)
    assert (report.sent_at, report.not_told) == (None, ["FEE: is not told here"])
    assert sum("report of FEE is not sent" in one.getMessage() for one in caplog.records) == 1
