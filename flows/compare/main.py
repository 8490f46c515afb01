"""The command ``python -m flows.compare``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flows.parsers import command_parser
from stpipe_prefect.cli.exit import exit_code_of_command, say, screen
from stpipe_prefect.parameters.text import CommandParser

if TYPE_CHECKING:
    from stpipe_prefect.comparison.folders import FolderComparison
    from stpipe_prefect.comparison.products import Comparison

COMMAND = "compare"

DESCRIPTION = """\
Compare two products, or two folders of products paired by name: what differs, by how much, and why.

Differences are B - A. Dates, file names, checksums and logs do not count, and NaN is equal to NaN.
The reasons come from the provenance records beside the products, and beside their inputs."""

EPILOG = """\
exit codes:
  0 identical   1 different, or a file cannot be read: the message names it   2 wrong usage"""


def main(arguments: Sequence[str]) -> int:
    """Run the command on what follows its name; gives the exit code."""

    def run() -> int:
        return _run(command_parser(COMMAND, DESCRIPTION, EPILOG, _declare).parse_args(arguments))

    return exit_code_of_command(COMMAND, run, debug="--debug" in arguments, uses_prefect=False)


def _declare(parser: CommandParser) -> None:
    add = parser.add_argument
    add("a", metavar="A", type=Path, help="product (FITS, ASDF, catalogue, JSON), or folder")
    add("b", metavar="B", type=Path, help="product or folder to compare with it")
    add(
        "--rtol",
        type=_tolerance,
        default=0.0,
        metavar="R",
        help="numbers that differ by at most ATOL + R·|b| are equal (default: 0)",
    )
    add("--atol", type=_tolerance, default=0.0, metavar="ATOL", help="see --rtol (default: 0)")
    add("--json", action="store_true", help="print everything as JSON")
    add("--html", type=Path, metavar="FILE", help="write a page with images and histograms")


def _tolerance(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number, 0 or greater, not {text!r}")
    return number


def _run(options: argparse.Namespace) -> int:
    found = _compare(options.a, options.b, options.rtol, options.atol)
    if options.html:
        from .page import write_page

        write_page(found, options.html)
    if options.json:
        print(json.dumps(found.as_json(), indent=1, ensure_ascii=False))
    else:
        from .table import report

        console = screen()
        for each in report(found):
            console.print(each)
    for message in getattr(found, "unreadable", {}).values():
        say(COMMAND, message)
    return 0 if found.is_identical else 1


def _compare(a: Path, b: Path, rtol: float, atol: float) -> Comparison | FolderComparison:
    from stpipe_prefect.comparison.folders import compare_folders
    from stpipe_prefect.comparison.products import compare_products
    from stpipe_prefect.exceptions import NoInputError, UsageError

    for path in (a, b):
        if not path.exists():
            raise NoInputError(f"{path}: no such file or folder")
    if a.is_dir() != b.is_dir():
        raise UsageError(f"{a}, {b}: one is a folder and one a file; give two of a kind")
    compare = compare_folders if a.is_dir() else compare_products
    return compare(a, b, rtol=rtol, atol=atol)
