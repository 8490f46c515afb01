"""A configured instance: what is set on it, and another instance that is set the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from types import MethodType
from typing import Any

from .resolution import same_value

_OF_ITS_OWN = ("config_file", "name", "parent", "qualified_name", "steps")
"""Attributes that say who an instance is."""


def parameters_set_on(instance: Any) -> dict[str, Any]:
    """List the parameters of a step, and of its steps, that are not as the code has them."""
    default = _new(instance)
    if default is None:
        return dict(instance.get_pars())
    return _differing(instance.get_pars(), default.get_pars())


def other_attributes(instance: Any) -> list[str]:
    """Name what is set on a step, and on its steps, that is no parameter."""
    return [".".join(path) for path, _ in _other_attributes(instance, _new(instance), ())]


def carry_over(instance: Any, made: Any, given: Mapping[str, Any]) -> None:
    """Set on a new instance what is set on another and is no parameter.

    Steps are copied, so that nothing that runs changes those of the other; what is given for
    them is set on the copies.
    """
    for path, value in [*_other_attributes(instance, made, ())]:
        owner = made
        for name in path[:-1]:
            owner = getattr(owner, name)
        if hasattr(value, "get_pars") and not isinstance(value, type):
            value = copy(value)
            value.parent = owner
            if path[-1] in given.get("steps", {}):
                value.update_pars(given["steps"][path[-1]])
        elif isinstance(value, MethodType) and isinstance(value.__self__, type(owner)):
            value = MethodType(value.__func__, owner)
        setattr(owner, path[-1], value)
    made.name, made.qualified_name = instance.name, instance.qualified_name


def _new(instance: Any) -> Any:
    try:
        return type(instance)()
    except Exception:  # it cannot be made without some parameters
        return None


def _other_attributes(
    instance: Any, default: Any, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    parameters = type(instance).load_spec_file()
    steps = getattr(instance, "step_defs", {})
    of_default = vars(default) if default is not None else {}
    for name, value in vars(instance).items():
        if name in parameters or name in _OF_ITS_OWN:
            continue
        if name in steps and type(value) is type(of_default.get(name)):
            yield from _other_attributes(value, of_default[name], (*path, name))
        elif name not in of_default or not (
            name.startswith("_") or same_value(value, of_default[name])
        ):
            yield (*path, name), value


def _differing(values: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in values.keys() & default.keys():  # another step in a step's place may have more
        if isinstance(values[name], dict):
            section = _differing(values[name], default[name])
            if section:
                found[name] = section
        elif not same_value(values[name], default[name]):
            found[name] = values[name]
    return found
