"""The options of a command, and the parameters among them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from stpipe_prefect.exceptions import UsageError, nearest
from stpipe_prefect.parameters.text import CommandParser, count
from stpipe_prefect.provenance.dependencies import ASPECTS
from stpipe_prefect.registry import registered_steps
from stpipe_prefect.warm.keep import add_option

from .missing import CHOICES
from .mission import Mission

EPILOG = """\
parameters:
  --<parameter>=VALUE                of the pipeline, such as {0}
  --steps.<step>.<parameter>=VALUE   of a step, such as {1}

  "--parameter VALUE" works, too. A list is a,b,c; None is no value; quotes keep a text as it is.
  A value given here wins over the parameter file, which wins over CRDS.

environment:
  CRDS_PATH         folder of the CRDS cache
  CRDS_SERVER_URL   CRDS server that fills it; without one nothing is fetched
  STPIPE_CRDS_PATIENCE   seconds to wait for a silent CRDS server (default: 30)
  PREFECT_API_URL   Prefect server to report to; without one an embedded server is used

exit codes:
  0 done   1 something failed   2 wrong usage or parameter   64 no science data   130 interrupted
  Where inputs fail with different codes: 1."""


LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def sample_products(mission: Mission) -> str:
    """Name the folder for what is made of the sample."""
    return f"{mission.command}_products"


def parser(mission: Mission) -> CommandParser:
    """Make the parser of the command's own options; parameters are all others."""
    pipelines = mission.pipelines
    made = CommandParser(
        prog=f"python -m flows.{mission.command}",
        description=mission.help.description,
        epilog=EPILOG.format(*mission.help.parameters),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add(
        "files",
        nargs="*",
        metavar="FILE",
        help=mission.help.files,
    )
    folder = f"products go here (default: ., or {sample_products(mission)})"
    add("--output-dir", metavar="DIR", help=folder)
    add(
        "--trial",
        metavar="NAME",
        help="make the products in DIR/trials/NAME, and share what the base, DIR, or another trial "
        "has of them",
    )
    add(
        "--sweep",
        action="append",
        metavar="PARAMETER=VALUE,...",
        help="make a trial for each value, and compare them; several --sweep are combined",
    )
    add(
        "--merit",
        metavar="MODULE:FUNCTION",
        help="with --sweep: a figure of merit; given the path of a product, a number or None",
    )
    add(
        "--pipeline",
        type=lambda name: _pipeline(name, mission),
        metavar="NAME",
        help=f"one of {', '.join(pipelines)}; or any pipeline or step: an alias, a class path, "
        "or a parameter file that names its class",
    )
    if mission.stages:
        add("--stage", type=int, choices=mission.stages, help="run only this stage")
    if mission.associate:
        add(
            "--associate",
            nargs="?",
            type=_grouping,
            const=(),
            metavar="by=KEYWORD,...",
            help="make the associations of the exposures by the rules of the observatory; with "
            "by=target,filter, combine those that have the same values of these keywords",
        )
        if mission.shared_grids:
            add(
                "--grid",
                choices=("shared",),
                help="with --associate: put all mosaics of a target on one pixel grid",
            )
        add(
            "--missing",
            choices=CHOICES,
            help="with --associate, if members of an association failed: fail (default); or drop "
            "them, or wait for a later run, and so if they are degraded",
        )
        add("--pool", metavar="FILE", help="with --associate: the pool of DMS, not that of headers")
    add("--context", metavar="PMAP", help=f"CRDS context, such as {mission.help.context}")
    add("--config-file", metavar="FILE", help="parameter file of a pipeline, .asdf or .cfg")
    add("--save-parameters", metavar="FILE", help="write the parameters of the pipeline that runs")
    add("--disable-crds-steppars", action="store_true", help="use no parameter files from CRDS")
    add("--jobs", type=count, metavar="N", help="exposures at a time (default: what fits)")
    add(
        "--time-limit",
        type=_seconds,
        metavar="SECONDS",
        help="kill the process of an exposure that takes longer",
    )
    add(
        "--runner",
        metavar="URL",
        help="where exposures run: dask://HOST:PORT, a Dask scheduler, or "
        "slurm://PARTITION?mem=16G&time=2h (default: this machine)",
    )
    add("--plan", action="store_true", help="list what would run, and why; run nothing")
    add(
        "--explain",
        nargs="?",
        const="*",
        metavar="INPUT",
        help="list the parameters of each pipeline with their sources, of one input or of all; "
        "run nothing",
    )
    add("--history", action="store_true", help="with --explain: also show overridden values")
    add(
        "--changed",
        action="store_true",
        help="with --explain: show only values that differ from the code",
    )
    add("--json", action="store_true", help="print the plan, or what --explain lists, as JSON")
    add("--html", metavar="FILE", help="with --plan: also write the table as a page")
    add("--report", metavar="FILE", help="write a page about the results and their quick looks")
    add(
        "--overwrite",
        action="store_true",
        help="also run what is up to date, and replace products that were changed since or that "
        "another pipeline made",
    )
    add(
        "--ignore",
        type=lambda names: [_choice(name, ASPECTS) for name in names.split(",")],
        metavar="WHAT",
        default=[],
        help=f"ignore changes in: {', '.join(ASPECTS)}",
    )
    add(
        "--checkpoint",
        type=lambda names: names.split(","),
        metavar="STEPS",
        default=[],
        help="keep models after these steps, or all, so that a later run can resume",
    )
    add(
        "--strict",
        action="store_true",
        help="stop at a step that could not do its work (Degraded), and publish nothing of it",
    )
    add(
        "--write-exclusions",
        metavar="FILE",
        help="add inputs that fail, with the reasons, to the [exclude] table of a campaign file",
    )
    add("--verbose", "-v", action="store_true", help="show the log lines of every step")
    add(
        "--log-level",
        type=lambda name: _choice(name.upper(), LEVELS),
        metavar="LEVEL",
        help=f"show the log lines of this level and above: {', '.join(LEVELS)}",
    )
    add_option(made)
    add("--debug", action="store_true", help="show tracebacks")
    return made


def check_together(options: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    if options.plan and options.explain:
        raise UsageError("--plan and --explain: give one of them")
    if options.json and not (options.plan or options.explain):
        raise UsageError("--json goes with --plan or --explain")
    if options.write_exclusions and (options.plan or options.explain):
        raise UsageError("--write-exclusions goes with a run")
    if options.html and not options.plan:
        raise UsageError("--html goes with --plan")
    if options.report and (options.plan or options.explain):
        raise UsageError("--report is about results: leave --plan and --explain out")
    if options.merit and not options.sweep:
        raise UsageError("--merit goes with --sweep")
    for name in ("history", "changed"):
        if getattr(options, name) and not options.explain:
            raise UsageError(f"--{name} goes with --explain")
    if (
        options.explain not in (None, "*") and not options.files
    ):  # what follows the option was meant as these
        options.files, options.explain = [options.explain], "*"


def only_shows(options: argparse.Namespace) -> bool:
    """Tell whether nothing is to run."""
    return bool(options.plan or options.explain)


def _pipeline(name: str, mission: Mission) -> str:
    """Take a pipeline of the mission, the alias of any other class, or what has its path."""
    if name in mission.pipelines or "." in name or "::" in name or Path(name).is_file():
        return name
    packages = [step.package for step in registered_steps() if step.alias == name]
    if mission.package in packages:
        packages = [mission.package]
    return f"{packages[0]}::{name}" if len(packages) == 1 else _choice(name, mission.pipelines)


def _choice(name: str, choices: Sequence[str]) -> str:
    if name not in choices:
        raise argparse.ArgumentTypeError(
            f"there is no {name!r}{nearest(name, choices)}; choose from {', '.join(choices)}"
        )
    return name


def _grouping(text: str) -> tuple[str, ...]:
    name, equals, keywords = text.partition("=")
    found = tuple(word.strip() for word in keywords.split(",") if word.strip())
    if name != "by" or not equals or not found:
        raise argparse.ArgumentTypeError(
            f"expected nothing, or by=KEYWORD,KEYWORD, not {text!r}; name the files before it"
        )
    return found


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"expected a number of seconds, not {text!r}")
    return seconds
