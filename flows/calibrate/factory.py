"""The flow of a mission, made from its description; it runs campaigns."""

from __future__ import annotations

import logging
from contextlib import closing
from contextvars import ContextVar
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Annotated, Any, Literal

from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.task_runners import TaskRunner
from pydantic import Field

from stpipe_prefect.exceptions import ParameterError, StpipePrefectError
from stpipe_prefect.execution.capacity import (
    earlier_runs,
    expected_memory_mb,
    expected_seconds,
)
from stpipe_prefect.execution.processes import use_warm_process
from stpipe_prefect.execution.results import Result
from stpipe_prefect.orchestration.artifacts import BatchProgress, show_batch, show_report
from stpipe_prefect.orchestration.batch import Exposure, calibrate_all
from stpipe_prefect.orchestration.deployments import (
    check_classes,
    check_deployable,
    in_deployment,
    products_folder,
)
from stpipe_prefect.orchestration.flows import LocalFlow
from stpipe_prefect.references.context import pinned_context
from stpipe_prefect.remote.scratch import planning
from stpipe_prefect.remote.urls import as_urls

from .campaign import Campaign
from .campaign_file import CampaignFile
from .exposure import FLOW
from .job import Job
from .missing import Lacking, Missing
from .mission import Mission
from .reporting import attention_of, refused_result, write_report
from .specification import Specification, specification

LISTED = 10
"""How many failures the error of a flow names one by one."""

FIELDS = {
    "inputs": "{0.help.files}",
    "output_dir": "Folder for the products; default the current one, in a deployment the "
    "first output folder of the worker.",
    "pipeline": "Run this pipeline instead of those for the input.",
    "stage": "Run only this stage: 1, 2 or 3.",
    "associate": "Make the associations of the exposures: an empty list for those of the "
    "observatory's rules; keywords, such as target and filter, to combine what has the same values "
    "of these.",
    "missing": "With associate, what becomes of an association of which members failed: fail; or "
    "drop them, or wait for a later run. The latter two regard degraded members, too.",
    "grid": "With associate: put all mosaics of a target on one pixel grid.",
    "pool": "The pool that DMS made of the exposures, in place of their headers.",
    "crds_context": "CRDS context, such as {0.help.context}; default the operational one.",
    "config_file": "Parameter file, for the pipeline whose class it names.",
    "parameters": 'Parameters of the pipelines; those of their steps under "steps".',
    "overwrite": "Also run what is up to date, and replace products that were changed since or "
    "that another pipeline made.",
    "ignore": "Ignore changes in these: inputs, parameters, references, versions.",
    "checkpoint": 'Keep the models after these steps, or "all", so that a later run can resume.',
    "jobs": "Exposures at a time; default one for each core, as far as memory allows.",
    "strict": "Stop at a step that could not do its work (Degraded) and publish nothing of it.",
    "trial": "Make the products in the folder trials/NAME of the output folder, and share what "
    "this folder, the base, or another trial has of them.",
    "report": "Write a page about the results to this file.",
    "time_limit": "Seconds after which the process of an exposure is killed.",
}
"""The form of a run describes its fields with these."""

SHOWN = 500
"""Inputs that a flow run has among its parameters, at most."""

_planned: ContextVar[Campaign | None] = ContextVar("planned_campaign", default=None)


class CampaignError(StpipePrefectError):
    """Some of the inputs could not be calibrated.

    Attributes
    ----------
    results : list of Result
        What became of every input.
    """

    def __init__(self, results: list[Result]) -> None:
        failed = [result.failure for result in results if result.failure]
        others = f" (and {len(failed) - LISTED} more)" if failed[LISTED:] else ""
        named = "; ".join(failed[:LISTED])
        super().__init__(f"{len(failed)} of {len(results)} failed: {named}{others}")
        self.results = results


def mission_flow(mission: Mission) -> LocalFlow:
    """Make the flow that calibrates exposures and associations of a mission.

    Parameters
    ----------
    mission : Mission

    Returns
    -------
    LocalFlow
        Its parameters are those of `FIELDS`, without those that the mission has no use for. It
        returns the file names of the products, and raises a `CampaignError` where some inputs
        could not be calibrated; the others are.
    """

    def calibrate(
        inputs: list[str],
        output_dir: str | None = None,
        pipeline: str | None = None,
        stage: int | None = None,
        associate: list[str] | None = None,
        grid: Literal["shared"] | None = None,
        missing: Missing = "fail",
        pool: str | None = None,
        crds_context: str | None = None,
        config_file: str | None = None,
        parameters: dict[str, Any] | None = None,
        overwrite: bool = False,
        ignore: list[str] | None = None,
        checkpoint: list[str] | None = None,
        strict: bool = False,
        trial: str | None = None,
        jobs: Annotated[int, Field(ge=1)] | None = None,
        time_limit: Annotated[float, Field(gt=0)] | None = None,
        report: str | None = None,
    ) -> list[str]:
        named = {"output_dir": output_dir, "crds_context": crds_context}
        named |= {"config_file": config_file, "report": report}
        read = [*inputs, pool] if pool else inputs
        check_deployable(mission.command, read, {**named, **(parameters or {})})
        if pipeline and "::" not in pipeline and "." in pipeline and in_deployment():
            raise ParameterError(
                f"{mission.command}: pipeline {pipeline}: a deployment takes no paths"
            )
        with planning():
            campaign = _planned.get()
            if campaign is None or not campaign.is_unchanged:
                use_warm_process([mission.preload])
            if campaign is None:
                wanted = specification(
                    mission,
                    inputs,
                    products_folder(None),
                    output_dir,
                    trial,
                    check=partial(_check_deployable, mission.command),
                    pipeline=pipeline,
                    stage=stage,
                    associate=None if associate is None else tuple(associate),
                    pool=Path(pool) if pool else None,
                    grid=grid,
                    missing=None if missing == "fail" else missing,
                    crds_context=crds_context,
                    config_file=config_file,
                    ignore=tuple(ignore or ()),
                    overwrite=overwrite,
                    checkpoint=tuple(checkpoint or ()),
                    strict=strict,
                    report=report,
                )
                campaign = _campaign(wanted, parameters or {})
            results = run(campaign, jobs=jobs, time_limit=time_limit)
        if any(result.failure for result in results):
            raise CampaignError(results)
        return [product for result in results for product in result.products]

    whole = signature(calibrate, eval_str=True)
    absent = {"stage"} if not mission.stages else set()
    absent |= {"associate", "pool", "missing"} if not mission.associate else set()
    absent |= {"grid"} if not mission.shared_grids else set()
    kept = [each for each in whole.parameters.values() if each.name not in absent]
    calibrate.__signature__ = whole.replace(parameters=kept)  # type: ignore[attr-defined]
    calibrate.__module__, calibrate.__name__ = mission.flow.split(":")
    calibrate.__qualname__ = calibrate.__name__
    lines = [f"    {each.name}: {FIELDS[each.name].format(mission)}" for each in kept]
    # Prefect reads this form of docstring: it describes the fields of the run's form.
    calibrate.__doc__ = "\n".join([mission.help.flow, "", "Args:", *lines])
    return LocalFlow(calibrate, name=mission.command, flow_run_name=_run_name, persist_result=False)


def start(
    campaign: Campaign, task_runner: TaskRunner[Any] | None = None, **options: Any
) -> State[list[str]]:
    """Run a campaign as a flow run of its mission; its results are in `campaign.results`.

    Parameters
    ----------
    campaign : Campaign
        With an `output_dir`.
    task_runner : TaskRunner, optional
        Where the exposures run; default this machine.
    **options
        Further parameters of the flow: ``pipeline``, ``stage``, ``jobs``, ``time_limit``. The
        first two have been decided upon; the flow run shows them.

    Returns
    -------
    State
        How the flow run ended.

    Raises
    ------
    Exception
        What stopped the flow itself. Failures of its exposures are in `campaign.results`.
    """
    flow = campaign.mission.load_flow()
    token = _planned.set(campaign)
    try:
        state: State[list[str]] = flow.with_options(task_runner=task_runner)(
            inputs_shown(campaign),
            output_dir=as_urls(str(campaign.trial.base if campaign.trial else campaign.output_dir)),
            trial=campaign.trial.name if campaign.trial else None,
            crds_context=campaign.crds_context,
            config_file=campaign.config_file,
            parameters=dict(campaign.given),
            overwrite=campaign.overwrite,
            ignore=[*campaign.ignore],
            checkpoint=[*campaign.checkpoint],
            strict=campaign.strict,
            report=campaign.report,
            return_state=True,
            **options,
        )
    finally:
        _planned.reset(token)
    error: Any = state.result(raise_on_failure=False) if state.is_failed() else None
    if error is not None and not isinstance(error, CampaignError):
        raise error
    return state


def inputs_shown(campaign: Campaign) -> list[str]:
    """Name the inputs for the flow run: of many, their folders, since Prefect takes 512 kB."""
    paths = [job.input for job in campaign.jobs]
    if len(paths) > SHOWN:
        paths = [*dict.fromkeys(path.parent for path in paths)]
    return [as_urls(str(path)) for path in paths]


def run(
    campaign: Campaign, *, jobs: int | None = None, time_limit: float | None = None
) -> list[Result]:
    """Run a campaign within a flow, each of its jobs in a process of its own.

    Parameters
    ----------
    campaign : Campaign
    jobs : int, optional
        How many at a time; by default one for each core, as far as memory allows.
    time_limit : float, optional
        Seconds that each may take.

    Returns
    -------
    list of Result
        What became of every input; `campaign.results` has it, too, as it comes.
    """
    for path, error in campaign.refused.items():
        campaign.take(refused_result(path, error))
    if campaign.jobs:
        with pinned_context(campaign.mission.observatory, campaign.crds_context) as context:
            _run(campaign, context, jobs, time_limit)
    show_batch(campaign.results, attention_of(campaign))
    write_report(campaign)
    show_report(campaign.report)
    return campaign.results


def _run(campaign: Campaign, context: str, jobs: int | None, time_limit: float | None) -> None:
    """Run the jobs of a campaign under one context."""
    fresh = campaign.up_to_date()
    for job in fresh:
        campaign.take(job.cached())
    done = {job.input for job in fresh}
    left = [job for job in campaign.jobs if job.input not in done]
    exposures = [_exposure(job, campaign, context) for job in left]
    progress = BatchProgress(len(campaign.refused) + len(campaign.jobs))
    decide = None if campaign.missing == "fail" else Lacking(campaign).decide
    batch = calibrate_all(exposures, jobs=jobs, time_limit=time_limit, decide=decide)
    with closing(batch) as ended:
        for result in ended:
            campaign.take(result)
            progress.show(campaign.results)


def _check_deployable(title: str, file: CampaignFile) -> None:
    """Refuse what a campaign file says that a run of a deployment may not have."""
    said = file.options()
    inputs = [*file.input_names, *([str(said["pool"])] if "pool" in said else [])]
    output_dir = {"output_dir": str(file.located(file.output))} if file.output else {}
    check_deployable(title, inputs, output_dir | {"crds_context": said.get("crds_context")})
    tables = [file.parameters, *(rule.parameters for rule in file.rules)]
    given = [said for table in tables for said in table.values()]
    given += [{"config_file": config_file} for config_file in file.config_files.values()]
    for values in given:
        check_deployable(f"{title}: {file}", [], values)
    check_classes(title, [each.step for each in file.inserts])
    named = [file.pipeline] if file.pipeline and "." in file.pipeline else []
    check_classes(title, [*named, *file.replace.values()])


def _run_name() -> str:
    first, *others = [Path(name).name for name in flow_run.parameters["inputs"]] or ["nothing"]
    return f"{flow_run.flow_name} · {first}" + (f" and {len(others)} more" if others else "")


def _campaign(wanted: Specification, given: dict[str, Any]) -> Campaign:
    """Plan a campaign; associations are made and written first."""
    associated, made = wanted.associated(), None
    if associated:
        for remark in associated.remarks:
            logging.getLogger(__name__).warning("%s", remark)
        made = associated.written(wanted.output_dir)
    jobs, refused = wanted.jobs(made)
    for line in wanted.unused_exclusions(made):
        logging.getLogger(__name__).warning("%s", line)
    return wanted.campaign(jobs, given, associated, refused)


def _exposure(job: Job, campaign: Campaign, context: str) -> Exposure:
    """Put into what JSON can hold what the process of a job does; see `.exposure`."""
    mission, folder = campaign.mission, campaign.output_dir or job.input.parent
    registered = set(job.pipelines) <= set(mission.pipelines)
    parameters = {
        "input": as_urls(str(job.input)),
        "package": mission.package if registered else "",
        "pipelines": list(job.pipelines),
        "handed_on": list(job.handed_on),
        "output_dir": as_urls(str(folder)),
        "own_suffixes": list(job.own_suffixes) if mission.know_suffix else [],
        "know_suffix": mission.know_suffix or "",
        "parameters": {
            name: {
                **campaign.given_to(name, job.inserts.get(name, ())),
                "crds_context": context,
                "overwrite": campaign.overwrite,
                "ignore": [*campaign.ignore],
                "checkpoint": campaign.kept_after(name, job.inserts.get(name, ())),
                "strict": campaign.strict,
            }
            for name in job.pipelines
        },
        "layers": {
            name: [[str(layer.source), layer.values, layer.over_files] for layer in layers]
            for name, layers in job.layers.items()
        },
        "inserts": {
            name: [each.as_json() for each in inserts] for name, inserts in job.inserts.items()
        },
    }
    runs = earlier_runs(campaign.records(job))
    return Exposure(
        job.input.name,
        FLOW,
        parameters,
        frozenset(path.name for path in job.needs),
        expected_memory_mb(job.files(folder), runs),
        expected_seconds(runs),
    )
