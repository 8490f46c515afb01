"""Pipeline -> flow.

The pipeline's own ``process`` decides what runs. Within a flow each of its steps is run as a
task, so that the graph shown is the graph that ran.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from inspect import Signature
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from ..exceptions import OutputError
from ..garbage import little_to_collect
from ..outcomes import Outcome
from ..parameters.files import load_config_file
from ..products.names import folder_path
from ..references.selection import read_crds_parameters
from ..registry import find_step
from . import artifacts
from .brief import is_brief
from .checkpoints import Resumption, revealed
from .form import call_signature, form_signature
from .handles import Handle, Lineage, boxed, unboxed
from .inputs import opened_input
from .logs import captured_logs
from .observation import Observation
from .plan import Plan, Planner
from .recording import recorded_products
from .references import PipelineReferences
from .request import Request, chosen, frozen_parameters
from .server import prefect_api
from .settings import DeploymentSettings
from .steps import as_task, told_by_state, untold


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

    def plan(self, *args: Any, **kwargs: Any) -> Plan:
        """Say whether the flow, called with these arguments, has anything to do, and why."""
        plan: Plan = self.fn.plan(*args, **kwargs)  # type: ignore[attr-defined]
        return plan


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
        It returns the file names of the products. Where they are up to date nothing is run, and
        the run ends as ``Cached``, unless ``overwrite`` is true; ``ignore`` names what may be
        different from the earlier run, see `stpipe_prefect.orchestration.plan.Planner`. After
        the steps that ``checkpoint`` names, or ``["all"]``, models are kept, for another run to
        go on from.

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

    @told_by_state
    def calibrate(
        input: str | Path | Handle,
        output_dir: str | Path | None = None,
        crds_context: str | None = None,
        config_file: str | None = None,
        overwrite: bool = False,
        ignore: Sequence[str] = (),
        checkpoint: Sequence[str] = (),
        **parameters: Any,
    ) -> State[list[str]]:
        given = chosen(unboxed(parameters), frozen)
        request = Request(pipeline_class, given, config_file, frozen)
        request.check(input, output_dir=output_dir, crds_context=crds_context)
        data = input.take() if isinstance(input, Handle) else str(input)
        place = _folder_for(output_dir, request)
        with (
            captured_logs(pipeline_class) as log,
            Planner(request, crds_context, ignore or ()) as planner,
            ExitStack() as opening,
        ):
            plan = None if overwrite else planner.plan(data, place)
            if plan is not None and plan.is_up_to_date:
                return Completed(name=Outcome.CACHED, message=str(plan), data=_names(plan.products))
            if plan is not None and plan.refusal:
                raise OutputError(plan.refusal)
            opened = opening.enter_context(opened_input(data, place))
            crds_parameters, observatory = read_crds_parameters(pipeline_class, opened)
            context = planner.pinned_context(observatory)
            instance, settings = planner.configured(crds_parameters, observatory, opened)
            artifacts.show_parameters(name, settings)
            ingredients = planner.gather(
                instance, settings, data, place, crds_parameters, observatory
            )
            resumption = Resumption(instance, ingredients, checkpoint or ())
            with (
                recorded_products(
                    instance,
                    ingredients,
                    crds_parameters,
                    data,
                    place,
                    log,
                    overwrite=overwrite,
                ) as recording,
                observed(instance, context, resumption, recording.observation),
                little_to_collect(),
            ):
                instance.run(opened)
            products = recording.staging.products
            artifacts.show_products(products)
            artifacts.show_times(recording.steps)
            artifacts.show_quick_looks(products)
        return Completed(data=_names(products))

    def plan(
        input: str | Path,
        output_dir: str | Path | None = None,
        crds_context: str | None = None,
        config_file: str | None = None,
        ignore: Sequence[str] = (),
        **parameters: Any,
    ) -> Plan:
        request = Request(pipeline_class, chosen(parameters, frozen), config_file, frozen)
        request.check(input, output_dir=output_dir, crds_context=crds_context)
        with Planner(request, crds_context, ignore) as planner:
            return planner.plan(input, _folder_for(output_dir, request))

    calibrate.plan = plan  # type: ignore[attr-defined]
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


@contextmanager
def observed(
    pipeline: Any,
    context: str,
    resumption: Resumption | None = None,
    observation: Observation | None = None,
) -> Iterator[None]:
    """Have a configured pipeline run its steps as tasks and sub-pipelines as flows.

    The reference files it used are shown at the end of the block. Nothing about the pipeline's
    own decisions changes: only what the names ``run`` of its steps and ``prefetch`` of its own
    lead to.

    Parameters
    ----------
    pipeline : Pipeline
        An instance; a plain Step, which has no ``step_defs``, will do.
    context : str
        The context that selects its reference files.
    resumption : Resumption, optional
        Decides which of its steps need not run.
    observation : Observation, optional
        Knows which reference files were asked for besides those selected in advance.
    """
    lineage = Lineage()
    references = PipelineReferences(pipeline, context)
    for name in getattr(pipeline, "step_defs", {}):
        step = getattr(pipeline, name)
        step.run = _observed_run(step, name, context, references, lineage, resumption)
    try:
        yield
    finally:
        references.show(observation.asked if observation else ())


def _observed_run(
    step: Any,
    name: str,
    context: str,
    references: PipelineReferences,
    lineage: Lineage,
    resumption: Resumption | None,
) -> Callable[..., Any]:
    def run(*args: Any) -> Any:
        data = tuple(map(revealed, args))
        if step.skip and is_brief():
            return untold(step, data)
        awaited = references.awaited_by(name, data[0])
        runner = _as_subflow(step, context) if getattr(step, "step_defs", None) else as_task(step)
        result = runner(Handle(*data), lineage.of(data), wait_for=awaited)
        lineage.add(result)
        return result.take()

    if resumption is None:
        return run
    return lambda *args: resumption.run(name, args, partial(run, *args))


def _as_subflow(pipeline: Any, context: str) -> PipelineFlow:
    def run_pipeline(data: Handle, made_by: list[Handle]) -> State[Handle]:
        with observed(pipeline, context):
            return Completed(data=Handle(type(pipeline).run(pipeline, *data.take_all())))

    return PipelineFlow(
        run_pipeline,
        name=pipeline.class_alias or type(pipeline).__name__,
        flow_run_name=pipeline.name,
        validate_parameters=False,
        persist_result=False,
    )


def _label(data: Any) -> str:
    return Path(data).name if isinstance(data, (str, Path)) else type(data).__name__


def _folder_for(output_dir: str | Path | None, request: Request) -> Path:
    named = output_dir or {**(request.frozen or {}), **request.given}.get("output_dir")
    if not named and request.config_file:
        named = load_config_file(request.config_file).get("output_dir")
    return folder_path(named or ".")


def _names(paths: Iterable[Path]) -> list[str]:
    return [str(path) for path in paths]
