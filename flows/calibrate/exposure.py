"""The flow ``exposure``: one input through the pipelines it calls for, in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from stpipe_prefect.exceptions import InputError
from stpipe_prefect.execution.events import PipelineProgress, report
from stpipe_prefect.orchestration.brief import is_brief
from stpipe_prefect.orchestration.flows import as_flow
from stpipe_prefect.outcomes import Outcome

from .jobs import Job, handed_on

FLOW = f"{__name__}:exposure"


def parameters_for(
    job: Job,
    package: str,
    output_dir: Path,
    shares: Mapping[str, Mapping[str, Any]],
    **told: Any,
) -> dict[str, Any]:
    """Put into what JSON can hold what the flow is to do.

    Parameters
    ----------
    job : Job
    package : str
        That registers the pipelines, so that no other is asked; empty if that is not known.
    output_dir : pathlib.Path
    shares : mapping
        For each pipeline what it is told besides.
    **told
        What all pipelines are told.
    """
    return {
        "input": str(job.input),
        "package": package,
        "pipelines": list(job.pipelines),
        "handed_on": job.handed_on,
        "output_dir": str(output_dir),
        "shares": {name: {**told, **shares[name]} for name in job.pipelines},
    }


@flow(
    name="exposure",
    flow_run_name=lambda: Path(flow_run.parameters["input"]).name,
    persist_result=False,
)
def exposure(
    input: str,
    package: str,
    pipelines: list[str],
    handed_on: str,
    output_dir: str,
    shares: dict[str, dict[str, Any]],
) -> State[list[str]]:
    """Run the pipelines of one exposure or association, each on a product of the one before.

    Args:
        input: The exposure or association.
        package: Which registers the pipelines; if empty, all are asked.
        pipelines: Names of the pipelines, in order.
        handed_on: Suffix of the product that goes from one to the next.
        output_dir: Folder for the products.
        shares: What each pipeline is told.
    """
    job = Job(Path(input), tuple(pipelines), handed_on)
    data = job.input
    products: list[Path] = []
    outcomes = set()
    for number, name in enumerate(job.pipelines):
        if number > 0:
            data = _next_input(products, job)
        report(PipelineProgress(name))
        started = time.monotonic()
        told = {"input": str(data), "output_dir": output_dir, **shares[name]}
        state = _run(f"{package}::{name}" if package else name, told)
        products = [Path(product) for product in state.result()]
        outcome = Outcome(str(state.name))
        outcomes.add(outcome)
        seconds = time.monotonic() - started
        report(PipelineProgress(name, outcome, seconds, tuple(map(str, products))))
    whole = Outcome.CACHED if outcomes == {Outcome.CACHED} else Outcome.COMPLETED
    return Completed(name=whole, data=[str(product) for product in products])


def _run(pipeline: str, told: dict[str, Any]) -> State[list[str]]:
    """Run a pipeline as a flow within this one; in a batch as a part of this one."""
    calibrate = as_flow(pipeline)
    if is_brief():
        state: State[list[str]] = calibrate.fn(**told)
        return state
    state = calibrate(**told, return_state=True)
    return state


def _next_input(products: Iterable[Path], job: Job) -> Path:
    made = list(products)
    for product in handed_on(made, job):
        return product
    names = ", ".join(product.name for product in made) or "nothing"
    raise InputError(
        f"{job.input}: stage 2 needs its _{job.handed_on} product, stage 1 made {names}"
    )
