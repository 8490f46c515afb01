"""The command ``python -m flows.calwebb``."""

from __future__ import annotations

import _thread
import argparse
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stderr
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stpipe_prefect.commandline import CommandParser
from stpipe_prefect.exceptions import StpipePrefectError, UsageError, nearest, reason
from stpipe_prefect.products.ingredients import ASPECTS

from .exposure_types import PIPELINES

if TYPE_CHECKING:
    from rich.console import Console

    from flows.sample import Sample
    from stpipe_prefect.orchestration.results import Result

    from .jobs import Job

SAMPLE_PRODUCTS = "calwebb_products"

DESCRIPTION = """\
Calibrate JWST exposures with the real jwst pipelines, every step a Prefect task.

Without FILE the embedded sample programme is calibrated, from raw exposures to a combined
image and its source catalogue, and what was put into it is compared with what came out."""

EPILOG = """\
parameters:
  --<parameter>=VALUE                of the pipeline, such as --save_calibrated_ramp=true
  --steps.<step>.<parameter>=VALUE   of a step, such as --steps.jump.rejection_threshold=5

  A value given here wins over the parameter file, which wins over CRDS.

environment:
  CRDS_PATH         folder of the CRDS cache
  CRDS_SERVER_URL   CRDS server that fills it; without one nothing is fetched
  STPIPE_CRDS_PATIENCE   seconds to wait for a silent CRDS server (default: 30)
  PREFECT_API_URL   Prefect server to report to; without one an embedded server is used

exit codes:
  0 done   1 something failed   2 wrong usage or parameter   64 no science data"""


def main(arguments: Sequence[str]) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str
        What follows the program's name.

    Returns
    -------
    int
        Exit code.
    """
    debug = "--debug" in arguments
    try:
        options, rest = _parser().parse_known_args(arguments)
        parameters = read_parameters(rest)
        # Read once, by prefect as it is imported: set before it is.
        level = "NOTSET" if options.verbose else "CRITICAL"
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", level)
        return _run(options, parameters)
    except KeyboardInterrupt as error:
        _complain("interrupted", error, debug)
        return 130
    except StpipePrefectError as error:
        _complain(str(error), error, debug)
        return error.exit_code
    except Exception as error:
        _complain(f"{type(error).__name__}: {reason(error)} (more with --debug)", error, debug)
        return 1


def read_parameters(arguments: Sequence[str]) -> dict[str, Any]:
    """Read ``--<parameter>=VALUE`` and ``--steps.<step>.<parameter>=VALUE``.

    Returns
    -------
    dict
        Values as text, those of steps nested under ``"steps"``.

    Raises
    ------
    UsageError
        Something is not of that form.
    """
    parameters: dict[str, Any] = {}
    for argument in arguments:
        path, equals, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or not equals:
            raise UsageError(
                f"{argument!r} is no option: parameters are given as "
                "--steps.<step>.<parameter>=VALUE (see --help)"
            )
        *sections, name = path.split(".")
        place = parameters
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise UsageError(f"{argument!r}: --{section} was given a value of its own before")
        place[name] = value
    return parameters


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="python -m flows.calwebb",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "files",
        nargs="*",
        metavar="FILE",
        help="_uncal.fits, _rate.fits or association .json, a pattern, or a folder of these",
    )
    add("--output-dir", metavar="DIR", help=f"products go here (default: ., or {SAMPLE_PRODUCTS})")
    add("--pipeline", type=_pipeline, metavar="NAME", help=f"one of {', '.join(PIPELINES)}")
    add("--stage", type=int, choices=(1, 2, 3), help="run only this stage")
    add("--context", metavar="PMAP", help="CRDS context, such as jwst_1303.pmap")
    add("--config-file", metavar="FILE", help="parameter file of a pipeline, .asdf or .cfg")
    add("--jobs", type=_count, metavar="N", help="exposures at a time (default: what fits)")
    add(
        "--time-limit",
        type=_seconds,
        metavar="SECONDS",
        help="kill the process of an exposure that takes longer",
    )
    add(
        "--runner",
        metavar="URL",
        help="where exposures run: dask://HOST:PORT, a Dask scheduler (default: this machine)",
    )
    add("--plan", action="store_true", help="run nothing: say what would run, and why")
    add("--json", action="store_true", help="the plan as JSON")
    add("--overwrite", action="store_true", help="run also what is up to date")
    add(
        "--ignore",
        type=_aspects,
        metavar="WHAT",
        default=[],
        help=f"call up to date what differs only in: {', '.join(ASPECTS)}",
    )
    add(
        "--checkpoint",
        type=lambda names: names.split(","),
        metavar="STEPS",
        default=[],
        help="keep models after these steps, or all, for another run to go on from",
    )
    add("--verbose", action="store_true", help="show the log lines of every step")
    add("--debug", action="store_true", help="show tracebacks")
    return parser


def _pipeline(name: str) -> str:
    if name not in PIPELINES:
        choices = f"choose from {', '.join(PIPELINES)}"
        raise argparse.ArgumentTypeError(
            f"there is no {name!r}{nearest(name, PIPELINES)}; {choices}"
        )
    return name


def _aspects(names: str) -> list[str]:
    for name in names.split(","):
        if name not in ASPECTS:
            raise argparse.ArgumentTypeError(
                f"there is no {name!r}{nearest(name, ASPECTS)}; choose from {', '.join(ASPECTS)}"
            )
    return names.split(",")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, not {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"expected a number of seconds, not {text!r}")
    return seconds


def _complain(problems: str, error: BaseException, debug: bool) -> None:
    """Say on standard error what went wrong, each problem in one line."""
    if debug:
        traceback.print_exception(error)
    _say(problems)


def _say(problems: str) -> None:
    for problem in problems.splitlines():
        print(f"calwebb: {problem}", file=sys.stderr)


def interrupt_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Have Ctrl-C heard where Python would drop it: in the middle of a ``__del__``."""
    if unraisable.exc_type is KeyboardInterrupt:
        threading.Timer(0.05, _thread.interrupt_main).start()
    else:
        sys.__unraisablehook__(unraisable)


def _run(options: argparse.Namespace, parameters: dict[str, Any]) -> int:
    from rich.console import Console

    from stpipe_prefect.products.staging import check_output_dir

    from .inputs import find_inputs
    from .jobs import pipelines_of, plan_jobs

    # Where nobody looks at a screen of some width, nothing is to be cut to fit it.
    if options.json and not options.plan:
        raise UsageError("--json goes with --plan")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    output_dir = Path(options.output_dir or ("." if options.files else SAMPLE_PRODUCTS))
    if options.files:
        sample, files = None, list(find_inputs(options.files))
    else:
        sample = _use_sample(console)
        files = _sample_inputs(sample, options, output_dir)
    jobs, refused = plan_jobs(files, pipeline=options.pipeline, stage=options.stage)
    if not jobs:
        for error in refused.values():
            _complain(str(error), error, options.debug)
        return 1
    if options.plan:
        for error in refused.values():
            _complain(str(error), error, options.debug)
        _plan(jobs, output_dir, parameters, options, console)
        return 1 if refused else 0
    check_output_dir(output_dir, sum(job.input.stat().st_size for job in jobs))
    with console.status("Starting"), _quiet(options):
        options.context = _prepare(pipelines_of(jobs), parameters, options)
    results = _calibrate(files, output_dir, parameters, options, console)
    if sample and not any(result.failure for result in results) and options.stage is None:
        return _judge(sample, output_dir, console)
    codes = {result.ended.exit_code for result in results if result.failure}
    return codes.pop() if len(codes) == 1 else min(len(codes), 1)


def _quiet(options: argparse.Namespace) -> AbstractContextManager[object]:
    """Hide what libraries print: it is in the log, or becomes the reason of a failure."""
    return nullcontext() if options.verbose or options.debug else redirect_stderr(StringIO())


def _use_sample(console: Console) -> Sample:
    """Point crds at the sample's own cache, which needs no server."""
    from flows.sample import ensure_sample

    with console.status("Making the embedded sample (first time only)"):
        sample = ensure_sample()
    os.environ["CRDS_PATH"] = str(sample.crds_path)
    os.environ.pop("CRDS_SERVER_URL", None)
    return sample


def _sample_inputs(sample: Sample, options: argparse.Namespace, output_dir: Path) -> list[Path]:
    if options.pipeline:
        raise UsageError("--pipeline needs a FILE to run on")
    if options.stage == 2:
        return [
            output_dir / exposure.name.replace("_uncal", "_rate") for exposure in sample.exposures
        ]
    exposures = [] if options.stage == 3 else list(sample.exposures)
    return exposures if options.stage == 1 else [*exposures, sample.association]


def _prepare(pipelines: list[str], parameters: dict[str, Any], options: argparse.Namespace) -> str:
    """Have everything ready and checked before the first step; return the CRDS context.

    The embedded server starts in a process of its own meanwhile, and jwst is imported in that
    from which the processes of exposures are forked.
    """
    _check_jwst()
    from stpipe_prefect.orchestration.isolation import start_fork_server
    from stpipe_prefect.orchestration.server import embedded_server, server_is_configured

    from .exposure import PRELOAD

    start_fork_server(PRELOAD)
    if not server_is_configured():
        embedded_server()

    from stpipe_prefect.references.context import resolve_context

    from .parameters import parameters_of, share_checkpoints

    parameters_of(pipelines, parameters, options.config_file)
    share_checkpoints(pipelines, options.checkpoint)
    return resolve_context("jwst", options.context)


def _plan(
    jobs: list[Job],
    output_dir: Path,
    parameters: dict[str, Any],
    options: argparse.Namespace,
    console: Console,
) -> None:
    """Say what would run; no server is needed for that."""
    _check_jwst()
    from .jobs import pipelines_of
    from .parameters import parameters_of
    from .planning import as_json, plans, show

    with console.status("Planning") if not options.json else nullcontext(), _quiet(options):
        shares = parameters_of(pipelines_of(jobs), parameters, options.config_file)
        planned = list(
            plans(jobs, output_dir, shares, crds_context=options.context, ignore=options.ignore)
        )
    if options.json:
        print(as_json(planned))
    else:
        show(planned, console)


def _check_jwst() -> None:
    if find_spec("jwst") is None:
        raise UsageError("jwst is not installed: pip install 'stpipe_prefect[jwst]'")


def _calibrate(
    files: list[Path],
    output_dir: Path,
    parameters: dict[str, Any],
    options: argparse.Namespace,
    console: Console,
) -> list[Result]:
    from prefect.utilities.urls import url_for

    from stpipe_prefect.orchestration.runners import task_runner
    from stpipe_prefect.orchestration.server import prefect_api, server_is_configured

    from .programme import calwebb
    from .terminal import Display, result_table

    display = Display(console, len(files), live=not options.verbose)
    watched = server_is_configured()
    runs = calwebb.with_options(task_runner=task_runner(options.runner))
    with prefect_api(), display.following(), _quiet(options):
        state = runs(
            [str(path) for path in files],
            output_dir=str(output_dir),
            pipeline=options.pipeline,
            stage=options.stage,
            crds_context=options.context,
            config_file=options.config_file,
            parameters=parameters,
            overwrite=options.overwrite,
            ignore=options.ignore,
            checkpoint=options.checkpoint,
            jobs=options.jobs,
            time_limit=options.time_limit,
            return_state=True,
        )
    results = display.results
    failures = [result for result in results if result.failure]
    if state.is_failed() and not failures:
        state.result()  # raises what stopped the flow itself
    if any(result.products for result in results):
        console.print(result_table(results))
        console.print(f"products are in {output_dir.resolve()}")
    if watched:
        console.print(
            f"this run in Prefect: {url_for('flow-run', state.state_details.flow_run_id)}"
        )
    for result in failures:
        if options.debug:
            sys.stderr.write(result.ended.traceback)
        _say(result.failure)
    return results


def _judge(sample: Sample, output_dir: Path, console: Console) -> int:
    """Compare what came out of the sample with what was put into it."""
    from flows.sample import measure_recovery

    recovery = measure_recovery(output_dir, sample.truth)
    if recovery.ok:
        console.print(f"[green]The truth was recovered[/]: {recovery}")
        return 0
    print(f"calwebb: the truth was not recovered: {'; '.join(recovery.problems)}", file=sys.stderr)
    return 1
