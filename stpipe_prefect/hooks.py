"""What runs around a step: code and commands given as its ``pre_hooks`` and ``post_hooks``.

A hook is a Step class, a Step instance, a function, the dotted path of any of these, or a
shell command. It gets what the step gets, or returns; what it returns, if anything, takes the
place of that.
"""

from __future__ import annotations

import ast
import logging
import re
import reprlib
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

from .datamodel import is_model
from .exceptions import HookError, ParameterError, UnknownStepError
from .registry import import_object

logger = logging.getLogger("stpipe.hooks")

Hook = Callable[..., Any]
SHELL = "shell:"
_DOTTED_PATH = re.compile(r"(?P<path>[^\W\d]\w*(\.[^\W\d]\w*)+)\s*(?P<call>\(.*\))?", re.DOTALL)
_INTERPRETER = re.compile(r"python[\d.]*|bash|sh|zsh|perl")
_CHUNK = 65536


def make_hooks(step: Any, kind: str, given: Sequence[Any]) -> list[Hook]:
    """Make the hooks of a step ready to run.

    Parameters
    ----------
    step : Step
        The step they belong to.
    kind : str
        ``"pre_hooks"`` or ``"post_hooks"``.
    given : sequence
        The value of that parameter.

    Returns
    -------
    list of callable
        Each takes what it is to work on, and returns what takes its place or None.

    Raises
    ------
    ParameterError
        One is none of the things a hook may be, or cannot be imported.
    """
    hooks = []
    for number, hook in enumerate(given):
        try:
            hooks.append(_make_hook(step, f"{kind.removesuffix('s')}{number}", hook))
        except ParameterError:  # of the hook itself
            raise
        except (UnknownStepError, ValueError, TypeError, SyntaxError) as error:
            raise ParameterError(
                f"{step.name}: {kind} {_shown(hook)} cannot be used: {error} "
                f"(to run a command, write '{SHELL} …')"
            ) from error
    return hooks


def hook_text(hook: Any) -> str:
    """Write a hook so that it can stand in a parameter file."""
    if isinstance(hook, str):
        return hook
    if hasattr(hook, "__qualname__"):
        return f"{hook.__module__}.{hook.__qualname__}"
    raise ParameterError(
        f"the hook {hook!r} cannot be stored in a file: give its dotted path instead"
    )


def _shown(hook: Any) -> str:
    short = reprlib.Repr()
    short.maxstring = short.maxother = 300
    try:
        return short.repr(hook)
    except ValueError:  # more digits than Python is ready to write
        return f"<{type(hook).__name__}>"


def named_by(hook: Any, config_file: str | None) -> Any:
    """Import what a hook names by a dotted path, be it to be called; give any other as it is.

    Modules that lie beside the parameter file are found.
    """
    path = _DOTTED_PATH.fullmatch(hook.strip()) if isinstance(hook, str) else None
    if path is None:
        return hook
    return import_object(path["path"], Path(config_file).parent if config_file else None)


def script_of(hook: str) -> str:
    """Name the file that a command runs: its first word, or what an interpreter runs."""
    try:
        words = shlex.split(hook.strip().removeprefix(SHELL))
    except ValueError:  # a quote that is not closed
        return ""
    is_interpreter = bool(words) and _INTERPRETER.fullmatch(Path(words[0]).name) is not None
    return next(iter(words[is_interpreter:]), "")


def _make_hook(step: Any, name: str, hook: Any) -> Hook:
    if isinstance(hook, str):
        path = _DOTTED_PATH.fullmatch(hook.strip())
        if path is None:
            return _Command(hook.strip().removeprefix(SHELL).strip(), name, step.output_ext)
        hook = named_by(hook, step.config_file)
        if path["call"]:
            hook = hook(**{"output_ext": step.output_ext} | _keywords(path["call"]))
    elif hasattr(hook, "get_pars") and not isinstance(hook, type):
        hook.name = getattr(hook, "class_alias", None) or name
    if isinstance(hook, type) and hasattr(hook, "from_config_section"):
        hook = hook(
            getattr(hook, "class_alias", None) or name,
            parent=step,
            config_file=step.config_file,
            output_ext=step.output_ext,
        )
    if hasattr(hook, "run") and not isinstance(hook, type):
        return StepHook(hook)
    if not callable(hook) or isinstance(hook, type):
        raise TypeError("expected a Step, a function, the dotted path of one, or a command")
    return hook  # type: ignore[no-any-return]


def _keywords(call: str) -> dict[str, Any]:
    """Read the literal arguments of ``package.Step(threshold=5)``."""
    expression = ast.parse(f"dict{call}", mode="eval").body
    if not isinstance(expression, ast.Call) or expression.args:
        raise ValueError("expected keyword=value arguments")
    return {word.arg or "": ast.literal_eval(word.value) for word in expression.keywords}


@dataclass(frozen=True)
class StepHook:
    """A hook that is a step."""

    step: Any

    def __call__(self, *args: Any) -> Any:
        """Run the step."""
        return self.step.run(*args)


class _Command:
    """A shell command; ``{0}``, ``{1}`` … in it are the step's arguments, models as files."""

    # The shell kills its whole process group when the other end of its standard input closes
    # before it is told that all is well: however the run ends, the command ends with it.
    _GUARD = "exec 3<&0 </dev/null\n(read _ <&3 || kill -s KILL 0) >/dev/null 2>&1 &\nexec 3<&-\n"

    def __init__(self, command: str, name: str, extension: str) -> None:
        self._command = command
        self._name = name
        self._extension = extension

    def __call__(self, *args: Any) -> None:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hook-")))
            words = [
                _as_word(arg, folder / str(number), self._extension)
                for number, arg in enumerate(args)
            ]
            logger.info("Running %s with %s", self._command, words)
            status = self._run(words)
        if status:
            raise HookError(f"{self._name}: {self._command!r} ended with status {status}")

    def _run(self, words: list[str]) -> int:
        with subprocess.Popen(
            ["/bin/sh", "-c", self._GUARD + _with_arguments(self._command), "sh", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            errors="replace",
        ) as shell:
            assert shell.stdin is not None and shell.stdout is not None
            while line := shell.stdout.readline(_CHUNK):
                logger.info("%s: %s", self._name, line.rstrip("\n"))
            status = shell.wait()
            with suppress(BrokenPipeError):  # the command may have ended its group itself
                shell.stdin.write("all is well\n")
                shell.stdin.close()
        return status


def _with_arguments(command: str) -> str:
    """Put the shell's own ``"$1"`` for ``{0}``: a file name never becomes part of the line.

    In a command that is a format string, as stpipe asks for, braces that stay are doubled.
    """
    doubled = ("{{", "}}") if _is_format_string(command) else ()
    parts, quote, position = [], "", 0
    while position < len(command):
        field = re.compile(r"\{(\d+)\}").match(command, position)
        character = command[position]
        if field:
            argument = f"${{{int(field[1]) + 1}}}"
            parts.append({"": f'"{argument}"', '"': argument, "'": f"'\"{argument}\"'"}[quote])
            position = field.end()
            continue
        if command[position : position + 2] in doubled:
            parts.append(character)
            position += 2
            continue
        if character == "\\" and quote != "'":
            parts.append(command[position : position + 2])
            position += 2
            continue
        if character in "\"'" and quote in ("", character):
            quote = "" if quote else character
        parts.append(character)
        position += 1
    return "".join(parts)


def _is_format_string(command: str) -> bool:
    """Tell whether all fields in braces are numbers, so that no brace is the shell's."""
    try:
        fields = [field for _, field, _, _ in Formatter().parse(command) if field is not None]
    except ValueError:
        return False
    return all(field.isdecimal() for field in fields)


def _as_word(value: Any, folder: Path, extension: str) -> str:
    """Make one argument of a command: a model is written to a file, under its own name."""
    if not is_model(value):
        return str(value)
    folder.mkdir()
    original = value.meta.filename
    try:
        return str(value.save(str(folder / Path(original or f"model{extension}").name)))
    finally:
        value.meta.filename = original
