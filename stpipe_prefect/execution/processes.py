"""One exposure, one process: started cheaply, watched, and ended for certain.

Processes are forked from a server process that has imported all that is heavy before, so that
one starts in some hundredths of a second, and has a main thread and a memory of its own. Where
the system has no fork server they start from scratch. What travels is JSON.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.util import get_temp_dir
from pkgutil import resolve_name
from types import FrameType
from typing import Any

import psutil

from ..exceptions import StpipePrefectError, reason
from ..outcomes import Outcome, exit_code_of, outcome_of
from .results import Ended
from .timing import peak_memory_mb

GRACE = 3.0
"""Seconds that a process has to clean up after itself before it is killed."""

FAREWELL = 5.0
"""Seconds that a process has for what it has to say when the one that started it is gone."""

SOCKET_FOLDER = "FOLDER_OF_FORK_SERVER"
"""Variable that tells the fork server which folder to remove as it ends."""

SINGLE_THREADED = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
"""With a process for each core, threads of linear algebra would only get in each other's way."""

Message = dict[str, Any]
Tell = Callable[[Message], None]

_children: set[BaseProcess] = set()
_preloaded: list[str] = []
_farewells: list[Callable[[], None]] = []
_interrupted = threading.Event()


def start_fork_server(preload: Sequence[str]) -> None:
    """Begin to import, in the process from which others are forked later.

    A module that cannot be imported is left to fail where it is used.
    """
    context = _context()
    _preloaded[:] = preload
    if context.get_start_method() == "forkserver":
        multiprocessing.set_forkserver_preload(list(preload))
        with _environment({**SINGLE_THREADED, SOCKET_FOLDER: get_temp_dir()}):
            forkserver.ensure_running()


def said_if_left_alone(farewell: Callable[[], None]) -> None:
    """Have this process, when the one that started it is gone, call a function before it ends."""
    _farewells.append(farewell)


def preloaded() -> list[str]:
    """List what `start_fork_server` was given: another machine's is to import the same."""
    return list(_preloaded)


def run_isolated(
    function: str, argument: Message, listener: Tell, *, time_limit: float | None = None
) -> Ended:
    """Run a function in a process of its own, and wait until that has ended.

    The function, ``"module:name"``, is called with `argument`, what JSON can hold, and with a
    function that sends messages to `listener`. After `time_limit` seconds the process and all
    it has started are killed.
    """
    if _interrupted.is_set():
        return Ended(Outcome.CRASHED, "interrupted", exit_code=130)
    if multiprocessing.current_process().daemon:
        # A Dask worker is one to its nanny, and daemons may have no children: they might be
        # left behind. These go when it goes, as the pipe tells them.
        multiprocessing.current_process().daemon = False
    ours, theirs = multiprocessing.Pipe()
    with _environment(SINGLE_THREADED):  # for where they start from scratch
        process = _context().Process(target=_child, args=(theirs, function, json.dumps(argument)))
        process.start()  # waits for what the fork server still imports
    started = time.monotonic()
    theirs.close()
    with _known(process):
        last, peak, late = _follow(process, ours, listener, started, time_limit)
        _end(process, at_once=late)
    seconds = time.monotonic() - started
    if late:
        outcome, error = Outcome.TIMED_OUT, f"took longer than {time_limit:g} s"
        return Ended(outcome, error, outcome.exit_code, seconds, peak)
    if last is None:
        outcome, error = Outcome.CRASHED, _cause_of_death(process, peak)
        return Ended(outcome, error, outcome.exit_code, seconds, peak)
    return Ended(**{**last, "outcome": Outcome(last["outcome"])}, seconds=seconds)


def stop_children() -> None:
    """End all processes that are under way: gently, and after some seconds by force."""
    children = list(_children)
    for process in children:
        _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    for process in children:
        process.join(max(0.0, deadline - time.monotonic()))
        _signal(process, signal.SIGKILL)


@contextmanager
def interruptible() -> Iterator[None]:
    """Have Ctrl-C end all processes and begin no further one, also where the exception gets lost.

    Python drops one that is raised in the middle of a ``__del__``, and libraries catch it; at
    the end of the block it is raised again.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        _interrupted.set()
        for process in list(_children):
            _signal(process, signal.SIGTERM)
        signal.default_int_handler(number, frame)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
        if _interrupted.is_set():
            raise KeyboardInterrupt
    finally:
        signal.signal(signal.SIGINT, before)
        _interrupted.clear()


def _follow(
    process: BaseProcess,
    messages: Connection,
    listener: Tell,
    started: float,
    time_limit: float | None,
) -> tuple[Message | None, float, bool]:
    """Listen until the process says how it ended, or is gone, or late."""
    peak = 0.0
    while time_limit is None or time.monotonic() - started < time_limit:
        if not messages.poll(0.5):
            with suppress(psutil.Error):
                peak = max(peak, psutil.Process(process.pid).memory_info().rss / 1e6)
            continue
        try:
            message = json.loads(messages.recv_bytes())
        except (EOFError, ConnectionError):
            return None, peak, False
        if "ended" in message:
            return message["ended"], peak, False
        listener(message)
    return None, peak, True


def _cause_of_death(process: BaseProcess, peak: float) -> str:
    code = process.exitcode
    if code == -signal.SIGKILL:
        return f"was killed (signal 9) with {peak:.0f} MB, perhaps because memory ran out"
    if code is not None and code < 0:
        return f"was ended by signal {-code} ({signal.Signals(-code).name})"
    return f"ended with status {code} without a message"


@contextmanager
def _known(process: BaseProcess) -> Iterator[None]:
    _children.add(process)
    try:
        yield
    finally:
        _children.discard(process)


def _end(process: BaseProcess, *, at_once: bool) -> None:
    if not at_once:
        process.join(GRACE)
    _signal(process, signal.SIGKILL)  # and what it may have started
    process.join()


def _signal(process: BaseProcess, number: int) -> None:
    assert process.pid is not None
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
    if process.exitcode is None:  # it may not have come to have a group of its own
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def _context() -> Any:
    methods = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _child(messages: Connection, function: str, argument: str) -> None:
    os.setsid()
    threading.Thread(target=_end_with_parent, args=(messages,), daemon=True).start()
    sending = threading.Lock()

    def tell(message: Message) -> None:
        with sending:
            messages.send_bytes(json.dumps(message).encode())

    ended: Message = {"outcome": Outcome.COMPLETED}
    try:
        resolve_name(function)(json.loads(argument), tell)
    except BaseException as error:
        # What Prefect makes of a signal is no Exception.
        is_explained = isinstance(error, StpipePrefectError)
        kind = "" if is_explained else f"{type(error).__name__}: "
        ended = {
            "outcome": outcome_of(error),
            "error": f"{kind}{reason(error)}",
            "is_explained": is_explained,
            "exit_code": exit_code_of(error),
            "traceback": "".join(traceback.format_exception(error)),
        }
    tell({"ended": {**ended, "peak_memory_mb": peak_memory_mb()}})
    os._exit(0)  # everything is said; threads of libraries would hold the process up


def _end_with_parent(messages: Connection) -> None:
    """Wait for the other end of the pipe to close: nothing is ever sent this way."""
    with suppress(EOFError, OSError):
        messages.recv_bytes()
    for farewell in _farewells:
        saying = threading.Thread(target=farewell, daemon=True)
        saying.start()
        saying.join(FAREWELL)
    os.killpg(0, signal.SIGKILL)
