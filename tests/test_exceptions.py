"""The exit code of every error, and the phrases that end a message."""

import pytest

from stpipe_prefect import exceptions
from stpipe_prefect.exceptions import StpipePrefectError, nearest, reason


def all_errors(error=StpipePrefectError):
    yield error
    for special in error.__subclasses__():
        yield from all_errors(special)


def test_every_exit_code_is_one_the_command_announces():
    ours = [error for error in all_errors() if error.__module__ == exceptions.__name__]
    assert {error.exit_code for error in ours} == {1, 2, 64}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (exceptions.ParameterError, 2),
        (exceptions.UnknownStepError, 2),
        (exceptions.InputError, 1),
        (exceptions.OutputError, 1),
        (exceptions.ContextError, 1),
        (exceptions.NoScienceDataError, 64),
    ],
)
def test_exit_code(error, code):
    assert error.exit_code == code


@pytest.mark.parametrize(
    ("error", "built_in"),
    [
        (exceptions.ParameterError, ValueError),
        (exceptions.UnknownStepError, ValueError),
        (exceptions.UnknownStepError, ImportError),
        (exceptions.WrongStepError, TypeError),
        (exceptions.HookError, OSError),
        (exceptions.NoParameterFileError, FileNotFoundError),
        (exceptions.NoInputError, FileNotFoundError),
        (exceptions.NoReferenceFileError, FileNotFoundError),
        (exceptions.OutputError, OSError),
    ],
)
def test_code_for_stpipe_catches_what_it_knows(error, built_in):
    with pytest.raises(built_in, match=r"^what it says$"):
        raise error("what it says")


def test_nearest_name_is_offered_if_there_is_one():
    assert nearest("jmp", ["dq_init", "jump"]) == " (did you mean 'jump'?)"
    assert nearest("quux", ["dq_init", "jump"]) == ""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("too\n   large"), "too large"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (RuntimeError('Traceback (most recent call last):\n  File "x"\nOSError: no'), "no"),
    ],
)
def test_reason_is_one_line(error, line):
    assert reason(error) == line
