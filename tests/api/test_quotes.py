"""Quotes, and the prices they rest on: read off the plan in force, which they do not change."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from optimizer import SlotPrices, with_marginal_energy
from scheduler.db.models import JobStatus, StoredPlan
from scheduler.db.session import transaction
from scheduler.services import plans, ready_plans
from scheduler.services.plan_document import PlanDocument
from tests.api.world import FLEET, MIDNIGHT, NOW, SITE, World, job, problem_of


def at(hours: float) -> str:
    """So long after midnight, as the API writes it."""
    return (MIDNIGHT + timedelta(hours=hours)).isoformat().replace("+00:00", "Z")


def in_force(world: World, *names: str, **changes: Any) -> str:
    """Plan these jobs, each as soon as it can, and approve the plan; returns its id."""
    world.submit(*names, **changes)
    plan_id = world.plan()
    world.operator.post(f"/v1/plans/{plan_id}/approve", json={})
    return str(plan_id)


def menu(world: World, spec: dict[str, Any], *hours: float) -> list[dict[str, Any]]:
    """The quotes for deadlines so many hours after midnight, or for the default ones."""
    body: dict[str, Any] = {"job": spec}
    if hours:
        body["deadlines"] = [at(hour) for hour in hours]
    answer = world.submitter.post("/v1/quotes", json=body)
    assert answer.status_code == 200, answer.text
    quotes: list[dict[str, Any]] = answer.json()["quotes"]
    return quotes


def test_a_quote_says_where_when_and_for_how_much(world: World) -> None:
    """2 kW for 2 h from midnight on: 40 and 41 EUR/MWh, 300 and 301 g/kWh; carbon at 80 EUR/t."""
    in_force(world)
    (line,) = menu(world, job(), 24)
    assert (line["fits"], line["blocked_by"]) == (True, [])
    assert (line["site"], line["point"]) == ("DE", "DE/a100x4")
    assert (line["start_at"], line["end_at"]) == (at(0), at(2))
    assert line["runs"] == [{"point": "DE/a100x4", "start_at": at(0), "end_at": at(2)}]
    assert line["energy_kwh"] == pytest.approx(4.0)
    assert line["gpu_hours"] == pytest.approx(8.0)
    assert line["carbon_kg"] == pytest.approx(2 * 0.601)
    assert line["paid_eur"] == pytest.approx(2 * 0.081)
    price = world.admin.get("/v1/fleet").json()["spec"]["planning"]["weights"]["carbon_eur_per_t"]
    assert line["cost_eur"] == pytest.approx(2 * 0.081 + 2 * 0.601 * price / 1000)
    assert line["total_eur_per_gpu_hour"] == pytest.approx(line["cost_eur"] / 8)
    assert line["gpu_eur"] is None


def test_an_answer_names_its_plan_and_promises_nothing(world: World) -> None:
    """Which plan, made when, how many jobs came since; asking changes nothing."""
    plan_id = in_force(world, "train")
    world.now += timedelta(minutes=5)
    world.submit("later")
    body = {"job": job("what-if")}
    first, again = (world.submitter.post("/v1/quotes", json=body).json() for _ in range(2))
    assert first == again
    assert first["plan_id"] == plan_id
    assert first["plan_created_at"] == "2026-06-07T09:30:00Z"
    assert (first["window_start"], first["window_end"]) == (at(0), at(24))
    assert first["jobs_submitted_since"] == 1
    assert "holds nothing" in first["note"]
    names = {row["name"] for row in world.submitter.get("/v1/jobs").json()["items"]}
    assert names == {"train", "later"}


def test_gpus_that_are_taken_are_not_quoted(world: World) -> None:
    """All 16 GPUs are held from midnight to two."""
    in_force(world, "wide", operating_points=[{"pool": "a100", "gpus": 16, "kw": 2.0}])
    soon, late = menu(world, job(), 3, 4)
    assert (soon["fits"], soon["paid_eur"]) == (False, None)
    assert soon["blocked_by"] == [
        "GPUs of DE/a100 are full from 2026-06-08 00:00 UTC to 2026-06-08 02:00 UTC (4 too few)"
    ]
    assert soon["cost_eur"] > 0
    assert (late["fits"], late["start_at"]) == (True, at(2))


def test_the_default_menu_begins_with_the_earliest_end_and_ends_with_the_plan(world: World) -> None:
    """Alone it could be done at two; 6 and 12 hours later; its own deadline; the plan's end."""
    in_force(world)
    lines = menu(world, job(deadline_at=at(10)))
    assert [line["deadline_at"] for line in lines] == [at(2), at(8), at(10), at(14), at(24)]
    costs = [line["cost_eur"] for line in lines]
    assert costs == sorted(costs, reverse=True)


def test_a_deadline_too_early_for_the_job_is_answered_with_what_is_missing(world: World) -> None:
    """It is a quote that says no, not an error."""
    in_force(world)
    (line,) = menu(world, job(), 1)
    assert (line["fits"], line["site"], line["cost_eur"]) == (False, None, None)
    assert line["blocked_by"] == [
        "it takes 2 slots at least, and from 2026-06-08 00:00 UTC to 2026-06-08 01:00 UTC there"
        " are 1"
    ]


def test_no_job_is_quoted_into_the_past(world: World) -> None:
    """At half past five the next slot begins at six; a deadline before now is refused."""
    in_force(world)
    world.now = MIDNIGHT + timedelta(hours=5, minutes=30)
    (line,) = menu(world, job(), 24)
    assert line["start_at"] == at(6)
    body = {"job": job(), "deadlines": [at(5), at(9)]}
    answer = world.submitter.post("/v1/quotes", json=body)
    (error,) = problem_of(answer, 422, "invalid")["errors"]
    assert (error["object"], error["field"]) == ("job train", "deadlines")
    assert error["value"] == "2026-06-08T05:00:00+00:00"


def test_without_a_plan_that_can_hold_it_there_is_no_quote(world: World) -> None:
    """None in force; over before the job could begin; without a predecessor."""
    body = {"job": job()}
    problem_of(world.submitter.post("/v1/quotes", json=body), 404, "not-found")
    in_force(world, "train")
    after_end = job(release_at=at(25), deadline_at=at(40))
    answer = world.submitter.post("/v1/quotes", json={"job": after_end})
    assert "ends at 2026-06-09" in problem_of(answer, 409, "conflict")["detail"]
    world.submit("later")
    answer = world.submitter.post("/v1/quotes", json={"job": job("next", after=["later"])})
    assert "predecessor later is not in the plan" in problem_of(answer, 409, "conflict")["detail"]


def test_a_job_starts_after_its_predecessors_and_waits_for_none_that_is_done(world: World) -> None:
    """The first is planned until two; once it has succeeded nobody waits for it."""
    in_force(world, "first")
    spec = job("next", after=["first"])
    (line,) = menu(world, spec, 24)
    assert line["start_at"] == at(2)
    world.set_job("first", JobStatus.SUCCEEDED)
    (line,) = menu(world, spec, 24)
    assert line["start_at"] == at(0)


def test_what_no_plan_could_hold_is_refused_by_object_value_and_limit(world: World) -> None:
    """Unknown site, pool, predecessor; no deadlines at all, or too many."""
    in_force(world)
    wrong = (
        (job(sites=["mars"]), "sites", "mars"),
        (job(operating_points=[{"pool": "h100", "gpus": 1, "kw": 1}]), "operating_points.pool", 0),
        (job(after=["nobody"]), "after", "nobody"),
    )
    for spec, field, value in wrong:
        answer = world.submitter.post("/v1/quotes", json={"job": spec})
        (error,) = problem_of(answer, 422, "invalid")["errors"]
        assert (error["object"], error["field"]) == ("job train", field)
        assert value in {0, error["value"]}
    for deadlines in ([], [at(hour) for hour in range(1, 14)], ["2026-06-08T12:00:00"]):
        answer = world.submitter.post("/v1/quotes", json={"job": job(), "deadlines": deadlines})
        problem_of(answer, 422, "invalid")


def test_a_plan_that_is_over_quotes_nothing(world: World) -> None:
    """The answer says so, instead of quoting the past."""
    in_force(world)
    world.now = MIDNIGHT + timedelta(hours=30)
    spec = job(deadline_at=at(60))
    answer = world.submitter.post("/v1/quotes", json={"job": spec})
    assert "before the job could begin" in problem_of(answer, 409, "conflict")["detail"]


def test_a_large_plan_is_read_once_and_a_newer_one_is_seen_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked about it: explanations and quotes share what was made ready."""
    read: list[object] = []
    real = plans.read_document

    def counted(session: Any, plan_id: Any) -> PlanDocument:
        read.append(plan_id)
        return real(session, plan_id)

    first = in_force(world, "train")
    monkeypatch.setattr(ready_plans.plans, "read_document", counted)
    for _ in range(3):
        menu(world, job("what-if"), 24)
        world.submitter.get("/v1/jobs/train/explanation")
    assert [str(plan_id) for plan_id in read] == [first]
    second = in_force(world, "other")
    read.clear()
    for _ in range(2):
        told = world.submitter.get("/v1/jobs/other/explanation").json()
        assert told["plan_id"] == second
    assert [str(plan_id) for plan_id in read] == [second]


def published(world: World) -> str:
    """A plan in force with prices of everything; returns its id."""
    plan_id = in_force(world, "train")
    with transaction(world.sessions) as session:
        stored = session.get_one(StoredPlan, world.plan())
        document = plans.read_document(session, stored.id)
        plan = with_marginal_energy(document.problem, document.plan)
        worth = (0.5,) * 2 + (0.0,) * 22
        prices = SlotPrices(((0.07,) * 24,), ((worth,),))
        priced = document.model_copy(update={"plan": replace(plan, prices=prices)})
        session.get_one(StoredPlan, stored.id).document = priced.to_record()
        plan_id = str(stored.id)
    world.operator.post(f"/v1/plans/{plan_id}/approve", json={})
    return plan_id


def test_prices_of_energy_and_gpus_are_published_with_the_plan(world: World) -> None:
    """One row per site and hour, as JSON and as CSV."""
    address = f"/v1/plans/{published(world)}/prices"
    rows = world.submitter.get(address).json()
    assert len(rows) == 24
    assert rows[5]["site"] == "DE"
    assert pd.Timestamp(rows[5]["start_utc"]) == MIDNIGHT + timedelta(hours=5)
    assert rows[0]["eur_per_gpu_hour_a100"] == 0.5
    assert (rows[0]["gpus_free_a100"], rows[5]["gpus_free_a100"]) == (12, 16)
    assert rows[0]["it_eur_per_kwh"] == 0.07
    # The battery sells what is left of it in the last hour, at 63 EUR/MWh: that much less.
    assert [row["marginal_eur_per_kwh"] for row in rows] == pytest.approx([0.063] * 24)
    assert [row["marginal_carbon_g_per_kwh"] for row in rows] == pytest.approx([0.0] * 24)
    text = world.submitter.get(address, params={"format": "csv"}).text
    assert text.splitlines()[0].startswith("site,start_utc,marginal_eur_per_kwh,marginal_carbon")


def test_a_plan_without_prices_publishes_empty_ones(world: World) -> None:
    """A plan by rule has no duals; its free GPUs are known all the same."""
    rows = world.submitter.get(f"/v1/plans/{in_force(world, 'train')}/prices").json()
    assert rows[0]["marginal_eur_per_kwh"] is None
    assert rows[0]["eur_per_gpu_hour_a100"] is None
    assert rows[0]["gpus_free_a100"] == 12


def test_a_quote_says_what_its_gpu_hours_are_worth_in_the_plan(world: World) -> None:
    """Until two a GPU-hour is worth 0.50 EUR to others: 8 of them, 4 EUR, apart from the cost."""
    published(world)
    soon, late = menu(world, job("what-if", release_at=at(0)), 2, 24)
    assert soon["gpu_eur"] == pytest.approx(4.0)
    assert soon["total_eur_per_gpu_hour"] == pytest.approx(soon["cost_eur"] / 8 + 0.5)
    assert late["cost_eur"] == pytest.approx(soon["cost_eur"])


def test_the_fleet_of_the_plan_decides_not_a_newer_one(world: World) -> None:
    """A site added since then has no prices in the plan."""
    in_force(world)
    newer = FLEET | {"sites": [SITE, SITE | {"name": "FR"}]}
    assert world.admin.put("/v1/fleet", json=newer).status_code in {200, 201}
    answer = world.submitter.post("/v1/quotes", json={"job": job(sites=["FR"])})
    (error,) = problem_of(answer, 422, "invalid")["errors"]
    assert (error["field"], error["value"], error["limit"]) == ("sites", "FR", "one of DE")


def test_quoting_needs_a_key(world: World) -> None:
    """Like submitting."""
    problem_of(world.client(None).post("/v1/quotes", json={"job": job()}), 401, "unauthenticated")
    assert world.now == NOW
