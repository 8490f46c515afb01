"""The flow ``exposure``: one input through the pipelines it calls for, in a process of its own."""

from __future__ import annotations

from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from stpipe_prefect.exceptions import InputError
from stpipe_prefect.insertions.insertion import Insertion
from stpipe_prefect.orchestration.artifacts import is_in_batch
from stpipe_prefect.orchestration.flows import PipelineFlow, as_flow
from stpipe_prefect.outcomes import Outcome, whole_outcome
from stpipe_prefect.parameters.resolution import Layer, Source
from stpipe_prefect.products.names import folder_path
from stpipe_prefect.registry import find_step
from stpipe_prefect.remote.stand_ins import fetch
from stpipe_prefect.remote.urls import as_urls

from .job import Job
from .memory import layers_for_memory
from .remote import workspace

FLOW = f"{__name__}:exposure"


@flow(
    name="exposure",
    flow_run_name=lambda: Path(flow_run.parameters["input"]).name,
    persist_result=False,
)
def exposure(
    input: str,
    package: str,
    pipelines: list[str],
    handed_on: list[str],
    output_dir: str,
    parameters: dict[str, dict[str, Any]],
    own_suffixes: list[str],
    know_suffix: str,
    layers: dict[str, list[tuple[str, dict[str, Any], bool]]],
    inserts: dict[str, list[dict[str, Any]]],
) -> State[list[str]]:
    """Run the pipelines of one exposure or association, each on a product of the one before.

    Args:
        input: The exposure or association.
        package: Which registers the pipelines; if empty, all are asked.
        pipelines: Names of the pipelines, in order.
        handed_on: Suffixes of the products that go from one to the next.
        output_dir: Folder for the products.
        parameters: Those of the flow of each pipeline.
        own_suffixes: Suffixes of products that no pipeline of the mission makes.
        know_suffix: What makes these known.
        layers: What is below these, for each pipeline: the source, what it says, and whether it
            goes over parameter files.
        inserts: Steps inserted into each pipeline.
    """
    with workspace(input, output_dir) as place:
        job = Job(place.input, tuple(pipelines), tuple(handed_on))
        for suffix in own_suffixes:
            resolve_name(know_suffix)(suffix)
        products: list[Path] = []
        outcomes: set[Outcome] = set()
        degraded = []
        for number, name in enumerate(job.pipelines):
            data = _input_of(number, job, products)
            fetch(data)
            step_class = find_step(f"{package}::{name}" if package else name)
            between = [
                Layer(Source(source), values, over_files)
                for source, values, over_files in layers.get(name, ())
            ]
            output_file = parameters[name].get("output_file")
            between += layers_for_memory(job, step_class, place.folder, output_file)
            inserted = map(Insertion.from_json, inserts.get(name, ()))
            calibrate = as_flow(step_class, between=between, insert=inserted)
            folder = str(place.folder)
            state = _run(calibrate, input=str(data), output_dir=folder, **parameters[name])
            place.publish()
            products = [folder_path(product) for product in state.result()]
            outcomes.add(Outcome(str(state.name)))
            if state.name == Outcome.DEGRADED:
                degraded.append(f"{name}, {state.message}")
        made = [as_urls(str(product)) for product in products]
        message = "; ".join(degraded) or None
        return Completed(name=whole_outcome(outcomes), message=message, data=made)


def _run(pipeline: PipelineFlow, **parameters: Any) -> State[list[str]]:
    """Run a pipeline as a flow within this one; in a batch as a part of this one."""
    state: State[list[str]]
    state = (
        pipeline.fn(**parameters) if is_in_batch() else pipeline(**parameters, return_state=True)
    )
    return state


def _input_of(number: int, job: Job, products: list[Path]) -> Path:
    data = job.input_of(number, products)
    if data is None:
        names = ", ".join(product.name for product in products) or "nothing"
        before, pipeline = job.pipelines[number - 1 : number + 1]
        needed = job.handed_on[number - 1]
        raise InputError(
            f"{job.input}: {pipeline} needs its _{needed} product, {before} made {names}"
        )
    return data
