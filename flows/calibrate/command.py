"""The command of a mission, such as ``python -m flows.calwebb``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stpipe_prefect.cli.exit import complain, exit_code_of_command, quiet, say, screen
from stpipe_prefect.exceptions import UsageError
from stpipe_prefect.execution.garbage import imported_for_good
from stpipe_prefect.parameters.layers import without_crds_parameters

from .options import parser, sample_products

if TYPE_CHECKING:
    from rich.console import Console

    from stpipe_prefect.execution.results import Result
    from stpipe_prefect.orchestration.plan import Plan

    from .jobs import Job
    from .mission import Mission, Sample


def main(mission: Mission, arguments: Sequence[str]) -> int:
    """Run the command.

    Parameters
    ----------
    mission : Mission
    arguments : sequence of str
        What follows the program's name.

    Returns
    -------
    int
        Exit code.
    """

    def run() -> int:
        options, texts = parser(mission).parse(arguments)
        # Read once, by prefect as it is imported: set before it is.
        level = "NOTSET" if options.verbose else "CRITICAL"
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", level)
        with without_crds_parameters(options.disable_crds_steppars):
            return _run(mission, options, texts)

    return exit_code_of_command(mission.command, run, debug="--debug" in arguments)


def _run(mission: Mission, options: argparse.Namespace, texts: dict[str, str]) -> int:
    from stpipe_prefect.products.names import folder_path
    from stpipe_prefect.products.staging import check_output_dir

    from .inputs import find_inputs
    from .jobs import plan_jobs

    if options.json and not options.plan:
        raise UsageError("--json goes with --plan")
    if options.pipeline and Path(options.pipeline).is_file():
        _take_class_of_file(options)
    mission.check_installed()
    console = screen()
    output_dir = folder_path(
        options.output_dir or ("." if options.files else sample_products(mission))
    )
    stage = options.stage if mission.stages else None
    if options.files:
        sample, files = None, list(find_inputs(options.files, mission))
    elif options.pipeline:
        raise UsageError("--pipeline needs a FILE to run on")
    else:
        sample = _use_sample(mission, console)
        files = sample.inputs(stage, output_dir)
    jobs, refused = plan_jobs(files, mission, pipeline=options.pipeline, stage=stage)
    codes = {error.exit_code for error in refused.values()}
    for error in refused.values():
        complain(mission.command, str(error), error, debug=options.debug)
    if not jobs:
        return _exit_code(codes)
    if options.plan:
        planned = _plan(jobs, output_dir, texts, options, console)
        return 1 if refused or any(plan.refusal for plan in planned) else 0
    check_output_dir(output_dir, sum(job.input.stat().st_size for job in jobs))
    loud = options.verbose or options.debug
    with console.status("Starting"), quiet(unless=loud), imported_for_good():
        parameters = _prepare(mission, jobs, texts, options)
        mission.load_flow()
    inputs = [job.input for job in jobs]
    results = _calibrate(mission, inputs, output_dir, parameters, options, console)
    codes |= {result.ended.exit_code for result in results if result.failure}
    if sample and not codes and stage is None:
        return _judge(mission, sample, output_dir, console)
    return _exit_code(codes)


def _take_class_of_file(options: argparse.Namespace) -> None:
    """Take a parameter file given as the pipeline for both: its class and its parameters."""
    from stpipe_prefect.parameters.files import read_parameter_file

    file = options.pipeline
    if options.config_file is not None:
        raise UsageError(f"--pipeline {file} is a parameter file: leave --config-file out")
    options.pipeline, options.config_file = read_parameter_file(Path(file)).class_path, file
    if options.pipeline is None:
        raise UsageError(f"--pipeline {file}: names no class")


def _exit_code(codes: set[int]) -> int:
    """Give the one that all failures have, else 1; 0 where there are none."""
    return next(iter(codes)) if len(codes) == 1 else min(len(codes), 1)


def _use_sample(mission: Mission, console: Console) -> Sample:
    """Point crds at the sample's own cache, which needs no server."""
    with console.status("Making the embedded sample (first time only)"):
        sample = mission.make_sample()
    os.environ["CRDS_PATH"] = str(sample.crds_path)
    os.environ.pop("CRDS_SERVER_URL", None)
    return sample


def _prepare(
    mission: Mission, jobs: list[Job], texts: dict[str, str], options: argparse.Namespace
) -> dict[str, Any]:
    """Have everything ready and checked before the first step; return the parameters.

    The embedded server starts in a process of its own meanwhile, and the mission's package is
    imported in that from which the processes of exposures are forked.
    """
    from stpipe_prefect.execution.processes import start_fork_server
    from stpipe_prefect.orchestration.server import server_is_configured
    from stpipe_prefect.orchestration.shared_server import shared_server

    start_fork_server([mission.preload])
    if not server_is_configured():
        shared_server()

    from stpipe_prefect.references.context import resolve_context

    from .jobs import pipelines_of
    from .parameters import share_checkpoints

    parameters, _ = _checked_parameters(jobs, texts, options.config_file)
    share_checkpoints(pipelines_of(jobs), options.checkpoint)
    options.context = resolve_context(mission.observatory, options.context)
    return parameters


def _checked_parameters(
    jobs: list[Job], texts: dict[str, str], config_file: str | None
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Read the parameters of a command line: all of them, and those of each pipeline."""
    from .jobs import check_output_files, pipelines_of
    from .parameters import parameters_given, parameters_of

    pipelines = pipelines_of(jobs)
    given = parameters_given(pipelines, texts)
    shares = parameters_of(pipelines, given, config_file)
    check_output_files(jobs, shares)
    return given, shares


def _plan(
    jobs: list[Job],
    output_dir: Path,
    texts: dict[str, str],
    options: argparse.Namespace,
    console: Console,
) -> list[Plan]:
    """Say what would run; no server is needed for that."""
    from .planning import as_json, plans, show

    with (
        console.status("Planning") if not options.json else nullcontext(),
        quiet(unless=options.verbose or options.debug),
    ):
        _, shares = _checked_parameters(jobs, texts, options.config_file)
        planned = list(
            plans(
                jobs,
                output_dir,
                shares,
                crds_context=options.context,
                ignore=options.ignore,
                overwrite=options.overwrite,
                check_files=True,
            )
        )
    if options.json:
        print(as_json(planned))
    else:
        show(planned, console)
    return planned


def _calibrate(
    mission: Mission,
    files: list[Path],
    output_dir: Path,
    parameters: dict[str, Any],
    options: argparse.Namespace,
    console: Console,
) -> list[Result]:
    from prefect.utilities.urls import url_for

    from stpipe_prefect.execution.processes import interruptible
    from stpipe_prefect.orchestration.runners import task_runner
    from stpipe_prefect.orchestration.server import caution, server_is_configured

    from .terminal import Display, result_table

    display = Display(console, len(files), live=not options.verbose)
    watched = server_is_configured()
    runs = mission.load_flow().with_options(task_runner=task_runner(options.runner))
    with (
        display.following(),
        quiet(unless=options.verbose or options.debug),
        interruptible(),
    ):
        state = runs(
            [str(path) for path in files],
            output_dir=str(output_dir),
            pipeline=options.pipeline,
            **({"stage": options.stage} if mission.stages else {}),
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
    say(mission.command, caution())
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
        say(mission.command, result.failure)
    return results


def _judge(mission: Mission, sample: Sample, output_dir: Path, console: Console) -> int:
    """Compare what came out of the sample with what was put into it."""
    recovery = sample.recovery(output_dir)
    if recovery.ok:
        console.print(f"The truth was recovered: {recovery}", style="green")
        return 0
    say(mission.command, f"the truth was not recovered: {'; '.join(recovery.problems)}")
    return 1
