"""The parameters of one flow run, and the layers that they go over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..association import exemplar
from ..exceptions import ParameterError
from ..insertions.derived import layers_of
from ..parameters.files import load_config_file, without_names
from ..parameters.instances import carry_over, other_attributes
from ..parameters.layers import merge, new_config, with_text_paths
from ..parameters.origins import code_layers, crds_layers, file_layers
from ..parameters.resolution import Layer, Source
from ..parameters.text import typed
from ..parameters.validation import check_parameters
from ..paths import misread_by_asdf
from ..references.lookup import quiet_about_parameter_files
from ..step import Step
from .deployments import FLOW_RUN, check_allowed, check_deployable, in_deployment

FROZEN = Source("frozen")
ON_INSTANCE = Source("set on the instance")
FLOW = Source("flow")


@dataclass(frozen=True)
class Request:
    """The parameters of a flow run of a Pipeline, or a single Step, as they were given.

    `frozen` are those that the flow was frozen to, or that are set on the instance it is made
    of; None if CRDS is to be asked. Layers `between` are over all these and below what is given;
    parameter files go over them, or below where the layers say so.
    """

    pipeline_class: Any
    given: Mapping[str, Any]
    config_file: str | None = None
    frozen: Mapping[str, Any] | None = None
    instance: Any = None
    between: tuple[Layer, ...] = ()

    def check(self, input: Any, **own: Any) -> None:
        """Refuse what the pipeline does not have, and what a deployment may not set."""
        check_parameters(self.pipeline_class, self.given)
        inputs = input if isinstance(input, list) else [input]
        parameters = {**own, "config_file": self.config_file, **self.given}
        check_deployable(self._title, inputs, parameters)

    def says(self, name: str) -> Any:
        """Give what is asked for as a parameter of the pipeline itself; None if nothing is."""
        if self._over_files.get(name) or not self.config_file:
            return self._over_files.get(name) or (self.frozen or {}).get(name)
        return load_config_file(self.config_file).get(name) or (self.frozen or {}).get(name)

    def layers(
        self, crds_parameters: Mapping[str, Any], observatory: str, context: str
    ) -> list[Layer]:
        """Collect everything that says something about the parameters, from low to high."""
        files = file_layers(self.pipeline_class, self.config_file, self.given)
        over = [layer for layer in self.between if layer.over_files]
        if self.frozen is None:
            crds = crds_layers(self.pipeline_class, crds_parameters, observatory, context)
        else:
            crds = [Layer(FROZEN if self.instance is None else ON_INSTANCE, self.frozen)]
        if in_deployment():
            read = [layer for layer in [*crds, *files] if layer.source.file]
            check_allowed(self._title, [*read, *over])
        below = [*code_layers(self.pipeline_class), *crds, *self._under_files]
        layers = [*below, *files, *over, Layer(FLOW_RUN, self.given)]
        return [*layers, Layer(FLOW, {"save_results": True})] if self._saves else layers

    def configure(self, crds_parameters: Mapping[str, Any], observatory: str) -> Any:
        """Make the pipeline with its merged parameters."""
        below = self.frozen
        if below is None:
            with quiet_about_parameter_files():
                below = self.pipeline_class.get_config_from_reference(
                    dict(crds_parameters), crds_observatory=observatory
                )
        if self._under_files:
            below = new_config(below)
            for layer in self._under_files:
                merge(below, layer.values)
        # Without data, which would be read once more, nothing else is asked of CRDS.
        instance = configure(self.pipeline_class, None, self.config_file, self._over_files, below)
        if self.instance is not None:
            carry_over(self.instance, instance, self.given)
        if self._saves:
            instance.save_results = True
        return instance

    @cached_property
    def opaque(self) -> list[str]:
        """What of the instance cannot be compared between runs."""
        names = [] if self.instance is None else other_attributes(self.instance)
        return [f"{name} of the instance" for name in names]

    @cached_property
    def _over_files(self) -> Mapping[str, Any]:
        """What goes over parameter files: layers that say so, then what is given."""
        if not any(layer.over_files for layer in self.between):
            return self.given
        said = new_config()
        for layer in self.between:
            merge(said, layer.values if layer.over_files else {})
        merge(said, self.given)
        over: dict[str, Any] = said.dict()
        return over

    @property
    def _under_files(self) -> list[Layer]:
        """Put what steps are inserted with lowest, unless it is among what is frozen."""
        inserted = layers_of(self.pipeline_class) if self.frozen is None else []
        return [*inserted, *(layer for layer in self.between if not layer.over_files)]

    @property
    def _saves(self) -> bool:
        """Whether the flow keeps the result, as strun does: what nobody keeps is lost."""
        return "save_results" not in {**(self.frozen or {}), **self._over_files}

    @property
    def _title(self) -> str:
        return str(self.pipeline_class.class_alias or self.pipeline_class.__name__)


def configure(
    step_class: Any,
    data: Any,
    config_file: str | None,
    parameters: Mapping[str, Any],
    below: Mapping[str, Any] | None = None,
) -> Any:
    """Make a Step with its merged parameters: CRDS, then the parameter file, then keywords.

    What is given as `below` all these goes under them.
    """
    chosen = new_config(parameters).dict()
    if config_file is not None:
        problem = "" if issubclass(step_class, Step) else misread_by_asdf(config_file)
        if problem:
            raise ParameterError(f"{config_file}: {problem}: rename it")
        chosen["config_file"] = config_file
    config, config_file = step_class.build_config(exemplar(data), **chosen)
    if below:
        merged = new_config(below)
        merge(merged, config)
        config = merged
    config.pop("class", None)
    return step_class.from_config_section(config, name=config.get("name"), config_file=config_file)


def frozen_parameters(pipeline_class: Any, config: Mapping[str, Any] | str | Path) -> Any:
    """Read what a flow is to be frozen to: parameters, or a file of them.

    Files that it names for steps are read, too; steps are inserted with parameters below these.
    """
    if isinstance(config, (str, Path)):
        values = pipeline_class.merge_config(load_config_file(config), str(config))
    else:
        values = pipeline_class.merge_config(new_config(config), None)
    merged = new_config()
    for layer in layers_of(pipeline_class):
        merge(merged, layer.values)
    merge(merged, values)
    frozen = without_names(merged.dict())
    check_parameters(pipeline_class, frozen)
    return frozen


def given_to(
    pipeline_class: Any, values: Mapping[str, Any], shown: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Read what a flow run of a pipeline is given; see `chosen` and `typed`."""
    return typed(chosen(values, shown), pipeline_class.load_spec_file())


def chosen(values: Mapping[str, Any], but: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Leave out what was left alone: None, and what the form showed and only sends back."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        shown = (but or {}).get(name)
        value = with_text_paths(value)
        if isinstance(value, dict):
            section = chosen(value, shown if isinstance(shown, Mapping) else None)
            if section:
                found[name] = section
        elif value is not None and not (isinstance(value, _PLAIN) and value == shown):
            found[name] = value
    return found


_PLAIN = (bool, int, float, str, list)
