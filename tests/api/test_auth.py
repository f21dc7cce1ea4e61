"""Who may do what, and what everybody else is told."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from scheduler.api.auth import COOKIE
from scheduler.db.models import Role
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import keys
from tests.api.client import Client
from tests.api.world import NOW, World, problem_of

OPEN = {"/health/live", "/health/ready"}
OF_NO_KEY = {("post", "/v1/openadr/notifications")}  # what a subscription gave away opens it
NEEDED = {
    ("put", "/v1/fleet"): Role.ADMIN,
    ("put", "/v1/sites/{name}"): Role.ADMIN,
    ("post", "/v1/signals"): Role.OPERATOR,
    ("post", "/v1/signals/csv"): Role.OPERATOR,
    ("post", "/v1/signals/parquet"): Role.OPERATOR,
    ("post", "/v1/signals/quality/{flag_id}/confirm"): Role.OPERATOR,
    ("post", "/v1/signals/quality/{flag_id}/reject"): Role.OPERATOR,
    ("post", "/v1/messages"): Role.SENDER,
    ("get", "/v1/dead-letters"): Role.OPERATOR,
    ("post", "/v1/jobs"): Role.SUBMITTER,
    ("post", "/v1/quotes"): Role.SUBMITTER,
    ("post", "/v1/jobs/{job}/cancel"): Role.SUBMITTER,
    ("post", "/v1/job-arrays"): Role.SUBMITTER,
    ("post", "/v1/job-arrays/{array}/cancel"): Role.SUBMITTER,
    ("post", "/v1/grid-events"): Role.OPERATOR,
    ("put", "/v1/grid-events/{external_id}"): Role.OPERATOR,
    ("post", "/v1/grid-events/{external_id}/cancel"): Role.OPERATOR,
    ("post", "/v1/vpp/bids/evaluate"): Role.OPERATOR,
    ("post", "/v1/vpp/bids/{bid_id}/accept"): Role.OPERATOR,
    ("post", "/v1/planning-runs"): Role.OPERATOR,
    ("post", "/v1/planning-runs/{run_id}/cancel"): Role.OPERATOR,
    ("post", "/v1/plans/{plan_id}/approve"): Role.OPERATOR,
    ("post", "/v1/plans/{plan_id}/reject"): Role.OPERATOR,
    ("post", "/v1/keys"): Role.ADMIN,
    ("get", "/v1/keys"): Role.ADMIN,
    ("post", "/v1/keys/{key_id}/revoke"): Role.ADMIN,
}


Operation = tuple[str, str, dict[str, Any]]


def operations(world: World) -> list[Operation]:
    """Every documented operation: method, path and description."""
    paths = world.app.openapi()["paths"]
    return [
        (method, path, described)
        for path, methods in paths.items()
        for method, described in methods.items()
    ]


def address(path: str) -> str:
    """``path`` with something in place of its parameters."""
    for name in ("plan_id", "run_id", "key_id", "flag_id"):
        path = path.replace(f"{{{name}}}", str(uuid4()))
    for name in ("name", "job", "array", "external_id"):
        path = path.replace(f"{{{name}}}", "x")
    return path.replace("{version}", "1")


def ask(world: World, role: Role | None, operation: Operation) -> int:
    """Send the documented example, or nothing, and return the status."""
    method, path, described = operation
    options: dict[str, Any] = {}
    for media_type, content in described.get("requestBody", {}).get("content", {}).items():
        # Of what is no text there is none: bytes that are no Parquet file stand for one.
        has_example = "contentMediaType" not in content["schema"]
        body = content["examples"]["worked example"]["value"] if has_example else "PAR1"
        options = {"headers": {"content-type": media_type}}
        options |= {"content": body} if isinstance(body, str) else {"json": body}
    return world.client(role).request(method.upper(), address(path), **options).status_code


def test_every_change_states_who_may_make_it(world: World) -> None:
    """A new route that changes something must be added to the table above."""
    changing = {(method, path) for method, path, _ in operations(world) if method != "get"}
    assert changing == {entry for entry in NEEDED if entry[0] != "get"} | OF_NO_KEY


def test_nothing_but_health_and_docs_answers_without_a_key(world: World) -> None:
    """Everything else is 401, whatever is asked."""
    for operation in operations(world):
        expected = 200 if operation[1] in OPEN else 401
        assert ask(world, None, operation) == expected, operation[:2]


@pytest.mark.parametrize("role", list(Role))
def test_each_role_may_do_what_the_table_says(world: World, role: Role) -> None:
    """Roles that are too low are refused with 403, others get past the door."""
    for operation in operations(world):
        if operation[:2] in OF_NO_KEY:
            assert ask(world, role, operation) == 401
            continue
        needed = NEEDED.get(operation[:2], Role.SUBMITTER)
        may = operation[1] in OPEN or role.includes(needed)
        is_refused = ask(world, role, operation) == 403
        assert is_refused == (not may), operation[:2]


def test_refusals_say_what_is_missing(world: World) -> None:
    """401 names the header to send, 403 the role that is needed."""
    answer = world.client(None).get("/v1/jobs")
    assert "Authorization: Bearer" in problem_of(answer, 401, "unauthenticated")["detail"]
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    answer = world.submitter.get("/v1/keys")
    detail = problem_of(answer, 403, "forbidden")["detail"]
    assert detail == "this needs role admin; key submitter is submitter"


def test_unknown_key_is_refused(world: World) -> None:
    """A key nobody made is no key."""
    answer = Client(world.app, "gt_made-up").get("/v1/jobs")
    assert "unknown or was revoked" in problem_of(answer, 401, "unauthenticated")["detail"]


def test_cookie_lets_read_but_not_change(world: World) -> None:
    """Pages show pictures by the cookie; a form elsewhere must not be able to act by it."""
    cookie = {"Cookie": f"{COOKIE}={world.secrets[Role.ADMIN]}"}
    client = world.client(None)
    assert client.get("/v1/fleet", headers=cookie).status_code == 200
    change = client.post("/v1/keys", headers=cookie, json={"name": "x", "role": "admin"})
    problem_of(change, 401, "unauthenticated")


def test_key_is_made_shown_once_used_and_revoked(world: World) -> None:
    """The whole life of a key."""
    made = world.admin.post("/v1/keys", json={"name": "alice", "role": "submitter"})
    assert made.status_code == 201
    secret, key_id = made.json()["key"], made.json()["id"]
    assert Client(world.app, secret).get("/v1/jobs").status_code == 200
    assert secret not in world.admin.get("/v1/keys").text
    for _ in range(2):
        revoked = world.admin.post(f"/v1/keys/{key_id}/revoke")
        assert revoked.status_code == 200
        assert revoked.json()["revoked_at"] is not None
    assert Client(world.app, secret).get("/v1/jobs").status_code == 401


def test_key_names_are_given_once(world: World) -> None:
    """Records name keys, so a name must mean one person for ever."""
    again = world.admin.post("/v1/keys", json={"name": "admin", "role": "submitter"})
    assert "given before" in problem_of(again, 409, "conflict")["detail"]


def test_last_admin_key_cannot_be_revoked(world: World) -> None:
    """Nobody could make another one."""
    admin = next(key for key in world.admin.get("/v1/keys").json() if key["role"] == "admin")
    answer = world.admin.post(f"/v1/keys/{admin['id']}/revoke")
    assert "last admin key" in problem_of(answer, 409, "conflict")["detail"]
    problem_of(world.admin.post(f"/v1/keys/{uuid4()}/revoke"), 404, "not-found")


def test_first_key_is_made_once(sessions: SessionFactory) -> None:
    """A second start prints no second key."""
    with transaction(sessions) as session:
        secret = keys.create_first_key(session, NOW)
    assert secret is not None
    with transaction(sessions) as session:
        assert keys.create_first_key(session, NOW) is None
        assert keys.authenticate(session, secret) == keys.Caller("first", Role.ADMIN)


def test_keys_are_stored_hashed_only(sessions: SessionFactory) -> None:
    """Whoever reads the database cannot call the API."""
    with transaction(sessions) as session:
        key, secret = keys.create_key(session, "alice", Role.ADMIN, NOW)
        assert secret not in (key.name, key.digest)
        assert len(key.digest) == 64
    assert len(secret) > 43  # 256 bits as base64
