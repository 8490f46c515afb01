"""One warm process for the commands of all tests, also of those that run side by side."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from stpipe_prefect.warm.messages import receive, send

VARIABLE = "XDG_RUNTIME_DIR"


def make_folder() -> Path:
    """Make the folder that the socket will be in; its path is short, as those of sockets are."""
    os.environ[VARIABLE] = mkdtemp(prefix="tests-")
    return Path(os.environ[VARIABLE])


def start(environment: dict[str, str]) -> None:
    """Start it for commands of this environment, and wait until it is ready."""
    command = [sys.executable, "-m", "stpipe_prefect", "warm", "--idle", "15m"]
    subprocess.run(command, env=environment, check=True, capture_output=True)


def stop(folder: Path) -> None:
    """End what listens in a folder, and remove that."""
    for path in folder.glob("*/*"):
        if path.is_socket():
            with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(path))
                send(connection, {"ask": "stop"})
                receive(connection)
    rmtree(folder, ignore_errors=True)  # it removes its own files, too
