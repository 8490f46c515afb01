"""Processes that the warm one has forked, for the process that has asked for them."""

from __future__ import annotations

import select
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..exceptions import StpipePrefectError
from .messages import Message, receive, send


class DeclinedError(StpipePrefectError):
    """The warm process forks nothing for this; the text says why."""


class Forked:
    """A process that was forked, until it has ended.

    Attributes
    ----------
    pid : int
    status : int or None
        Its exit status, minus the signal that ended it, or None as long as it runs or if the
        warm process has died before it.
    """

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self.status: int | None = None
        self._connection = connection
        self._is_lost = False
        self._waiting = threading.Lock()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended; tell whether it has, or nobody can say so any more."""
        if not self._waiting.acquire(timeout=-1 if timeout is None else timeout):
            return self.status is not None
        try:
            if self.status is not None or self._is_lost:
                return True
            if timeout is not None and not select.select([self._connection], [], [], timeout)[0]:
                return False
            message: Message | None = None
            with suppress(OSError):
                message, _ = receive(self._connection)
            if message is None:
                self._is_lost = True
            else:
                self.status = message["status"]
            self._connection.close()
            return True
        finally:
            self._waiting.release()

    def signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.status is None and not self._is_lost:
            with suppress(OSError):
                send(self._connection, {"signal": int(number)})


@dataclass(frozen=True)
class Parent:
    """The warm process, for the process that started it and for those it has forked.

    Attributes
    ----------
    control : socket.socket
        Takes the ends of new connections.
    preload : tuple of str
        Modules that it has imported, or is about to.
    """

    control: socket.socket
    preload: tuple[str, ...]

    def fork(
        self,
        function: str,
        argument: Any,
        lifeline: int,
        environment: dict[str, str],
    ) -> Forked:
        """Have a function called in a process of its own; see `ask_for`.

        Raises
        ------
        OSError
            It is gone.
        """
        connection = self._connect()
        ask_for(connection, function, argument, lifeline, environment=environment)
        return forked(connection)

    def hold(self, name: str, file: int) -> None:
        """Have a file kept open as long as it lives; one of the same name is closed."""
        with self._connect() as connection:
            send(connection, {"ask": "hold", "name": name}, [file])

    def _connect(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self.control, [b"+"], [theirs.fileno()])
        return ours


def ask_for(
    connection: socket.socket, function: str, argument: Any, lifeline: int, **more: Any
) -> None:
    """Ask for a process that calls ``"module:name"`` with what JSON can hold.

    It has the standard streams of this one, as far as they are open. `lifeline` is an end of a
    pipe: when its other end is closed, the process is killed with all that it has started.
    """
    # Those that were closed when Python started; their numbers may be of other files by now.
    standard = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
    streams = [number for number, stream in enumerate(standard) if stream is not None]
    message = {
        "ask": "fork",
        "function": function,
        "argument": argument,
        "directory": str(Path.cwd()),
        "path": sys.path,
        "streams": streams,
        **more,
    }
    send(connection, message, [*streams, lifeline])


def forked(connection: socket.socket) -> Forked:
    """Take the answer to what `ask_for` asks.

    Raises
    ------
    DeclinedError
    OSError
        The warm process is gone.
    """
    answer, _ = receive(connection)
    if answer is None:
        raise ConnectionResetError("the warm process has ended")
    if "declined" in answer:
        connection.close()
        raise DeclinedError(answer["declined"])
    return Forked(answer["process"], connection)
