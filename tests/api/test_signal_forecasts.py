"""Forecasts of our own are listed as they were issued, and shown beside what is published since."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from connectors.types import SignalKind
from scheduler.db.session import transaction
from scheduler.forecasting import QuantileForecast
from scheduler.services.forecast_records import store_forecasts
from scheduler.services.own_forecasts import IssuedForecast
from scheduler.services.signals import SignalPoint, insert_values
from scheduler.specs import ForecastMethod
from tests.api.world import NOW, World, problem_of

ADDRESS = "/v1/signals/forecasts"
HOUR = timedelta(hours=1)
START = NOW.replace(minute=0) + HOUR


def issue(world: World, kind: SignalKind, at: datetime, low: float) -> None:
    """Keep a forecast of three half hours, as issued at an instant; it spans 20 units."""
    made = QuantileForecast(
        issued_at=pd.Timestamp(at),
        start_at=pd.Timestamp(START),
        minutes=30,
        levels=(0.1, 0.5, 0.9),
        values=low + np.array([[0.0, 10, 20], [1, 11, 21], [2, 12, 22]]),
        method="seasonal-naive",
        notes=("less than two weeks are known",),
    )
    with transaction(world.sessions) as session:
        store_forecasts(session, [IssuedForecast("DE", kind, ForecastMethod.BLEND, made)])


@pytest.fixture
def issued(world: World) -> World:
    """Two forecasts of PV, an hour apart, and one of wind beside the second."""
    issue(world, SignalKind.PV, NOW - HOUR, 50)
    issue(world, SignalKind.PV, NOW, 60)
    issue(world, SignalKind.WIND, NOW, 70)
    return world


def test_they_are_listed_newest_first_page_by_page(issued: World) -> None:
    """Each once, though two were issued at the same instant; a page is as long as asked for."""
    seen: list[tuple[str, str]] = []
    query: dict[str, Any] = {"limit": 1}
    while True:
        page = issued.submitter.get(ADDRESS, params=query).json()
        seen += [(one["kind"], one["issued_at"]) for one in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
        assert len(page["items"]) == 1
    now, before = (at.isoformat().replace("+00:00", "Z") for at in (NOW, NOW - HOUR))
    assert seen == [("wind", now), ("pv", now), ("pv", before)]


def test_those_of_one_signal_are_listed_alone(issued: World) -> None:
    """With who made it, and what the fleet had asked for."""
    query = {"site": "DE", "kind": "wind"}
    (one,) = issued.submitter.get(ADDRESS, params=query).json()["items"]
    assert (one["method"], one["asked"], one["unit"]) == ("seasonal-naive", "blend", "kW")
    assert one["levels"] == [0.1, 0.5, 0.9]
    assert "quantiles" not in one
    assert issued.submitter.get(ADDRESS, params={"site": "FR"}).json()["items"] == []


def test_the_last_one_stands_beside_what_is_published(issued: World) -> None:
    """Two quarters were published of the first half hour, an hour from the second on."""
    quarter = timedelta(minutes=15)
    points = [
        SignalPoint("DE", SignalKind.PV, START, 15, 64.0, NOW),
        SignalPoint("DE", SignalKind.PV, START + quarter, 15, 66.0, NOW),
        SignalPoint("DE", SignalKind.PV, START + 2 * quarter, 30, 7.0, NOW + 2 * HOUR),
    ]
    with transaction(issued.sessions) as session:
        insert_values(session, points, "meter")
    query = {"site": "DE", "kind": "pv"}
    found = issued.submitter.get(f"{ADDRESS}/latest", params=query).json()
    assert found["notes"] == ["less than two weeks are known"]
    assert [one["quantiles"][0] for one in found["intervals"]] == [60, 61, 62]
    assert [one["published"] for one in found["intervals"]] == [65, None, None]
    issued.now += 2 * HOUR
    later = issued.submitter.get(f"{ADDRESS}/latest", params=query).json()
    assert [one["published"] for one in later["intervals"]] == [65, 7, None]


def test_an_earlier_one_is_shown_as_of_an_instant(issued: World) -> None:
    """Before the first there was none."""
    query = {"site": "DE", "kind": "pv", "known_at": (NOW - HOUR / 2).isoformat()}
    found = issued.submitter.get(f"{ADDRESS}/latest", params=query).json()
    assert found["intervals"][0]["quantiles"] == [50, 60, 70]
    query["known_at"] = (NOW - 2 * HOUR).isoformat()
    answer = issued.submitter.get(f"{ADDRESS}/latest", params=query)
    problem = problem_of(answer, 404, "not-found")
    assert "DE pv" in problem["detail"]


def test_a_cursor_of_another_list_is_refused(issued: World) -> None:
    """It names no forecast."""
    cursor = "MjAyNi0wNi0wOFQwMDowMDowMCswMDowMC9ERQ=="  # an instant and a site, no kind
    answer = issued.submitter.get(ADDRESS, params={"cursor": cursor})
    problem_of(answer, 422, "invalid")
