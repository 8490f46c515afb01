"""Measurements: each compares the flow with plain jwst in one run, and prints what it found."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of measured processes: a Prefect home of their own, no CRDS but what is given."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CRDS_", "PREFECT_"))}
    return kept | {"PREFECT_HOME": str(tmp_path_factory.mktemp("prefect")), "DO_NOT_TRACK": "1"}


@pytest.fixture(scope="session")
def start_server(environment: dict[str, str]) -> Callable[..., AbstractContextManager[str]]:
    """Start a Prefect server, as a person would, and give its API's address."""

    @contextmanager
    def started(database: str | None = None) -> Iterator[str]:
        import httpx

        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        url = f"http://127.0.0.1:{port}/api"
        on = {"PREFECT_API_DATABASE_CONNECTION_URL": database} if database else {}
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)],
            env=environment | {"PREFECT_SERVER_ANALYTICS_ENABLED": "false"} | on,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            for _ in range(600):
                try:
                    httpx.get(f"{url}/health").raise_for_status()
                    break
                except httpx.HTTPError:
                    time.sleep(0.2)
            else:
                pytest.fail("the Prefect server did not start within two minutes")
            yield url
        finally:
            process.terminate()
            process.wait()

    return started


@pytest.fixture(scope="session")
def running_server(start_server: Callable[..., AbstractContextManager[str]]) -> Iterator[str]:
    """A Prefect server on its usual database."""
    with start_server() as url:
        yield url


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]):
    """Print a measurement past pytest's capture."""

    def write(line: str) -> None:
        with capsys.disabled():
            print(f"\n    {line}", flush=True)

    return write


@pytest.fixture(scope="session")
def small_exposure(small) -> tuple[Path, Path]:
    """A 64 x 64 exposure and its CRDS cache."""
    return small.programme.exposures[0], small.crds_path
