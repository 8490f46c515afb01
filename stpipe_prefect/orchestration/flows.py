"""Pipeline -> flow.

The pipeline's own ``process`` decides what runs. Within a flow each of its steps is run as a
task, so that the graph shown is the graph that ran.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from inspect import Signature
from pathlib import Path
from typing import Any, Self, cast

from prefect import Flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from ..exceptions import OutputError, UsageError
from ..execution.events import PipelineProgress, report
from ..execution.garbage import little_to_collect
from ..insertions.derived import with_insertions
from ..insertions.insertion import Insertion
from ..insertions.running import connect
from ..outcomes import Outcome
from ..parameters.instances import parameters_set_on
from ..parameters.layers import with_text_paths
from ..parameters.resolution import Layer
from ..provenance.inputs import folder_of, opened_input
from ..provenance.plans import Plan
from ..provenance.record import Record
from ..references.needs import read_crds_parameters
from ..registry import find_step
from ..remote.urls import as_urls
from . import artifacts, tasks
from .deployments import (
    DeploymentSettings,
    check_association,
    check_classes,
    products_folder,
)
from .form import call_signature, form_signature
from .handles import Handle, Lineage, boxed, label_of, unboxed
from .observation import Observation
from .plan import Planner
from .prefetch import PipelineReferences
from .recording import models_of, recorded_products
from .request import Request, frozen_parameters, given_to
from .resume import Resumption, revealed
from .run_logs import captured_logs
from .server import prefect_api
from .tasks import as_task, no_science_as_state, reported, run_without_task


class LocalFlow(Flow[..., Any]):
    """A flow that finds its Prefect server by itself when it is called.

    It is the configured one, or else an embedded one that lasts as long as the process.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the flow, as Prefect's own flows are run."""
        with prefect_api():
            return super().__call__(*args, **kwargs)

    def with_options(self, **options: Any) -> Self:
        """Make the same flow with other options; Prefect would make a plain one of it."""
        changed = super().with_options(**options)
        changed.__class__ = type(self)
        if "__signature__" in vars(self):  # of the form in Prefect's UI
            vars(changed)["__signature__"] = vars(self)["__signature__"]
        return cast("Self", changed)


class PipelineFlow(LocalFlow):
    """A Pipeline as a Prefect flow.

    Attributes
    ----------
    __signature__ : inspect.Signature
        Of the form in which Prefect asks for the parameters.
    """

    __signature__: Signature

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the pipeline; see `as_flow` for the arguments."""
        result = super().__call__(*_packed(args), **boxed(kwargs))
        return result.take() if isinstance(result, Handle) else result

    def plan(self, *args: Any, **kwargs: Any) -> Plan:
        """Say whether the flow, called with these arguments, has anything to do, and why."""
        plan: Plan = self.fn.planned(*_packed(args), **kwargs)  # type: ignore[attr-defined]
        return plan


def as_flow(
    pipeline: Any,
    config: Mapping[str, Any] | str | Path | None = None,
    *,
    between: Iterable[Layer] = (),
    insert: Iterable[Insertion] = (),
) -> PipelineFlow:
    """Make a Prefect flow of a Pipeline.

    Parameters
    ----------
    pipeline : type, str or Pipeline
        A Pipeline class, its alias (``"calwebb_detector1"``) or dotted path, or a single Step.
        Or an instance: the values set on it when the flow is called are used instead of those
        from CRDS, as in its ``run``. The instance itself is not changed. The run also uses its
        replaced steps and its attributes that are not parameters; such a run is never up to date.
    config : mapping, str or pathlib.Path, optional
        Freeze these parameters, or those of this parameter file: they become the defaults of
        the flow, and no parameters from CRDS are used. Without it, each run takes its values from
        CRDS and the code.
    between : iterable of stpipe_prefect.parameters.resolution.Layer
        Parameters over all these and below what a run is given, each layer with its source.
    insert : iterable of Insertion
        Steps and functions to run between those of the pipeline, made by `after` and `before`.
        They are steps of it like all others: with parameters, checkpoints and reference files,
        and in the record.

    Returns
    -------
    PipelineFlow
        Its parameters are ``input`` (file name of an exposure or association, an association as
        a dict, an open model or library, or a list of files or models; if the pipeline takes
        several arguments, all of them), ``output_dir``, ``crds_context``, ``config_file``, and
        those of the pipeline, with those of its steps under ``steps``; None leaves a parameter
        unchanged. It returns the file names of the products, or with ``return_models=True`` what
        the pipeline's ``run`` returns. If the products are up to date and ``overwrite`` is false,
        nothing runs and the flow run ends as ``Cached``; models are then read from the products,
        several in a list. For a pipeline that returns nothing, such as ``calwebb_image3``, these
        are all products that are data models. ``ignore`` names changes to ignore, see
        `stpipe_prefect.orchestration.plan.Planner`. A flow run with a step that records in the
        data that it could not do its work ends as ``Degraded``; with ``strict=True`` that is a
        `DegradedError`, and nothing is published. Models after the steps in ``checkpoint``, or
        after all steps with ``["all"]``, are kept, so that a later run can resume.

    Raises
    ------
    UnknownStepError
        No such Pipeline.
    ParameterError
        It has no such parameters as `config` gives.
    UsageError
        `config` or `insert` is given for an instance, which has its own parameters and steps; or
        inserted steps have the same name, or are anchored in a circle.

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
    is_instance = not isinstance(pipeline, (str, type))
    pipeline_class = type(pipeline) if is_instance else find_step(pipeline)
    name = pipeline_class.class_alias or pipeline_class.__name__
    if is_instance and config is not None:
        raise UsageError(f"{name}: an instance has its own parameters; use its class with config")
    insertions = tuple(insert)
    if is_instance and insertions:
        raise UsageError(f"{name}: steps are inserted into a class; use it instead of an instance")
    pipeline_class = with_insertions(pipeline_class, insertions)
    frozen = None if config is None else frozen_parameters(pipeline_class, config)
    between = tuple(between)

    def requested(
        input: Any,
        output_dir: str | Path | None,
        crds_context: str | None,
        config_file: str | None,
        parameters: Mapping[str, Any],
    ) -> tuple[Request, tuple[Any, ...], Any, Path]:
        """Check what a run is given; give its request, arguments, input and folder."""
        instance = pipeline if is_instance else None
        shown = parameters_set_on(pipeline) if is_instance else frozen
        given = given_to(pipeline_class, parameters, shown)
        request = Request(pipeline_class, given, config_file, shown, instance, between)
        request.check(input, output_dir=output_dir, crds_context=crds_context)
        check_classes(name, (each.step for each in insertions if isinstance(each.step, str)))
        arguments, data = _unpacked(input)
        place = products_folder(output_dir or request.says("output_dir"))
        check_association(name, data, place)
        return request, arguments, data, place

    @no_science_as_state
    def calibrate(
        input: Any,
        output_dir: str | Path | None = None,
        crds_context: str | None = None,
        config_file: str | None = None,
        overwrite: bool = False,
        ignore: Sequence[str] = (),
        checkpoint: Sequence[str] = (),
        strict: bool = False,
        return_models: bool = False,
        **parameters: Any,
    ) -> State[Any]:
        started = time.monotonic()
        report(PipelineProgress(name))

        def ended(outcome: Outcome, about: Plan | Record, paths: Iterable[Path]) -> None:
            seconds = time.monotonic() - started
            remarks = about.degraded, about.remarks, about.shared
            report(PipelineProgress(name, outcome, seconds, tuple(_names(paths)), *remarks))

        request, arguments, data, place = requested(
            input, output_dir, crds_context, config_file, unboxed(parameters)
        )
        with (
            captured_logs(pipeline_class) as log,
            Planner(request, crds_context, ignore or (), strict=strict) as planner,
            tasks.is_strict.set(bool(strict)),  # by its module: a flow that is served is pickled
            ExitStack() as opening,
        ):
            plan = None if overwrite else planner.plan(data, place)
            there = plan is not None and not (return_models and plan.returned is None)
            if plan is not None and plan.is_up_to_date and there:
                made: Any = _names(plan.products)
                if return_models:
                    made = Handle(models_of(pipeline_class, plan.returned, plan.products))
                ended(Outcome.CACHED, plan, plan.products)
                return Completed(name=Outcome.CACHED, message=str(plan), data=made)
            if plan is not None and plan.refusal:
                raise OutputError(plan.refusal)
            opened = [opening.enter_context(opened_input(each, place)) for each in arguments]
            exposure = read_crds_parameters(pipeline_class, opened[0])
            crds_parameters, observatory = exposure
            context = planner.pinned_context(observatory)
            instance, settings = planner.configured(crds_parameters, observatory)
            if folder := folder_of(arguments[0]):
                instance.input_dir = instance.input_dir or folder  # for what else lies there
            artifacts.show_parameters(name, settings)
            dependencies = planner.gather(
                instance, settings, data, place, crds_parameters, observatory
            )
            resumption = Resumption(instance, dependencies, checkpoint or ())
            with (
                recorded_products(
                    instance,
                    dependencies,
                    crds_parameters,
                    data,
                    place,
                    log,
                    output_file=request.says("output_file"),
                    overwrite=overwrite,
                ) as recording,
                observed(instance, context, resumption, recording.observation, exposure),
                little_to_collect(),
            ):
                run = partial(instance.run, *opened)
                is_pipeline = bool(getattr(instance, "step_defs", None))
                result = run() if is_pipeline else reported(instance, name, run)[1]
                recording.note_returned(result)
                made = Handle(result) if return_models and result is not None else None
                del result
            products = recording.staging.products
            if return_models and made is None:
                made = Handle(models_of(pipeline_class, [], products))
            artifacts.show_products(products)
            artifacts.show_times(recording.steps)
            artifacts.show_quick_looks(products)
            record = recording.record
            ended(record.outcome, record, products)
            message = "; ".join(record.degraded) or None
        return Completed(name=record.outcome, message=message, data=made or _names(products))

    def plan(
        input: Any,
        output_dir: str | Path | None = None,
        crds_context: str | None = None,
        config_file: str | None = None,
        ignore: Sequence[str] = (),
        strict: bool = False,
        **parameters: Any,
    ) -> Plan:
        request, _, data, place = requested(
            input, output_dir, crds_context, config_file, parameters
        )
        with Planner(request, crds_context, ignore, strict=strict) as planner:
            return planner.checked(planner.plan(data, place), data, place)

    calibrate.planned = plan  # type: ignore[attr-defined]
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
    exposure: tuple[Mapping[str, Any], str] | None = None,
) -> Iterator[None]:
    """Have a configured pipeline run its steps as tasks and sub-pipelines as flows.

    The reference files it used are shown at the end of the block. Nothing about the pipeline's
    own decisions changes: only what the names ``run`` of its steps and ``prefetch`` of its own
    lead to. Of a plain Step only the latter.
    """
    lineage = Lineage()
    references = PipelineReferences(pipeline, context, exposure)
    for name in getattr(pipeline, "step_defs", {}):
        step = getattr(pipeline, name)
        step.run = _observed_run(step, name, context, references, lineage, resumption, observation)
    connect(pipeline, observation.notes if observation else {})
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
    observation: Observation | None,
) -> Callable[..., Any]:
    def run(*args: Any) -> Any:
        data = tuple(map(revealed, args))
        if step.skip and artifacts.is_in_batch():
            return run_without_task(step, data)
        awaited = references.awaited_by(name, data[0])
        runner = _as_subflow(step, context) if getattr(step, "step_defs", None) else as_task(step)
        result = runner(Handle(*data), made_by=lineage.of(data), wait_for=awaited)
        lineage.add(result)
        if resumption is not None and observation is not None and observation.asked:
            resumption.keep_no_more(f"{name} asked for reference files that depend on its data")
        return result.take()

    if resumption is None:
        return run
    return lambda *args: resumption.run(name, args, partial(run, *args))


def _as_subflow(pipeline: Any, context: str) -> Callable[..., Any]:
    def run_pipeline(data: Handle, made_by: list[Handle]) -> State[Handle]:
        with observed(pipeline, context):
            run = partial(type(pipeline).run, pipeline, *data.take_all())
            judgement, result = reported(pipeline, pipeline.name, run)
        message = judgement.reason or None
        return Completed(name=judgement.outcome, message=message, data=Handle(result))

    flow = PipelineFlow(
        run_pipeline,
        name=pipeline.class_alias or type(pipeline).__name__,
        flow_run_name=pipeline.name,
        validate_parameters=False,
        persist_result=False,
    )
    # The handle itself is wanted, not what a caller of a flow gets.
    return lambda *args, **kwargs: flow(*args, return_state=True, **kwargs).result()


def _packed(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Put what the pipeline takes into the one parameter of the flow that Prefect knows."""
    return (Handle(*arguments),) if arguments[1:] else tuple(map(boxed, arguments))


def _unpacked(data: Any) -> tuple[tuple[Any, ...], Any]:
    """Give the arguments the pipeline takes, files as text, and these as the input of the run."""
    if isinstance(data, Handle):
        arguments = data.take_all()
    else:
        arguments = (with_text_paths([*data] if isinstance(data, tuple) else data),)
    return arguments, arguments if arguments[1:] else arguments[0]


def _label(data: Any) -> str:
    return data.label if isinstance(data, Handle) else label_of(data)


def _names(paths: Iterable[Path]) -> list[str]:
    return [as_urls(str(path)) for path in paths]
