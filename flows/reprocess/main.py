"""The command ``python -m flows.reprocess``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from flows.parsers import command_parser
from stpipe_prefect.cli.exit import exit_code_of_command, quiet, say, screen
from stpipe_prefect.parameters.text import CommandParser
from stpipe_prefect.remote.scratch import planning
from stpipe_prefect.warm.child import set_default

if TYPE_CHECKING:
    from .summary import Summary

COMMAND = "reprocess"

DESCRIPTION = """\
Reprocess what newer reference files, parameters or software make stale in an archive.

An archive is a folder tree with products beside the exposures, or a text file that lists
exposures, or the URL of either in an object store. Products that are up to date stay as they are.
You can stop a run at any time: the next one continues."""

EPILOG = """\
environment:
  CRDS_PATH         folder of the CRDS cache
  CRDS_SERVER_URL   CRDS server that says which context is the newest, and fills the cache;
                    CRDS_SERVER_URL_JWST, CRDS_SERVER_URL_ROMAN if an archive holds both
  PREFECT_API_URL   Prefect server to report to; without one an embedded server is used

exit codes:
  0 done   1 something failed   2 wrong usage"""


def main(arguments: Sequence[str]) -> int:
    """Run the command on what follows its name; gives the exit code."""

    def run() -> int:
        options = command_parser(COMMAND, DESCRIPTION, EPILOG, _declare).parse_args(arguments)
        # prefect reads it as it is imported: better set before it is.
        set_default("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
        with planning():
            return _run(options)

    return exit_code_of_command(COMMAND, run, debug="--debug" in arguments)


def _declare(parser: CommandParser) -> None:
    add = parser.add_argument
    add("archives", nargs="+", metavar="ARCHIVE", help="folder tree, list of exposures, or URL")
    add("--plan", action="store_true", help="list what is stale and why; run nothing")
    add("--json", action="store_true", help="print the summary as JSON")
    add(
        "--limit",
        type=_number,
        metavar="N",
        help="reprocess at most N; failures do not count",
    )
    add(
        "--keep-previous",
        action="store_true",
        help="move replaced products to previous/<date> beside them",
    )
    add(
        "--strict",
        action="store_true",
        help="stop at a step that could not do its work (Degraded), and publish nothing of it",
    )
    add("--report", metavar="FILE", help="write a page about all products of the archive")
    add(
        "--context",
        metavar="PMAP",
        help="CRDS context of its observatory, or: latest, the newest operational one; build, that "
        "of the installed software (default: CRDS_CONTEXT, or else latest)",
    )


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a number of exposures, not {text!r}")
    return int(text)


def _run(options: argparse.Namespace) -> int:
    """Reprocess what is stale; start no server if nothing is."""
    from stpipe_prefect.exceptions import UsageError

    from .summary import Summary
    from .survey import survey

    if options.report and options.plan:
        raise UsageError("--report is about results: leave --plan out")
    if options.report:
        from flows.report.page import check_page

        check_page(Path(options.report))
    with quiet(unless=options.debug):
        summary = Summary(survey(options.archives, options.context))
    if summary.stale and not options.plan:
        expected = min(len(summary.stale), options.limit or len(summary.stale))
        summary = _reprocess(options, expected)
    elif options.report:
        summary.write_report(options.report)
    if options.json:
        print(json.dumps(summary.as_json(), indent=1, ensure_ascii=False))
    else:
        _show(summary, options)
    for line in summary.degraded:
        say(COMMAND, f"degraded: {line}")
    for message in dict.fromkeys(summary.failed.values()):
        say(COMMAND, message)
    return 1 if summary.failed else 0


def _reprocess(options: argparse.Namespace, expected: int) -> Summary:
    from flows.calibrate.terminal import Display
    from stpipe_prefect.execution.processes import interruptible
    from stpipe_prefect.orchestration.server import caution

    from .flow import ReprocessError, reprocess

    display = Display(screen(stderr=options.json), expected, live=True)
    with display.following(), quiet(unless=options.debug), interruptible():
        state = reprocess(
            options.archives,
            limit=options.limit,
            keep_previous=options.keep_previous,
            crds_context=options.context,
            strict=options.strict,
            report=options.report,
            return_state=True,
        )
    say(COMMAND, caution())
    try:
        return cast("Summary", state.result())
    except ReprocessError as error:
        return error.summary


def _show(summary: Summary, options: argparse.Namespace) -> None:
    if options.plan:
        for item in summary.stale:
            print(item)
    for each in summary.reasons:
        print(f"{each.count:6}  {each.text}  (newer than {each.since:%Y-%m-%d %H:%M} UTC)")
    print(summary)
    if options.report:
        print(f"report: {Path(options.report).resolve()}")
