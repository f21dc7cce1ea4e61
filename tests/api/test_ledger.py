"""The ledger is read by whom, as CSV and JSON, charged back, and shown beside the plan."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from scheduler.api.auth import COOKIE
from scheduler.db.models import JobRun, JobStatus, LedgerEntry, Role, TelemetryValue
from scheduler.db.session import make_engine, make_session_factory, transaction
from scheduler.services import ledger_report
from scheduler.services.fleet import replace_fleet
from scheduler.services.ledger_store import columns_of
from scheduler.services.ledger_watch import LedgerWatch
from scheduler.specs import FleetSpec
from scheduler.specs.message import TelemetrySeries
from tests.api.world import FLEET, MIDNIGHT, SITE, World, problem_of

HOUR = timedelta(hours=1)
POOL = {"name": "a100", "gpus": 16, "idle_kw_per_gpu": 0.05}
LIFE = {"embodied_kg_per_gpu": 150.0, "lifetime_years": 5}
SPAN = f"start={MIDNIGHT:%Y-%m-%dT%H:%MZ}&end=2026-06-08T06:00Z"


@pytest.fixture
def entered(world: World) -> World:
    """A night, on each kind of database."""
    return enter(world)


@pytest.fixture
def night(sqlite_url: str) -> Iterator[World]:
    """A night, for what does not depend on the kind of database."""
    engine = make_engine(sqlite_url)
    world = World(make_session_factory(engine))
    world.furnish()
    yield enter(world)
    engine.dispose()


def enter(world: World) -> World:
    """Enter six hours of a night: two tenants' jobs, one of which tells its tokens."""
    fleet = FLEET | {"sites": [SITE | {"pools": [POOL | LIFE], "base_load_kw": 1.0, "pue": 1.2}]}
    with transaction(world.sessions) as session:
        replace_fleet(session, FleetSpec.model_validate(fleet), "test", world.now)
    LedgerWatch(world.sessions, lambda: world.now).look()
    world.submit("train", tenant="vision", project="p1")
    world.submit("serve", tenant="chat")
    plan = world.plan()
    world.operator.post(f"/v1/plans/{plan}/approve", json={})
    for name, first, last in (("train", 1, 3), ("serve", 2, 6)):
        job = world.set_job(name, JobStatus.SUCCEEDED, "DE")
        with transaction(world.sessions) as session:
            span = {"began_at": MIDNIGHT + first * HOUR, "ended_at": MIDNIGHT + last * HOUR}
            session.add(JobRun(job_id=job, start=1, site="DE", point="a100x4", **span))
    with transaction(world.sessions) as session:
        session.add(
            TelemetryValue(
                site="DE",
                series=TelemetrySeries.JOB_TOKENS,
                device="serve",
                at=MIDNIGHT + 6 * HOUR,
                value=8.0,
                source="serve",
                received_at=MIDNIGHT + 6 * HOUR,
            )
        )
    world.now = MIDNIGHT + 6.5 * HOUR
    # From the next slot on, the evening before has no price and is a gap.
    assert LedgerWatch(world.sessions, lambda: world.now).look() == 6
    return world


def get(world: World, path: str) -> Any:
    """What a submitter is told."""
    answer = world.submitter.get(f"/v1/ledger/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_entries_are_listed_with_their_hashes(night: World) -> None:
    """In order, each following from the one before; as CSV alike."""
    found = get(night, f"entries?{SPAN}")
    assert [entry["start_at"][11:16] for entry in found] == [f"0{hour}:00" for hour in range(6)]
    for before, after in pairwise(found):
        assert after["previous_hash"] == before["hash"]
    text = night.submitter.get(f"/v1/ledger/entries?{SPAN}&format=csv")
    assert text.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(StringIO(text.text)))
    assert [float(row["bought_kwh"]) for row in rows] == [one["bought_kwh"] for one in found]
    assert float(rows[1]["expected_it_kwh"]) == found[1]["expected"]["it_kwh"]


def test_totals_add_up_whatever_they_are_by(entered: World) -> None:
    """Jobs to tenants, tenants and the site's own to the site."""
    site = get(entered, f"totals?{SPAN}&by=site")[0]
    holders = get(entered, f"totals?{SPAN}&by=holder")
    for name in ("kwh", "eur", "carbon_kg"):
        assert sum(row[name] for row in holders) == pytest.approx(site[name], rel=1e-9)
    jobs = {row["job"]: row for row in get(entered, f"totals?{SPAN}&by=job")}
    tenants = {row["tenant"]: row for row in get(entered, f"totals?{SPAN}&by=tenant")}
    assert jobs["train"]["kwh"] == tenants["vision"]["kwh"] == pytest.approx(2 * 2.0 * 1.2)
    assert jobs["serve"]["tokens"] == pytest.approx(8e6)
    assert [row["job"] for row in get(entered, f"totals?{SPAN}&by=job&tenant=vision")] == ["train"]
    spent = sum(one["energy_eur"] - one["sold_eur"] for one in get(entered, f"entries?{SPAN}"))
    wear = sum(one["storage_wear_eur"] for one in get(entered, f"entries?{SPAN}"))
    assert site["eur"] == pytest.approx(spent + wear)


def test_tenants_are_charged_for_all_of_it(entered: World) -> None:
    """What is laid on nobody included; by whatever the rest is spread."""
    for spread in ("gpu_hours", "energy", "none"):
        require_charged(entered, spread)


def require_charged(entered: World, spread: str) -> None:
    """All rows add up to what the site came to."""
    rows = get(entered, f"chargeback?month=2026-06&spread={spread}")
    site = get(entered, f"totals?{SPAN}&by=site")[0]
    assert sum(row["eur"] for row in rows) == pytest.approx(site["eur"], rel=1e-9)
    assert sum(row["kwh"] for row in rows) == pytest.approx(site["kwh"], rel=1e-9)
    by_tenant = {row["tenant"]: row for row in rows}
    laid_on = by_tenant["chat"]["laid_on_kwh"] / 2 - by_tenant["vision"]["laid_on_kwh"]
    assert laid_on == pytest.approx(0.0, abs=1e-9)  # twice the GPU-hours, and energy
    assert (by_tenant[""]["kwh"] > 0.0) is (spread == "none")
    alone = get(entered, f"chargeback?month=2026-06&spread={spread}&tenant=vision")
    assert alone == [by_tenant["vision"]]


def test_carbon_per_unit_says_its_boundary(night: World) -> None:
    """(E * I + M) per GPU-hour, and energy per million tokens where they are told."""
    rows = {row["tenant"]: row for row in get(night, "sci?month=2026-06&spread=none")}
    used = {row["tenant"]: row for row in get(night, f"totals?{SPAN}&by=tenant")}
    chat = rows["chat"]
    made_kg = 16 * 150 / (5 * 365.25 * 24)
    grams = 1000 * (used["chat"]["carbon_kg"] + made_kg)
    assert chat["embodied_kg"] == pytest.approx(made_kg)
    assert chat["g_per_gpu_hour"] == pytest.approx(grams / 16)
    assert chat["kwh_per_million_tokens"] == pytest.approx(used["chat"]["kwh"] / 8)
    assert chat["g_per_million_tokens"] == pytest.approx(grams / 8)
    assert rows["vision"]["kwh_per_million_tokens"] is None
    assert "left out where it is not stated" in chat["boundary"]


def test_plans_stand_beside_reality(night: World) -> None:
    """A plan that was not carried out is found out."""
    (day,) = get(night, "plans-beside-reality?month=2026-06&site=DE")
    assert (day["slots"], day["planned_slots"], day["off_price_eur_per_mwh"]) == (6, 6, 0.0)
    assert day["expected"]["it_kwh"] != pytest.approx(day["real"]["it_kwh"])


def test_what_cannot_be_read_is_refused(night: World) -> None:
    """Spans that are too long, months that are none, sites without a ledger, other people."""
    asked = {
        "entries?start=2026-06-08T00:00Z&end=2027-07-08T00:00Z": 422,
        "entries?start=2026-06-08T00:00Z&end=2026-06-08T00:00Z": 422,
        "chargeback?month=2026-13": 422,
        f"totals?{SPAN}&site=FR": 404,
        "sci?month=2026-06&site=FR": 404,
    }
    for path, status in asked.items():
        assert night.submitter.get(f"/v1/ledger/{path}").status_code == status, path
    problem_of(night.sender.get(f"/v1/ledger/totals?{SPAN}"), 403, "forbidden")


def test_no_more_is_told_at_once_than_a_reader_takes(
    night: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused with what to ask for instead, and not cut off."""
    monkeypatch.setattr(ledger_report, "MOST_ENTRIES", 5)
    refused = night.submitter.get(f"/v1/ledger/entries?{SPAN}")
    assert "at most 5 entries" in problem_of(refused, 422, "invalid")["detail"]
    path = "/v1/ledger/plans-beside-reality?month=2026-06"
    assert night.submitter.get(path).status_code == 422


def test_a_month_of_all_sites_is_read_site_by_site(
    night: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two sites that are each told at once are told together."""
    with transaction(night.sessions) as session:
        rows = session.scalars(select(LedgerEntry)).all()
        session.add_all(
            LedgerEntry(**columns_of(row) | {"id": uuid4(), "site": "FR"}) for row in rows
        )
    monkeypatch.setattr(ledger_report, "MOST_ENTRIES", 6)
    (day,) = get(night, "plans-beside-reality?month=2026-06")
    (of_site,) = get(night, "plans-beside-reality?month=2026-06&site=DE")
    assert (day["slots"], day["planned_slots"]) == (12, 12)
    assert day["real"]["bought_kwh"] == pytest.approx(2 * of_site["real"]["bought_kwh"])
    assert day["expected"]["price_eur_per_mwh"] == of_site["expected"]["price_eur_per_mwh"]
    headers = {"Cookie": f"{COOKIE}={night.secrets[Role.SUBMITTER]}"}
    shown = night.client(None).get("/ledger?month=2026-06", headers=headers)
    assert "12 of 12" in shown.text


def test_the_page_shows_a_month(night: World) -> None:
    """Whose it was, and plans beside what really was; another month is empty."""
    headers = {"Cookie": f"{COOKIE}={night.secrets[Role.SUBMITTER]}"}
    shown = night.client(None).get("/ledger?month=2026-06&site=DE", headers=headers).text
    assert "Ledger 2026-06, DE" in shown
    assert "vision" in shown
    assert "6 of 6" in shown
    empty = night.client(None).get("/ledger?month=2026-05", headers=headers).text
    assert "Nothing was entered" in empty
    assert night.client(None).get("/ledger").status_code == 303
