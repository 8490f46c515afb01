"""The embedded server: one for all that runs at the same time with the same PREFECT_HOME.

The first command starts it and later ones find it; a command that finds it dead starts it again at
the same address; it ends with the last. All of that rests on locks of the system, which go with
the process that holds them however it ends: every user shares one, and the server holds another.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from ..exceptions import StpipePrefectError
from ..locks import file_lock
from ..warm import child
from .database import usable_database

STARTUP_SECONDS = 120.0  # a first start makes the database: 9 s on two idle cores

RECORDING = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
}
"""How a server of one machine records task runs: many at a time, not one by one as by default."""

LEAN_SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    "PREFECT_SERVER_EVENTS_STREAM_OUT_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    **RECORDING,
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
}
"""What a local run does without, in the words of Prefect's settings."""

MODULE = f"{__package__}.embedded"
USER = "local"
LAST_WORDS = 3
"""Lines of its log that say why it ended."""


_Address = dict[str, Any]


class SharedServer:
    """The embedded server of this user and machine, which lasts as long as it has users.

    It answers at `api_url`, once `wait` has returned, to who gives `auth_string`: other users of
    the machine reach its port as well. Of `caution` the user should know; mostly nothing.
    """

    api_url: str
    auth_string: str

    def __init__(self) -> None:
        import prefect
        from prefect.settings import get_current_settings

        settings = get_current_settings()
        url = settings.server.database.connection_url
        assert url is not None
        self._database_url = url.get_secret_value()
        self._home = settings.home
        kind = (
            prefect.__version__,
            self._database_url,
            str(settings.server.api.csrf_protection_enabled),
        )
        # In a home that several machines share, each has its own.
        name = f"{socket.gethostname()}-{sha256(' '.join(kind).encode()).hexdigest()[:8]}"
        self._stem = self._home / "embedded" / name
        self.caution = ""
        self._answers = threading.Event()
        try:
            self._stem.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._users = self._open("users")  # for good
            fcntl.flock(self._users, fcntl.LOCK_SH)
            if child.parent is not None:  # which is its user, too, until it ends
                child.parent.hold(str(self._path("users")), self._users)
            self._find_or_start()
        except OSError as error:
            raise StpipePrefectError(
                f"Prefect's folder {self._home} cannot be used ({error.strerror}): set "
                "PREFECT_HOME to a folder that you may write to, on a file system with locks"
            ) from error
        threading.Thread(target=self._start_again, daemon=True).start()

    def wait(self) -> None:
        """Return when the server answers."""
        import httpx

        deadline = time.monotonic() + STARTUP_SECONDS
        with httpx.Client(trust_env=False, verify=False, timeout=STARTUP_SECONDS) as client:
            while time.monotonic() < deadline:
                try:
                    if client.get(f"{self.api_url}/health").is_success:
                        self._answers.set()
                        return
                except httpx.TransportError:
                    if self._is_gone():
                        if self._last_words():  # and it would say the same the next time
                            break
                        self._find_or_start()
                    time.sleep(0.05)
        raise StpipePrefectError(
            f"The embedded Prefect server did not start: {self._last_words() or 'no message'} "
            f"(log: {self._path('log')}); set PREFECT_HOME to another folder, or PREFECT_API_URL "
            "to a running server"
        )

    def _find_or_start(self) -> None:
        with file_lock(self._path("starting")), self._opened("server") as held:
            address = self._read(held)
            if _locked(held):
                address = self._start(held, address)
        self.api_url = f"http://127.0.0.1:{address['port']}/api"
        self.auth_string = f"{USER}:{address['password']}"

    def _start(self, held: IO[str], before: _Address) -> _Address:
        """Start it where it was before, if it was: there its users go on asking."""
        environment = os.environ | LEAN_SETTINGS
        prefix, sqlite, database = self._database_url.partition(":///")
        if prefix.startswith("sqlite") and sqlite and not database.startswith(("file:", ":")):
            usable, self.caution = usable_database(Path(database))
            environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = f"{prefix}{sqlite}{usable}"
            if self.caution:
                logging.getLogger(__name__).warning(self.caution)
        password = before.get("password", secrets.token_urlsafe(24))
        environment["PREFECT_SERVER_API_AUTH_STRING"] = f"{USER}:{password}"
        # The listening socket is made here and handed down: the port is known at once, and no
        # other process can take it meanwhile.
        with _listening(int(before.get("port", 0))) as listener, self._opened("log") as log:
            log.truncate(0)
            address = {"port": listener.getsockname()[1], "password": password}
            held.seek(0)
            held.truncate()
            json.dump(address, held)
            held.flush()
            kept = [listener.fileno(), held.fileno()]
            server = subprocess.Popen(
                [sys.executable, "-m", MODULE, *map(str, kept), self._path("users")],
                env=environment,
                pass_fds=kept,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the run, which still has to report
            )
        threading.Thread(target=server.wait, daemon=True).start()  # else it stays as a zombie
        return address

    def _start_again(self) -> None:
        """Wait, as long as this process lives, for the server to die before its time."""
        while self._answers.wait():
            with self._opened("server") as held:
                fcntl.flock(held, fcntl.LOCK_EX)
            self._answers.clear()
            try:
                self._find_or_start()
                self.wait()
            except (OSError, StpipePrefectError) as error:
                logging.getLogger(__name__).warning(
                    "The embedded Prefect server was lost and could not be restarted: %s", error
                )

    def _is_gone(self) -> bool:
        with self._opened("server") as held:
            return _locked(held)

    def _last_words(self) -> str:
        lines = self._path("log").read_text(errors="replace").split("\n")
        return " ".join([line.strip() for line in lines if line.strip()][-LAST_WORDS:])

    def _read(self, held: IO[str]) -> _Address:
        try:
            address: _Address = json.load(held)
        except ValueError:  # nothing yet, or not all of it
            return {}
        return address

    def _path(self, what: str) -> Path:
        return self._stem.with_name(f"{self._stem.name}.{what}")

    def _open(self, what: str) -> int:
        """Open a file that only this user may read."""
        return os.open(self._path(what), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)

    def _opened(self, what: str) -> IO[str]:
        return os.fdopen(self._open(what), "r+")


def _locked(file: IO[str]) -> bool:
    """Lock a file until it is closed; tell whether nobody else has it locked."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port), backlog=128)
    except OSError:
        return socket.create_server(("127.0.0.1", 0), backlog=128)


@cache
def shared_server() -> SharedServer:
    """Find or start the embedded server, once in a process, which is its user till it ends."""
    return SharedServer()
