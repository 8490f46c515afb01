"""The command ``python -m flows.report``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from flows.parsers import command_parser
from stpipe_prefect.cli.exit import exit_code_of_command, screen
from stpipe_prefect.parameters.text import CommandParser

COMMAND = "report"

DESCRIPTION = """\
Write one HTML page about all that is in a folder of products: what became of each input, what
needs attention, quick looks, times, and what differs from the rest.

It is made from what lies beside the products: provenance records, logs and quick looks. The page
needs no server and no network. Inputs that failed leave no record: --report FILE of the command
that calibrates lists these, too.
With two folders, the page is about B and says what differs from A, for which products are read."""

EPILOG = """\
exit codes:
  0 done   1 a folder has no records, or the page cannot be written   2 wrong usage"""


def main(arguments: Sequence[str]) -> int:
    """Run the command on what follows its name; gives the exit code."""

    def run() -> int:
        return _run(command_parser(COMMAND, DESCRIPTION, EPILOG, _declare).parse_args(arguments))

    return exit_code_of_command(COMMAND, run, debug="--debug" in arguments, uses_prefect=False)


def _declare(parser: CommandParser) -> None:
    add = parser.add_argument
    add("folder", metavar="FOLDER", type=Path, help="folder of products; with B, compared with it")
    add("b", metavar="B", type=Path, nargs="?", help="folder to compare with the first")
    add(
        "--output",
        type=Path,
        metavar="FILE",
        help="where to write the page (default: report.html in the folder that it is about)",
    )


def _run(options: argparse.Namespace) -> int:
    from .page import write_report

    about = options.b or options.folder
    compared = None
    if options.b:
        from stpipe_prefect.comparison.folders import compare_folders
        from stpipe_prefect.exceptions import NoInputError

        for folder in (options.folder, options.b):
            if not folder.is_dir():
                raise NoInputError(f"{folder}: no such folder; name one with products in it")
        compared = compare_folders(options.folder, options.b)
    output = options.output or about / "report.html"
    write_report(output, [about], compared=compared)
    screen().print(f"report: {output.resolve()}", soft_wrap=True)
    return 0
