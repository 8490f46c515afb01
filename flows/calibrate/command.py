"""The command of a mission, such as ``python -m flows.calwebb``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from stpipe_prefect.cli.exit import (
    common_exit_code,
    complain,
    exit_code_of_command,
    quiet,
    say,
    screen,
)
from stpipe_prefect.exceptions import UsageError
from stpipe_prefect.execution.garbage import imported_for_good
from stpipe_prefect.parameters.layers import without_crds_parameters
from stpipe_prefect.warm.child import set_default

from .options import parser, sample_products

if TYPE_CHECKING:
    from rich.console import Console

    from stpipe_prefect.provenance.plans import Plan

    from .associations import Associated
    from .campaign import Campaign
    from .job import Job
    from .mission import Mission, Sample


def main(mission: Mission, arguments: Sequence[str]) -> int:
    """Run the command on what follows its name; gives the exit code."""

    def run() -> int:
        options, texts = parser(mission).parse(arguments)
        # prefect reads it as it is imported: better set before it is.
        level = options.log_level or ("NOTSET" if options.verbose else "CRITICAL")
        options.verbose = options.verbose or bool(options.log_level)
        set_default("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", level)
        with without_crds_parameters(options.disable_crds_steppars):
            return _run(mission, options, texts)

    return exit_code_of_command(mission.command, run, debug="--debug" in arguments)


def _run(mission: Mission, options: argparse.Namespace, texts: dict[str, str]) -> int:
    from stpipe_prefect.products.names import folder_path

    from .associations import exposures_of
    from .inputs import find_inputs

    if options.json and not options.plan:
        raise UsageError("--json goes with --plan")
    if mission.associate:
        _check_associating(mission, options)
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
    if getattr(options, "associate", None) is None:
        return _calibrate(mission, options, texts, files, output_dir, sample, console)
    exposures = [*exposures_of(files), *(sample.others if sample else ())]
    associated = _associated(mission, options, exposures, output_dir, console)
    if options.files and (others := associated.count_others(files, output_dir)):
        say(
            mission.command, f"associations given are not taken, --associate makes others: {others}"
        )
    with TemporaryDirectory(prefix="associations-") if options.plan else nullcontext() as instead:
        made = associated.written(output_dir, instead=Path(instead) if instead else None)
        files = [*exposures, *made]
        return _calibrate(mission, options, texts, files, output_dir, sample, console, associated)


def _calibrate(
    mission: Mission,
    options: argparse.Namespace,
    texts: dict[str, str],
    files: list[Path],
    output_dir: Path,
    sample: Sample | None,
    console: Console,
    associated: Associated | None = None,
) -> int:
    """Plan what the files call for, and do it."""
    from stpipe_prefect.products.staging import check_output_dir
    from stpipe_prefect.references.context import resolve_context

    from .jobs import plan_jobs

    stage = options.stage if mission.stages else None
    jobs, refused = plan_jobs(files, mission, pipeline=options.pipeline, stage=stage)
    codes = {error.exit_code for error in refused.values()}
    for error in refused.values():
        complain(mission.command, str(error), error, debug=options.debug)
    if not jobs:
        return common_exit_code(codes)
    if options.plan:
        plans = _plan(mission, jobs, output_dir, texts, options, console, associated)
        return 1 if refused or any(plan.refusal for plan in plans) else 0
    check_output_dir(output_dir, sum(job.input.stat().st_size for job in jobs))
    loud = options.verbose or options.debug
    with console.status("Starting"), quiet(unless=loud), imported_for_good():
        campaign = None
        if not _needs_classes(options, texts):
            campaign = _campaign(mission, jobs, output_dir, texts, options, associated)
        if campaign is None or not campaign.is_unchanged:
            _start_processes(mission)
        campaign = campaign or _campaign(mission, jobs, output_dir, texts, options, associated)
        is_to_run = not campaign.is_unchanged or _is_watched()
        if is_to_run:
            campaign.crds_context = resolve_context(mission.observatory, options.context)
            mission.load_flow()
    address = (_run_campaign if is_to_run else _show_unchanged)(campaign, options, console)
    _show_results(campaign, options, console)
    if address:
        console.print(f"this run in Prefect: {address}")
    codes |= {result.ended.exit_code for result in campaign.results if result.failure}
    if sample and not codes and stage is None:
        return _judge(mission, sample, output_dir, console)
    return common_exit_code(codes)


def _check_associating(mission: Mission, options: argparse.Namespace) -> None:
    from .associations import check_stages

    if options.associate is None:
        for name in ("pool", "grid", "missing"):
            if getattr(options, name, None):
                raise UsageError(f"--{name} goes with --associate")
    else:
        check_stages(options.pipeline, options.stage if mission.stages else None)


def _take_class_of_file(options: argparse.Namespace) -> None:
    """Take a parameter file given as the pipeline for both: its class and its parameters."""
    from stpipe_prefect.parameters.files import read_parameter_file

    file = options.pipeline
    if options.config_file is not None:
        raise UsageError(f"--pipeline {file} is a parameter file: leave --config-file out")
    options.pipeline, options.config_file = read_parameter_file(Path(file)).class_path, file
    if options.pipeline is None:
        raise UsageError(f"--pipeline {file}: names no class")


def _associated(
    mission: Mission,
    options: argparse.Namespace,
    exposures: list[Path],
    output_dir: Path,
    console: Console,
) -> Associated:
    """Make the associations of the exposures, and see that all is there that they need."""
    from stpipe_prefect.products.staging import check_output_dir

    from .associations import associate

    pool = Path(options.pool) if options.pool else None
    with console.status("Associating") if not options.json else nullcontext():
        made = associate(exposures, mission, by=options.associate, pool=pool)
    made.check(output_dir)
    for remark in made.remarks:
        say(mission.command, remark)
    if not options.plan:
        check_output_dir(output_dir)
    return made


def _use_sample(mission: Mission, console: Console) -> Sample:
    """Point crds at the sample's own cache, which needs no server."""
    with console.status("Making the embedded sample (first time only)"):
        sample = mission.make_sample()
    os.environ["CRDS_PATH"] = str(sample.crds_path)
    os.environ.pop("CRDS_SERVER_URL", None)
    return sample


def _needs_classes(options: argparse.Namespace, texts: dict[str, str]) -> bool:
    """Tell whether options are about parameters and steps, which only the pipelines know."""
    return bool(texts or options.config_file or options.save_parameters or options.checkpoint)


def _is_watched() -> bool:
    """Tell whether a server is configured, on which somebody looks for this run."""
    from stpipe_prefect.orchestration.server import server_is_configured, server_may_be_configured

    return server_may_be_configured() and server_is_configured()


def _start_processes(mission: Mission) -> None:
    """Start the embedded server, and the process from which those of exposures are forked."""
    from stpipe_prefect.execution.processes import use_warm_process
    from stpipe_prefect.orchestration.server import server_is_configured
    from stpipe_prefect.orchestration.shared_server import shared_server

    use_warm_process([mission.preload])
    if not server_is_configured():
        shared_server()


def _campaign(
    mission: Mission,
    jobs: list[Job],
    output_dir: Path,
    texts: dict[str, str],
    options: argparse.Namespace,
    associated: Associated | None,
) -> Campaign:
    """Plan what the options ask for; whatever is wrong with them is found here."""
    from .associations import put_on_shared_grids
    from .campaign import Campaign
    from .jobs import pipelines_of
    from .parameters import parameters_given

    campaign = Campaign(
        mission,
        jobs,
        output_dir,
        given=parameters_given(pipelines_of(jobs), texts),
        config_file=options.config_file,
        crds_context=options.context,
        ignore=options.ignore,
        overwrite=options.overwrite,
        checkpoint=options.checkpoint,
        strict=options.strict,
        missing=getattr(options, "missing", None) or "fail",
    )
    if associated and getattr(options, "grid", None):
        put_on_shared_grids(campaign, associated)
    if options.save_parameters:
        campaign.save_parameters(options.save_parameters)
    return campaign


def _plan(
    mission: Mission,
    jobs: list[Job],
    output_dir: Path,
    texts: dict[str, str],
    options: argparse.Namespace,
    console: Console,
    associated: Associated | None,
) -> list[Plan]:
    """Say what would run; no server is needed for that."""
    from .terminal import association_table, plan_table

    with (
        console.status("Planning") if not options.json else nullcontext(),
        quiet(unless=options.verbose or options.debug),
    ):
        campaign = _campaign(mission, jobs, output_dir, texts, options, associated)
        jobs = [*campaign.planned(check_files=True)]
        planned = [plan for job in jobs for plan in job.plans or ()]
    if options.json:
        found = {each["file"]: each for each in (associated.as_json() if associated else ())}
        listed = [
            plan.as_json()
            | ({"association": found[plan.input]} if plan.input in found else {})
            | ({"parameters": said} if (said := job.says(plan.pipeline)) else {})
            for job in jobs
            for plan in job.plans or ()
        ]
        print(json.dumps(listed, indent=1, ensure_ascii=False))
    else:
        if associated:
            console.print(association_table(associated))
        console.print(plan_table(planned))
        for line in dict.fromkeys(line for job in jobs for line in job.parameter_lines()):
            console.print(line, soft_wrap=True)
        to_run = sum(not plan.is_up_to_date and not plan.refusal for plan in planned)
        console.print(f"{to_run} of {len(planned)} will run")
    return planned


def _run_campaign(campaign: Campaign, options: argparse.Namespace, console: Console) -> str:
    """Run a campaign, and show how far it is; gives its address on a configured server."""
    from prefect.utilities.urls import url_for

    from stpipe_prefect.execution.processes import interruptible
    from stpipe_prefect.orchestration.batch import task_runner
    from stpipe_prefect.orchestration.server import caution, server_is_configured

    from .factory import start
    from .terminal import Display

    display = Display(console, len(campaign.jobs), live=not options.verbose)
    with (
        display.following(),
        quiet(unless=options.verbose or options.debug),
        interruptible(),
    ):
        state = start(
            campaign,
            task_runner(options.runner),
            pipeline=options.pipeline,
            **({"stage": options.stage} if campaign.mission.stages else {}),
            jobs=options.jobs,
            time_limit=options.time_limit,
        )
    say(campaign.mission.command, caution())
    if not server_is_configured():
        return ""
    return url_for("flow-run", state.state_details.flow_run_id) or ""


def _show_unchanged(campaign: Campaign, options: argparse.Namespace, console: Console) -> str:
    """Show that there is nothing to do, and need no flow run for it."""
    from .terminal import Display

    with Display(console, len(campaign.jobs), live=not options.verbose).following():
        for job in campaign.unchanged.values():
            campaign.take(job.cached())
    return ""


def _show_results(campaign: Campaign, options: argparse.Namespace, console: Console) -> None:
    """Say what became of a campaign."""
    from .terminal import LISTED, result_table

    command, output_dir = campaign.mission.command, campaign.output_dir or Path()
    caveats = [line for result in campaign.results for line in result.caveats]
    for line in caveats[:LISTED]:
        console.print(line, style="yellow", soft_wrap=True)
    if caveats[LISTED:]:
        console.print(f"… and {len(caveats) - LISTED} more caveats, in the records")
    if any(result.products for result in campaign.results):
        console.print(result_table(campaign.results))
        console.print(f"products are in {output_dir.resolve()}")
    for result in campaign.results:
        if options.debug:
            sys.stderr.write(result.ended.traceback)
        say(command, "\n".join(f"degraded: {line}" for line in result.degraded))
        say(command, result.failure)


def _judge(mission: Mission, sample: Sample, output_dir: Path, console: Console) -> int:
    """Compare what came out of the sample with what was put into it."""
    recovery = sample.recovery(output_dir)
    if recovery.ok:
        console.print(f"The truth was recovered: {recovery}", style="green")
        return 0
    say(mission.command, f"the truth was not recovered: {'; '.join(recovery.problems)}")
    return 1
