"""A command, on its way to the warm process if there is one.

Nothing heavy is imported here: this is all that a command served by the warm process runs.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from types import FrameType

from ..exceptions import StpipePrefectError
from .forked import DeclinedError, Forked, ask_for, forked
from .keep import KEPT, OPTION, VARIABLE, keep_warm
from .messages import is_of_this_user
from .place import socket_path

FUNCTION = f"{__package__}.child:run_command"

PASSED_ON = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGWINCH", "SIGUSR1", "SIGUSR2", "SIGCONT")

PATIENCE = 5.0
"""Seconds that the warm process has for its answer; without one, the command runs here."""

LIMITS = tuple(sorted(name for name in dir(resource) if name.startswith("RLIMIT_")))

LOST = "the warm process was killed, and this command with it: its products are whole or absent"


def answer(function: str, package: str = "") -> int:
    """Run the command ``"module:name"``: in the warm process, or here where there is none.

    Parameters
    ----------
    function : str
    package : str
        Of the pipelines that it runs; empty if they may be of any.

    Returns
    -------
    int
        The exit code.
    """
    try:
        process = _ask(function)
    except KeyboardInterrupt:
        return 130
    if process is None:
        if OPTION in sys.argv:
            os.environ.setdefault(VARIABLE, KEPT)
        status: int = resolve_name(function)()
        keep_warm(package)
        return status
    for name in PASSED_ON:
        signal.signal(getattr(signal, name), lambda number, _: process.signal(number))
    signal.signal(signal.SIGTSTP, _stop_both(process))
    process.wait()
    if process.status is None:
        sys.stderr.write(f"{Path(sys.argv[0]).parent.name or 'error'}: {LOST}\n")
        return 1
    if process.status < 0:  # so that the shell sees the same
        with suppress(OSError):  # of some it cannot be changed
            signal.signal(-process.status, signal.SIG_DFL)
        os.kill(os.getpid(), -process.status)
    return process.status


def _ask(function: str) -> Forked | None:
    """Ask the warm process to run a command; None where there is none, or it declines."""
    connection = socket.socket(socket.AF_UNIX)
    reading, writing = os.pipe()  # its other end is closed when this process ends
    process = None
    try:
        connection.settimeout(PATIENCE)
        connection.connect(str(socket_path()))
        if not is_of_this_user(connection):
            return None
        module = function.partition(":")[0]
        spec = find_spec(module)
        ask_for(
            connection,
            FUNCTION,
            {"function": function, "argv": sys.argv},
            reading,
            environment=dict(os.environ),
            umask=_umask(),
            limits={name: resource.getrlimit(getattr(resource, name)) for name in LIMITS},
            nice=os.getpriority(os.PRIO_PROCESS, 0),
            cores=sorted(os.sched_getaffinity(0)),
            command={"module": module, "file": spec and spec.origin},
        )
        process = forked(connection)
        connection.settimeout(None)
    except DeclinedError as error:
        if "--debug" in sys.argv:
            sys.stderr.write(f"the warm process was not used: {error}\n")
    except (OSError, StpipePrefectError):
        pass
    finally:
        os.close(reading)
        if process is None:  # nor is one forked from now on: it would run besides this one
            connection.close()
            os.close(writing)
    return process


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _stop_both(process: Forked) -> Callable[[int, FrameType | None], None]:
    """Stop the command with this process; `fg` has both go on."""

    def stop(number: int, frame: FrameType | None) -> None:
        process.signal(signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)

    return stop
