"""The command line: ``python -m stpipe_prefect``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from .exit import exit_code_of_command, say

if TYPE_CHECKING:
    from ..parameters.text import CommandParser

_CarryOut: TypeAlias = Callable[[list[str]], object]
_OfStep: TypeAlias = "tuple[CommandParser, _CarryOut]"

EPILOG = """\
examples:
  python -m stpipe_prefect list --pipelines-only 'calwebb*'
  python -m stpipe_prefect run calwebb_detector1 exposure_uncal.fits --steps.jump.skip=true
  python -m stpipe_prefect run calwebb_detector1 --help
  python -m stpipe_prefect prefetch calwebb_detector1 *_uncal.fits --jobs 8
  python -m stpipe_prefect explain calwebb_detector1 exposure_uncal.fits --changed
"""


def main(argv: list[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : list of str, optional
        What follows the name of the command; else what the shell gave.

    Returns
    -------
    int
        Status for the shell: 0, or that of the error, see `stpipe_prefect.exceptions`.
    """
    argv = sys.argv[1:] if argv is None else argv
    return exit_code_of_command(
        "error",
        lambda: _command(argv),
        debug="--debug" in argv,
        uses_prefect=False,
        post_mortem=True,
    )


def _command(argv: list[str]) -> int:
    of_steps = {"run": _run, "explain": _explain, "prefetch": _prefetch}
    if argv[:1] and argv[0] in of_steps:  # with options that only the step knows
        return _with_parameters(argv[1:], *of_steps[argv[0]]())
    parser = _parser()
    args = parser.parse_args(argv)
    if args.version:
        return _versions()
    commands = {
        "list": _list,
        "provenance": _provenance,
        "reproduce": _reproduce,
        "checkpoints": _checkpoints,
        "warm": _warm,
    }
    if args.command in commands:
        return commands[args.command](args)
    parser.print_help()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m stpipe_prefect",
        description="List and run calibration steps and pipelines, and fetch what they need.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.add_argument("--version", action="store_true", help="also show versions of packages")
    commands = parser.add_subparsers(dest="command", title="commands")
    listing = commands.add_parser("list", help="list steps and pipelines")
    listing.add_argument("pattern", nargs="?", default="*", help="names to list, such as 'jwst.*'")
    which = listing.add_mutually_exclusive_group()
    which.add_argument("--pipelines-only", action="store_true", help="list only pipelines")
    which.add_argument("--steps-only", action="store_true", help="list only steps")
    provenance = commands.add_parser("provenance", help="show how a product was made")
    provenance.add_argument("product", help="a product, or its .provenance.json")
    provenance.add_argument("--verify", action="store_true", help="compare with the checksums")
    provenance.add_argument(
        "--graph", action="store_true", help="show also how its inputs were made, to the raw data"
    )
    written = provenance.add_mutually_exclusive_group()
    written.add_argument("--json", action="store_true", help="show the whole record, or graph")
    written.add_argument(
        "--prov", action="store_true", help="show the graph as W3C PROV (PROV-JSON)"
    )
    again = commands.add_parser("reproduce", help="make products again and compare them")
    again.add_argument("products", nargs="+", metavar="PRODUCT", help="or its .provenance.json")
    where = again.add_mutually_exclusive_group()
    where.add_argument("--output-dir", metavar="DIR", help="keep what is made, in this folder")
    where.add_argument(
        "--export",
        metavar="DIR",
        help="run nothing; write the record, its parameters as .asdf, and the command for strun",
    )
    kept = commands.add_parser("checkpoints", help="list checkpoints")
    kept.add_argument("--clear", action="store_true", help="remove all checkpoints")
    commands.add_parser(
        "prefetch", help="fetch the reference files that exposures need into the CRDS cache"
    )
    from .warm import add_options

    add_options(
        commands.add_parser(
            "warm", help="keep a process that has imported the pipelines, for commands to come"
        )
    )
    commands.add_parser("run", help="run a step: run CLASS|ALIAS|FILE INPUT… [--<parameter> …]")
    commands.add_parser(
        "explain", help="show resolved parameters and their sources: [--history] [--changed]"
    )
    return parser


def _list(args: argparse.Namespace) -> int:
    from ..registry import registered_steps

    pattern = args.pattern.lower()
    found = [
        step
        for step in sorted(registered_steps(), key=lambda step: step.class_path)
        if (step.is_pipeline or not args.pipelines_only)
        and not (step.is_pipeline and args.steps_only)
        and any(
            fnmatch(name.lower(), pattern) for name in (step.class_path, step.alias or "") if name
        )
    ]
    for step in found:
        print(f"{step.class_path} ({step.alias})" if step.alias else step.class_path)
    if not found:
        print("No step matches.", file=sys.stderr)
    return 0


def _provenance(args: argparse.Namespace) -> int:
    from ..provenance.record import find_record
    from ..provenance.summary import summary

    if args.graph or args.prov:
        return _graph(args)
    record = find_record(Path(args.product))
    problems = record.problems(verify=True) if args.verify else []
    if args.json:
        print(record.as_text(), end="")
    else:
        print("\n".join(summary(record)))
    for problem in problems:
        say("error", problem)
    if args.verify and not problems:
        print(f"{len(record.products)} products verified: checksums match", file=sys.stderr)
    return 1 if problems else 0


def _graph(args: argparse.Namespace) -> int:
    from ..provenance.graph import history, tree
    from .exit import screen

    made = history(Path(args.product))
    if args.prov:
        from ..provenance.w3c_prov import as_prov

        print(as_prov(made))
    elif args.json:
        print(json.dumps(made.as_json(), indent=1, ensure_ascii=False))
    else:
        screen().print(tree(made), soft_wrap=True)
    return 0


def _reproduce(args: argparse.Namespace) -> int:
    from .reproduce import reproduce

    return reproduce(args)


def _warm(args: argparse.Namespace) -> int:
    from .warm import warm

    return warm(args)


def _checkpoints(args: argparse.Namespace) -> int:
    from ..provenance.checkpoints import checkpoint_folder, checkpoints, clear

    if args.clear:
        print(f"{clear() / 1e6:.1f} MB removed from {checkpoint_folder()}")
        return 0
    for checkpoint in checkpoints():
        print(f"{checkpoint.size / 1e6:10.1f} MB  {checkpoint.run}  after {checkpoint.steps[-1]}")
    print(f"in {checkpoint_folder()}", file=sys.stderr)
    return 0


def _versions() -> int:
    from ..registry import registered_steps

    print(f"stpipe_prefect: {version('stpipe_prefect')}")
    for package, number in sorted({(step.package, step.version) for step in registered_steps()}):
        print(f"{package}: {number}")
    return 0


def _run() -> _OfStep:
    from .run import common_options, run_step

    return common_options("run"), run_step


def _explain() -> _OfStep:
    from .explain import explain_options, explain_step

    return explain_options(), explain_step


def _prefetch() -> _OfStep:
    from .fill_cache import fill_cache_for, prefetch_options

    return prefetch_options(), fill_cache_for


def _with_parameters(argv: list[str], parser: CommandParser, carry_out: _CarryOut) -> int:
    """Carry out a command whose options are the parameters of a step."""
    if not set(argv) - {"-h", "--help"}:
        parser.print_help()
        return 0 if argv else 2
    status = carry_out(argv)
    return status if isinstance(status, int) else 0
