"""Signals are kept with the instant since when they were known."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO
from tempfile import gettempdir
from typing import Any

import pandas as pd
import pytest

from connectors.types import SignalKind, Window
from scheduler.api.signals import MOST_ROWS
from scheduler.db.session import transaction
from scheduler.services.signals import signals_frame
from tests.api.world import FLEET, MIDNIGHT, NOW, SITE, World, problem_of

LATER = NOW + timedelta(hours=1)


def price(hour: int, value: float, **changes: Any) -> dict[str, Any]:
    """A price at DE for one hour of tomorrow."""
    start_at = (MIDNIGHT + timedelta(hours=hour)).isoformat()
    row = {"site": "DE", "kind": "price", "start_at": start_at, "minutes": 60, "value": value}
    return row | changes


def upload(world: World, *rows: dict[str, Any], **changes: Any) -> Any:
    """Send rows as JSON."""
    return world.operator.post("/v1/signals", json={"source": "test", "values": rows} | changes)


def latest(world: World, hours: int = 24, **query: Any) -> list[float]:
    """Prices of tomorrow's first hours as the API tells them."""
    asked = {
        "site": "DE",
        "kind": "price",
        "start": MIDNIGHT.isoformat(),
        "end": (MIDNIGHT + timedelta(hours=hours)).isoformat(),
    }
    answer = world.submitter.get("/v1/signals/latest", params=asked | query).json()
    return [row["value"] for row in answer["values"]]


def test_later_value_is_the_latest_and_the_earlier_one_stays(world: World) -> None:
    """A plan can be made again from what was known then."""
    world.now = LATER
    assert upload(world, price(0, 99.0)).json() == {"inserted": 1, "unchanged": 0}
    assert latest(world, 2) == [99.0, 41.0]
    assert latest(world, 2, known_at=NOW.isoformat()) == [40.0, 41.0]
    assert latest(world, 2, known_at=(NOW - timedelta(hours=1)).isoformat()) == []


def test_value_that_tells_nothing_new_is_skipped(world: World) -> None:
    """Sources are read again and again."""
    world.now = LATER
    answer = upload(world, price(0, 40.0), price(1, 7.0))
    assert answer.json() == {"inserted": 1, "unchanged": 1}


def test_value_that_returns_to_an_earlier_one_is_new(world: World) -> None:
    """40, 99, 40: the last one is not the second one."""
    for hours, value in ((1, 99.0), (2, 40.0)):
        world.now = NOW + timedelta(hours=hours)
        assert upload(world, price(0, value)).json()["inserted"] == 1
    assert latest(world, 1) == [40.0]


def test_two_values_known_at_one_instant_are_a_conflict(world: World) -> None:
    """Nobody could say which of them was known."""
    answer = upload(world, price(0, 99.0), known_at=NOW.isoformat())
    assert "is on record as 40.0" in problem_of(answer, 409, "conflict")["detail"]


def test_knowledge_from_the_future_is_refused(world: World) -> None:
    """No clock shows it yet."""
    answer = upload(world, price(0, 1.0), known_at=LATER.isoformat())
    (error,) = problem_of(answer, 422, "invalid")["errors"]
    assert error["field"] == "known_at"


def test_nobody_else_calls_values_forecasts_of_ours(world: World) -> None:
    """What was published goes before them, and would not before these."""
    answer = upload(world, price(0, 1.0), source="forecast/blend")
    (error,) = problem_of(answer, 422, "invalid")["errors"]
    assert (error["object"], error["field"], error["value"]) == (
        "upload",
        "source",
        "forecast/blend",
    )


def test_one_value_may_be_for_a_local_day_of_25_hours(world: World) -> None:
    """A price that is the same all day is one, also where an hour comes twice."""
    assert upload(world, price(48, 33.0, minutes=1500)).json()["inserted"] == 1


@pytest.mark.parametrize(
    ("row", "field", "limit"),
    [
        (price(0, 1.0, site="FR"), "site", "one of DE"),
        (price(0, 1.0, minutes=7), "minutes", "a multiple of 5 in 5 .. 1500"),
        (price(0, 1.0, minutes=1505), "minutes", "a multiple of 5 in 5 .. 1500"),
        (
            price(0, 1.0, start_at="2026-06-08T00:03:00Z"),
            "start_at",
            "a multiple of 5 minutes",
        ),
        (price(0, -1.0, kind="carbon_intensity"), "value", "within [0, 1e+09] g/kWh"),
        (price(0, 0.9, kind="pue"), "value", "within [1, 1e+09] 1"),
    ],
)
def test_impossible_values_are_refused(
    world: World, row: dict[str, Any], field: str, limit: str
) -> None:
    """Signal, value and limit are named."""
    (error,) = problem_of(upload(world, row), 422, "invalid")["errors"]
    assert error["object"].startswith(f"signal {row['site']}/{row['kind']} at ")
    assert (error["field"], error["limit"]) == (field, limit)


def test_negative_prices_are_ordinary(world: World) -> None:
    """Germany had 457 such hours in 2024."""
    world.now = LATER
    assert upload(world, price(0, -130.5)).status_code == 201
    assert latest(world, 1) == [-130.5]


def test_overlapping_intervals_of_one_upload_are_refused(world: World) -> None:
    """Two values for one minute contradict each other."""
    answer = upload(world, price(0, 1.0, minutes=120), price(1, 2.0))
    (error,) = problem_of(answer, 422, "invalid")["errors"]
    assert error["object"] == "signal DE/price"
    assert error["limit"] == ">= 2026-06-08T02:00:00+00:00, where another ends"


def upload_csv(world: World, text: str) -> Any:
    """Send the text of a signals file."""
    headers = {"content-type": "text/csv"}
    path = "/v1/signals/csv?source=file"
    return world.operator.post(path, content=text.encode(), headers=headers)


def test_csv_is_the_file_the_planner_reads(world: World) -> None:
    """Lengths are inferred, units checked, and what was known when is kept."""
    world.now = LATER
    text = "site,signal,start_utc,value,unit,known_at\n" + "".join(
        f"DE,price,2026-06-08T{hour:02}:00Z,{hour},EUR/MWh,2026-06-07T10:00Z\n" for hour in range(3)
    )
    assert upload_csv(world, text).json() == {"inserted": 3, "unchanged": 0}
    assert latest(world, 4) == [0.0, 1.0, 2.0, 43.0]
    assert latest(world, 4, known_at=NOW.isoformat()) == [40.0, 41.0, 42.0, 43.0]


def test_csv_that_is_not_as_agreed_is_refused_by_line(world: World) -> None:
    """The line is named, the folder it was put in is not."""
    text = "site,kind,start_at,value\nDE,price,2026-06-08T00:00Z,cheap\n"
    (error,) = problem_of(upload_csv(world, text), 422, "invalid")["errors"]
    assert "upload.csv" in error["limit"]
    assert gettempdir() not in error["limit"]
    problem_of(upload_csv(world, ""), 422, "invalid")


def upload_parquet(world: World, content: bytes) -> Any:
    """Send a signals file."""
    headers = {"content-type": "application/vnd.apache.parquet"}
    return world.operator.post("/v1/signals/parquet?source=file", content=content, headers=headers)


def parquet(**columns: Any) -> bytes:
    """Three prices of the site, with these columns as well or instead."""
    starts = pd.date_range(MIDNIGHT, periods=3, freq="h")
    table = {"site": "DE", "kind": "price", "start_at": starts, "value": [0.0, 1.0, 2.0]}
    packed = BytesIO()
    pd.DataFrame(table | columns).to_parquet(packed)
    return packed.getvalue()


def test_parquet_is_checked_and_kept_as_csv_is(world: World) -> None:
    """With what was known when; twice is once."""
    world.now = LATER
    known_at = pd.Timestamp("2026-06-07T10:00Z")
    content = parquet(known_at=known_at, unit="EUR/MWh")
    assert upload_parquet(world, content).json() == {"inserted": 3, "unchanged": 0}
    assert upload_parquet(world, content).json() == {"inserted": 0, "unchanged": 3}
    assert latest(world, 4) == [0.0, 1.0, 2.0, 43.0]
    assert latest(world, 4, known_at=NOW.isoformat()) == [40.0, 41.0, 42.0, 43.0]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (parquet(value=[0.0, float("nan"), 2.0]), "line 1: DE price at"),
        (parquet(unit="EUR/kWh"), "unit = EUR/kWh, must be currency/MWh"),
        (parquet(site="D" * 201), "column 'site' has a text of 201 bytes, must be <= 200"),
        (parquet(value=[[1.0], [2.0], [3.0]]), "column 'value' is of list"),
        (b"PAR1", "not a Parquet file"),
    ],
    ids=["nan", "unit", "long", "nested", "broken"],
)
def test_parquet_that_is_not_as_agreed_is_refused_by_row(
    world: World, content: bytes, told: str
) -> None:
    """The folder it was put in is not shown."""
    (error,) = problem_of(upload_parquet(world, content), 422, "invalid")["errors"]
    assert told in error["limit"]
    assert "upload.parquet" in error["limit"]
    assert gettempdir() not in error["limit"]


def test_an_upload_has_no_more_rows_than_can_be_stored_at_once(world: World) -> None:
    """A few kilobytes of Parquet hold any number of them."""
    rows = MOST_ROWS + 1
    packed = BytesIO()
    row = {"site": ["DE"], "kind": ["price"], "start_at": [MIDNIGHT], "value": [1.0]}
    pd.DataFrame(row).loc[[0] * rows].to_parquet(packed, index=False)
    (error,) = problem_of(upload_parquet(world, packed.getvalue()), 422, "invalid")["errors"]
    assert f"{rows} rows, must be <= {MOST_ROWS}" in error["limit"]


def test_window_that_ends_before_it_starts_is_refused(world: World) -> None:
    """There is nothing in it."""
    query = {"site": "DE", "kind": "price", "start": MIDNIGHT.isoformat(), "end": NOW.isoformat()}
    answer = world.submitter.get("/v1/signals/latest", params=query)
    (error,) = problem_of(answer, 422, "invalid")["errors"]
    assert error["field"] == "end"


def test_coverage_tells_what_a_plan_would_miss(world: World) -> None:
    """How far, how old, and what is not there at all."""
    world.admin.put("/v1/sites/DE", json=SITE | {"has_pv": True})
    world.now = NOW + timedelta(hours=2)
    rows = {row["kind"]: row for row in world.submitter.get("/v1/signals/coverage").json()}
    assert set(rows) == {"price", "carbon_intensity", "pv"}
    price_row = rows["price"]
    assert price_row["n_intervals"] == 24
    assert price_row["known_until"] == "2026-06-09T00:00:00Z"
    assert (price_row["hours_ahead"], price_row["age_hours"]) == (36.5, 2.0)
    assert not price_row["is_stale"]
    assert (rows["pv"]["n_intervals"], rows["pv"]["is_stale"]) == (0, True)


def test_coverage_marks_old_signals(world: World) -> None:
    """Older than the fleet allows."""
    planning = FLEET["planning"] | {"max_signal_age_hours": 1}
    world.admin.put("/v1/fleet", json=FLEET | {"planning": planning})
    world.now = NOW + timedelta(hours=2)
    rows = world.submitter.get("/v1/signals/coverage").json()
    assert all(row["is_stale"] for row in rows)


def test_frame_holds_what_overlaps_the_window_as_known_then(world: World) -> None:
    """An interval that began before the window but reaches into it counts."""
    world.now = LATER
    upload(world, price(0, 99.0))
    start = MIDNIGHT + timedelta(minutes=30)
    window = Window(start, start + timedelta(hours=1))
    with transaction(world.sessions) as session:
        then = signals_frame(session, window, NOW)
        now = signals_frame(session, window, LATER)
        never = signals_frame(session, window, NOW - timedelta(hours=1))
    columns = ["site", "kind", "start_at", "minutes", "value", "known_at", "source", "is_flagged"]
    assert list(then.columns) == columns
    assert set(then["source"]) == {"test"}
    assert list(then[then["kind"] == SignalKind.PRICE]["value"]) == [40.0, 41.0]
    assert list(now[now["kind"] == SignalKind.PRICE]["value"]) == [99.0, 41.0]
    assert never.empty
    assert str(then["start_at"].dt.tz) == "UTC"
