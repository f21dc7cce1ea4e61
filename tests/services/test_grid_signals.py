"""Prices and carbon of the grid side are kept as known when they came."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from sqlalchemy import select

from connectors.types import GridSignal, SignalKind, Window
from scheduler.db.models import SignalValue
from scheduler.db.session import SessionFactory, transaction
from scheduler.services.grid_signals import GridSignals
from tests.services.builders import START
from tests.services.scene import Scene

HOUR = timedelta(hours=1)
DAY_3 = START + timedelta(days=3)  # of which nothing is known yet


def price(value: float, currency: str | None = "EUR", site: str = "DE") -> GridSignal:
    """The price of one hour."""
    return GridSignal(site, SignalKind.PRICE, Window(DAY_3, DAY_3 + HOUR), value, currency)


@pytest.fixture
def scene(sessions: SessionFactory) -> Scene:
    """One site."""
    return Scene(sessions).set_up()


def on_record(scene: Scene) -> list[tuple[float, str]]:
    """Values of that hour and whom they came from, in order of when they were known."""
    wanted = select(SignalValue.value, SignalValue.source).where(SignalValue.start_at == DAY_3)
    with transaction(scene.sessions) as session:
        rows = session.execute(wanted.order_by(SignalValue.known_at)).all()
    return [(value, source) for value, source in rows]


def test_a_value_is_kept_once_and_another_beside_it(scene: Scene) -> None:
    """Also by who begins anew; the last one known stands."""
    signals = GridSignals(scene.sessions, "vpp", scene.now)
    assert signals.keep((price(40.0),)) == 1
    scene.wait(minutes=1)
    assert signals.keep((price(40.0),)) == 0
    assert GridSignals(scene.sessions, "vpp", scene.now).keep((price(40.0),)) == 0
    assert signals.keep((price(55.0),)) == 1
    scene.wait(minutes=1)
    assert signals.keep((price(40.0),)) == 1
    assert on_record(scene) == [(40.0, "vpp"), (55.0, "vpp"), (40.0, "vpp")]


def test_what_is_in_another_currency_or_of_no_site_is_told_and_not_kept(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """Once; what nobody says the currency of is in that of the site."""
    signals = GridSignals(scene.sessions, "vpp", scene.now)
    with caplog.at_level(logging.ERROR):
        for value in (1.0, 2.0):
            wrong = price(value, "USD"), price(value, site="nowhere")
            assert signals.keep((*wrong, price(value, None))) == 1
            scene.wait(minutes=1)
    assert [value for value, _ in on_record(scene)] == [1.0, 2.0]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert any("USD, must be in EUR" in one for one in said)


def test_a_value_that_no_signal_can_have_holds_nothing_up(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told."""
    window = Window(DAY_3, DAY_3 + HOUR)
    bad = GridSignal("DE", SignalKind.CARBON_INTENSITY, window, -1.0)
    with caplog.at_level(logging.ERROR):
        assert GridSignals(scene.sessions, "vpp", scene.now).keep((bad,)) == 0
    assert "are not kept" in caplog.text
