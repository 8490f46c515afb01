"""The command ``python -m flows.trials``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flows.parsers import command_parser
from stpipe_prefect.cli.exit import exit_code_of_command, say, screen
from stpipe_prefect.exceptions import UsageError
from stpipe_prefect.parameters.text import CommandParser

if TYPE_CHECKING:
    from rich.table import Table

    from .listing import Listed

COMMAND = "trials"

DESCRIPTION = """\
List the trials of a folder of products, make one the base, or remove one.

--trial NAME of a mission's command makes a trial: products in DIR/trials/NAME. DIR is the base."""

EPILOG = """\
exit codes:
  0 done   1 a product would be replaced that somebody changed   2 wrong usage, no such trial"""

LISTED = 6
"""How many differences of a trial are written out."""


def main(arguments: Sequence[str]) -> int:
    """Run the command on what follows its name; gives the exit code."""

    def run() -> int:
        return _run(command_parser(COMMAND, DESCRIPTION, EPILOG, _declare).parse_args(arguments))

    return exit_code_of_command(COMMAND, run, debug="--debug" in arguments, uses_prefect=False)


def _declare(parser: CommandParser) -> None:
    add = parser.add_argument
    add("folder", metavar="DIR", type=Path, nargs="?", default=Path(), help="base (default: .)")
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--adopt", metavar="NAME", help="give its products to the base; remove it")
    one.add_argument("--remove", metavar="NAME", help="remove its products, logs and records")
    one.add_argument("--json", action="store_true", help="print the list as JSON")


def _run(options: argparse.Namespace) -> int:
    from .adopt import adopt, remove
    from .folders import find_trial
    from .listing import listed

    if not options.folder.is_dir():
        raise UsageError(f"{options.folder}: expected the folder of the base, with its products")
    console = screen()
    if options.adopt:
        trial = find_trial(options.folder, options.adopt)
        count = sum(1 for _ in adopt(trial))
        console.print(
            f"{trial.label} is the base now: {count} runs adopted, what else it had was there"
        )
        _say_what_is_left(trial.folder)
    elif options.remove:
        trial = find_trial(options.folder, options.remove)
        remove(trial)
        console.print(f"{trial.label} removed")
        _say_what_is_left(trial.folder)
    elif options.json:
        print(json.dumps([each.as_json() for each in listed(options.folder)], indent=1))
    else:
        console.print(_table(listed(options.folder)))
    return 0


def _say_what_is_left(folder: Path) -> None:
    if left := sorted(path.name for path in folder.rglob("*") if path.is_file()):
        say(COMMAND, f"{folder} is kept, with files that no run made: {', '.join(left)}")


def _table(trials: Iterable[Listed]) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("trial", overflow="fold")
    table.add_column("differs from the base in", overflow="fold")
    for title in ("runs", "shared", "s", "MB", "shared MB"):
        table.add_column(title, justify="right")
    for each in trials:
        texts = [f"{text} ({n} runs)" if n > 1 else text for text, n in each.differs.items()]
        more = [f"and {len(texts) - LISTED} more: --json"] if texts[LISTED:] else []
        table.add_row(
            each.name,
            "\n".join([*texts[:LISTED], *more]),
            str(each.runs),
            str(each.shared_runs),
            f"{each.seconds:.1f}",
            f"{each.own_bytes / 1e6:.2f}",
            f"{each.shared_bytes / 1e6:.2f}",
        )
    return table
