"""A pipeline with inserted steps: a class that passes for the pipeline itself."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..exceptions import ParameterError, UnknownStepError, UsageError, WrongStepError, nearest
from ..parameters.layers import merge, set_value
from ..parameters.resolution import Layer
from ..parameters.validation import check_parameters
from ..registry import find_step
from .functions import step_of
from .insertion import BEFORE, Insertion

_OF_EVERY_STEP = ("class", "config_file", "name", "parent", "qualified_name", "steps")
"""Names that a step of a pipeline cannot have, as they mean something else there."""

_BESIDE_PARAMETERS = {
    "config_file": "string(default=None)",
    "name": "string(default='')",
    "class": "string(default='')",
}
"""What may stand among the parameters of a pipeline's step, as stpipe has it."""


@dataclass(frozen=True)
class Inserted:
    """An inserted step that was found: its name in the pipeline, its class, and whence it is."""

    name: str
    step_class: Any
    insertion: Insertion


class WithInsertions:
    """What a pipeline with inserted steps has before what it has from the pipeline itself."""

    plain: ClassVar[Any]
    inserted: ClassVar[tuple[Inserted, ...]]
    step_defs: ClassVar[dict[str, Any]]

    @classmethod
    def load_spec_file(cls, *args: Any, **kwargs: Any) -> Any:
        """Read the declarations of all parameters, also of inserted steps on another base."""
        spec = cls.plain.load_spec_file(*args, **kwargs)
        steps = spec["steps"]
        for each in cls.inserted:
            steps[each.name] = {}
            merge(steps[each.name], each.step_class.load_spec_file())
            merge(steps[each.name], _BESIDE_PARAMETERS)
            if steps[each.name].get("output_ext") == "string()":  # which missions set
                set_value(steps[each.name], "output_ext", spec["output_ext"])
        steps.sections.sort(key=list(cls.step_defs).index)
        return spec


def with_insertions(pipeline_class: Any, insertions: Sequence[Insertion]) -> Any:
    """Make a class that is a pipeline with steps inserted, and has all names of that pipeline.

    CRDS, records and plans therefore take it for the pipeline, and the inserted steps for steps
    of it. What runs them is `.running.connect`.

    Raises
    ------
    UsageError
        It is no pipeline, two steps have the same name, or they are anchored in a circle.
    UnknownStepError
        There is no such step to insert, or no such anchor.
    ParameterError
        A step has no such parameters.
    """
    if not insertions:
        return pipeline_class
    title = pipeline_class.class_alias or pipeline_class.__name__
    if not getattr(pipeline_class, "step_defs", None):
        raise UsageError(f"{title} is a single step: steps can be inserted into pipelines only")
    found = [_found(each, base_of(pipeline_class)) for each in insertions]
    _check_names(pipeline_class, title, found)
    members = {
        "__doc__": pipeline_class.__doc__,
        "__module__": pipeline_class.__module__,
        "__qualname__": pipeline_class.__qualname__,
        "plain": pipeline_class,
        "inserted": tuple(found),
        "step_defs": _in_order(pipeline_class.step_defs, title, found),
    }
    bases = (WithInsertions, pipeline_class)
    derived = type(pipeline_class)(pipeline_class.__name__, bases, members)
    for layer in layers_of(derived):
        try:
            check_parameters(derived, layer.values)
        except ParameterError as error:
            lines = (f"{layer.source}: {line}" for line in str(error).splitlines())
            raise ParameterError("\n".join(lines)) from error
    return derived


def base_of(pipeline_class: Any) -> Any:
    """Give the Step class of the mission whose pipeline it is."""
    return next(each for each in pipeline_class.mro() if not hasattr(each, "step_defs"))


def inserted_in(pipeline: Any) -> tuple[Inserted, ...]:
    """List the steps inserted into a pipeline, its class or an instance of it."""
    pipeline_class = pipeline if isinstance(pipeline, type) else type(pipeline)
    return pipeline_class.inserted if issubclass(pipeline_class, WithInsertions) else ()


def layers_of(pipeline: Any) -> list[Layer]:
    """List the parameters that inserted steps are inserted with."""
    return [
        each.insertion.layer(each.name)
        for each in inserted_in(pipeline)
        if each.insertion.parameters
    ]


def _found(insertion: Insertion, base: Any) -> Inserted:
    try:
        step: Any = insertion.imported()
    except UnknownStepError as error:
        raise type(error)(f"step to insert {insertion.place}: {error}") from error
    if inspect.isfunction(step):
        step = step_of(step, base)
    elif isinstance(step, type):
        step = find_step(step)
    else:
        raise WrongStepError(
            f"{insertion.path}, to insert {insertion.place}, is a {type(step).__name__}: "
            "expected a Step class or a function that takes and returns a data model"
        )
    return Inserted(insertion.name or _name(step), step, insertion)


def _name(step_class: Any) -> str:
    return str(
        step_class.class_alias
        or re.sub(
            r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", step_class.__name__
        ).lower()
    )


def _check_names(pipeline_class: Any, title: str, found: Sequence[Inserted]) -> None:
    taken = dict.fromkeys(pipeline_class.step_defs, title)
    parameters = pipeline_class.load_spec_file()
    for each in found:
        name, path = each.name, each.insertion.path
        apart = f"give {path} another one with name=…"
        if name in taken:
            raise UsageError(f"two steps of {title} would have the name {name!r}: {apart}")
        if not name.isidentifier() or name.startswith("_"):
            raise UsageError(f"{name!r} cannot be the name of a step: {apart}")
        if name in parameters or name in _OF_EVERY_STEP or hasattr(pipeline_class, name):
            raise UsageError(
                f"{name!r} cannot be the name of a step, because {title} has another use for it: "
                f"{apart}"
            )
        taken[name] = path


def _in_order(own: Mapping[str, Any], title: str, found: Sequence[Inserted]) -> dict[str, Any]:
    """Put inserted steps beside their anchors, in the order in which they run."""
    classes = {**own, **{each.name: each.step_class for each in found}}
    for each in found:
        anchor = each.insertion.anchor
        if anchor not in classes:
            raise UnknownStepError(
                f"{title} has no step {anchor!r} to insert {each.name} "
                f"{each.insertion.where}{nearest(anchor, classes)}"
            )

    def around(name: str) -> Iterator[str]:
        beside = [each for each in found if each.insertion.anchor == name]
        for each in beside:
            if each.insertion.where == BEFORE:
                yield from around(each.name)
        yield name
        for each in beside:
            if each.insertion.where != BEFORE:
                yield from around(each.name)

    placed = [name for step in own for name in around(step)]
    circle = [each for each in found if each.name not in placed]
    if circle:
        said = ", ".join(f"{each.name} {each.insertion.place}" for each in circle)
        raise UsageError(
            f"steps are inserted in a circle: {said}: anchor one of them at a step of {title}"
        )
    return {name: classes[name] for name in placed}
