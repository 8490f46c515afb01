"""Pipeline -> flow.

The pipeline's own ``process`` decides what runs. Within a flow each of its steps is run as a
task, so that the graph shown is the graph that ran.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from inspect import Signature
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.states import Completed

from ..exceptions import InputError, reason
from ..parameters.sources import resolve
from ..products.staging import staged_products
from ..references.best import best_references
from ..references.context import pinned_context
from ..registry import find_step
from . import artifacts
from .form import call_signature, form_signature
from .handles import Handle, Lineage, boxed, unboxed
from .logs import captured_logs
from .request import Request, chosen, frozen_parameters
from .server import prefect_api
from .settings import DeploymentSettings
from .steps import as_task, prefetch_task

Prefetches = dict[str, PrefectFuture[dict[str, str]]]


class PipelineFlow(Flow[..., Any]):
    """A Pipeline as a Prefect flow.

    Called from Python it finds its Prefect server by itself: the configured one, or else an
    embedded one that lasts as long as the process.

    Attributes
    ----------
    __signature__ : inspect.Signature
        Of the form in which Prefect asks for the parameters.
    """

    __signature__: Signature

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the pipeline; see `as_flow` for the arguments."""
        with prefect_api():
            return super().__call__(*map(boxed, args), **boxed(kwargs))


def as_flow(pipeline: Any, config: Mapping[str, Any] | str | Path | None = None) -> PipelineFlow:
    """Make a Prefect flow of a Pipeline.

    Parameters
    ----------
    pipeline : type or str
        A Pipeline class, its alias (``"calwebb_detector1"``) or dotted path. A single Step
        will do, too.
    config : mapping, str or pathlib.Path, optional
        Freeze these parameters, or those of this parameter file: they are the defaults of the
        flow, and none are asked of CRDS. Without it CRDS and the code decide at every run.

    Returns
    -------
    PipelineFlow
        Its parameters are ``input`` (file name of an exposure or association, or an open
        model), ``output_dir``, ``crds_context``, ``config_file``, and those of
        the pipeline, with those of its steps under ``steps``; None leaves a parameter alone.
        It returns the file names of the products.

    Raises
    ------
    UnknownStepError
        No such Pipeline.
    ParameterError
        It has no such parameters as `config` gives.

    Examples
    --------
    >>> detector1 = as_flow("calwebb_detector1")
    >>> detector1(
    ...     "jw01234001001_02101_00001_nrcb1_uncal.fits",
    ...     output_dir="products",
    ...     steps={"jump": {"rejection_threshold": 5.0}},
    ... )  # doctest: +SKIP
    ['products/jw01234001001_02101_00001_nrcb1_rate.fits', ...]
    """
    pipeline_class = find_step(pipeline)
    name = pipeline_class.class_alias or pipeline_class.__name__
    frozen = None if config is None else frozen_parameters(pipeline_class, config)

    def calibrate(
        input: str | Path | Handle,
        output_dir: str | Path | None = None,
        crds_context: str | None = None,
        config_file: str | None = None,
        **parameters: Any,
    ) -> list[str]:
        given = chosen(unboxed(parameters), frozen)
        request = Request(pipeline_class, given, config_file, frozen)
        request.check(input, output_dir=output_dir, crds_context=crds_context)
        data = input.take() if isinstance(input, Handle) else str(input)
        with captured_logs(pipeline_class.get_stpipe_loggers()):
            crds_parameters, observatory = read_crds_parameters(pipeline_class, data)
            with pinned_context(observatory, crds_context) as context:
                layers = request.layers(crds_parameters, observatory, context)
                instance = request.configure(data)
                artifacts.show_parameters(name, resolve(instance, layers))
                place = Path(output_dir or instance.output_dir or ".").expanduser()
                with staged_products(place, needed=_size(data)) as staging:
                    instance.output_dir = str(staging.folder)
                    observe(instance, context)
                    instance.run(data)
        artifacts.show_products(staging.products)
        return [str(product) for product in staging.products]

    spec = pipeline_class.load_spec_file()
    calibrate.__doc__ = pipeline_class.__doc__
    flow = PipelineFlow(
        calibrate,
        name=name,
        flow_run_name=lambda: f"{name} · {_label(flow_run.parameters['input'])}",
        validate_parameters=False,  # a Handle is none of pydantic's business
        persist_result=False,
    )
    # Prefect binds arguments by the function's signature, and makes the form of the flow's.
    calibrate.__signature__ = call_signature(spec)  # type: ignore[attr-defined]
    flow.__signature__ = form_signature(spec, DeploymentSettings(), frozen)
    return flow


def observe(pipeline: Any, context: str) -> None:
    """Have a configured pipeline run its steps as tasks and sub-pipelines as flows.

    Nothing about the pipeline's own decisions changes: only what the names ``run`` of its
    steps and ``prefetch`` of its own lead to.

    Parameters
    ----------
    pipeline : Pipeline
        An instance; a plain Step, which has no ``step_defs``, is left as it is.
    context : str
        The context that selects its reference files.
    """
    prefetches: Prefetches = {}
    lineage = Lineage()
    step_defs = getattr(pipeline, "step_defs", {})
    if step_defs:
        pipeline.prefetch = partial(_prefetch_all, pipeline, context, prefetches)
    for name in step_defs:
        step = getattr(pipeline, name)
        step.run = _observed_run(step, name, context, prefetches, lineage)


def read_crds_parameters(step_class: Any, data: Any) -> tuple[Mapping[str, Any], str]:
    """Read from an exposure what CRDS matches on.

    Returns
    -------
    dict, str
        The matching parameters and the observatory.

    Raises
    ------
    InputError
        The exposure or association cannot be read.
    """
    try:
        crds_parameters, observatory = step_class._get_crds_parameters(data)
    except Exception as error:
        raise InputError(
            f"{_label(data)} cannot be read as an exposure: {reason(error)}"
        ) from error
    return crds_parameters, observatory


def _observed_run(
    step: Any, name: str, context: str, prefetches: Prefetches, lineage: Lineage
) -> Callable[..., Any]:
    def run(*args: Any) -> Any:
        awaited = [prefetches[name]] if name in prefetches else []
        for prefetch in awaited:
            prefetch.result()  # raises what stopped the prefetch, rather than "not ready"
        runner = _as_subflow(step, context) if getattr(step, "step_defs", None) else as_task(step)
        result = runner(Handle(*args), lineage.of(args), wait_for=awaited)
        lineage.add(result)
        return result.take()

    return run


def _as_subflow(pipeline: Any, context: str) -> PipelineFlow:
    def run_pipeline(data: Handle, made_by: list[Handle]) -> State[Handle]:
        observe(pipeline, context)
        return Completed(data=Handle(type(pipeline).run(pipeline, *data.take_all())))

    return PipelineFlow(
        run_pipeline,
        name=pipeline.class_alias or type(pipeline).__name__,
        flow_run_name=pipeline.name,
        validate_parameters=False,
        persist_result=False,
    )


def _prefetch_all(pipeline: Any, context: str, prefetches: Prefetches, *args: Any) -> None:
    """Select the references of all unskipped steps at once, then fetch each step's in a task."""
    crds_parameters, observatory = read_crds_parameters(type(pipeline), args[0])
    steps = {name: getattr(pipeline, name) for name in pipeline.step_defs}
    wanted = {
        name: [kind for kind in step.reference_file_types if step.get_ref_override(kind) is None]
        for name, step in steps.items()
        if step.prefetch_references and not step.skip and not getattr(step, "step_defs", None)
    }
    names = best_references(
        crds_parameters,
        [kind for types in wanted.values() for kind in types],
        observatory=observatory,
        context=context,
    )
    selected = {
        step: {kind: names[kind] for kind in types} for step, types in wanted.items() if types
    }
    artifacts.show_references(selected, context)
    for step, files in selected.items():
        prefetches[step] = prefetch_task(step).submit(files, observatory, context)


def _label(data: Any) -> str:
    return Path(data).name if isinstance(data, (str, Path)) else type(data).__name__


def _size(data: Any) -> int:
    return Path(data).stat().st_size if isinstance(data, str) and Path(data).is_file() else 0
