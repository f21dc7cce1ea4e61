"""The API docs: true, complete, and usable without the internet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from scheduler.api.examples import worked_examples
from scheduler.db.models import Role
from scheduler.db.session import SessionFactory, make_engine, make_session_factory
from tests.api.client import Client
from tests.api.world import MIDNIGHT, NOW, World, problem_of


@pytest.fixture
def sessions(sqlite_url: str) -> Iterator[SessionFactory]:
    """One kind of database is enough: the docs are the same on each."""
    engine = make_engine(sqlite_url)
    yield make_session_factory(engine)
    engine.dispose()


def operations(world: World) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation under /v1 as documented."""
    for path, methods in world.app.openapi()["paths"].items():
        if path.startswith("/v1"):
            for method, operation in methods.items():
                yield method, path, operation


def example_of(operation: dict[str, Any]) -> tuple[str, Any]:
    """Media type and body of the documented example."""
    ((media_type, content),) = operation["requestBody"]["content"].items()
    return media_type, content["examples"]["worked example"]["value"]


def send(client: Client, method: str, path: str, operation: dict[str, Any]) -> Any:
    """Send the documented example."""
    media_type, body = example_of(operation)
    content = {"content": body.encode()} if isinstance(body, str) else {"json": body}
    return client.request(method.upper(), path, headers={"content-type": media_type}, **content)


def test_documented_examples_work_in_order_on_an_empty_database(empty_world: World) -> None:
    """From nothing to a plan in force, with nothing but what the docs show."""
    paths = empty_world.app.openapi()["paths"]
    decisions = ("{plan_id}", "{flag_id}")  # about what is not there yet
    examples = [
        example
        for example in worked_examples(NOW)
        if not any(one in example.path for one in decisions)
    ]
    *examples, bid, quote = examples
    for example in examples:
        address = example.path.replace("{name}", "DE")
        address = address.replace("{external_id}", f"dr-{MIDNIGHT:%Y%m%d}-1")
        answer = send(
            empty_world.admin, example.method, address, paths[example.path][example.method]
        )
        assert answer.status_code in {200, 201, 202}, (example.path, answer.text)
    path = "/v1/plans/{plan_id}"
    for decision in ("approve", "reject"):
        address = f"/v1/plans/{empty_world.plan()}/{decision}"
        answer = send(empty_world.admin, "post", address, paths[f"{path}/{decision}"]["post"])
        assert answer.status_code == 200, answer.text
    answer = send(empty_world.admin, "post", quote.path, paths[quote.path]["post"])
    assert [line["fits"] for line in answer.json()["quotes"]] == [True, True], answer.text
    answer = send(empty_world.admin, "post", bid.path, paths[bid.path]["post"])
    assert answer.json()["is_met"], answer.text
    document = empty_world.document(empty_world.plan())
    names = ["finetune-0608", "seeds-0", "seeds-1", "seeds-2"]
    assert [job.name for job in document.problem.jobs] == names
    assert document.plan.placements
    assert document.marks == ()


def is_binary(operation: dict[str, Any]) -> bool:
    """Whether what it takes is bytes."""
    (content,) = operation["requestBody"]["content"].values()
    return "contentMediaType" in content["schema"]


def test_every_request_body_has_a_worked_example(world: World) -> None:
    """But what is no text; and there is none for anything else."""
    with_body = {
        (method, path)
        for method, path, operation in operations(world)
        if "requestBody" in operation and not is_binary(operation)
    }
    documented = [(example.method, example.path) for example in worked_examples(NOW)]
    assert with_body == set(documented)
    assert len(documented) == len(set(documented))


def test_examples_are_of_the_day_they_are_looked_at(world: World) -> None:
    """A server that runs for a month still shows a job that can be sent."""
    world.now = NOW.replace(month=9)
    operation = world.app.openapi()["paths"]["/v1/jobs"]["post"]
    assert example_of(operation)[1]["release_at"] == "2026-09-08T00:00:00Z"


def test_every_operation_documents_its_problems(world: World) -> None:
    """As problem details, and without the framework's own error shape."""
    document = world.app.openapi()
    for method, path, operation in operations(world):
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], (method, path)
        assert {"401", "403", "500"} <= operation["responses"].keys()
    schemas = document["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    assert set(schemas["Problem"]["required"]) == {"type", "title", "status", "detail", "instance"}


def test_every_reference_of_the_document_leads_somewhere(world: World) -> None:
    """A broken one breaks the page of the docs."""
    document = world.app.openapi()
    references = set(re.findall(r"'#/components/schemas/([^']+)'", str(document)))
    assert references <= document["components"]["schemas"].keys()


def test_every_operation_is_described(world: World) -> None:
    """A sentence that says what it does, and no more than one operation by the same name."""
    described = list(operations(world))
    assert all(operation["description"].endswith(".") for _, _, operation in described)
    ids = [operation["operationId"] for _, _, operation in described]
    assert len(ids) == len(set(ids))


def test_charts_are_documented_as_images(world: World) -> None:
    """So that the docs page can show the answer in place."""
    paths = world.app.openapi()["paths"]
    for name, media_type in (("chart.svg", "image/svg+xml"), ("chart.png", "image/png")):
        operation = paths[f"/v1/plans/{{plan_id}}/{name}"]["get"]
        assert list(operation["responses"]["200"]["content"]) == [media_type]


def test_operator_is_told_how_to_review_and_approve(world: World) -> None:
    """In the description of the operation itself."""
    approve = world.app.openapi()["paths"]["/v1/plans/{plan_id}/approve"]["post"]
    for word in ("summary", "chart.png", "compare", "reject"):
        assert word in approve["description"]


def test_docs_load_nothing_from_elsewhere(world: World) -> None:
    """Scripts, styles and icon come from this server."""
    client = world.client(None)
    for page in ("/docs", "/redoc"):
        html = client.get(page).text
        assert "https://" not in html
        assert "http://" not in html
        for asset in re.findall(r'(?:src|href)="(/[^"]+)"', html):
            answer = client.get(asset)
            assert answer.status_code == 200, asset
            assert len(answer.content) > 100


def test_docs_ask_for_the_key_as_a_bearer_token(world: World) -> None:
    """The Authorize button is there, and every operation uses it."""
    document = world.app.openapi()
    schemes = document["components"]["securitySchemes"].values()
    assert {(scheme["type"], scheme["scheme"]) for scheme in schemes} == {("http", "bearer")}
    assert all(operation["security"] for _, _, operation in operations(world))


def test_asset_that_does_not_exist_is_a_problem(world: World) -> None:
    """Mounted files answer errors like everything else."""
    problem_of(world.client(Role.ADMIN).get("/docs-assets/none.js"), 404, "not-found")
