"""The browser of the system, as tests drive it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def skip_without_browser() -> None:
    """Skip tests where there is no browser; in CI they fail instead."""
    if not CHROMIUM.exists() and "CI" not in os.environ:
        pytest.skip(f"there is no browser at {CHROMIUM}", allow_module_level=True)


@contextmanager
def chromium() -> Iterator[Any]:
    """Start it, and end it with the block."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
        yield browser
        browser.close()


def submitted(page: Any) -> Any:
    """Submit the form of a run, again while the server's database is busy; gives the answer."""
    for _ in range(20):
        with page.expect_response("**/create_flow_run") as answer:
            page.get_by_role("button", name="Submit").click()
        if answer.value.ok:
            break
        page.wait_for_timeout(1000)
    return answer.value
