"""How a command ends: its exit code, and what it prints, errors in one line each."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext, redirect_stderr
from io import StringIO
from typing import TYPE_CHECKING

from ..exceptions import StpipePrefectError, reason
from ..outcomes import exit_code_of
from ..remote.urls import as_urls
from ..streams import with_streams
from ..user import check_user

if TYPE_CHECKING:
    from rich.console import Console


def exit_code_of_command(
    command: str,
    run: Callable[[], int],
    *,
    debug: bool,
    uses_prefect: bool = True,
    post_mortem: bool = False,
) -> int:
    """Run a command to its end, whatever its output leads to, and give its exit code.

    `run` gives the code if nothing stops it. Each line about an error begins with the name of the
    command. `debug` shows tracebacks; with `post_mortem`, it starts pdb where somebody can use it.
    """

    def carried_out() -> int:
        try:
            if uses_prefect:
                check_user()
            return run()
        except KeyboardInterrupt as error:
            complain(command, "interrupted", error, debug=debug)
            return 130
        except Exception as error:
            problems = str(error)
            if not isinstance(error, StpipePrefectError):
                problems = f"{type(error).__name__}: {reason(error)} (--debug shows the traceback)"
            complain(command, problems, error, debug=debug)
            if debug and post_mortem and sys.stdin and sys.stdin.isatty():
                import pdb

                pdb.post_mortem(error.__traceback__)
            return exit_code_of(error)

    return with_streams(carried_out)


def common_exit_code(codes: Collection[int]) -> int:
    """Give the code that all failures have, else 1; 0 where nothing failed."""
    return next(iter(codes)) if len(codes) == 1 else min(len(codes), 1)


def complain(command: str, problems: str, error: BaseException, *, debug: bool) -> None:
    """Say on standard error what went wrong, each problem in one line."""
    if debug:
        traceback.print_exception(error)
    say(command, problems)


def say(command: str, problems: str) -> None:
    """Print each problem in one line on standard error."""
    for problem in as_urls(problems).splitlines():
        print(f"{command}: {problem}", file=sys.stderr)


def screen(*, stderr: bool = False) -> Console:
    """Make what prints for a person: names as they are, even if they look like markup."""
    from rich.console import Console

    # Where nobody looks at a screen of some width, nothing is to be cut to fit it.
    is_screen = (sys.stderr if stderr else sys.stdout).isatty()
    width = None if is_screen else 200
    return Console(highlight=False, markup=False, emoji=False, stderr=stderr, width=width)


def quiet(*, unless: bool) -> AbstractContextManager[object]:
    """Hide what libraries print: it is in the log, or becomes the reason of a failure."""
    return nullcontext() if unless else redirect_stderr(StringIO())
