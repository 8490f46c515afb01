"""The command of a mission, such as ``python -m flows.calwebb``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
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
from stpipe_prefect.exceptions import StpipePrefectError, UsageError, reason
from stpipe_prefect.execution.garbage import imported_for_good
from stpipe_prefect.parameters.layers import without_crds_parameters
from stpipe_prefect.remote.scratch import planning
from stpipe_prefect.warm.child import set_default

from .exclusions import failures, write_exclusions
from .options import check_together, only_shows, parser, sample_products

if TYPE_CHECKING:
    from rich.console import Console

    from .associations import Associated
    from .campaign import Campaign
    from .job import Job
    from .mission import Mission, Sample
    from .specification import Specification


def main(mission: Mission, arguments: Sequence[str]) -> int:
    """Run the command on what follows its name; gives the exit code."""

    def run() -> int:
        options, texts = parser(mission).parse(arguments)
        # prefect reads it as it is imported: better set before it is.
        level = options.log_level or ("NOTSET" if options.verbose else "CRITICAL")
        options.verbose = options.verbose or bool(options.log_level)
        set_default("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", level)
        with without_crds_parameters(options.disable_crds_steppars), planning():
            return _run(mission, options, texts)

    return exit_code_of_command(mission.command, run, debug="--debug" in arguments)


def _run(mission: Mission, options: argparse.Namespace, texts: dict[str, str]) -> int:
    check_together(options)
    if options.pipeline and Path(options.pipeline).is_file():
        _take_class_of_file(options)
    mission.check_installed()
    if options.write_exclusions:
        write_exclusions(Path(options.write_exclusions), {})  # is it a file that can be added to?
    command = Command(mission, options, texts, screen())
    sample = None if options.files else command.use_sample()
    wanted = command.specification(sample)
    associated = command.associated(wanted)
    if options.sweep:
        from .sweep import sweep

        return common_exit_code(sweep(command, wanted, associated))
    codes = command.carry_out(wanted, associated)
    if sample and not codes and wanted.stage is None and not only_shows(options):
        return _judge(mission, sample, wanted.output_dir, command.console)
    return common_exit_code(codes)


@dataclass(frozen=True)
class Command:
    """What was typed, and where to show what comes of it."""

    mission: Mission
    options: argparse.Namespace
    texts: dict[str, str]
    console: Console

    def use_sample(self) -> Sample:
        """Give the embedded sample; crds is pointed at its own cache, which needs no server."""
        if self.options.pipeline:
            raise UsageError("--pipeline needs a FILE to run on")
        with self.console.status("Making the embedded sample (first time only)"):
            sample = self.mission.make_sample()
        os.environ["CRDS_PATH"] = str(sample.crds_path)
        for name in [name for name in os.environ if name.startswith("CRDS_SERVER_URL")]:
            del os.environ[name]
        return sample

    def specification(self, sample: Sample | None) -> Specification:
        """Put together what the options say of the campaign."""
        from stpipe_prefect.products.names import folder_path
        from stpipe_prefect.remote.urls import url_of

        from .specification import of_files, specification

        options = self.options
        pool = getattr(options, "pool", None)
        said = {
            "pipeline": options.pipeline,
            "stage": options.stage if self.mission.stages else None,
            "associate": getattr(options, "associate", None),
            "pool": Path(pool) if pool else None,
            "grid": getattr(options, "grid", None),
            "missing": getattr(options, "missing", None),
            "crds_context": options.context,
            "config_file": options.config_file,
            "ignore": tuple(options.ignore),
            "overwrite": options.overwrite,
            "checkpoint": tuple(options.checkpoint),
            "strict": options.strict,
            "report": options.report,
        }
        if not sample:
            return specification(
                self.mission, options.files, Path(), options.output_dir, options.trial, **said
            )
        folder = folder_path(options.output_dir or sample_products(self.mission))
        if url_of(folder):
            raise UsageError(f"{url_of(folder)}: products of the sample go into a local folder")
        files = sample.inputs(said["stage"], folder)
        files += [] if said["associate"] is None else sample.others
        return of_files(self.mission, files, folder, options.trial, **said)

    def associated(self, wanted: Specification) -> Associated | None:
        """Make the associations of the exposures, if that is asked for."""
        from stpipe_prefect.products.staging import check_output_dir

        with self._status("Associating"):
            made = wanted.associated()
        if made is None:
            return None
        for remark in made.remarks:
            say(self.mission.command, remark)
        if self.options.files and (others := made.count_others(wanted.files, wanted.output_dir)):
            what = "associations given are not taken, associate makes others"
            say(self.mission.command, f"{what}: {others}")
        if not only_shows(self.options):
            check_output_dir(wanted.output_dir)
        return made

    def carry_out(self, wanted: Specification, associated: Associated | None) -> set[int]:
        """Plan, explain or run the campaign; gives the exit codes of what failed or is refused."""
        is_real = not only_shows(self.options)
        with self.jobs(wanted, associated, is_real=is_real) as (jobs, refused, unused):
            for line in unused:
                say(self.mission.command, line)
            for error in refused.values():
                complain(self.mission.command, str(error), error, debug=self.options.debug)
            codes = {error.exit_code for error in refused.values()}
            self.exclude(
                {path.name: reason(why).removeprefix(f"{path}: ") for path, why in refused.items()}
            )
            if not jobs:
                from .reporting import write_refusals
                from .tables import show_excluded, show_report

                if not self.options.json:
                    show_excluded(self.console, wanted.excluded)
                write_refusals(wanted, refused)
                show_report(self.console, wanted.report)
                return codes
            if is_real:
                return codes | self.run(wanted, jobs, associated, refused)
            is_good = not refused
            if self.options.plan:
                is_good &= self.plan(wanted, jobs, associated)
            else:
                self.explain(wanted, jobs, associated)
            return set() if is_good else {1}

    @contextmanager
    def jobs(
        self, wanted: Specification, associated: Associated | None, *, is_real: bool
    ) -> Iterator[tuple[list[Job], Mapping[Path, StpipePrefectError], Iterable[str]]]:
        """Decide what the files call for, and say which exclusions have no use.

        Associations that are not for real lie elsewhere.
        """
        with nullcontext() if is_real else TemporaryDirectory(prefix="associations-") as instead:
            made = None
            if associated:
                elsewhere = Path(instead) if instead else None
                made = associated.written(wanted.output_dir, instead=elsewhere)
            yield *wanted.jobs(made), wanted.unused_exclusions(made)

    def campaign(
        self, wanted: Specification, jobs: list[Job], associated: Associated | None
    ) -> Campaign:
        """Plan what the options ask for; whatever is wrong with them is found here."""
        from .classes import Classes
        from .jobs import pipelines_of
        from .parameters import parameters_given

        given = parameters_given(pipelines_of(jobs), self.texts, Classes(jobs).find)
        campaign = wanted.campaign(jobs, given, associated)
        if self.options.save_parameters:
            campaign.save_parameters(self.options.save_parameters)
        return campaign

    def plan(self, wanted: Specification, jobs: list[Job], associated: Associated | None) -> bool:
        """Say what would run, for which no server is needed; tells whether nothing is refused."""
        from .tables import show_plan, show_plan_as_json

        with self._status("Planning"), quiet(unless=self._is_loud):
            campaign = self.campaign(wanted, jobs, associated)
            jobs = [*campaign.planned(check_files=True)]
        if self.options.html:
            from flows.report.plan import write_plan

            plans = [plan for job in jobs for plan in job.plans or ()]
            write_plan(Path(self.options.html), self.mission.command, plans)
        if self.options.json:
            show_plan_as_json(jobs, associated, campaign.excluded)
        else:
            show_plan(self.console, jobs, associated, campaign.excluded)
        return not any(plan.refusal for job in jobs for plan in job.plans or ())

    def explain(
        self, wanted: Specification, jobs: list[Job], associated: Associated | None
    ) -> None:
        """Say with which parameters each pipeline would run, and who gives them."""
        import json

        from .explain import explain, show

        options = self.options
        with self._status("Reading parameters"), quiet(unless=self._is_loud):
            campaign = self.campaign(wanted, jobs, associated)
            explained = [*explain(campaign, options.explain)]
        if options.changed:
            explained = [each.changed() for each in explained]
        if options.json:
            print(json.dumps([each.as_json() for each in explained], indent=1))
        else:
            show(self.console, explained, history=options.history)

    def run(
        self,
        wanted: Specification,
        jobs: list[Job],
        associated: Associated | None,
        refused: Mapping[Path, StpipePrefectError],
    ) -> set[int]:
        """Do what is to be done; gives the exit codes of what failed."""
        from stpipe_prefect.references.context import resolve_context

        from .remote import check_output
        from .tables import show_results

        check_output(wanted.output_dir, sum(job.input.stat().st_size for job in jobs))
        with self.console.status("Starting"), quiet(unless=self._is_loud), imported_for_good():
            campaign = None
            if not self._needs_classes:
                campaign = self.campaign(wanted, jobs, associated)
            if campaign is None or not campaign.is_unchanged:
                _start_processes(self.mission)
            campaign = campaign or self.campaign(wanted, jobs, associated)
            campaign.left_out = refused
            is_to_run = not campaign.is_unchanged or _is_watched()
            if is_to_run:
                context = resolve_context(self.mission.observatory, wanted.crds_context)
                campaign.crds_context = context
                self.mission.load_flow()
        address = self._run_campaign(campaign, wanted) if is_to_run else self._show_same(campaign)
        show_results(self.console, campaign, debug=self.options.debug)
        if address:
            self.console.print(f"this run in Prefect: {address}")
        self.exclude(failures(campaign))
        return {result.ended.exit_code for result in campaign.results if result.failure}

    def exclude(self, failed: Mapping[str, str]) -> None:
        """Have later runs leave out what failed, if that is asked for."""
        file = self.options.write_exclusions
        if file and (count := write_exclusions(Path(file), failed)):
            self.console.print(f"{count} excluded in {file}")

    @property
    def _is_loud(self) -> bool:
        return bool(self.options.verbose or self.options.debug)

    @property
    def _needs_classes(self) -> bool:
        """Whether options are about parameters and steps, which only the pipelines know."""
        options = self.options
        named = options.config_file or options.save_parameters or options.checkpoint
        return bool(self.texts or named)

    def _status(self, text: str) -> AbstractContextManager[object]:
        return nullcontext() if self.options.json else self.console.status(text)

    def _run_campaign(self, campaign: Campaign, wanted: Specification) -> str:
        """Run a campaign, and show how far it is; gives its address on a configured server."""
        from prefect.utilities.urls import url_for

        from stpipe_prefect.execution.processes import interruptible
        from stpipe_prefect.orchestration.runners import task_runner
        from stpipe_prefect.orchestration.server import caution, server_is_configured

        from .factory import start
        from .terminal import Display

        options = self.options
        display = Display(self.console, len(campaign.jobs), live=not options.verbose)
        with display.following(), quiet(unless=self._is_loud), interruptible():
            state = start(
                campaign,
                task_runner(options.runner, wanted.output_dir),
                pipeline=wanted.pipeline,
                **({"stage": wanted.stage} if self.mission.stages else {}),
                jobs=options.jobs,
                time_limit=options.time_limit,
            )
        say(self.mission.command, caution())
        if not server_is_configured():
            return ""
        return url_for("flow-run", state.state_details.flow_run_id) or ""

    def _show_same(self, campaign: Campaign) -> str:
        """Show that there is nothing to do, and need no flow run for it."""
        from .reporting import write_report
        from .terminal import Display

        live = not self.options.verbose
        with Display(self.console, len(campaign.jobs), live=live).following():
            for job in campaign.unchanged.values():
                campaign.take(job.cached())
        write_report(campaign)
        return ""


def _take_class_of_file(options: argparse.Namespace) -> None:
    """Take a parameter file given as the pipeline for both: its class and its parameters."""
    from stpipe_prefect.parameters.files import read_parameter_file

    file = options.pipeline
    if options.config_file is not None:
        raise UsageError(f"--pipeline {file} is a parameter file: leave --config-file out")
    options.pipeline, options.config_file = read_parameter_file(Path(file)).class_path, file
    if options.pipeline is None:
        raise UsageError(f"--pipeline {file}: names no class")


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


def _judge(mission: Mission, sample: Sample, output_dir: Path, console: Console) -> int:
    """Compare what came out of the sample with what was put into it."""
    recovery = sample.recovery(output_dir)
    if recovery.ok:
        console.print(f"The truth was recovered: {recovery}", style="green")
        return 0
    say(mission.command, f"the truth was not recovered: {'; '.join(recovery.problems)}")
    return 1
