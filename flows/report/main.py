"""The command ``python -m flows.report``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flows.parsers import command_parser
from stpipe_prefect.cli.exit import exit_code_of_command, screen
from stpipe_prefect.exceptions import NoInputError, UsageError
from stpipe_prefect.parameters.text import CommandParser
from stpipe_prefect.products.names import folder_path
from stpipe_prefect.remote.scratch import planning
from stpipe_prefect.remote.urls import url_of

if TYPE_CHECKING:
    from stpipe_prefect.comparison.folders import FolderComparison

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
        options = command_parser(COMMAND, DESCRIPTION, EPILOG, _declare).parse_args(arguments)
        with planning():
            return _run(options)

    return exit_code_of_command(COMMAND, run, debug="--debug" in arguments, uses_prefect=False)


def _declare(parser: CommandParser) -> None:
    add = parser.add_argument
    add("folder", metavar="FOLDER", help="folder of products, or its URL; with B, compared with it")
    add("b", metavar="B", nargs="?", help="folder to compare with the first")
    add(
        "--output",
        type=Path,
        metavar="FILE",
        help="where to write the page (default: report.html in the folder that it is about; here, "
        "if that is in a store)",
    )


def _run(options: argparse.Namespace) -> int:
    from stpipe_prefect.remote.products import bring_reported

    from .page import check_page, write_report

    folders = [folder_path(name) for name in (options.folder, options.b) if name is not None]
    about, compared = folders[-1], None
    output = options.output or Path("" if url_of(about) else about, "report.html")
    if len(folders) > 1:
        compared = _compared(*folders)
    elif url_of(about):
        check_page(output)
        bring_reported(about)
    write_report(output, [about], compared=compared)
    screen().print(f"report: {output.resolve()}", soft_wrap=True)
    return 0


def _compared(a: Path, b: Path) -> FolderComparison:
    from stpipe_prefect.comparison.folders import compare_folders

    for folder in (a, b):
        if url := url_of(folder):
            raise UsageError(f"{url}: only local folders can be compared")
        if not folder.is_dir():
            raise NoInputError(f"{folder}: no such folder; name one with products in it")
    return compare_folders(a, b)
