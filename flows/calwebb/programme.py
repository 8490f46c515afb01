"""The flow ``calwebb``: each input through the pipelines it calls for."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from stpipe_prefect.exceptions import InputError, StpipePrefectError, reason
from stpipe_prefect.orchestration.deployments import check_told
from stpipe_prefect.orchestration.pipelines import as_flow
from stpipe_prefect.orchestration.progress import report
from stpipe_prefect.outcomes import Outcome, outcome_of
from stpipe_prefect.references.context import pinned_context

from .jobs import Job, handed_on, pipelines_of, plan_jobs, with_members_beside
from .parameters import parameters_of, share_checkpoints


@dataclass
class Result:
    """What became of one input.

    Attributes
    ----------
    input : pathlib.Path
    seconds : dict of str to float
        Time spent in each pipeline that ran to its end.
    products : dict of str to list of pathlib.Path
        What each pipeline made.
    outcomes : dict of str to Outcome
        Of each pipeline that came to its end: ``Completed``, or ``Cached``.
    error : Exception or None
        What stopped it.
    reached : str
        The pipeline it has come to.
    """

    input: Path
    seconds: dict[str, float] = field(default_factory=dict)
    products: dict[str, list[Path]] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    error: Exception | None = None
    reached: str = ""

    def failure(self, step: str = "") -> str:
        """Say in one line what stopped it.

        Parameters
        ----------
        step : str
            The step it had come to, for errors that do not say so themselves.
        """
        if isinstance(self.error, StpipePrefectError):
            text = str(self.error)
            return text if self.input.name in text else f"{self.input.name}: {text}"
        assert self.error is not None
        place = ", ".join(name for name in (self.reached, step) if name)
        return f"{self.input.name}: {place}: {type(self.error).__name__}: {reason(self.error)}"

    @property
    def outcome(self) -> Outcome:
        """What became of it as a whole: ``Cached`` if nothing had to run."""
        if self.error is not None:
            return outcome_of(self.error)
        cached = self.outcomes and set(self.outcomes.values()) == {Outcome.CACHED}
        return Outcome.CACHED if cached else Outcome.COMPLETED

    @property
    def exit_code(self) -> int:
        """The exit code this result by itself would give; jwst's own exits keep theirs."""
        by_outcome = self.outcome.exit_code
        return int(getattr(self.error, "exit_status", getattr(self.error, "exit_code", by_outcome)))


@dataclass(frozen=True)
class PipelineProgress:
    """An input that reaches a pipeline, or, where that is `None`, is done or has failed."""

    result: Result
    pipeline: str | None


class ProgrammeError(StpipePrefectError):
    """Some of the inputs could not be calibrated.

    Attributes
    ----------
    results : list of Result
        What became of every input.
    """

    def __init__(self, results: list[Result]) -> None:
        failed = [result for result in results if result.error]
        super().__init__(
            f"{len(failed)} of {len(results)} failed: "
            + "; ".join(result.failure() for result in failed)
        )
        self.results = results


def _run_name() -> str:
    first, *others = (Path(name).name for name in flow_run.parameters["inputs"])
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
) -> list[str]:
    """Calibrate JWST exposures, each with the pipelines its exposure type calls for.

    Args:
        inputs: Raw exposures (_uncal.fits), count rates (_rate.fits) or associations (.json).
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
    """  # Prefect reads this form of docstring: it describes the fields of the run's form
    told = {"output_dir": output_dir, "crds_context": crds_context, "config_file": config_file}
    check_told("calwebb", inputs, {**told, **(parameters or {})})
    jobs, refused = plan_jobs([Path(name) for name in inputs], pipeline=pipeline, stage=stage)
    pipelines = pipelines_of(jobs)
    shares = parameters_of(pipelines, parameters or {}, config_file)
    again = {"overwrite": overwrite, "ignore": ignore or []}
    kept = share_checkpoints(pipelines, checkpoint or [])
    results = [Result(path, error=error) for path, error in refused.items()]
    for result in results:
        report(PipelineProgress(result, None))
    context = pinned_context("jwst", crds_context) if jobs else nullcontext()  # for all of them
    with _modules_out_of_sight_of_the_collector(), context as pinned:
        for job in jobs:
            result = Result(job.input)
            results.append(result)
            try:
                _run(job, result, Path(output_dir), pinned, shares, again, kept)
            except Exception as error:
                result.error = error
            report(PipelineProgress(result, None))
    if any(result.error for result in results):
        raise ProgrammeError(results)
    return [str(path) for result in results for made in result.products.values() for path in made]


@contextmanager
def _modules_out_of_sight_of_the_collector() -> Iterator[None]:
    """Spare what is loaded now from being searched for garbage within the block.

    stpipe collects garbage before every step, 0.1 s each time for all that jwst brings along:
    two thirds of the time of a small exposure.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _run(
    job: Job,
    result: Result,
    output_dir: Path,
    crds_context: str | None,
    shares: Mapping[str, Mapping[str, Any]],
    again: Mapping[str, Any],
    kept: Mapping[str, list[str]],
) -> None:
    """Run the pipelines of one job, each on a product of the one before."""
    data = job.input
    for number, name in enumerate(job.pipelines):
        if number > 0:
            data = _next_input(result.products[job.pipelines[number - 1]], job)
        elif data.suffix == ".json":
            data = with_members_beside(data, output_dir)
        result.reached = name
        report(PipelineProgress(result, name))
        started = time.monotonic()
        state = as_flow(name)(
            str(data),
            output_dir=str(output_dir),
            crds_context=crds_context,
            **again,
            checkpoint=kept[name],
            **shares[name],
            return_state=True,
        )
        result.products[name] = [Path(product) for product in state.result()]
        result.outcomes[name] = Outcome(state.name)
        result.seconds[name] = time.monotonic() - started


def _next_input(products: list[Path], job: Job) -> Path:
    for product in handed_on(products, job):
        return product
    made = ", ".join(product.name for product in products) or "nothing"
    raise InputError(
        f"{job.input}: stage 2 needs its _{job.handed_on} product, stage 1 made {made}"
    )
