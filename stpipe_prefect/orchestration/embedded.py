"""What the process of an embedded Prefect server runs.

It is Prefect's own application, started as a module by `.shared_server`.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import threading
import time
from pathlib import Path

from ..execution.garbage import imported_for_good

LINGER = 2.0
"""Seconds that it goes on without a user: for what was sent last, and for the next command."""


def serve(listener: int, held: int, users: str) -> None:
    """Serve Prefect's API on an open socket as long as somebody uses it.

    `held` is a file descriptor with the lock that says that this server lives, `users` a file
    that each user has a shared lock on.
    """
    with imported_for_good():
        import uvicorn
        from prefect.server.api.server import create_app

        from .workarounds import begin_as_writers

        begin_as_writers()
        application = create_app(ephemeral=True, final=True)
    server = uvicorn.Server(uvicorn.Config(application, log_level="error", lifespan="on"))

    def stop_when_unused() -> None:
        with Path(users).open() as file:
            _wait_until_unlocked(file.fileno())
            os.close(held)  # who comes from now on starts another one
        server.should_exit = True

    threading.Thread(target=stop_when_unused, daemon=True).start()
    # Given the descriptor, uvicorn takes it for a socket of another family, which sends the two
    # parts of an answer 0.04 s apart.
    server.run(sockets=[socket.socket(fileno=listener)])


def _wait_until_unlocked(users: int) -> None:
    """Return with the lock that keeps new users waiting."""
    while True:
        fcntl.flock(users, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_UN)
        time.sleep(LINGER)
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
