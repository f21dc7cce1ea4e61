"""A real browser, and pages opened in it that are watched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LAPTOP = (1280, 800)
PHONE = (390, 844)

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@dataclass
class Watched:
    """A page with what it logged and what it asked the network for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def opened_in(
    browser: Browser, path: Path, size: tuple[int, int], scheme: str = "light"
) -> Iterator[Watched]:
    """Open a file on a screen of this size [px]; it is closed with the block."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        has_touch=size == PHONE,
        color_scheme="dark" if scheme == "dark" else "light",
    )
    watched = Watched(context.new_page())
    watched.page.on("console", lambda message: watched.complaints.append(message.text))
    watched.page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    watched.page.on("request", lambda request: watched.requests.append(request.url))
    watched.page.goto(path.as_uri())
    yield watched
    context.close()


def overflow_of(page: Page) -> int:
    """By how much it is wider than its window [px]."""
    whole = "document.documentElement"
    width = page.evaluate(f"{whole}.scrollWidth - {whole}.clientWidth")
    assert isinstance(width, int)
    return width
