"""Pages for people: log in, look at a plan, decide on it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest

from scheduler.api.app import create_app
from scheduler.api.auth import COOKIE
from scheduler.db.models import PlanningRun, Role, StoredPlan
from scheduler.db.session import transaction
from tests.api.world import World, problem_of


def cookie(world: World, role: Role) -> dict[str, str]:
    """Header of a browser in which somebody of ``role`` is logged in."""
    return {"Cookie": f"{COOKIE}={world.secrets[role]}"}


def post_form(
    world: World, path: str, role: Role | None, told: dict[str, str] | None = None, **fields: str
) -> Any:
    """Send a form as a browser does, with the headers ``told``."""
    headers = (told or {}) | ({} if role is None else cookie(world, role))
    headers["content-type"] = "application/x-www-form-urlencoded"
    return world.client(None).post(path, content=urlencode(fields), headers=headers)


def see(world: World, path: str, role: Role) -> str:
    """The page at ``path``."""
    answer = world.client(None).get(path, headers=cookie(world, role))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    return answer.text


def test_pages_lead_to_the_login(world: World) -> None:
    """Whoever is not logged in, or whose key was revoked."""
    plan_id = world.plan()
    for path in ("/", f"/plans/{plan_id}"):
        for headers in ({}, {"Cookie": f"{COOKIE}=old"}):
            answer = world.client(None).get(path, headers=headers)
            assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert 'name="key"' in world.client(None).get("/login").text


def test_login_keeps_the_key_where_scripts_cannot_read_it(world: World) -> None:
    """And where no other site can make the browser send it."""
    answer = post_form(world, "/login", None, key=world.secrets[Role.OPERATOR])
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    kept = answer.headers["set-cookie"]
    assert kept.startswith(f"{COOKIE}={world.secrets[Role.OPERATOR]};")
    assert "HttpOnly" in kept
    assert "SameSite=strict" in kept
    assert "Secure" not in kept


def test_cookie_is_for_encrypted_connections_only_where_there_is_one(world: World) -> None:
    """A browser would not keep a secure cookie from plain http."""
    body = urlencode({"key": world.secrets[Role.OPERATOR]})
    answer = world.client(None).post("https://gridtide/login", content=body)
    assert "Secure" in answer.headers["set-cookie"]


def test_cookie_is_secure_where_a_proxy_ends_https(world: World) -> None:
    """The app sees plain http then, so it must be told."""
    world.app = create_app(replace(world.app.state.context, has_secure_cookie=True))
    answer = post_form(world, "/login", None, key=world.secrets[Role.OPERATOR])
    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "told",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://other.gridtide"},
        {"Origin": "http://gridtide:8080"},
        {"Origin": "null"},
    ],
)
def test_form_of_another_site_is_refused(world: World, told: dict[str, str]) -> None:
    """Another port or a sibling host gets the cookie sent along, but decides nothing."""
    plan_id = world.plan()
    for path in (f"/plans/{plan_id}/approve", f"/plans/{plan_id}/reject", "/logout", "/login"):
        answer = post_form(world, path, Role.OPERATOR, told, key=world.secrets[Role.ADMIN])
        problem_of(answer, 403, "forbidden")
        assert "set-cookie" not in answer.headers
    assert world.submitter.get(f"/v1/plans/{plan_id}").json()["status"] == "proposed"


@pytest.mark.parametrize(
    "told", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://gridtide"}, {}]
)
def test_form_of_our_own_page_is_taken(world: World, told: dict[str, str]) -> None:
    """Whether the browser says so in the new way or in the old."""
    answer = post_form(world, f"/plans/{world.plan()}/reject", Role.OPERATOR, told)
    assert answer.status_code == 303


@pytest.mark.parametrize("path", ["/login", "/", "/docs", "/v1/plans"])
def test_nothing_is_shown_in_a_frame(world: World, path: str) -> None:
    """A page under another one could be pressed unawares."""
    answer = world.client(None).get(path)
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_form_is_no_larger_than_a_person_writes(world: World) -> None:
    """In bytes, in fields, and in the note, which has the limit it has in the API."""
    plan_id = world.plan()
    approve = f"/plans/{plan_id}/approve"
    many = {f"f{number}": "" for number in range(30)}
    problem_of(post_form(world, "/login", None, key="x" * 70_000), 413, "request-entity-too-large")
    problem_of(post_form(world, "/login", None, **many), 422, "invalid")
    for note in ("x" * 2001, "a\0b"):
        answer = post_form(world, approve, Role.OPERATOR, note=note)
        (error,) = problem_of(answer, 422, "invalid")["errors"]
        assert error["field"] == "note"
    assert post_form(world, approve, Role.OPERATOR, note="x" * 2000).status_code == 303


def test_wrong_key_is_told_on_the_page(world: World) -> None:
    """Without a cookie."""
    answer = post_form(world, "/login", None, key="gt_wrong")
    assert answer.status_code == 401
    assert "unknown or was revoked" in answer.text
    assert "set-cookie" not in answer.headers


def test_logout_forgets_the_key(world: World) -> None:
    """The browser is told to drop it."""
    answer = post_form(world, "/logout", Role.OPERATOR)
    assert f'{COOKIE}="";' in answer.headers["set-cookie"]


def test_list_leads_to_each_plan(world: World) -> None:
    """Newest plans with their status."""
    world.submit("train")
    plan_id = world.plan()
    page = see(world, "/", Role.SUBMITTER)
    assert f'href="/plans/{plan_id}"' in page


def test_plan_page_works_without_the_internet(world: World) -> None:
    """Everything it needs is in it."""
    world.submit("train")
    page = see(world, f"/plans/{world.plan()}", Role.SUBMITTER)
    assert "train" in page
    assert 'src="http' not in page
    assert '<link rel="stylesheet" href="http' not in page


def has_form(page: str, plan_id: UUID) -> bool:
    """Whether the page offers a decision."""
    return f'action="/plans/{plan_id}/approve"' in page


def test_plan_page_says_what_its_signals_rest_on(world: World) -> None:
    """Six hours of the day after tomorrow are copied from tomorrow's."""
    page = see(world, f"/plans/{world.plan(hours=30)}", Role.SUBMITTER)
    assert "What the signals rest on" in page
    row = re.search(r'<th scope="row">DE price</th>.*?</tr>', page, re.DOTALL)
    assert row is not None
    assert re.findall(r"<td[^>]*>(.*?)</td>", row[0]) == ["24", "–", "6", "–", "–", "0.0", "test"]


def test_only_who_may_decide_sees_the_form(world: World) -> None:
    """And only while the plan waits for a decision."""
    plan_id = world.plan()
    assert not has_form(see(world, f"/plans/{plan_id}", Role.SUBMITTER), plan_id)
    assert has_form(see(world, f"/plans/{plan_id}", Role.OPERATOR), plan_id)
    answer = post_form(world, f"/plans/{plan_id}/approve", Role.OPERATOR, note="go & run")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/plans/{plan_id}")
    page = see(world, f"/plans/{plan_id}", Role.OPERATOR)
    assert not has_form(page, plan_id)
    assert "Decided by operator, 2026-06-07 09:30 UTC: go &amp; run" in page


def test_plan_is_rejected_from_its_page(world: World) -> None:
    """A submitter cannot, an operator can."""
    plan_id = world.plan()
    answer = post_form(world, f"/plans/{plan_id}/reject", Role.SUBMITTER)
    problem_of(answer, 403, "forbidden")
    assert post_form(world, f"/plans/{plan_id}/reject", Role.OPERATOR).status_code == 303
    assert world.submitter.get(f"/v1/plans/{plan_id}").json()["status"] == "rejected"


def test_plan_says_what_it_was_made_for(world: World) -> None:
    """Where that was not its time: what the run was queued for."""
    plan_id = world.plan()
    assert "Planned anew" not in see(world, f"/plans/{plan_id}", Role.OPERATOR)
    with transaction(world.sessions) as session:
        run = session.get_one(PlanningRun, session.get_one(StoredPlan, plan_id).run_id)
        run.reason = "grid event <call-1> is new or changed"
    page = see(world, f"/plans/{plan_id}", Role.OPERATOR)
    assert "Planned anew: grid event &lt;call-1&gt; is new or changed." in page


def test_refused_plan_says_why(world: World) -> None:
    """It is kept for a person to look at."""
    page = see(world, f"/plans/{world.refused_plan()}", Role.OPERATOR)
    assert "Refused by verification: site DE: import_kw in slot 3" in page
