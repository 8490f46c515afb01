"""Server, worker and deployments on this machine, without containers: ``make up``, ``make down``.

What is kept (database, logs, process ids) is in one folder, ``.prefect`` by default. Whether a
process is still there is known by the lock on the file with its id: the system lets go of it when
the process ends, so that a stranger who has got its number is not taken for it.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from stpipe_prefect.orchestration.shared_server import RECORDING

PROJECT = Path(__file__).resolve().parents[1]
STARTUP_SECONDS = 180.0
GRACE = 20.0
PREFECT = (sys.executable, "-m", "prefect", "--no-prompt")


@dataclass(frozen=True)
class Service:
    """A process that outlives the command that starts it.

    Attributes
    ----------
    name : str
    state : pathlib.Path
        Folder for its id and what it prints.
    """

    name: str
    state: Path

    @property
    def pid_file(self) -> Path:
        """Holds its id, and is locked while it runs."""
        return self.state / f"{self.name}.pid"

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.state / f"{self.name}.log"

    @property
    def is_running(self) -> bool:
        """Whether it runs."""
        try:
            with self.pid_file.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def start(self, command: tuple[str, ...], environment: Mapping[str, str]) -> None:
        """Start it, in a session of its own."""
        with self.pid_file.open("a+") as file, self.log.open("a") as log:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            process = subprocess.Popen(
                command,
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[file.fileno()],  # the lock is the process's from here on
                start_new_session=True,
            )
            file.truncate(0)
            file.write(str(process.pid))

    def stop(self) -> None:
        """End what it has started, and then itself: gently, and after some seconds by force.

        In this order, as a worker that ends kills its runs before they have told the server so.
        """
        if self.is_running:
            process = psutil.Process(int(self.pid_file.read_text()))
            family = process.children(recursive=True)
            _end(process.children(), family)
            _end([process], [process, *family])
        self.pid_file.unlink(missing_ok=True)


def _end(told: list[psutil.Process], family: list[psutil.Process]) -> None:
    """Tell some processes to end, and wait for them and all they have started."""
    for process in told:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(family, timeout=GRACE)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def up(state: Path, port: int, archive: Path) -> str:
    """Start what is not running, and return the address of the UI."""
    state.mkdir(parents=True, exist_ok=True)
    server, worker = Service("server", state), Service("worker", state)
    address = state / "address"
    if not server.is_running:
        _check_free(port)
        address.write_text(f"http://127.0.0.1:{port}")
    url = address.read_text()
    environment = os.environ | _prefect(url, state) | _archive(archive, state)
    if not server.is_running:
        port_of_url = url.rpartition(":")[2]
        command = ("server", "start", "--host", "127.0.0.1", "--port", port_of_url)
        server.start((*PREFECT, *command), environment)
    _wait_for(server, f"{url}/api/health")
    _deploy(environment, state / "deploy.log")
    if not worker.is_running:
        worker.start((*PREFECT, "worker", "start", "--pool", "process"), environment)
    return url


def down(state: Path) -> None:
    """End what `up` has started there, and nothing else."""
    for name in ("worker", "server"):
        Service(name, state).stop()


def _prefect(url: str, state: Path) -> dict[str, str]:
    return {
        "DO_NOT_TRACK": "1",
        "PREFECT_API_URL": f"{url}/api",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_HOME": str(state / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        **RECORDING,
        "PREFECT_SERVER_UI_API_URL": f"{url}/api",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH")))),
    }


def _archive(archive: Path, state: Path) -> dict[str, str]:
    """Say where runs may read and write; without a CRDS cache the embedded sample stands in."""
    archive.mkdir(parents=True, exist_ok=True)
    roots = {
        name: os.environ.get(name, str(archive))
        for name in ("STPIPE_PREFECT_INPUT_ROOTS", "STPIPE_PREFECT_OUTPUT_ROOTS")
    }
    if "CRDS_PATH" in os.environ:
        return roots
    from flows.sample import ensure_sample

    sample = ensure_sample()
    cache = state / "crds"  # of its own: which context is operational may be changed there
    if not cache.exists():
        shutil.copytree(sample.crds_path, cache)
    for path in (*sample.exposures, sample.association):
        if not (archive / path.name).exists():
            shutil.copy(path, archive)
    return roots | {"CRDS_PATH": str(cache)}


def _check_free(port: int) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise SystemExit(f"port {port} is taken: choose another with PORT=...") from error


def _wait_for(server: Service, address: str) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while server.is_running and time.monotonic() < deadline:
        with suppress(OSError):
            urllib.request.urlopen(address, timeout=10).close()
            return
        time.sleep(0.2)
    raise SystemExit(f"the Prefect server did not start: see {server.log}")


def _deploy(environment: Mapping[str, str], log: Path) -> None:
    def run(*command: str) -> bool:
        with log.open("a") as file:
            done = subprocess.run(
                (sys.executable, "-m", *command),
                cwd=PROJECT,
                env=environment,
                stdout=file,
                stderr=file,
                check=False,
            )
        return done.returncode == 0

    prefect = ("prefect", "--no-prompt")
    ready = (
        run(*prefect, "work-pool", "inspect", "process")  # somebody may have changed it
        or run(*prefect, "work-pool", "create", "process", "--type", "process")
    )
    ready = ready and run(*prefect, "deploy", "--all", "--prefect-file", "deployments/prefect.yaml")
    if not (ready and run("flows.automations")):
        raise SystemExit(f"the deployments could not be made: see {log}")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("up", "down"))
    parser.add_argument("--state", type=Path, default=PROJECT / ".prefect", metavar="DIR")
    parser.add_argument("--port", type=int, default=4200)
    parser.add_argument("--archive", type=Path, metavar="DIR", help="default: in the state folder")
    options = parser.parse_args()
    state = options.state.absolute()
    if options.what == "down":
        down(state)
    else:
        archive = (options.archive or state / "archive").absolute()
        print(f"{up(state, options.port, archive)}  (archive: {archive}; end with: make down)")


if __name__ == "__main__":
    main()
