"""A Prefect server, as a person starts it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from databases import free_port

SECONDS = 120.0


@contextmanager
def prefect_server(folder: Path, **settings: str) -> Iterator[str]:
    """Start a server with its UI and with its files in a folder; gives the address of its API."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    environment = os.environ | {
        "DO_NOT_TRACK": "1",
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_API_URL": url,
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    log_file = folder / "server.log"
    with log_file.open("w") as log:
        server = subprocess.Popen(command, env=environment | settings, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + SECONDS
        while not _is_healthy(url):
            alive = server.poll() is None
            assert alive and time.monotonic() < deadline, log_file.read_text()
            time.sleep(0.2)
        yield url
    finally:
        server.terminate()
        server.wait()


def _is_healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").is_success
    except httpx.TransportError:
        return False
