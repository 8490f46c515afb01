"""A function model -> model as a step of the mission whose pipeline it is inserted into."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..exceptions import ParameterError

_KINDS = {bool: "boolean", int: "integer", float: "float", str: "string"}
_UNWRITABLE = frozenset("'\"#\n")
"""What the text of a configspec cannot hold in a default."""


def step_of(function: Callable[..., Any], base: Any) -> Any:
    """Make a Step class of a function; `base` is the Step class of the mission.

    Raises
    ------
    ParameterError
        One of its parameters cannot be one of a step.
    """
    title = f"{function.__module__}.{function.__qualname__}"
    declared = dict(_declared(function, title))
    for name in declared:
        if name in base.load_spec_file() or hasattr(base, name):
            raise ParameterError(
                f"{title}: every step has {name!r} already: rename that parameter of the function"
            )

    def process(self: Any, data: Any) -> Any:
        model = self.open_model(data) if isinstance(data, (str, Path)) else data
        return function(model, **{name: getattr(self, name) for name in declared})

    members = {
        "__doc__": function.__doc__,
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
        "class_alias": function.__name__,
        "function": staticmethod(function),
        "process": process,
        "spec": "\n".join(f"{name} = {check}" for name, check in declared.items()),
    }
    return type(base)(function.__name__, (base,), members)


def made_from(step_class: type) -> Any:
    """Give the function that a Step class was made of; any other class as it is."""
    made_of = vars(step_class).get("function")
    return made_of.__func__ if isinstance(made_of, staticmethod) else step_class


def _declared(function: Callable[..., Any], title: str) -> Iterator[tuple[str, str]]:
    """Write the parameters of a function after its first, as a configspec does."""
    parameters = [*inspect.signature(function, eval_str=True).parameters.values()]
    if not parameters or parameters[0].kind in (inspect.Parameter.KEYWORD_ONLY, _VARIOUS):
        raise ParameterError(f"{title}: expected a function that takes a data model")
    for each in parameters[1:]:
        if each.kind in (inspect.Parameter.VAR_POSITIONAL, _VARIOUS):
            continue
        if each.default is each.empty:
            raise ParameterError(f"{title}: parameter {each.name!r} needs a default")
        kind = _KINDS.get(each.annotation) or _KINDS.get(type(each.default))
        if each.default is None:
            named = [
                _KINDS[item] for item in getattr(each.annotation, "__args__", ()) if item in _KINDS
            ]
            kind = named[0] if len(named) == 1 else "string"
        is_text = isinstance(each.default, str)
        if kind is None or (is_text and not _UNWRITABLE.isdisjoint(each.default)):
            raise ParameterError(
                f"{title}: parameter {each.name!r} has the default {each.default!r}: expected "
                "a number, a boolean, None, or text without quotes and #"
            )
        yield each.name, f"{kind}(default={each.default!r})"


_VARIOUS = inspect.Parameter.VAR_KEYWORD
