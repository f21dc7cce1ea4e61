"""Pages for people: log in, look at a plan, decide on it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from scheduler.api.auth import COOKIE
from scheduler.db.models import Role
from tests.api.world import World, problem_of


def cookie(world: World, role: Role) -> dict[str, str]:
    """Header of a browser in which somebody of ``role`` is logged in."""
    return {"Cookie": f"{COOKIE}={world.secrets[role]}"}


def post_form(world: World, path: str, role: Role | None, **fields: str) -> Any:
    """Send a form as a browser does."""
    headers = {} if role is None else cookie(world, role)
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


def test_refused_plan_says_why(world: World) -> None:
    """It is kept for a person to look at."""
    page = see(world, f"/plans/{world.refused_plan()}", Role.OPERATOR)
    assert "Refused by verification: site DE: import_kw in slot 3" in page
