"""What a forked process does: it becomes what the one that asked for it would have been."""

from __future__ import annotations

import atexit
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pkgutil import resolve_name
from typing import Any

from .forked import Parent
from .messages import Message
from .start import SINGLE_THREADED

FAREWELL = 5.0
"""Seconds that a process has for what it has to say when the one that started it is gone."""

HAVE_STATE = ("stpipe_prefect.workarounds", "stpipe_prefect.orchestration.workarounds")
"""Modules with a function `take_environment`, for libraries that have read it at import."""

parent: Parent | None = None
"""The process that this one was forked from."""

lifeline = -1
"""The open file at whose end this process ends."""

_farewells: list[Callable[[], None]] = []


def said_if_left_alone(farewell: Callable[[], None]) -> None:
    """Have this process, when the one that asked for it is gone, call a function before it ends."""
    _farewells.append(farewell)


def become(message: Message, files: list[int], forked_from: Parent) -> int:
    """Take over surroundings, and call the function; gives the exit status."""
    global lifeline, parent
    parent = forked_from
    os.setsid()
    *streams, lifeline = files
    _take_streams(message["streams"], streams)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    os.chdir(message["directory"])
    sys.path[:] = message["path"]
    changed = _take_environment(message["environment"])
    _take_limits(message)
    refresh(changed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # else all that are forked would draw the same
    try:
        status = resolve_name(message["function"])(message["argument"])
    except SystemExit as error:
        status = _status_of(error)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
    return status or 0


def refresh(changed: Collection[str]) -> None:
    """Have libraries act on variables that have changed since they were imported."""
    for module in HAVE_STATE:
        if module in sys.modules:
            resolve_name(f"{module}:take_environment")(changed)


def set_default(name: str, value: str) -> None:
    """Set a variable that is not set, also for libraries that have been imported already."""
    if name not in os.environ:
        os.environ[name] = value
        refresh({name})


def run_command(argument: dict[str, Any]) -> int:
    """Run a command as it was called."""
    sys.argv[:] = argument["argv"]
    _take_threads()
    status: int = resolve_name(argument["function"])()
    return status


def _take_streams(numbers: list[int], files: list[int]) -> None:
    """Put the files of whoever asked in place of the standard ones; some may be closed there."""
    for number in range(3):
        os.close(number)
    for number, file in zip(numbers, files, strict=True):
        os.dup2(file, number)
        os.close(file)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if number not in numbers:
            setattr(sys, name, None)
            setattr(sys, f"__{name}__", None)
        elif number:
            getattr(sys, name).reconfigure(line_buffering=number == 2 or os.isatty(number))


def _take_environment(new: dict[str, str]) -> set[str]:
    """Change the environment; give the names of what is different."""
    before = dict(os.environ)
    for name in before.keys() - new.keys():
        del os.environ[name]
    os.environ.update(new)
    time.tzset()
    return {name for name in before.keys() | new.keys() if before.get(name) != new.get(name)}


def _take_limits(message: Message) -> None:
    if "umask" in message:
        os.umask(message["umask"])
    for name, limits in message.get("limits", {}).items():
        resource.setrlimit(getattr(resource, name), tuple(limits))
    if nice := message.get("nice", 0) - os.getpriority(os.PRIO_PROCESS, 0):
        os.nice(nice)
    if "cores" in message:
        os.sched_setaffinity(0, message["cores"])


def _take_threads() -> None:
    """Have linear algebra use as many threads as it would have in a new process."""
    before = dict(os.environ)
    from threadpoolctl import threadpool_limits

    _take_environment(before)  # threadpoolctl changes it
    named = [os.environ.get(name, "") for name in SINGLE_THREADED]
    number = next((int(text) for text in named if text.isdecimal()), len(os.sched_getaffinity(0)))
    if number > 1:
        threadpool_limits(number, user_api="blas")


def _end_with(lifeline: int) -> None:
    """Wait for the other end of the lifeline to close: nothing is ever sent this way."""
    with suppress(OSError):
        os.read(lifeline, 1)
    for farewell in _farewells:
        saying = threading.Thread(target=farewell, daemon=True)
        saying.start()
        saying.join(FAREWELL)
    os.killpg(0, signal.SIGKILL)


def _status_of(error: SystemExit) -> int:
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    print(error.code, file=sys.stderr)
    return 1
