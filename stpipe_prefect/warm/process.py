"""The warm process itself: it imports, and then forks a process for each that asks for one.

It has a single thread and keeps nothing of what it forks, so that the hundredth is as the first.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import select
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from math import inf
from pathlib import Path
from typing import Any

import psutil

from .child import become
from .forked import Parent
from .messages import Message, is_of_this_user, receive, send
from .staleness import Imported
from .start import Settings, start

LONGEST_WAIT = 3600.0
"""Seconds; the system knows no waiting for months."""

PATIENCE = 2.0
"""Seconds in which whoever connects has to say what he wants."""


class WarmProcess:
    """Serves whoever it was started by, and commands that find its socket.

    Parameters
    ----------
    settings : Settings
    starter : socket.socket, optional
        Connections of the process that has started it come through this.
    """

    def __init__(self, settings: Settings, starter: socket.socket | None) -> None:
        self._settings = settings
        self._starter = starter
        self._listener: socket.socket | None = None
        self._imported: Imported | None = None
        self._running: dict[int, socket.socket] = {}
        self._held: dict[str, int] = {}
        self._served = 0
        self._last = time.time()
        self._selector = selectors.DefaultSelector()
        ours, self._of_children = socket.socketpair()
        self._watch(ours, self._take_passed)
        if starter:
            self._watch(starter, self._take_passed)
        self._watch(_wake_up_by(signal.SIGCHLD, signal.SIGTERM), self._hear_signals)

    def listen(self, path: Path) -> None:
        """Take requests of commands from now on; the socket appears when all is imported."""
        self._imported = Imported.now()
        self._listener = socket.socket(socket.AF_UNIX)
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        self._listener.bind(str(fresh))
        fresh.chmod(0o600)
        self._listener.listen()
        fresh.replace(path)
        self._watch(self._listener, self._accept)

    def serve(self) -> None:
        """Serve until nobody can ask any more, or nobody has for long."""
        while self._running or self._is_wanted():
            until = self._last + self._settings.idle - time.time() if self._listener else inf
            for key, _ in self._selector.select(min(max(until, 0.1), LONGEST_WAIT)):
                key.data(key.fileobj)

    def _is_wanted(self) -> bool:
        if self._listener is None:
            return self._starter is not None
        if self._starter is None and time.time() - self._last >= self._settings.idle:
            self._close_door()
            return False
        return True

    def _close_door(self, *endings: str) -> None:
        """Take no more requests of commands, and remove its files; what runs may go on."""
        if self._listener is not None:
            self._forget(self._listener)
            self._listener = None
            for ending in endings or ("", ".log", ".lock"):
                Path(self._settings.path + ending).unlink(missing_ok=True)

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        if is_of_this_user(connection):
            self._hear(connection)
        else:
            connection.close()

    def _take_passed(self, control: socket.socket) -> None:
        """Take a connection that a process made itself, whose other end it has kept."""
        _, files, _, _ = socket.recv_fds(control, 1, 1)
        if files:
            self._hear(socket.socket(fileno=files[0]))
        elif control is self._starter:
            self._forget(control)
            self._starter = None

    def _hear(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        files: list[int] = []
        try:
            message, files = receive(connection)
            if message:
                self._carry_out(message, connection, files)
        except (OSError, KeyError, TypeError, ValueError):  # it has gone, or makes no sense
            connection.close()
        finally:
            for file in files:
                os.close(file)

    def _carry_out(self, message: Message, connection: socket.socket, files: list[int]) -> None:
        self._last = time.time()
        ask = message["ask"]
        if ask == "hold":
            if (before := self._held.pop(message["name"], None)) is not None:
                os.close(before)
            self._held[message["name"]] = os.dup(files[0])
        elif ask == "stop":
            self._close_door()
            send(connection, self._status())
        elif ask == "status":
            send(connection, self._status())
        elif why := self._why_not(message):
            send(connection, {"declined": why})
        elif not _has_gone(connection):
            self._fork(message, connection, files)
            return
        connection.close()

    def _why_not(self, message: Message) -> str:
        """Say why a process is not forked; empty if it is."""
        if threads := other_threads():
            return f"it has other threads ({', '.join(threads)}): it may not fork"
        command = message.get("command")
        if self._imported is None or command is None:
            return ""  # of a run that has begun: all of it with the same code
        if change := self._imported.change():
            self._replace()
            return f"{change} has changed"
        spec = find_spec(command["module"])
        if spec is None or spec.origin != command["file"]:
            return f"{command['file']} is not {spec and spec.origin}"
        if file := self._imported.shadowed_by(message["path"][0]):
            return f"{file} would be imported"
        soft = message["limits"].get("RLIMIT_AS", (-1,))[0]
        if 0 <= soft < 2 * psutil.Process().memory_info().vms:
            return "its address space is to be smaller"  # than that of what would be forked
        for name, (_, hard) in message["limits"].items():
            own = resource.getrlimit(getattr(resource, name))[1]
            if own != hard and own != resource.RLIM_INFINITY and not 0 <= hard <= own:
                return f"its {name} is lower"
        return ""

    def _replace(self) -> None:
        """Start a warm process with what is there now; this one only ends what it has begun."""
        self._close_door("")
        os.close(self._settings.lock)
        self._successor = start(replace(self._settings, starter=-1))

    def _fork(self, message: Message, connection: socket.socket, files: list[int]) -> None:
        process = os.fork()
        if process == 0:
            status = 1
            try:
                connection.close()  # whose end is to be seen when this process's parent ends
                self._leave()
                parent = Parent(self._of_children, tuple(self._settings.preload))
                status = become(message, files, parent)
            except BaseException:
                traceback.print_exc()
                status = 1
            finally:
                os._exit(status)
        self._served += 1
        connection.settimeout(None)
        self._running[process] = connection
        self._watch(connection, self._pass_on_signal)
        with suppress(OSError):  # it has gone; the process knows by a pipe of its own
            send(connection, {"process": process})

    def _leave(self) -> None:
        """Close, in a forked process, what is this process's business."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()
        for file in self._held.values():
            os.close(file)
        if self._settings.lock >= 0:
            os.close(self._settings.lock)

    def _pass_on_signal(self, connection: socket.socket) -> None:
        process = next(each for each, own in self._running.items() if own is connection)
        try:
            message, _ = receive(connection)
        except (OSError, ValueError):
            message = None
        if message is None:  # it has gone; the process knows by a pipe of its own
            self._selector.unregister(connection)
        else:
            os.kill(process, message["signal"])

    def _hear_signals(self, wake_up: socket.socket) -> None:
        numbers = wake_up.recv(256)
        if signal.SIGTERM in numbers:
            self._close_door()
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                connection = self._running.pop(ended[0], None)
                if connection is not None:
                    with suppress(OSError):
                        send(connection, {"status": os.waitstatus_to_exitcode(ended[1])})
                    self._forget(connection)
        self._last = time.time()

    def _status(self) -> Message:
        return {
            "process": os.getpid(),
            "python": sys.executable,
            "preload": list(self._settings.preload),
            "idle": self._settings.idle,
            "served": self._served,
            "running": len(self._running),
        }

    def _watch(self, channel: socket.socket, act: Callable[[socket.socket], Any]) -> None:
        self._selector.register(channel, selectors.EVENT_READ, act)

    def _forget(self, channel: socket.socket) -> None:
        with suppress(KeyError):
            self._selector.unregister(channel)
        channel.close()


def _has_gone(connection: socket.socket) -> bool:
    """Tell whether whoever asked has not waited for the answer."""
    can_read, _, _ = select.select([connection], [], [], 0)
    return bool(can_read) and not connection.recv(1, socket.MSG_PEEK)


def other_threads() -> list[str]:
    """Name the threads of this process besides its first one, of whatever library."""
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        import threading

        return [each.name for each in threading.enumerate()[1:]]
    others = [each for each in tasks.iterdir() if each.name != str(os.getpid())]
    return [(each / "comm").read_text().strip() for each in others]


def _wake_up_by(*numbers: signal.Signals) -> socket.socket:
    """Have signals arrive as bytes through a socket."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    signal.set_wakeup_fd(theirs.detach(), warn_on_full_buffer=False)
    for number in numbers:
        signal.signal(number, lambda *_: None)
    return ours


def _import(modules: Sequence[str]) -> None:
    for module in modules:
        with suppress(ImportError):  # it is left to fail where it is used
            importlib.import_module(module)


def main(settings: Settings) -> None:
    """Be a warm process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for what it has forked
    starter = socket.socket(fileno=settings.starter) if settings.starter >= 0 else None
    sys.path[:] = settings.modules
    _import(settings.preload)
    process = WarmProcess(settings, starter)
    if settings.path:
        process.listen(Path(settings.path))
    process.serve()


if __name__ == "__main__":
    main(Settings(**json.loads(sys.argv[1])))
