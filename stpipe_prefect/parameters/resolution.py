"""Which layer set each parameter's value, and which values it beat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from configobj.validate import ValidateError, Validator

from .validation import stpipe_checks

STEP_CODE = "step code"
PIPELINE_CODE = "pipeline code"
CRDS_STEP_FILE = "CRDS step file"
CRDS_PIPELINE_FILE = "CRDS pipeline file"
STEP_FILE = "config_file"
USER_FILE = "parameter file"
MEMORY = "memory"
"""Chosen as memory was short: what is made is the same."""

NOT_PARAMETERS = ("class", "config_file", "name")
"""What may stand among the parameters of a step without being one."""


@dataclass(frozen=True)
class Source:
    """Where a value comes from.

    Attributes
    ----------
    layer : str
        Such as ``"step code"``, ``"CRDS step file"`` or ``"flow run"``.
    file : str or None
        Name of the file, where it is one.
    """

    layer: str
    file: str | None = None

    @property
    def is_code(self) -> bool:
        """Whether nobody but the code has said anything."""
        return self.layer in (STEP_CODE, PIPELINE_CODE)

    def __str__(self) -> str:
        return f"{self.layer} {self.file}" if self.file else self.layer


@dataclass(frozen=True)
class Layer:
    """What one source says.

    Attributes
    ----------
    source : Source
    values : mapping
        By name; those of a pipeline's steps under ``"steps"``, by step.
    over_files : bool
        Of a layer that is between CRDS and what a run is given: whether it goes over the user's
        parameter files, too.
    """

    source: Source
    values: Mapping[str, Any]
    over_files: bool = False


@dataclass(frozen=True)
class Setting:
    """One value that one source gave to one parameter."""

    source: Source
    value: Any


@dataclass(frozen=True)
class ResolvedParameter:
    """What a parameter of a step is, and why.

    Attributes
    ----------
    step : str
        Its path within the pipeline, ``""`` for the pipeline itself.
    name : str
    settings : tuple of Setting
        All that was said about it, from low to high; the last one counts.
    """

    step: str
    name: str
    settings: tuple[Setting, ...]

    @property
    def value(self) -> Any:
        """What the step has."""
        return self.settings[-1].value

    @property
    def source(self) -> Source:
        """Who gave it that."""
        return self.settings[-1].source

    @property
    def is_changed(self) -> bool:
        """Whether its value is another than the code alone would give."""
        by_code = [setting.value for setting in self.settings if setting.source.is_code]
        return not by_code or not same_value(by_code[-1], self.value)

    def row(self) -> dict[str, str]:
        """Put it into words, for a table."""
        beaten = [f"{shown(each.value)} ({each.source})" for each in self.settings[-2::-1]]
        return {
            "step": self.step,
            "parameter": self.name,
            "value": str(shown(self.value)),
            "source": str(self.source),
            "instead of": ", ".join(beaten),
        }


def shown(value: Any) -> Any:
    """Give what can be shown, and stored as JSON: plain values; of any other its name or type."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    return getattr(value, "__qualname__", f"<{type(value).__name__}>")


def resolve(step: Any, layers: Iterable[Layer]) -> list[ResolvedParameter]:
    """Say of every parameter of a configured step which layer its value comes from.

    First those of the pipeline, then those of its steps. `layers` go from low to high. The values
    are those the instance has: where its class merged the layers in another order, the highest
    layer that gave this very value is named; where none did, the class itself is.
    """
    validator = Validator(stpipe_checks())
    return list(_resolved(step, type(step).load_spec_file(), list(layers), "", validator))


def _resolved(
    step: Any, spec: Mapping[str, Any], layers: list[Layer], path: str, validator: Validator
) -> Iterator[ResolvedParameter]:
    for name, check in spec.items():
        if name in NOT_PARAMETERS or isinstance(check, Mapping):
            continue
        settings = [
            Setting(layer.source, _typed(validator, check, layer.values[name]))
            for layer in layers
            if name in layer.values
        ]
        value = getattr(step, name, None)
        yield ResolvedParameter(path, name, _settled(settings, value, type(step).__name__))
    for name in getattr(step, "step_defs", ()):
        yield from _resolved(
            getattr(step, name),
            spec["steps"][name],
            [part for layer in layers if (part := _of_step(layer, name)).values],
            f"{path}.{name}".lstrip("."),
            validator,
        )


def _of_step(layer: Layer, step: str) -> Layer:
    steps = layer.values.get("steps")
    section = steps.get(step) if isinstance(steps, Mapping) else None
    return Layer(layer.source, section if isinstance(section, Mapping) else {})


def _settled(settings: list[Setting], value: Any, class_name: str) -> tuple[Setting, ...]:
    """Put the setting on top that gave the value the step has."""
    for setting in reversed(settings):
        if same_value(setting.value, value):
            lower = (other for other in settings if other is not setting)
            return (*lower, Setting(setting.source, value))
    return (*settings, Setting(Source(f"merged by {class_name}"), value))


def _typed(validator: Validator, check: str, value: Any) -> Any:
    try:
        return validator.check(check, value)
    except (ValidateError, TypeError):  # it lost, or nothing would run at all
        return value


def same_value(one: Any, other: Any) -> bool:
    """Tell whether two values of a parameter are the same."""
    if _is_nothing(one) and _is_nothing(other):
        return True
    if isinstance(one, str) and isinstance(other, str):
        # Steps take paths relative to their parameter file, and hold them absolute.
        return one == other or (bool(one) and other.endswith("/" + one.removeprefix("./")))
    return one is other or (type(one) in _PLAIN and bool(one == other))


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value)


_PLAIN = (bool, int, float, str, list, tuple, dict)
"""Types whose equality is that of their values; data models are the same or not."""
