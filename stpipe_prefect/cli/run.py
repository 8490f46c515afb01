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
from pathlib import Path
from typing import Any

from ..exceptions import InputError, UsageError, reason
from ..logs import logged_run
from ..parameters.files import check_with_files, load_config_file
from ..parameters.layers import without_crds_parameters
from ..parameters.origins import check_crds_parameters
from ..parameters.spec import help_text
from ..parameters.text import CommandParser, leaves, read_parameters
from ..products.names import in_folder
from ..registry import find_step
from ..warm.keep import add_option

logger = logging.getLogger("stpipe.commandline")

_DEFAULT = re.compile(r"default\s*=\s*(.*?)\)?\s*$")
_STREAMS = ("stderr", "stdout", "null")


@dataclass(frozen=True)
class Command:
    """What a command line asks for: `config_file` is a parameter file in place of a class."""

    step_class: Any
    args: argparse.Namespace
    given: dict[str, Any]
    config_file: str | None

    @property
    def first_input(self) -> str | None:
        """The file that CRDS is to find parameters for."""
        if not self.args.inputs:
            return None
        return in_folder(self.given.get("input_dir") or "", self.args.inputs[0])

    @property
    def keywords(self) -> dict[str, Any]:
        """The parameters and the parameter file, as ``build_config`` takes them."""
        return self.given | ({"config_file": self.config_file} if self.config_file else {})

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

    def make_step(self) -> Any:
        """Make the step, with its merged parameters."""
        step_class = self.step_class
        if self.first_input:
            with suppress(InputError):  # as the step says itself
                check_crds_parameters(step_class, self.first_input)
        try:
            config, config_file = step_class.build_config(self.first_input, **self.keywords)
        except InputError as error:
            if not self.args.lenient:
                raise
            logger.warning("%s", error)
            config, config_file = step_class.build_config(None, **self.keywords)
        config.pop("class", None)
        step = step_class.from_config_section(
            config, name=config.get("name"), config_file=config_file
        )
        if self.args.inputs:
            step.save_results = True
        return step


def read_command(argv: list[str], parser: CommandParser) -> Command:
    """Read a command line.

    Every problem with parameters and parameter files is one line of the error.
    """
    args, _ = parser.parse(argv)
    if args.step is None:
        parser.error("expected a step: a class, an alias or a parameter file")
    config_file = args.step if Path(args.step).is_file() else None
    step_class = _find_class(args.step, config_file)
    spec = step_class.load_spec_file()
    if args.help:
        _print_help(spec, step_class, parser)
    args, texts = parser.parse(argv, dict(leaves(spec)))
    given = read_parameters(texts, spec)
    check_with_files(step_class, given, config_file)
    return Command(step_class, args, given, config_file)


def run_step(argv: list[str]) -> Any:
    """Make the step that a command line asks for, and run it."""
    command = read_command(argv, common_options("run"))
    args = command.args
    with command.logged():
        with without_crds_parameters(args.disable_crds_steppars):
            step = command.make_step()
        if args.inputs:
            step.set_primary_input(args.inputs[0])
        if args.save_parameters:
            step.export_config(args.save_parameters, include_metadata=True)
            logger.info("Parameters saved to %s", args.save_parameters)
        step.run(*args.inputs)
    return step


def step_parser(command: str) -> CommandParser:
    """Make the parser of a command whose options are the parameters of a step."""
    prog = f"python -m stpipe_prefect {command}"
    parser = CommandParser(
        prog,
        usage=f"{prog} CLASS|ALIAS|FILE [INPUT …] [--<parameter>=VALUE …]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        conflict_handler="resolve",  # an option that a step has as a parameter is the step's
        add_help=False,
    )
    parser.add_argument("step", nargs="?", help="class, alias or parameter file")
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="file to process")
    parser.add_argument(
        "--help",
        "-h",
        action="store_true",
        help="show also the step's parameters",
    )
    add_option(parser)
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of an error, and start pdb"
    )
    return parser


def common_options(command: str) -> CommandParser:
    """Make the parser of what can be said for every step, for one of the commands."""
    parser = step_parser(command)
    parser.add_argument("--save-parameters", metavar="FILE", help="save the parameters of the run")
    parser.add_argument(
        "--disable-crds-steppars", action="store_true", help="use no parameters from CRDS"
    )
    parser.add_argument(
        "--lenient",
        action="store_true",
        help="continue without parameters from CRDS if the input cannot be read",
    )
    parser.add_argument("--verbose", "-v", action="store_true", help="log at level DEBUG")
    parser.add_argument("--log-level", metavar="LEVEL", help="DEBUG, INFO, WARNING … or a number")
    parser.add_argument("--log-file", metavar="FILE", help="also write the log to this file")
    parser.add_argument(
        "--log-stream", choices=_STREAMS, default="stderr", help="where to show the log [stderr]"
    )
    return parser


def _find_class(name: str, config_file: str | None) -> Any:
    if config_file is None:
        return find_step(name)
    class_name = load_config_file(config_file).get("class")
    if not class_name:
        raise UsageError(f"Parameter file {config_file} names no class")
    return find_step(class_name, Path(config_file).parent)


def _print_help(spec: Mapping[str, Any], step_class: Any, parser: CommandParser) -> None:
    """Show the options of a command and the parameters of a step, and end."""
    parser.description = step_class.__doc__
    group = parser.add_argument_group("parameters")
    for path, check in leaves(spec):
        *sections, name = path.split(".")
        section = spec
        for each in sections:
            section = section[each]
        default = _DEFAULT.search(check)
        text = help_text(section, name)
        if default and default[1].strip("'\"") not in ("None", "", "list(", "list()"):
            text = f"{text} [{default[1]}]"
        group.add_argument(f"--{path}", metavar="", help=text.replace("%", "%%"))
    parser.print_help()
    parser.exit()


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
