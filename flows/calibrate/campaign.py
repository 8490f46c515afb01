"""What the flow of a mission does: each input, in a process of its own, through its pipelines."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

from prefect.runtime import flow_run

from stpipe_prefect.exceptions import ParameterError, StpipePrefectError
from stpipe_prefect.execution.capacity import expected_memory_mb
from stpipe_prefect.execution.events import PipelineProgress, report
from stpipe_prefect.execution.processes import Ended, start_fork_server
from stpipe_prefect.execution.results import Result
from stpipe_prefect.orchestration.batch import Exposure, calibrate_all
from stpipe_prefect.orchestration.deployments import check_told, in_deployment, products_folder
from stpipe_prefect.orchestration.plan import Plan
from stpipe_prefect.orchestration.summary_of_batch import BatchProgress, show_batch
from stpipe_prefect.outcomes import Outcome
from stpipe_prefect.paths import printable
from stpipe_prefect.provenance.record import record_path
from stpipe_prefect.references.context import pinned_context

from .exposure import FLOW, parameters_for
from .inputs import find_inputs
from .jobs import Job, check_output_files, files_of, needs_of, pipelines_of, plan_jobs, run_names
from .mission import Mission
from .parameters import parameters_of, share_checkpoints
from .planning import up_to_date

LISTED = 10
"""How many failures the error of a flow names one by one."""


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


def campaign_name() -> str:
    """Name the flow run that is beginning."""
    first, *others = [Path(name).name for name in flow_run.parameters["inputs"]] or ["nothing"]
    return f"{flow_run.flow_name} · {first}" + (f" and {len(others)} more" if others else "")


def calibrate(
    mission: Mission,
    inputs: list[str],
    output_dir: str | None,
    *,
    pipeline: str | None,
    stage: int | None = None,
    crds_context: str | None,
    config_file: str | None,
    parameters: dict[str, Any] | None,
    overwrite: bool,
    ignore: list[str] | None,
    checkpoint: list[str] | None,
    jobs: int | None,
    time_limit: float | None,
) -> list[str]:
    """Calibrate the inputs of a flow, as it was told; see the flows of the missions.

    Returns
    -------
    list of str
        The products.

    Raises
    ------
    CampaignError
        Some could not be calibrated; the others are.
    """
    told = {"output_dir": output_dir, "crds_context": crds_context, "config_file": config_file}
    check_told(mission.command, inputs, {**told, **(parameters or {})})
    if in_deployment() and pipeline is not None and "::" not in pipeline and "." in pipeline:
        raise ParameterError(f"{mission.command}: pipeline {pipeline}: a deployment takes no paths")
    start_fork_server([mission.preload])
    work, refused = plan_jobs(find_inputs(inputs, mission), mission, pipeline=pipeline, stage=stage)
    pipelines = pipelines_of(work)
    shares = parameters_of(pipelines, parameters or {}, config_file)
    check_output_files(work, shares)
    kept = share_checkpoints(pipelines, checkpoint or [])
    again = {"overwrite": overwrite, "ignore": ignore or []}
    results = [_refused(path, error) for path, error in refused.items()]
    context = (
        pinned_context(mission.observatory, crds_context) if work else nullcontext()
    )  # for all of them
    with context as pinned:
        folder = products_folder(output_dir)
        if not overwrite:
            fresh = up_to_date(work, folder, shares, crds_context=pinned, ignore=ignore or [])
            results += [_cached(job, plans) for job, plans in fresh]
            done = {result.name for result in results}
            work = [job for job in work if job.input.name not in done]
        shares = {name: {**shares[name], "checkpoint": kept[name]} for name in pipelines}
        needs = needs_of(work)
        exposures = [
            Exposure(
                job.input.name,
                FLOW,
                parameters_for(
                    job, _package(job, mission), folder, shares, crds_context=pinned, **again
                ),
                needs[job.input.name],
                _memory_mb(job, folder),
            )
            for job in work
        ]
        progress = BatchProgress(len(results) + len(exposures))
        for result in results:
            report(result)
        with closing(calibrate_all(exposures, jobs=jobs, time_limit=time_limit)) as ended:
            for result in ended:
                results.append(result)
                report(result)
                progress.show(results)
    show_batch(results)
    if any(result.failure for result in results):
        raise CampaignError(results)
    return [product for result in results for product in result.products]


def _refused(path: Path, error: StpipePrefectError) -> Result:
    ended = Ended(Outcome.FAILED, str(error), error.exit_code, is_explained=True)
    return Result(printable(path.name), ended)


def _cached(job: Job, plans: Iterable[Plan]) -> Result:
    pipelines = [
        PipelineProgress(plan.pipeline, Outcome.CACHED, 0.0, tuple(map(str, plan.products)))
        for plan in plans
    ]
    return Result(job.input.name, Ended(Outcome.COMPLETED), tuple(pipelines))


def _package(job: Job, mission: Mission) -> str:
    """Name the package that registers all of a job's pipelines, if it is the mission's."""
    return mission.package if set(job.pipelines) <= set(mission.pipelines) else ""


def _memory_mb(job: Job, folder: Path) -> float:
    records = (record_path(folder, name) for name in run_names(job))
    return expected_memory_mb(files_of(job, folder), records)
