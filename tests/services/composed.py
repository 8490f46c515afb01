"""The Prefect services of docker/compose.yaml, with its commands and environment, as processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml
from databases import answers, free_port

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker" / "compose.yaml"
CREDENTIALS = "calibration:only-for-tests"
SECONDS = 90.0
GRACE = 8.0


class Composed:
    """What compose.yaml describes, on this machine, beside a given PostgreSQL and Redis.

    Parameters
    ----------
    folder : pathlib.Path
        For logs, Prefect's own files, and as the place where workers run.
    postgres, redis : str
        URLs of the two.
    environment : mapping
        What runs find in theirs, over what the file says.
    """

    def __init__(
        self, folder: Path, postgres: str, redis: str, environment: Mapping[str, str]
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # as in the image
        self._own = {"PATH": path, "PREFECT_HOME": str(folder / "prefect"), **environment}
        self._addresses = {
            r"postgresql\+asyncpg://\S+": postgres,
            r"redis://\S+": redis,
            r"http://server:4200/api": self.url,
        }
        self._services = yaml.safe_load(interpolated(COMPOSE.read_text()))["services"]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, service: str, *arguments: str) -> str:
        """Carry a service's command, or another one in its place, out to its end."""
        command, environment = self._described(service)
        done = subprocess.run(
            [*_prefect(arguments), *arguments[1:]] if arguments else command,
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, service: str) -> None:
        """Start a service; does not wait for it."""
        command, environment = self._described(service)
        with self._log(service).open("ab") as log:
            self._processes[service] = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log
            )

    def stop(self, *services: str) -> None:
        """End services, or all, as a container engine does: the last first, each in its time."""
        for each in services or reversed(list(self._processes)):
            process = self._processes.pop(each)
            process.terminate()
            try:
                process.wait(timeout=GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def wait_for_server(self) -> None:
        """Return when the server is ready, asked as the file's health check does."""
        deadline = time.monotonic() + SECONDS
        pages = (f"{self.url}/ready", self.url.removesuffix("api"))
        while not (answers(self.port) and all(httpx.get(page).is_success for page in pages)):
            alive = self._processes["server"].poll() is None
            assert alive and time.monotonic() < deadline, self._log("server").read_text()
            time.sleep(0.1)

    def ask(self, method: str, route: str, query: Any = None) -> Any:
        """Ask the server, with credentials."""
        user, _, password = CREDENTIALS.partition(":")
        answer = httpx.request(
            method, f"{self.url}{route}", json=query, auth=(user, password), timeout=120
        )
        return answer.raise_for_status().json()

    def log(self, service: str) -> str:
        """Read what a service has said."""
        return self._log(service).read_text()

    def _log(self, service: str) -> Path:
        return self.folder / f"{service}.log"

    def _described(self, service: str) -> tuple[list[str], dict[str, str]]:
        described = self._services[service]
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("CRDS_", "PREFECT_"))}
        environment = {k: self._here(v) for k, v in described["environment"].items()}
        command = described["command"]
        if service == "server":  # a port of the container, and one of this machine
            environment |= {"PREFECT_SERVER_API_PORT": str(self.port)}
            command = ["127.0.0.1" if word == "0.0.0.0" else word for word in command]
        command = [re.sub("^deployments/", f"{ROOT}/deployments/", word) for word in command]
        if service == "worker":
            environment |= {"PREFECT_WORKER_WEBSERVER_PORT": str(free_port())}
        return [*_prefect(command), *command[1:]], inherited | environment | self._own

    def _here(self, value: str) -> str:
        for pattern, address in self._addresses.items():
            value = re.sub(pattern, address, value)
        return value


def interpolated(text: str) -> str:
    """Put values for variables, as compose does with those of docker/.env."""
    given = {"PREFECT_CREDENTIALS": CREDENTIALS}
    return re.sub(
        r"\$\{(\w+):([?-])([^}]*)\}",
        lambda found: given.get(found[1], found[3] if found[2] == "-" else "x"),
        text,
    )


def _prefect(command: Any) -> list[str]:
    """Start a program of this environment, wherever PATH leads."""
    return [str(Path(sys.executable).with_name(command[0]))]


@contextmanager
def composed(folder: Path, postgres: str, redis: str, **environment: str) -> Iterator[Composed]:
    """Have a service to start parts of, which all end with the block."""
    service = Composed(folder, postgres, redis, environment)
    try:
        yield service
    finally:
        service.stop()
