"""Collecting the layers of parameters: code, CRDS, files; each with its source.

Only what any class of the stpipe contract has is asked for: its declarations, the type of its
parameter file in CRDS, its steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from configobj.validate import Validator

from ..exceptions import ParameterError, ReferenceFileError
from ..references.cache import prefetch, refuse_absent
from ..references.context import resolve_context
from ..references.needs import parameter_files, read_crds_parameters, step_classes
from .files import files_named, load_config_file
from .layers import crds_parameters_disabled, merge, new_config
from .resolution import (
    CRDS_PIPELINE_FILE,
    CRDS_STEP_FILE,
    PIPELINE_CODE,
    STEP_CODE,
    STEP_FILE,
    USER_FILE,
    Layer,
    Source,
)
from .validation import stpipe_checks


def code_layers(step_class: Any) -> list[Layer]:
    """Collect the defaults that the code declares: of the steps, then of the pipeline."""
    validator = Validator(stpipe_checks())
    return list(_code(step_class, step_class.load_spec_file(), validator, ()))


def crds_layers(
    step_class: Any, crds_parameters: Mapping[str, Any], observatory: str, context: str
) -> list[Layer]:
    """Collect the parameter files that CRDS selects: of the steps, then of the pipeline."""
    if crds_parameters_disabled():
        return []
    selected = parameter_files(step_class, crds_parameters, observatory, context)
    refuse_absent(selected)
    files = {wanted.reference_type: prefetch(wanted).path for wanted in selected}
    layers = []
    for path, each in step_classes(step_class):
        kind = each.get_config_reftype()
        if kind not in files:
            continue
        file = files[kind]
        try:
            content = load_config_file(file)
        except ParameterError as error:
            raise ReferenceFileError(f"{kind} reference: {error}") from error
        layer = CRDS_PIPELINE_FILE if _step_defs(each) else CRDS_STEP_FILE
        layers.append(Layer(Source(layer, file.name), _at(path, content)))
    return layers


def check_crds_parameters(step_class: Any, data: Any) -> None:
    """Make sure of the parameter files that CRDS selects for an input.

    Upstream's classes go on without one that is damaged, or end as crds does.
    """
    if not crds_parameters_disabled():
        crds_parameters, observatory = read_crds_parameters(step_class, data)
        crds_layers(step_class, crds_parameters, observatory, resolve_context(observatory))


def file_layers(step_class: Any, config_file: str | None, given: Mapping[str, Any]) -> list[Layer]:
    """Collect the user's parameter file, below it the files that it or `given` name for steps."""
    content = new_config() if config_file is None else load_config_file(config_file)
    said = new_config(content)
    merge(said, given)
    folder = Path(config_file).parent if config_file else Path()
    layers = list(_files_of_steps(step_class, said, folder, ()))
    if config_file is not None:
        layers.append(Layer(Source(USER_FILE, Path(config_file).name), content))
    return layers


def _code(
    step_class: Any, spec: Mapping[str, Any], validator: Validator, path: tuple[str, ...]
) -> Iterator[Layer]:
    steps = _step_defs(step_class)
    own: dict[str, Any] = {name: check for name, check in spec.items() if name != "steps"}
    for name, each in steps.items():
        declared = each.load_spec_file()
        yield from _code(each, declared, validator, (*path, name))
        changed = _differing(spec["steps"][name], declared)
        if changed:
            own.setdefault("steps", {})[name] = changed
    source = Source(PIPELINE_CODE if steps else STEP_CODE)
    yield Layer(source, _at(path, _defaults(own, validator)))


def _differing(spec: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, check in spec.items():
        if isinstance(check, Mapping):
            section = _differing(check, other.get(name, {}))
            if section:
                found[name] = section
        elif check != other.get(name):
            found[name] = check
    return found


def _defaults(spec: Mapping[str, Any], validator: Validator) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, check in spec.items():
        if isinstance(check, Mapping):
            values[name] = _defaults(check, validator)
        else:
            try:
                values[name] = validator.get_default_value(check)
            except KeyError:  # a parameter without a default: somebody has to give it
                continue
    return values


def _files_of_steps(
    step_class: Any, said: Mapping[str, Any], folder: Path, path: tuple[str, ...]
) -> Iterator[Layer]:
    for steps, each, file in files_named(step_class, said, folder):
        content = load_config_file(file)
        where = (*path, *steps)
        yield from _files_of_steps(each, content, file.parent, where)
        yield Layer(Source(STEP_FILE, file.name), _at(where, content))


def _at(path: tuple[str, ...], values: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in reversed(path):
        values = {"steps": {name: values}}
    return values


def _step_defs(step_class: Any) -> Mapping[str, Any]:
    return getattr(step_class, "step_defs", {})
