"""What ``make up`` starts on one machine, beside a CRDS server of which the context is changed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from databases import free_port
from loopback import LoopbackCrds

ROOT = Path(__file__).parents[2]
SECONDS = 240.0
OVER = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


class Machine:
    """Server, worker and deployments, with an archive to take care of.

    Parameters
    ----------
    folder : pathlib.Path
        For all of it; `archive` in it is made before.
    crds : LoopbackCrds
        Declares which context is operational.
    """

    def __init__(self, folder: Path, crds: LoopbackCrds) -> None:
        self.archive, self.state, self.by_hand = (
            folder / name for name in ("archive", "state", "by-hand")
        )
        self.crds = crds
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._config = crds.folder / "config" / crds.observatory / "server_config"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CRDS_", "PREFECT_"))}
        self.environment = kept | {
            "CRDS_PATH": str(folder / "cache"),
            "CRDS_SERVER_URL": crds.url,
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "STPIPE_PREFECT_OUTPUT_ROOTS": f"{self.archive}:{self.by_hand}",
        }

    @property
    def credentials(self) -> str:
        """User and password, which ``make up`` has made."""
        return (self.state / "credentials").read_text()

    def up(self) -> str:
        """``make up``; gives what it prints."""
        done = self.local("up", "--port", str(self.port), "--archive", str(self.archive))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def down(self) -> None:
        """``make down``."""
        done = self.local("down")
        assert done.returncode == 0, done.stderr

    def processes(self, service: str) -> list[psutil.Process]:
        """List a service's process and all it has started."""
        process = psutil.Process(int((self.state / f"{service}.pid").read_text()))
        return [process, *process.children(recursive=True)]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a Python module as a person at this machine does."""
        here = {
            "PREFECT_API_AUTH_STRING": self.credentials,
            "PREFECT_API_URL": f"{self.url}/api",
            "PREFECT_HOME": str(self.state / "prefect"),
        }
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=self.environment | here,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def declared(self) -> str:
        """The context that the CRDS server names operational."""
        return re.findall(r"'operational_context': '([^']+)'", self._config.read_text())[0]

    def declare(self, context: str) -> None:
        """Have the CRDS server name another context operational."""
        text = self._config.read_text()
        (line,) = (line for line in text.splitlines() if "'operational_context'" in line)
        now = line[: line.index(":")] + f": {context!r}" + "}" * line.count("}")
        self._config.write_text(text.replace(line, now + "," * line.endswith(",")))

    def ask(self, method: str, route: str, **query: Any) -> Any:
        """Ask the Prefect server; again while its database is busy, as Prefect's client does."""
        user, _, password = self.credentials.partition(":")
        for _ in range(20):
            answer = httpx.request(
                method,
                f"{self.url}/api{route}",
                json=query or None,
                auth=(user, password),
                timeout=120,
            )
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(0.5)
        return answer.raise_for_status().json()

    def start(self, deployment: str, **parameters: Any) -> str:
        """Start a run of a deployment; gives its id."""
        flow, _, name = deployment.partition("/")
        found = self.ask("GET", f"/deployments/name/{flow}/{name or flow}")
        route = f"/deployments/{found['id']}/create_flow_run"
        return str(self.ask("POST", route, parameters=parameters)["id"])

    def ended(self, run: str) -> dict[str, Any]:
        """Wait for a run to end; gives its state."""

        def over() -> Any:
            state = self.ask("GET", f"/flow_runs/{run}")["state"]
            return state if state["type"] in OVER else None

        return dict(until(over, f"end of run {run}"))

    def runs(self, flow: str, *states: str) -> list[dict[str, Any]]:
        """List runs of a flow that have begun, the newest first."""
        return list(
            self.ask(
                "POST",
                "/flow_runs/filter",
                flows={"name": {"any_": [flow]}},
                flow_runs={"state": {"type": {"any_": list(states or (*OVER, "RUNNING"))}}},
                sort="START_TIME_DESC",
            )
        )

    def artifact(self, run: str, key: str) -> str:
        """Read an artifact of a run."""
        only = {"flow_run_id": {"any_": [run]}, "key": {"any_": [key]}}
        (found,) = self.ask("POST", "/artifacts/filter", artifacts=only)
        return str(found["data"])

    def local(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run what ``make up`` and ``make down`` run."""
        script = [sys.executable, "deployments/local.py", *arguments, "--state", str(self.state)]
        return subprocess.run(
            script, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for something, and give it."""
    deadline = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {SECONDS:.0f} s"
        time.sleep(0.3)
    return found


@contextmanager
def machine(folder: Path, crds_path: Path, observatory: str = "jwst") -> Iterator[Machine]:
    """Have a machine that is up, and down after the block."""
    with LoopbackCrds(crds_path, observatory).running() as crds:
        made = Machine(folder, crds)
        try:
            made.up()
            yield made
        finally:
            made.down()
