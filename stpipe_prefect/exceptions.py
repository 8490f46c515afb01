"""Everything this package raises on purpose.

::

    StpipePrefectError            1   something failed
    ├── UsageError                2   the request itself is wrong; nothing was run (ValueError)
    │   ├── UnknownStepError          no such class, alias or step (ImportError)
    │   │   └── WrongStepError        there is one, but not of the kind expected (TypeError)
    │   └── ParameterError            unknown parameter, or a value of the wrong type
    │       └── NoParameterFileError  there is no such file (FileNotFoundError)
    ├── InputError                1   the exposure or association cannot be processed
    │   └── NoInputError              there is no such file (FileNotFoundError)
    ├── OutputError               1   the products cannot be written (OSError)
    ├── ReferenceFileError        1   a reference file cannot be used, or none is selected
    │   ├── NoReferenceFileError      there is no such file (FileNotFoundError)
    │   ├── ContextError              no usable CRDS cache or context
    │   └── CrdsServerError           the CRDS server is unreachable, or its response is invalid
    ├── DegradedError             1   a step could not do its work, in a run that is strict
    ├── HookError                 1   a command given as a hook failed (OSError)
    ├── InsertedStepError         1   a step inserted into a pipeline failed
    ├── NoScienceDataError       64   the exposure holds nothing to calibrate
    └── StpipeExitException       n   a step ends the command with a status of its choice

The number is the exit code at the command line; in brackets, the built-in exception that code
written for stpipe may catch instead. Each message is one line that names the
file, step or parameter, what was expected, and what to do; the two functions below help
to write it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class StpipePrefectError(Exception):
    """Base of all errors raised on purpose; its text is complete without a traceback."""

    exit_code = 1


class UsageError(StpipePrefectError, ValueError):
    """The request is wrong; nothing was run."""

    exit_code = 2


class UnknownStepError(UsageError, ImportError):
    """No Step or Pipeline goes by that class path, alias or name."""


class WrongStepError(UnknownStepError, TypeError):
    """A class that is no Step, or another Step than the one expected."""


class ParameterError(UsageError):
    """An unknown parameter, or a value its specification does not allow."""


class NoParameterFileError(ParameterError, FileNotFoundError):
    """A parameter file that is not there."""


class InputError(StpipePrefectError):
    """An exposure or association that cannot be processed."""


class NoInputError(InputError, FileNotFoundError):
    """An exposure or association that is not there."""


class OutputError(StpipePrefectError, OSError):
    """Products that cannot be written where they were asked for."""


class ReferenceFileError(StpipePrefectError):
    """A reference file that is missing, or for which the context has no rule."""


class NoReferenceFileError(ReferenceFileError, FileNotFoundError):
    """A reference file that is not there."""


class ContextError(ReferenceFileError):
    """No CRDS cache, or no usable context in it."""


class CrdsServerError(ReferenceFileError):
    """A CRDS server that cannot be reached, is silent, or answers something else than it should."""


class DegradedError(StpipePrefectError):
    """A step that could not do its work and recorded that in the data, in a run that is strict."""


class HookError(StpipePrefectError, OSError):
    """A command given as a hook of a step that failed."""


class InsertedStepError(StpipePrefectError):
    """A step inserted into a pipeline that failed, or returned no data model."""


class NoScienceDataError(StpipePrefectError):
    """The exposure holds nothing to calibrate.

    The code 64 is the one jwst's own commands use, see
    `jwst documentation, "Exit Status"
    <https://jwst-pipeline.readthedocs.io/en/latest/jwst/user_documentation/running_pipeline_command_line.html#exit-status>`_.
    """

    exit_code = 64


class StpipeExitException(StpipePrefectError):  # noqa: N818 - the name steps know it by
    """Raised by a step that ends the command line with a status of its own.

    Parameters
    ----------
    exit_status : int
        What the command returns to the shell; 64 says that there is nothing to calibrate.
    *args : object
        Usually the reason.
    """

    def __init__(self, exit_status: int, *args: object) -> None:
        super().__init__(exit_status, *args)
        self.exit_code = exit_status

    @property
    def exit_status(self) -> int:
        """What the command returns to the shell."""
        return self.exit_code

    def __str__(self) -> str:
        return " ".join(str(part) for part in self.args[1:]) or f"exit status {self.exit_code}"


def input_error(message: str, cause: Exception) -> InputError:
    """Make the error of an input that could not be read for some reason."""
    return (NoInputError if isinstance(cause, FileNotFoundError) else InputError)(message)


def nearest(name: str, choices: Iterable[str]) -> str:
    """Say which of `choices` was probably meant, as a phrase to append to a message."""
    close = difflib.get_close_matches(name, list(choices), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


LONGEST_REASON = 1000
"""Characters."""


def reason(error: BaseException) -> str:
    """Put what an error says on one line; its type where it says nothing.

    Of a traceback that was made into a message, only its end says what was wrong; of a message
    with a whole schema and data in it, the beginning does.
    """
    text = str(error).strip()
    if text.startswith("Traceback ("):
        text = text.splitlines()[-1].partition(": ")[2]
    line = " ".join(text.split()) or type(error).__name__
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]} …"
