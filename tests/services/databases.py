"""PostgreSQL and Redis of the distribution, on free ports and in folders that go with them."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SECONDS = 120.0


@contextmanager
def postgres() -> Iterator[str]:
    """Start a temporary cluster; gives the URL of its database, as Prefect wants it."""
    programs = programs_of_postgres()
    # PostgreSQL refuses to work for root, and its user cannot enter pytest's folders.
    user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as name:
        folder, port, password = Path(name), free_port(), secrets.token_hex()
        (folder / "password").write_text(password)
        if user:
            for path in (folder, folder / "password"):
                shutil.chown(path, **user)
        initialised = subprocess.run(
            [
                programs / "initdb",
                *("--pgdata", folder / "data", "--no-sync", "--encoding", "UTF8"),
                *("--username", "prefect", "--pwfile", folder / "password"),
                *("--auth", "scram-sha-256"),
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            **user,
        )
        assert initialised.returncode == 0, initialised.stderr
        command = [
            programs / "postgres",
            *("-D", folder / "data", "-k", folder),
            *("-h", "127.0.0.1", "-p", str(port)),
        ]
        ready = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        with _running(
            command,
            folder / "log",
            lambda: subprocess.run(ready, check=False).returncode == 0,
            cwd=folder,
            **user,
        ):
            yield f"postgresql+asyncpg://prefect:{password}@127.0.0.1:{port}/postgres"


@contextmanager
def redis() -> Iterator[str]:
    """Start a Redis that keeps nothing; gives its URL."""
    program = shutil.which("redis-server")
    if program is None:
        missing("redis-server")
    port, password = free_port(), secrets.token_hex()
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        command = [
            program,
            *("--bind", "127.0.0.1", "--port", str(port), "--dir", folder),
            *("--requirepass", password, "--save", "", "--appendonly", "no"),
        ]
        with _running(command, Path(folder, "log"), lambda: answers(port)):
            yield f"redis://:{password}@127.0.0.1:{port}/0"


def free_port() -> int:
    """Find a port of the loopback interface that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def answers(port: int) -> bool:
    """Tell whether somebody listens at a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _running(
    command: list[object], log: Path, is_ready: Callable[[], bool], **options: object
) -> Iterator[None]:
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, **options)
    try:
        deadline = time.monotonic() + SECONDS
        while not is_ready():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(subprocess.signal.SIGINT)  # PostgreSQL: now, and in good order
        process.wait(timeout=SECONDS)


def programs_of_postgres() -> Path:
    """Find the newest installed; Debian does not put its programs into PATH."""
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    found = sorted(debian, key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    if on_path is None:
        missing("postgresql")
    return Path(on_path).resolve().parent


def missing(package: str) -> None:
    """Skip where a person runs the tests; with CI set, what is missing is a failure."""
    (pytest.fail if "CI" in os.environ else pytest.skip)(f"{package} is not installed")
