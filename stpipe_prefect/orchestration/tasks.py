"""Step -> task."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from functools import cache, partial, wraps
from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.results import ResultRecord  # type: ignore[attr-defined]
from prefect.states import Completed, Failed

from ..current import Current
from ..exceptions import DegradedError, reason
from ..execution.events import StepProgress, report
from ..logs import logged_records
from ..outcomes import Outcome, outcome_of
from ..parameters.validation import check_parameters
from ..provenance.statuses import Judgement, judged
from ..references.cache import prefetch as prefetch_file
from ..references.cache import refuse_absent
from ..references.context import resolve_context
from ..references.needs import read_crds_parameters
from ..references.reference import ReferenceFile
from ..references.selection import select
from ..registry import find_step
from .artifacts import Downloads
from .handles import Handle, boxed, unboxed
from .request import configure
from .run_logs import captured_logs

is_strict: Current[bool] = Current("is_strict")
"""Whether a step that is degraded is an error."""


class StepTask(Task[..., Any]):
    """A Step as a Prefect task.

    A run ends in a state named after its outcome, so the function of the task returns the state.
    The caller still gets the result.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the step in this thread; see `as_task` for the arguments."""
        result = super().__call__(*map(boxed, args), **boxed(kwargs))
        if isinstance(result, State) and not kwargs.get("return_state"):
            if isinstance(result.data, ResultRecord) and result.is_completed():
                return result.data.result  # State.result asks for it in another thread
            return result.result()
        return result

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        """Run the step in the flow's task runner; the result of the future is a `Handle`."""
        return super().submit(*map(boxed, args), **boxed(kwargs))

    def map(self, *args: Any, **kwargs: Any) -> Any:
        """Run the step on each of several inputs, as `submit` does."""
        return super().map(*map(_each_boxed, args), **kwargs)


def as_task(step: Any) -> StepTask:
    """Make a Prefect task of a Step.

    Parameters
    ----------
    step : type, str or Step
        A Step class, its alias (``"jump"``, ``"jwst::jump"``) or dotted path: the task
        configures the step as its ``call`` does, from CRDS, a parameter file and keywords.
        Or an instance: the task runs it unchanged.

    Returns
    -------
    StepTask
        Takes the arguments of the step's ``process``: file names, open models or the result of
        another step. Returns its result in a `Handle`. A task made from a class also takes
        ``config_file`` and the step's parameters, by keyword. The run ends as ``Completed``, as
        ``Skipped`` if the step left the data unchanged, or as ``Degraded`` if it recorded in the
        data that it could not do its work.

    Raises
    ------
    UnknownStepError
        No such Step.

    Examples
    --------
    Within a flow of your own::

        data = as_task("jwst::dq_init")("jw01234001001_02101_00001_nrcb1_uncal.fits")
        data = as_task("jwst::saturation")(data)
        model = data.take()
    """
    if not isinstance(step, (str, type)):
        return _task(step.name, _run_instance, step)
    step_class = find_step(step)
    return _task(step_class.class_alias or step_class.__name__, _run_class, step_class)


def as_prefetch(step: Any) -> StepTask:
    """Make a Prefect task that fetches a Step's reference files into the cache.

    Parameters
    ----------
    step : type or str
        As for `as_task`.

    Returns
    -------
    StepTask
        Takes the exposure's file name and returns the path of the reference of each type.
        Give its future to the step's task as ``wait_for``.
    """
    step_class = find_step(step)
    name = f"prefetch {step_class.class_alias or step_class.__name__}"
    return _task(name, _select_and_fetch, step_class)


def prefetch_task(step_name: str) -> StepTask:
    """Make the task that fetches references already selected for one step of a pipeline."""
    return _task(f"prefetch {step_name}", fetch)


def fetch(wanted: list[ReferenceFile]) -> list[ReferenceFile]:
    """Make sure that files are in the cache and whole, and show how they get there."""
    refuse_absent(wanted)
    downloads = Downloads()
    return [prefetch_file(file, downloads) for file in wanted]


def cached_task(step_name: str) -> StepTask:
    """Make the task of a step that need not run: it ends as ``Cached``."""
    return _task(step_name, _stand_in, step_name)


def no_science_as_state(function: Callable[..., State[Any]]) -> Callable[..., State[Any]]:
    """Have what runs as a task or flow end as ``NoScience`` where there is nothing to calibrate.

    Who called it gets the error all the same.
    """

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> State[Any]:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            if outcome_of(error) is Outcome.NO_SCIENCE:
                return Failed(name=Outcome.NO_SCIENCE, message=reason(error), data=error)
            raise

    return run


def _contents(*data: Any) -> tuple[Any, ...]:
    """Take out what handles among the arguments of a step hold, and those in lists."""
    return tuple(
        content
        for each in data
        for content in (each.take_all() if isinstance(each, Handle) else (unboxed(each),))
    )


def _each_boxed(data: Any) -> Any:
    """Box the items of a list that a task is mapped over one by one."""
    return [boxed(item) for item in data] if isinstance(data, (list, tuple)) else boxed(data)


def _select_and_fetch(step_class: Any, data: str) -> dict[str, str]:
    crds_parameters, observatory = read_crds_parameters(step_class, data)
    context = resolve_context(observatory)
    types = step_class.reference_file_types
    files = select(crds_parameters, types, observatory=observatory, context=context)
    fetched = fetch([file for file in files if file.applies])
    paths = {file.reference_type: str(file.path) for file in fetched}
    return {file.reference_type: file.name for file in files} | paths


def _stand_in(step_name: str) -> State[Handle]:
    report(StepProgress(step_name))
    report(StepProgress(step_name, Outcome.CACHED))
    return Completed(name=Outcome.CACHED, data=Handle())


def _run_instance(
    step: Any, data: Any, *further: Any, made_by: Iterable[Handle] = ()
) -> State[Handle]:
    with captured_logs(type(step)):
        return _outcome(step, _contents(data, *further))


def _run_class(
    step_class: Any,
    data: Any,
    *further: Any,
    config_file: str | None = None,
    **parameters: Any,
) -> State[Handle]:
    parameters = unboxed(parameters)
    check_parameters(step_class, parameters)
    contents = _contents(data, *further)
    with captured_logs(step_class):
        instance = configure(step_class, contents[0], config_file, parameters)
        return _outcome(instance, contents)


@no_science_as_state
def _outcome(step: Any, contents: tuple[Any, ...]) -> State[Handle]:
    judgement, result = _run(step, contents)
    message = judgement.reason or None
    return Completed(name=judgement.outcome, message=message, data=Handle(result))


def run_without_task(step: Any, contents: tuple[Any, ...]) -> Any:
    """Run a step that Prefect does not record."""
    return _run(step, contents)[1]


def _run(step: Any, contents: tuple[Any, ...]) -> tuple[Judgement, Any]:
    # The class's own run: within a flow the instance's is what called this task.
    return reported(step, step.name, partial(type(step).run, step, *contents))


def reported(step: Any, name: str, run: Callable[[], Any]) -> tuple[Judgement, Any]:
    """Run a step and report, under a name, that it begins and what becomes of it.

    Raises
    ------
    DegradedError
        It could not do its work, and the run is strict.
    """
    report(StepProgress(name))
    already = len(logged_records())
    try:
        result = run()
        judgement = judged(step, result, logged_records()[already:])
        if judgement.outcome is Outcome.DEGRADED and is_strict.inferred():
            raise DegradedError(
                f"{name} could not do its work, and the run is strict: {judgement.reason}"
            )
    except BaseException as error:
        report(StepProgress(name, outcome_of(error)))
        raise
    model = "" if result is None else type(result).__name__
    report(StepProgress(name, judgement.outcome, judgement.reason, model))
    return judgement, result


def _task(name: str, function: Callable[..., Any], *first: Any) -> StepTask:
    """Make a task of a function of this module and its first arguments."""
    task, bound = copy(_plain_task(function)), partial(function, *first)
    own = {key: copy(value) for key, value in vars(task).items() if type(value) in _OWN}
    vars(task).update(own, fn=bound, __wrapped__=bound, name=name, task_run_name=name)
    return task


_OWN = (list, set)
"""Types of what of a task is changed in place: its tags, and its hooks of each kind."""


@cache
def _plain_task(function: Callable[..., Any]) -> StepTask:
    """Have Prefect read the source of a function, which takes longer than all else of a task."""
    return StepTask(fn=function, cache_policy=NO_CACHE, persist_result=False)
