"""Plans: reviewed as figures, tables, text and pictures; decided on once."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from scheduler.db.models import StoredPlan
from scheduler.db.session import transaction
from tests.api.world import MIDNIGHT, World, problem_of


def approve(world: World, plan_id: UUID, note: str = "") -> Any:
    """Approve as the operator."""
    return world.operator.post(f"/v1/plans/{plan_id}/approve", json={"note": note})


def status(world: World, plan_id: UUID) -> str:
    """What was decided about a plan."""
    decided: str = world.submitter.get(f"/v1/plans/{plan_id}").json()["status"]
    return decided


def test_figures_of_a_plan(world: World) -> None:
    """Cost and carbon stand beside the baseline's."""
    world.submit("train")
    plan = world.submitter.get(f"/v1/plans/{world.plan()}").json()
    assert plan["status"] == "proposed"
    assert (plan["window_start"], plan["window_end"]) == (
        "2026-06-08T00:00:00Z",
        "2026-06-09T00:00:00Z",
    )
    # Two hours at 2 kW, at 40 and 41 EUR/MWh, 300 and 301 g/kWh.
    assert plan["money_eur"] == pytest.approx(0.162)
    assert plan["carbon_kg"] == pytest.approx(1.202)
    assert plan["baseline_money_eur"] == plan["money_eur"]
    assert (plan["breaches"], plan["n_violations"]) == ([], 0)
    problem_of(world.submitter.get(f"/v1/plans/{uuid4()}"), 404, "not-found")


def test_gap_is_told_where_one_was_proven(world: World) -> None:
    """Relative to the objective; never negative."""
    plan_id = world.plan()
    address = f"/v1/plans/{plan_id}"
    assert world.submitter.get(address).json()["gap"] is None
    with transaction(world.sessions) as session:
        plan = session.get_one(StoredPlan, plan_id)
        plan.objective_eur, plan.bound_eur = 200.0, 199.0
    assert world.submitter.get(address).json()["gap"] == pytest.approx(0.005)
    assert "gridtide_last_plan_gap_ratio 0.005" in world.submitter.get("/metrics").text


def test_approval_puts_in_force_and_supersedes(world: World) -> None:
    """There is one plan in force, and it says who decided and why."""
    first, second = world.plan(), world.plan()
    approved = approve(world, first, "looks good").json()
    assert approved["status"] == "in_force"
    assert (approved["decided_by"], approved["decision_note"]) == ("operator", "looks good")
    assert approved["decided_at"] == "2026-06-07T09:30:00Z"
    assert approve(world, second).status_code == 200
    assert (status(world, first), status(world, second)) == ("superseded", "in_force")


def test_rejected_plan_leaves_the_one_in_force(world: World) -> None:
    """And cannot be approved later."""
    first, second = world.plan(), world.plan()
    approve(world, first)
    answer = world.operator.post(f"/v1/plans/{second}/reject", json={"note": "stale price"})
    assert answer.json()["status"] == "rejected"
    assert status(world, first) == "in_force"
    detail = problem_of(approve(world, second), 409, "conflict")["detail"]
    assert detail == f"plan {second} cannot be approved: it is rejected"


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_decided_plan_cannot_be_decided_again(world: World, decision: str) -> None:
    """A plan is decided on once."""
    plan_id = world.plan()
    approve(world, plan_id)
    answer = world.operator.post(f"/v1/plans/{plan_id}/{decision}", json={})
    assert "it is in_force" in problem_of(answer, 409, "conflict")["detail"]


def test_plan_that_verification_refused_cannot_be_approved(world: World) -> None:
    """Nothing dispatches a plan that breaks a limit."""
    answer = approve(world, world.refused_plan())
    detail = problem_of(answer, 409, "conflict")["detail"]
    assert "verification refused it (site DE: import_kw in slot 3)" in detail


def test_plan_whose_window_is_over_cannot_be_approved(world: World) -> None:
    """It would have nothing to say."""
    plan_id = world.plan()
    world.now = MIDNIGHT + timedelta(hours=24)
    assert "its window ended" in problem_of(approve(world, plan_id), 409, "conflict")["detail"]


def test_plans_are_listed_by_status(world: World) -> None:
    """What waits for a decision is found by asking for it."""
    first, second = world.plan(), world.plan()
    approve(world, first)
    answer = world.submitter.get("/v1/plans", params={"status": "proposed"}).json()
    assert [plan["id"] for plan in answer["items"]] == [str(second)]
    assert len(world.submitter.get("/v1/plans").json()["items"]) == 2


def test_tables_come_as_json_or_csv(world: World) -> None:
    """By Accept, or by ``format``, which overrules it; both say the same."""
    world.submit("train")
    address = f"/v1/plans/{world.plan()}"
    rows = world.submitter.get(f"{address}/energy").json()
    assert len(rows) == 24
    assert rows[0]["site"] == "DE"
    assert rows[0]["import_kw"] == pytest.approx(2.0)
    by_accept = world.submitter.get(f"{address}/energy", headers={"Accept": "text/csv"})
    assert by_accept.headers["content-type"].startswith("text/csv")
    table = list(csv.DictReader(io.StringIO(by_accept.text)))
    assert [float(row["import_kw"]) for row in table] == pytest.approx(
        [row["import_kw"] for row in rows]
    )
    overruled = {"headers": {"Accept": "text/csv"}, "params": {"format": "json"}}
    assert world.submitter.get(f"{address}/energy", **overruled).json() == rows


def test_job_table_names_those_left_out(world: World) -> None:
    """Every job of the problem has a row."""
    world.submit("first", "second")
    rows = world.submitter.get(f"/v1/plans/{world.plan()}/jobs").json()
    assert {row["job"] for row in rows} == {"first", "second"}
    assert rows[0]["start_utc"].startswith("2026-06-08T00:00:00")
    answer = world.submitter.get(f"/v1/plans/{world.plan()}/jobs", params={"format": "csv"})
    assert answer.text.splitlines()[0].startswith("job,status,site")


def test_a_plan_shows_what_its_signals_rest_on(world: World) -> None:
    """Tomorrow's hours were published; those of the day after are copied, and both pages say so."""
    world.now += timedelta(hours=2)
    path = f"/v1/plans/{world.plan(hours=30)}"
    rows = {row["kind"]: row for row in world.submitter.get(f"{path}/inputs").json()}
    price = rows["price"]
    assert (price["published_slots"], price["filled_slots"], price["missing_slots"]) == (24, 6, 0)
    assert (price["age_hours"], price["is_stale"], price["sources"]) == (2.0, False, ["test"])
    lines = world.submitter.get(f"{path}/summary").text.splitlines()
    (line,) = (line for line in lines if line.split()[:2] == ["DE", "price"])
    assert line.split() == ["DE", "price", "24", "\u2013", "6", "\u2013", "\u2013", "2.0", "test"]


def test_summary_is_readable_text(world: World) -> None:
    """What an operator reads first."""
    world.submit("train")
    answer = world.submitter.get(f"/v1/plans/{world.plan()}/summary")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "EUR" in answer.text
    assert len(answer.text.splitlines()) > 5


@pytest.mark.parametrize(
    ("name", "media_type", "begins"),
    [("chart.svg", "image/svg+xml", b"<?xml"), ("chart.png", "image/png", b"\x89PNG")],
)
def test_chart_is_a_picture(world: World, name: str, media_type: str, begins: bytes) -> None:
    """Of the type it is documented as, so that the docs show it in place."""
    world.submit("train")
    answer = world.submitter.get(f"/v1/plans/{world.plan()}/{name}")
    assert answer.headers["content-type"] == media_type
    assert answer.content.startswith(begins)


def test_document_is_the_whole_plan(world: World) -> None:
    """It reads back as what was stored, problem and baseline included."""
    world.submit("train")
    document = world.document(world.plan())
    assert [job.name for job in document.problem.jobs] == ["train"]
    assert document.plan == document.baseline


def test_two_plans_are_compared(world: World) -> None:
    """Totals and the jobs that changed."""
    world.submit("first")
    one = world.plan()
    world.submit("second")
    two = world.plan()
    answer = world.submitter.get("/v1/plans/compare", params={"first": one, "second": two}).json()
    assert [(row["job"], row["kind"]) for row in answer["changes"]] == [("second", "appeared")]
    assert answer["unchanged_jobs"] == 1
    money = next(row for row in answer["figures"] if row["key"] == "money_eur")
    assert money["second"] == pytest.approx(2 * money["first"])
    assert "second" in answer["text"]


def test_every_part_of_an_unknown_plan_is_not_found(world: World) -> None:
    """Also where the answer would be a picture."""
    for part in ("document", "energy", "inputs", "jobs", "summary", "chart.svg", "chart.png"):
        problem_of(world.submitter.get(f"/v1/plans/{uuid4()}/{part}"), 404, "not-found")


def test_outlook_of_a_plan_for_the_forecast_alone_is_empty(world: World) -> None:
    """There is nothing to tell of futures, and nobody was kept early for their errors."""
    world.submit("train")
    answer = world.submitter.get(f"/v1/plans/{world.plan()}/outlook")
    assert answer.status_code == 200
    assert answer.json()["outlook"] is None
