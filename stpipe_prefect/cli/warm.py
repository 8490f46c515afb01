"""The warm process, from the command line: ``python -m stpipe_prefect warm``."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from ..exceptions import StpipePrefectError
from ..warm.keep import KEPT, preload_modules, preload_of, seconds
from ..warm.messages import Message, receive, send
from ..warm.place import folder, socket_path
from ..warm.start import lock_place, start, to_stay

STARTUP_SECONDS = 300.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command to a parser."""
    parser.add_argument(
        "--mission",
        action="append",
        metavar="PACKAGE",
        help="import this one's pipelines: jwst or romancal (default: all that are installed)",
    )
    parser.add_argument(
        "--idle",
        default=KEPT,
        metavar="TIME",
        help=f"end it after this time without a command: 90s, 30m, 12h, 7d (default: {KEPT})",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--status", action="store_true", help="list the warm processes of this user")
    which.add_argument(
        "--stop",
        action="store_true",
        help="end the one that commands use here; those that run go on",
    )


def warm(args: argparse.Namespace) -> int:
    """Start a warm process, or find it; list those there are; or end them."""
    if args.status:
        answers = list(filter(None, (_ask(path, "status") for path in _sockets())))
        for each in answers:
            print(_described(each))
        if not answers:
            print("no warm process", file=sys.stderr)
        return 0 if answers else 1
    if args.stop:
        print(_stopped() or "no warm process")
        return 0
    idle, preload = seconds(args.idle), preload_of(args.mission)
    path = socket_path(make_folder=True)
    answer = _ask(path, "status")
    if answer is None:
        answer = _awaited(path, start(to_stay(preload, idle)))
    print(_described(answer))
    return 0


def _awaited(path: Path, process: subprocess.Popen[bytes] | None) -> Message:
    """Wait until the warm process answers: the one that was started, or one that starts already."""
    deadline = time.monotonic() + STARTUP_SECONDS
    while not (answer := _ask(path, "status")):
        if time.monotonic() > deadline or (process and process.poll() is not None):
            raise StpipePrefectError(f"the warm process ended before it answered; see {path}.log")
        time.sleep(0.05)
    return answer


def _stopped() -> str:
    """End the warm process of commands here, also one that still imports; say which."""
    with suppress(FileNotFoundError):  # not even a folder of sockets
        path = socket_path()
        if answer := _ask(path, "stop"):
            return f"stopped: {_described(answer)}"
        if (lock := lock_place(path)) < 0:
            os.kill(int(Path(f"{path}.lock").read_text()), signal.SIGTERM)
            return "stopped: a warm process that was starting"
        os.close(lock)
    return ""


def _sockets() -> Iterator[Path]:
    with suppress(FileNotFoundError):
        yield from sorted(path for path in folder().iterdir() if path.is_socket())


def _ask(path: Path, what: str) -> Message | None:
    """Ask the warm process at a socket; None if there is none any more."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(STARTUP_SECONDS)
        try:
            connection.connect(str(path))
            send(connection, {"ask": what})
            return receive(connection)[0]
        except (FileNotFoundError, ConnectionError):
            return None


def _described(answer: Message) -> str:
    named = {module: package for package, module in preload_modules().items()}
    idle, packages = answer["idle"], ", ".join(named.get(each, each) for each in answer["preload"])
    running = f"{answer['running']} running, " if answer["running"] else ""
    return (
        f"warm process {answer['process']} ({packages}; {answer['python']}): {running}"
        f"{answer['served']} served, ends after {timedelta(seconds=idle)} without a command"
    )
