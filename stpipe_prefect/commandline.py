"""Running one step from a command line, as ``strun`` does.

What can be said depends on the step: every parameter is an option, ``--<parameter>`` or
``--steps.<step>.<parameter>``.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import Any, NoReturn

from configobj import ConfigObj, ConfigObjError

from .exceptions import InputError, UsageError, reason
from .logs import logged_run
from .parameters.files import load_config_file
from .parameters.layers import DISABLE_VARIABLE, crds_parameters_disabled
from .parameters.origins import check_crds_parameters
from .parameters.spec import help_text
from .parameters.validation import check_parameters
from .products.names import in_folder
from .registry import find_step

logger = logging.getLogger("stpipe.commandline")

_LIST_CHECK = re.compile(r"\s*\w*(list|tuple)\b")
_PATH_CHECK = re.compile(r"\s*(input_file|output_file)\b")
_DEFAULT = re.compile(r"default\s*=\s*(.*?)\)?\s*$")
_STREAMS = ("stderr", "stdout", "null")


class CommandParser(argparse.ArgumentParser):
    """Says what is wrong with a command line in one line, as an exception."""

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError` instead of printing every option there is."""
        raise UsageError(f"{message} (see --help)")


@dataclass(frozen=True)
class Command:
    """What a command line asks for.

    Attributes
    ----------
    step_class : type
        The Step or Pipeline.
    args : argparse.Namespace
        Inputs and options.
    given : dict
        The parameters given, by section; ``config_file`` among them.
    """

    step_class: Any
    args: argparse.Namespace
    given: dict[str, Any]

    @property
    def first_input(self) -> str | None:
        """The file that CRDS is to find parameters for."""
        if not self.args.inputs:
            return None
        folder = getattr(self.args, "input_dir", None)
        return in_folder(folder or "", self.args.inputs[0])

    @contextmanager
    def logged(self) -> Iterator[None]:
        """Log within the block, as the options say."""
        with logged_run(
            self.step_class.get_stpipe_loggers(),
            self.step_class._log_records_formatter,
            level=_level(self.args),
            handlers=_handlers(self.args),
        ):
            yield

    @contextmanager
    def parameters_from_crds(self) -> Iterator[None]:
        """Have CRDS asked for parameters within the block, or not, as the options say."""
        with _steppars_disabled(self.args.disable_crds_steppars):
            yield

    def make_step(self) -> Any:
        """Make the step, with its merged parameters."""
        step_class, given = self.step_class, self.given
        if self.first_input:
            with suppress(InputError):  # as the step says itself
                check_crds_parameters(step_class, self.first_input)
        try:
            config, config_file = step_class.build_config(self.first_input, **given)
        except InputError as error:
            if not self.args.lenient:
                raise
            logger.warning("%s", error)
            config, config_file = step_class.build_config(None, **given)
        config.pop("class", None)
        step = step_class.from_config_section(
            config, name=config.get("name"), config_file=config_file
        )
        if self.args.inputs:
            step.save_results = True
        return step


def read_command(argv: list[str], common: argparse.ArgumentParser) -> Command:
    """Read a command line.

    Parameters
    ----------
    argv : list of str
        The class, alias or parameter file, then inputs and options.
    common : argparse.ArgumentParser
        Knows the options that do not depend on the step.

    Raises
    ------
    UsageError
        The command line is wrong.
    """
    known, _ = common.parse_known_args(argv)
    if known.step is None:
        common.error("say which step: a class, an alias or a parameter file")
    config_file = known.step if Path(known.step).is_file() else None
    step_class = _find_class(known.step, config_file)
    spec = step_class.load_spec_file()
    parser = _with_parameters(spec, step_class, common)
    args, rest = parser.parse_known_args(argv)
    given = _given(args, spec)
    _add_unknown(given, rest, parser)
    check_parameters(step_class, given)
    if config_file is not None:
        given["config_file"] = config_file
    return Command(step_class, args, given)


def run_step(argv: list[str]) -> Any:
    """Make the step that a command line asks for, and run it.

    Parameters
    ----------
    argv : list of str
        The class, alias or parameter file, then inputs and options.

    Returns
    -------
    Step
        The step that ran.

    Raises
    ------
    UsageError
        The command line is wrong.
    """
    command = read_command(argv, common_options("run"))
    args = command.args
    with command.logged():
        with command.parameters_from_crds():
            step = command.make_step()
        if args.inputs:
            step.set_primary_input(args.inputs[0])
        if args.save_parameters:
            step.export_config(args.save_parameters, include_metadata=True)
            logger.info("Parameters saved to %s", args.save_parameters)
        step.run(*args.inputs)
    return step


def common_options(command: str) -> argparse.ArgumentParser:
    """Make the parser of what can be said for every step, for one of the commands."""
    parser = CommandParser(f"python -m stpipe_prefect {command}", add_help=False)
    parser.add_argument("step", nargs="?", help="class, alias or parameter file")
    parser.add_argument("--save-parameters", metavar="FILE", help="save the parameters of the run")
    parser.add_argument(
        "--disable-crds-steppars", action="store_true", help="use no parameters from CRDS"
    )
    parser.add_argument(
        "--lenient",
        action="store_true",
        help="go on without parameters from CRDS if the input cannot be read",
    )
    parser.add_argument("--verbose", "-v", action="store_true", help="log everything")
    parser.add_argument("--log-level", metavar="LEVEL", help="DEBUG, INFO, WARNING … or a number")
    parser.add_argument("--log-file", metavar="FILE", help="write the log here, too")
    parser.add_argument(
        "--log-stream", choices=_STREAMS, default="stderr", help="where to show the log [stderr]"
    )
    parser.add_argument(
        "--debug", action="store_true", help="show where an error comes from, and start pdb"
    )
    return parser


def _find_class(name: str, config_file: str | None) -> Any:
    if config_file is None:
        return find_step(name)
    class_name = load_config_file(config_file).get("class")
    if not class_name:
        raise UsageError(f"Parameter file {config_file} does not say which class it is for")
    return find_step(class_name, Path(config_file).parent)


def _with_parameters(
    spec: Mapping[str, Any], step_class: Any, common: argparse.ArgumentParser
) -> argparse.ArgumentParser:
    parser = CommandParser(
        prog=common.prog,
        usage=f"{common.prog} CLASS|ALIAS|FILE [INPUT …] [--<parameter>=VALUE …]",
        description=step_class.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common],
        allow_abbrev=False,
    )
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="what the step is to work on")
    group = parser.add_argument_group("parameters")
    for path, section, name in _parameters(spec):
        default = _DEFAULT.search(section[name])
        text = help_text(section, name)
        if default and default[1].strip("'\"") not in ("None", "", "list(", "list()"):
            text = f"{text} [{default[1]}]"
        group.add_argument(f"--{path}", metavar="", help=text.replace("%", "%%"), dest=path)
    return parser


def _parameters(spec: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Go through a configspec: dotted path, section and name of each parameter."""
    for name, check in spec.items():
        if isinstance(check, Mapping):
            yield from _parameters(check, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", spec, name


def _given(args: argparse.Namespace, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Collect the parameters that were given, by section."""
    given: dict[str, Any] = {}
    for path, section, name in _parameters(spec):
        text = getattr(args, path)
        if text is not None:
            _put(given, path, _value(text, section[name], path))
    return given


def _add_unknown(given: dict[str, Any], rest: list[str], parser: argparse.ArgumentParser) -> None:
    """Take options that no parameter has for parameters, to be refused as those are."""
    if rest and not rest[0].startswith("--"):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    for word in rest:
        path, _, text = word.partition("=")
        if path.startswith("--"):
            _put(given, path.removeprefix("--"), text)


def _put(given: dict[str, Any], path: str, value: Any) -> None:
    place = given
    *sections, name = path.split(".")
    for section in sections:
        place = place.setdefault(section, {})
    place[name] = value


def _value(text: str, check: str, path: str) -> Any:
    """Read a list where one is expected, and a path relative to where the user is."""
    if _LIST_CHECK.match(check):
        try:
            return ConfigObj([f"value = {text}"], interpolation=False)["value"]
        except ConfigObjError as error:
            raise UsageError(f"--{path} {text}: expected a list, a,b,…: {reason(error)}") from error
    if text and (_PATH_CHECK.match(check) or path.endswith(".config_file")):
        return str(Path(text).absolute())
    return text


def _level(args: argparse.Namespace) -> int:
    name = "DEBUG" if args.verbose else (args.log_level or "INFO").upper()
    level = int(name) if name.isdecimal() else logging.getLevelNamesMapping().get(name)
    if level is None:
        raise UsageError(
            f"--log-level {args.log_level}: expected DEBUG, INFO, WARNING, ERROR … or a number"
        )
    return level


def _handlers(args: argparse.Namespace) -> list[logging.Handler]:
    handlers: list[logging.Handler] = []
    if args.log_stream != "null":
        handlers.append(logging.StreamHandler(getattr(sys, args.log_stream)))
    if args.log_file:
        try:
            handlers.append(logging.FileHandler(args.log_file, "w", "utf-8"))
        except OSError as error:
            raise UsageError(f"--log-file {args.log_file}: {reason(error)}") from error
    return handlers


@contextmanager
def _steppars_disabled(disabled: bool) -> Iterator[None]:
    before = environ.get(DISABLE_VARIABLE)
    if disabled and not crds_parameters_disabled():
        environ[DISABLE_VARIABLE] = "true"
    try:
        yield
    finally:
        if before is None:
            environ.pop(DISABLE_VARIABLE, None)
        else:
            environ[DISABLE_VARIABLE] = before
