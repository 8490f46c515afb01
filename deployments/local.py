"""Server, worker and deployments on this machine, without containers: ``make up``, ``make down``.

What is kept (database, logs, process ids, password) is in one folder, ``.prefect`` by default.
Whether a process is still there is known by the lock on the file with its id: the system lets go
of it when the process ends, so that a stranger who has got its number is not taken for it.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import json
import os
import secrets
import shutil
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
from made import number_of_deployments, state_of

from stpipe_prefect.exceptions import StpipePrefectError
from stpipe_prefect.orchestration.server import ask_loopback_directly
from stpipe_prefect.orchestration.shared_server import RECORDING
from stpipe_prefect.warm.keep import preload_of
from stpipe_prefect.warm.start import start, to_stay

PROJECT = Path(__file__).resolve().parents[1]
STARTUP_SECONDS = 180.0
GRACE = 20.0
PREFECT = (sys.executable, "-m", "prefect", "--no-prompt")
HOST = "127.0.0.1"
CREDENTIALS = "credentials"
AUTH_VARIABLES = ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING")


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

        In this order: a worker that ends kills its runs, before they have reported to the server.
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


@dataclass(frozen=True)
class Setup:
    """What server and worker are started with.

    Attributes
    ----------
    port : int
    archive : str
        Folder below which runs read and write.
    auth : str
        ``"on"`` if the server asks for a password, or ``"off"``.
    """

    port: int
    archive: str
    auth: str

    @property
    def url(self) -> str:
        """Where the web page is."""
        return f"http://{HOST}:{self.port}"


def up(state: Path, **wanted: Any) -> Setup:
    """Start what is not running.

    Parameters
    ----------
    state : pathlib.Path
    **wanted
        Fields of `Setup`; None for what is running, or else the default.

    Raises
    ------
    SystemExit
        Something runs already with another setup, or could not be started.
    """
    with _alone(state):
        server, worker = Service("server", state), Service("worker", state)
        runs = server.is_running or worker.is_running
        setup = _chosen(state, {k: v for k, v in wanted.items() if v is not None}, runs=runs)
        if not server.is_running:
            _check_free(setup.port)
        (state / "setup.json").write_text(json.dumps(asdict(setup)))
        environment = _inherited() | _prefect(setup, state) | _archive(Path(setup.archive), state)
        if not server.is_running:
            command = ("server", "start", "--host", HOST, "--port", str(setup.port))
            server.start((*PREFECT, *command), environment)
        _wait_for(server, setup.url)
        _deploy(environment, state)
        if not worker.is_running:
            worker.start((*PREFECT, "worker", "start", "--pool", "process"), environment)
        _start_warm_process(environment)
        return setup


def down(state: Path) -> None:
    """End what `up` has started there, and nothing else."""
    if state.exists():
        with _alone(state):
            for name in ("worker", "server"):
                Service(name, state).stop()
            if (file := state / "setup.json").exists():
                setup = Setup(**json.loads(file.read_text()))
                _stop_warm_process(_inherited() | _prefect(setup, state))


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Wait for another ``make up`` or ``make down`` there to end."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another make up or make down in {state}", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _chosen(state: Path, wanted: Mapping[str, Any], *, runs: bool) -> Setup:
    """Choose the setup; that of what runs already cannot be changed."""
    if not runs:
        return replace(Setup(4200, str(state / "archive"), "on"), **wanted)
    try:
        setup = Setup(**json.loads((state / "setup.json").read_text()))
    except FileNotFoundError:
        raise SystemExit("an earlier version's make up runs here: make down first") from None
    for name, value in wanted.items():
        if (running := getattr(setup, name)) != value:
            raise SystemExit(
                f"{name.upper()}={value}: server and worker run with {name.upper()}={running}; "
                "make down, then make up restarts them"
            )
    if setup.auth == "on" and not (state / CREDENTIALS).exists():
        raise SystemExit(
            f"{state / CREDENTIALS} is gone: make down, then make up makes another password"
        )
    return setup


def _inherited() -> dict[str, str]:
    """Give the environment without another server's passwords."""
    return {k: v for k, v in os.environ.items() if k not in AUTH_VARIABLES}


def _prefect(setup: Setup, state: Path) -> dict[str, str]:
    def with_others(name: str, own: str) -> str:
        return os.pathsep.join(filter(None, (own, os.environ.get(name))))

    page = str(state / "ui")  # by default beside Prefect's code, where only its owner may write
    return {
        "DO_NOT_TRACK": "1",
        "PATH": with_others("PATH", str(Path(sys.executable).parent)),  # the python of runs
        "PREFECT_API_URL": f"{setup.url}/api",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_HOME": str(state / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",  # older than 90 days
        "PREFECT_WORKER_QUERY_SECONDS": os.environ.get("PREFECT_WORKER_QUERY_SECONDS", "1"),
        **RECORDING,
        "PREFECT_SERVER_UI_API_URL": f"{setup.url}/api",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": page,
        "PREFECT_UI_STATIC_DIRECTORY": page,
        "PYTHONPATH": with_others("PYTHONPATH", str(PROJECT)),
        **(dict.fromkeys(AUTH_VARIABLES, _credentials(state)) if setup.auth == "on" else {}),
    }


def _credentials(state: Path) -> str:
    """Give user and password; the first time they are made, and printed."""
    path = state / CREDENTIALS
    with suppress(FileExistsError):
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(made := f"prefect:{secrets.token_urlsafe(24)}")
        print(f"user and password: {made}  (kept in {path})")
    found = path.lstat()
    others = found.st_uid != os.geteuid() or found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    if others or not found.st_size:
        problem = "not yours alone" if others else "empty"
        raise SystemExit(f"{path} is {problem}: remove it, and make up makes another password")
    return path.read_text()


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
        socket.create_server((HOST, port)).close()
    except OSError as error:
        problem = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used: {error}"
        raise SystemExit(f"port {port} {problem}: choose another with PORT=...") from error


def _wait_for(server: Service, page: str) -> None:
    """Return when the server answers with its web page, not only that it is healthy."""
    deadline = time.monotonic() + STARTUP_SECONDS
    while server.is_running and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(page, timeout=10).close()
            return
        except urllib.error.HTTPError as error:
            raise SystemExit(
                f"the Prefect server runs, but has no web page ({page}: {error}): see {server.log}"
            ) from error
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"the Prefect server did not start: see {server.log}")


def _start_warm_process(environment: Mapping[str, str]) -> None:
    """Have a process in which runs start, as long as server and worker are up."""
    os.environ.clear()
    os.environ.update(environment)  # decides which commands find it
    start(to_stay(preload_of(), timedelta(days=3650).total_seconds()))


def _stop_warm_process(environment: Mapping[str, str]) -> None:
    command = (sys.executable, "-m", "stpipe_prefect", "warm", "--stop")
    subprocess.run(command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, check=False)


def _deploy(environment: Mapping[str, str], state: Path) -> None:
    """Bring the deployments to the server, unless they are there as they would be made now."""
    made, now = state / "deployed.json", state_of(environment)
    with suppress(FileNotFoundError, ValueError):
        before = json.loads(made.read_text())
        if before["of"] == now and before["number"] == number_of_deployments(environment):
            return
    made.unlink(missing_ok=True)
    log = state / "deploy.log"
    command = (sys.executable, "deployments/deploy.py")
    with log.open("a") as file:
        done = subprocess.run(command, cwd=PROJECT, env=environment, stderr=file, check=False)
    if done.returncode:
        raise SystemExit(f"the deployments could not be made: see {log}")
    made.write_text(json.dumps({"of": now, "number": number_of_deployments(environment)}))


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 2**16:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to 65535, not {text!r}")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("up", "down"))
    parser.add_argument("--state", type=Path, default=PROJECT / ".prefect", metavar="DIR")
    parser.add_argument("--port", type=_port, help="default: 4200")
    parser.add_argument("--archive", type=Path, metavar="DIR", help="default: in the state folder")
    parser.add_argument("--auth", choices=("on", "off"), help="ask for a password (default: on)")
    options = parser.parse_args(arguments)
    state = options.state.absolute()
    archive = options.archive and str(options.archive.absolute())
    try:
        if options.what == "down":
            down(state)
        else:
            ask_loopback_directly()
            setup = up(state, port=options.port, archive=archive, auth=options.auth)
            print(f"{setup.url}  (archive: {setup.archive}; end with: make down)")
    except OSError as error:
        raise SystemExit(f"{error.filename or state}: {error.strerror or error}") from error
    except StpipePrefectError as error:
        raise SystemExit(str(error)) from error
    except psutil.AccessDenied as error:
        raise SystemExit(f"{state}: process {error.pid} is another user's") from error


if __name__ == "__main__":
    main()
