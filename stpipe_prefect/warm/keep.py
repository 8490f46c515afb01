"""Which warm process a command leaves behind, and for how long."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress

from ..exceptions import StpipePrefectError, UsageError, nearest, reason
from .forked import Parent
from .start import start as start_process
from .start import start_for_this_process, start_to_stay, to_stay

VARIABLE = "STPIPE_PREFECT_KEEP_WARM"
"""Setting: for how long a warm process stays after a command."""

OPTION = "--keep-warm"

KEPT = "30m"
"""For how long without a command, if nobody says otherwise."""

GROUP = "stpipe_prefect.preload"
"""Entry points that name, for a package of pipelines, the module to import with it."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--keep-warm``, which the client acts on, to the options of a command."""
    parser.add_argument(
        OPTION,
        action="store_true",
        help="leave a process behind that has imported the pipelines, for the next commands; "
        f"it ends when there was none for {KEPT}",
    )


def seconds(time: str) -> float:
    """Read a time such as ``"30m"``.

    Raises
    ------
    UsageError
        It is none.
    """
    number, unit = time[:-1], time[-1:]
    if unit not in _SECONDS or not number.isdecimal() or not int(number):
        raise UsageError(f"{time!r} is no time: expected a number and s, m, h or d, such as 30m")
    return float(int(number) * _SECONDS[unit])


def preload_modules() -> dict[str, str]:
    """Give, for each package of pipelines that there are flows for, the module to import."""
    from importlib.metadata import entry_points

    return {each.name: each.value for each in entry_points(group=GROUP)}


def preload_of(packages: Iterable[str] | None = None) -> list[str]:
    """List the modules to import for packages of pipelines, by default all that are installed.

    Raises
    ------
    UsageError
        There are no flows for one, or it is not installed.
    """
    from importlib.util import find_spec

    known = preload_modules()
    installed = [name for name in known if find_spec(name)]
    for name in packages or ():
        if name not in installed:
            choices = ", ".join(installed) or "none is installed"
            raise UsageError(f"--mission {name}{nearest(name, installed)}: choose from {choices}")
    return [known[name] for name in (packages or installed)]


def start(preload: Sequence[str]) -> Parent:
    """Start a warm process for this one; as the setting says, it stays for later commands."""
    if time := os.environ.get(VARIABLE, ""):
        with suppress(OSError, StpipePrefectError):  # `keep_warm` says why none can stay
            return start_to_stay(preload, seconds(time))
    return start_for_this_process(preload)


def keep_warm(package: str = "") -> None:
    """Leave a warm process behind, if the setting says so and there is none."""
    time = os.environ.get(VARIABLE, "")
    if not time:
        return
    try:
        start_process(to_stay(preload_of([package] if package else None), seconds(time)))
    except (OSError, StpipePrefectError) as error:  # of no consequence for what has been done
        print(f"no warm process stays: {reason(error)}", file=sys.stderr)
