"""The flow ``calwebb``: each input, in a process of its own, through the pipelines it calls for."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from stpipe_prefect.exceptions import StpipePrefectError
from stpipe_prefect.orchestration.batch import BatchProgress, show_batch
from stpipe_prefect.orchestration.capacity import expected_memory_mb
from stpipe_prefect.orchestration.deployments import check_told
from stpipe_prefect.orchestration.exposures import Exposure, calibrate_all
from stpipe_prefect.orchestration.isolation import Ended, start_fork_server
from stpipe_prefect.orchestration.plan import Plan
from stpipe_prefect.orchestration.progress import PipelineProgress, report
from stpipe_prefect.orchestration.results import Result
from stpipe_prefect.outcomes import Outcome
from stpipe_prefect.products.provenance import record_path, run_name
from stpipe_prefect.references.context import pinned_context

from .exposure import FLOW, PRELOAD, parameters_for
from .inputs import find_inputs
from .jobs import Job, files_of, needs_of, pipelines_of, plan_jobs
from .parameters import parameters_of, share_checkpoints
from .planning import up_to_date


class ProgrammeError(StpipePrefectError):
    """Some of the inputs could not be calibrated.

    Attributes
    ----------
    results : list of Result
        What became of every input.
    """

    def __init__(self, results: list[Result]) -> None:
        failed = [result.failure for result in results if result.failure]
        super().__init__(f"{len(failed)} of {len(results)} failed: " + "; ".join(failed))
        self.results = results


def _run_name() -> str:
    first, *others = [Path(name).name for name in flow_run.parameters["inputs"]] or ["nothing"]
    return f"calwebb · {first}" + (f" and {len(others)} more" if others else "")


@flow(name="calwebb", flow_run_name=_run_name, persist_result=False)
def calwebb(
    inputs: list[str],
    output_dir: str = ".",
    pipeline: str | None = None,
    stage: int | None = None,
    crds_context: str | None = None,
    config_file: str | None = None,
    parameters: dict[str, Any] | None = None,
    overwrite: bool = False,
    ignore: list[str] | None = None,
    checkpoint: list[str] | None = None,
    jobs: int | None = None,
    time_limit: float | None = None,
) -> list[str]:
    """Calibrate JWST exposures, each with the pipelines its exposure type calls for.

    Args:
        inputs: Raw exposures (_uncal.fits), count rates (_rate.fits), associations (.json), or
            folders that hold them.
        output_dir: Folder for the products.
        pipeline: Run this pipeline instead of what the exposure type calls for.
        stage: Run only this stage: 1, 2 or 3.
        crds_context: CRDS context, such as jwst_1303.pmap; default the operational one.
        config_file: Parameter file, for the pipeline whose class it names.
        parameters: Parameters of the pipelines; those of their steps under "steps".
        overwrite: Run also what is up to date.
        ignore: What may be different where products are up to date: inputs, parameters,
            references, versions.
        checkpoint: Keep the models after these steps, or "all", for another run to go on from.
        jobs: Exposures at a time; default one for each core, as far as memory allows.
        time_limit: Seconds after which the process of an exposure is killed.
    """  # Prefect reads this form of docstring: it describes the fields of the run's form
    told = {"output_dir": output_dir, "crds_context": crds_context, "config_file": config_file}
    check_told("calwebb", inputs, {**told, **(parameters or {})})
    start_fork_server(PRELOAD)
    work, refused = plan_jobs(find_inputs(inputs), pipeline=pipeline, stage=stage)
    pipelines = pipelines_of(work)
    shares = parameters_of(pipelines, parameters or {}, config_file)
    kept = share_checkpoints(pipelines, checkpoint or [])
    again = {"overwrite": overwrite, "ignore": ignore or []}
    results = [_refused(path, error) for path, error in refused.items()]
    context = pinned_context("jwst", crds_context) if work else nullcontext()  # for all of them
    with context as pinned:
        folder = Path(output_dir)
        if not overwrite:
            fresh = up_to_date(work, folder, shares, crds_context=pinned, ignore=ignore or [])
            results += [_cached(job, plans) for job, plans in fresh]
            done = {result.name for result in results}
            work = [job for job in work if job.input.name not in done]
        shares = {name: {**shares[name], "checkpoint": kept[name]} for name in pipelines}
        exposures = [
            Exposure(
                job.input.name,
                FLOW,
                parameters_for(job, folder, shares, crds_context=pinned, **again),
                needs_of(job, work),
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
        raise ProgrammeError(results)
    return [product for result in results for product in result.products]


def _refused(path: Path, error: StpipePrefectError) -> Result:
    ended = Ended(Outcome.FAILED, str(error), error.exit_code, is_explained=True)
    return Result(path.name, ended)


def _cached(job: Job, plans: Iterable[Plan]) -> Result:
    pipelines = [
        PipelineProgress(plan.pipeline, Outcome.CACHED, 0.0, tuple(map(str, plan.products)))
        for plan in plans
    ]
    return Result(job.input.name, Ended(Outcome.COMPLETED), tuple(pipelines))


def _memory_mb(job: Job, folder: Path) -> float:
    names = [run_name(job.input.name, pipeline) for pipeline in job.pipelines]
    return expected_memory_mb(files_of(job, folder), (record_path(folder, name) for name in names))
