"""One exposure, one process: started cheaply, watched, and ended for certain.

Processes are forked from the warm process, which has imported all that is heavy before, so that
one starts in some hundredths of a second, and has a main thread and a memory of its own. What
travels is JSON.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, Pipe
from pkgutil import resolve_name
from types import FrameType

import psutil

from ..exceptions import StpipePrefectError, reason
from ..outcomes import Outcome, exit_code_of, outcome_of
from ..warm import child
from ..warm.forked import DeclinedError, Forked, Parent
from ..warm.keep import start
from ..warm.messages import Message
from ..warm.start import SINGLE_THREADED
from .results import Ended
from .timing import peak_memory_mb

GRACE = 3.0
"""Seconds that a process has to clean up after itself before it is killed."""

FUNCTION = f"{__name__}:run_here"

Tell = Callable[[Message], None]

ATTEMPTS = 3

_children: set[Forked] = set()
_interrupted = threading.Event()
_starting = threading.Lock()
_warm: Parent | None = None


def use_warm_process(preload: Sequence[str]) -> None:
    """Have processes forked from one that has imported these modules; begin to import them.

    It is the one that this process was forked from, where that has them. A module that cannot be
    imported is left to fail where it is used.
    """
    global _warm
    with _starting:
        if _warm is not None and {*preload} <= {*_warm.preload}:
            return
        if child.parent is not None and {*preload} <= {*child.parent.preload}:
            _warm = child.parent
        else:
            _warm = start(preload)


def preloaded() -> list[str]:
    """List what `use_warm_process` was given: another machine's is to import the same."""
    return list(_warm.preload) if _warm else []


def _forked(argument: Message, lifeline: int) -> Forked:
    """Fork a process from the warm one, or another one in its place where it is gone."""
    global _warm
    environment = {**os.environ, **SINGLE_THREADED}
    for _ in range(ATTEMPTS):
        with _starting:
            warm = _warm = _warm or start([])
        try:
            return warm.fork(FUNCTION, argument, lifeline, environment)
        except DeclinedError as error:
            logging.getLogger(__name__).warning(
                "Exposures import what they need again: the warm process was not used: %s", error
            )
            preload: Sequence[str] = ()
        except OSError:
            preload = warm.preload
        with _starting:
            if _warm is warm:
                _warm = start(preload)
    raise StpipePrefectError("no process can be forked: the warm process ends at once")


def run_isolated(
    function: str, argument: Message, listener: Tell, *, time_limit: float | None = None
) -> Ended:
    """Run a function in a process of its own, and wait until that has ended.

    The function, ``"module:name"``, is called with `argument`, what JSON can hold, and with a
    function that sends messages to `listener`. After `time_limit` seconds the process and all
    it has started are killed.
    """
    if is_interrupted():
        return Ended(Outcome.CRASHED, "interrupted", exit_code=130)
    ours, theirs = Pipe()
    argument_of_all = {"function": function, "argument": argument}
    process = _forked(argument_of_all, theirs.fileno())  # waits for what is still imported
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
        process.wait(max(0.0, deadline - time.monotonic()))
        _signal(process, signal.SIGKILL)


def is_interrupted() -> bool:
    """Tell whether Ctrl-C was pressed in the block of `interruptible`."""
    return _interrupted.is_set()


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
    process: Forked,
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


def _cause_of_death(process: Forked, peak: float) -> str:
    code = process.status
    if code == -signal.SIGKILL:
        return f"was killed (signal 9) with {peak:.0f} MB, perhaps because memory ran out"
    if code is not None and code < 0:
        return f"was ended by signal {-code} ({signal.Signals(-code).name})"
    return f"ended with status {code} without a message"


@contextmanager
def _known(process: Forked) -> Iterator[None]:
    _children.add(process)
    try:
        yield
    finally:
        _children.discard(process)


def _end(process: Forked, *, at_once: bool) -> None:
    if not at_once:
        process.wait(GRACE)
    _signal(process, signal.SIGKILL)  # and what it may have started
    process.wait()


def _signal(process: Forked, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
    process.signal(number)  # it may not have come to have a group of its own


def run_here(given: Message) -> None:
    """Run, in a forked process, what `run_isolated` was given; say how it ended."""
    messages = Connection(child.lifeline)
    sending = threading.Lock()

    def tell(message: Message) -> None:
        with sending:
            try:
                messages.send_bytes(json.dumps(message).encode())
            except BrokenPipeError:  # nobody listens any more: this process is about to be killed
                threading.Event().wait()

    ended: Message = {"outcome": Outcome.COMPLETED}
    try:
        resolve_name(given["function"])(given["argument"], tell)
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
