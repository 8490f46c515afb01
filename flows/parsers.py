"""What the parsers of the commands about products have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from stpipe_prefect.parameters.text import CommandParser
from stpipe_prefect.warm.keep import add_option


def command_parser(
    command: str, description: str, epilog: str, declare: Callable[[CommandParser], None]
) -> CommandParser:
    """Make the parser of ``python -m flows.<command>``.

    `declare` adds what only this command has: ``--help`` lists it before what all have.
    """
    parser = CommandParser(
        prog=f"python -m flows.{command}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    declare(parser)
    add_option(parser)
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser
