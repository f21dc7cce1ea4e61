"""An operator reviews and approves a plan in the API docs, without the internet."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest
import uvicorn
from playwright.sync_api import Locator, Page, sync_playwright

from scheduler.db.models import Role
from scheduler.db.session import make_engine, make_session_factory, transaction
from scheduler.services.plans import in_force
from tests.api.world import World
from tests.browser.chromium import CHROMIUM, needs_chromium

pytestmark = needs_chromium


@dataclass
class Docs:
    """The docs page of a running server, and what it asked other servers for."""

    page: Page
    world: World
    plan_id: UUID
    address: str
    foreign: list[str] = field(default_factory=list)

    def operation(self, path: str) -> Locator:
        """Open the form of one operation."""
        summary = f'.opblock:has(.opblock-summary-path[data-path="{path}"])'
        found = self.page.locator(summary)
        found.locator(".opblock-summary-control").click()
        return found

    def execute(self, path: str) -> Locator:
        """Send one operation for the plan and wait for what is shown of the answer."""
        found = self.operation(path)
        found.locator('input[placeholder="plan_id"]').fill(str(self.plan_id))
        found.locator("button.execute").click()
        answer = found.locator(".live-responses-table .response").first
        answer.wait_for()
        return answer


@pytest.fixture
def served(sqlite_url: str) -> Iterator[tuple[World, str]]:
    """A small deployment with its API served on a free port."""
    engine = make_engine(sqlite_url)
    world = World(make_session_factory(engine))
    world.furnish()
    world.submit("train", "evaluate")
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(world.app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield world, f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()
    engine.dispose()


@pytest.fixture
def docs(served: tuple[World, str]) -> Iterator[Docs]:
    """The docs page, with the operator's key entered."""
    world, address = served
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        shown = Docs(page, world, world.plan(), address)
        ours = (address, "blob:", "data:")
        page.on(
            "request",
            lambda asked: None if asked.url.startswith(ours) else shown.foreign.append(asked.url),
        )
        page.goto(f"{address}/docs")
        page.locator("button.authorize").first.click()
        form = page.locator(".auth-container form").filter(has_text="API key")
        form.locator("input").fill(world.secrets[Role.OPERATOR])
        form.locator("button.authorize").click()
        page.locator("button.btn-done").first.click()
        yield shown
        browser.close()


def test_plan_is_reviewed_and_approved_in_the_docs(docs: Docs, tmp_path: Path) -> None:
    """Text and picture show in place, the decision holds, nothing is loaded from elsewhere."""
    summary = docs.execute("/v1/plans/{plan_id}/summary")
    assert "EUR" in summary.inner_text()
    picture = docs.execute("/v1/plans/{plan_id}/chart.png").locator("img")
    picture.wait_for()
    assert picture.evaluate("image => image.naturalWidth") > 400
    approved = docs.execute("/v1/plans/{plan_id}/approve")
    assert '"status": "in_force"' in approved.inner_text()
    docs.page.screenshot(path=tmp_path / "docs.png", full_page=True)
    with transaction(docs.world.sessions) as session:
        assert in_force(session).id == docs.plan_id
    assert docs.foreign == []


def test_person_logs_in_and_decides_on_the_plan_page(docs: Docs) -> None:
    """From the login over the list to the plan, and back to the plan as decided."""
    page = docs.page
    page.goto(docs.address)
    page.locator("#key").fill(docs.world.secrets[Role.OPERATOR])
    page.locator("button[type=submit]").click()
    page.locator(f"a[href='/plans/{docs.plan_id}']").first.click()
    page.locator("button[formaction$='/approve']").click()
    page.wait_for_url(f"{docs.address}/plans/{docs.plan_id}")
    assert "Decided by operator" in page.locator("body").inner_text()
    assert docs.foreign == []
