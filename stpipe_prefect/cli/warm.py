"""The warm process, from the command line: ``python -m stpipe_prefect warm``."""

from __future__ import annotations

import argparse
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..exceptions import StpipePrefectError
from ..warm.keep import KEPT, preload_modules, preload_of, seconds
from ..warm.messages import Message, receive, send
from ..warm.place import folder, socket_path
from ..warm.start import start_to_stay

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
    which.add_argument("--stop", action="store_true", help="end them; commands they run go on")


def warm(args: argparse.Namespace) -> int:
    """Start a warm process, or find it; list those there are; or end them."""
    if args.stop or args.status:
        found = [_ask(path, "stop" if args.stop else "status") for path in _sockets()]
        answers = [answer for answer in found if answer]
        for each in answers:
            print(f"{'stopped: ' if args.stop else ''}{_described(each)}")
        if not answers:
            print("no warm process", file=sys.stderr)
        return 0 if answers or args.stop else 1
    idle, preload = seconds(args.idle), preload_of(args.mission)
    path = socket_path(make_folder=True)
    answer = _ask(path, "status")
    if answer is None:
        start_to_stay(preload, idle)
        answer = _awaited(path)
    print(_described(answer))
    return 0


def _awaited(path: Path) -> Message:
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        if answer := _ask(path, "status"):
            return answer
        time.sleep(0.05)
    raise StpipePrefectError(f"the warm process did not start within {STARTUP_SECONDS:g} s")


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
        f"{answer['served']} served, ends after {idle / 60:g} min without a command"
    )
