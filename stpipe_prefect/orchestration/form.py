"""The form: the typed signature of a pipeline's flow, made from the merged specification.

Prefect shows it in its UI and has its server refuse what does not fit. The values themselves
are held against the specification once more when the flow runs.

The JSON schema is written here directly: models of hundreds of fields take pydantic half a
second to make.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from inspect import Parameter, Signature
from typing import Annotated, Any

from configobj.validate import ValidateError, Validator
from pydantic import Field, WithJsonSchema

from ..parameters.resolution import NOT_PARAMETERS
from ..parameters.spec import help_text
from ..parameters.validation import stpipe_checks
from .deployments import DeploymentSettings

Schema = dict[str, Any]

OWN = {
    "input": "Exposure or association to calibrate",
    "output_dir": "Folder for the products [the first output folder of the worker]",
    "crds_context": "CRDS context such as jwst_1303.pmap [the operational one]",
    "config_file": "Parameter file",
    "overwrite": "Also run what is up to date, and replace products that were changed since",
    "ignore": "Ignore changes in: inputs, parameters, references, versions",
    "checkpoint": 'Keep models after these steps, or "all", so that a later run can resume',
    "strict": "Stop at a step that could not do its work (Degraded), and publish nothing",
}
"""What a flow asks for beside the parameters of its pipeline."""

_NAMES: Schema = {"type": "array", "items": {"type": "string"}}
_OWN_TYPES: dict[str, Schema] = {
    "overwrite": {"type": "boolean"},
    "ignore": _NAMES,
    "checkpoint": _NAMES,
    "strict": {"type": "boolean"},
}


NOT_SHOWN = (
    "input_dir",
    "output_dir",
    "output_ext",
    "output_file",
    "output_use_index",
    "output_use_model",
    "search_output_file",
    "suffix",
)
"""What every step inherits and hardly anybody sets: the form of a step accepts it unseen."""


def call_signature(spec: Mapping[str, Any]) -> Signature:
    """Make the signature by which the flow is called: whatever it is given gets through."""
    names = [name for name in spec if name not in OWN and name != "steps"] + ["return_models"]
    return Signature(
        [
            Parameter("input", Parameter.POSITIONAL_OR_KEYWORD),
            *(
                Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=None)
                for name in OWN
                if name != "input"
            ),
            *(Parameter(name, Parameter.KEYWORD_ONLY, default=None) for name in [*names, "steps"]),
            Parameter("parameters", Parameter.VAR_KEYWORD),
        ]
    )


def form_signature(
    spec: Any, settings: DeploymentSettings, frozen: Mapping[str, Any] | None = None
) -> Signature:
    """Make the signature that the form shows.

    Without frozen values every field is empty: a value that is shown is sent back, and would
    beat CRDS.
    """
    values = frozen or {}
    schemas = {
        name: {**_OWN_TYPES.get(name, {"type": "string"}), "description": text}
        for name, text in OWN.items()
        if not (settings.hides(name) or (name == "config_file" and frozen is not None))
    }
    schemas |= {
        name: schema for name, schema in _properties(spec, settings, values) if name not in OWN
    }
    return Signature([_parameter(name, schema, values) for name, schema in schemas.items()])


def _parameter(name: str, schema: Schema, values: Mapping[str, Any]) -> Parameter:
    if name == "input":
        default: Any = Parameter.empty
    elif _is_group(schema):
        default = Field({}, title=name, json_schema_extra={"default": {}})
    else:
        default = values.get(name)
        schema = _may_be_unset(schema)
    annotation = Annotated[Any, WithJsonSchema(schema)]
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _properties(
    spec: Any, settings: DeploymentSettings, values: Mapping[str, Any]
) -> Iterator[tuple[str, Schema]]:
    for name, check in spec.items():
        if name in NOT_PARAMETERS or settings.hides(name):
            continue
        if isinstance(check, Mapping):
            yield name, _group(name, check, settings, values.get(name, {}))
            continue
        schema, default = _described(check)
        unset = default in (None, "", [], "None")
        text = f"{help_text(spec, name)}{'' if unset else f' [{default}]'}"
        yield name, {"title": name, "description": text.strip(), **schema}


def _group(name: str, spec: Any, settings: DeploymentSettings, values: Mapping[str, Any]) -> Schema:
    """Describe the parameters of one step, or those of all steps."""
    properties = dict(_properties(spec, settings, values))
    for key in values.keys() & properties.keys():
        if values[key] is not None and not _is_group(properties[key]):
            properties[key]["default"] = values[key]
    accepted = {f"^{key}$": properties.pop(key) for key in NOT_SHOWN if key in properties}
    return {
        "title": name,
        "type": "object",
        "properties": properties,
        "patternProperties": accepted,
        "additionalProperties": False,
    }


def _is_group(schema: Schema) -> bool:
    return schema.get("type") == "object"


def _may_be_unset(schema: Schema) -> Schema:
    about = {key: value for key, value in schema.items() if key in ("title", "description")}
    kind = {key: value for key, value in schema.items() if key not in about}
    return about | {"anyOf": [kind, {"type": "null"}]}


def _string(value: Any, **options: Any) -> Schema:
    return {"type": "string"}


def _boolean(value: Any) -> Schema:
    return {"enum": [True, False]}  # chosen from a list: a switch could not be left alone


def _option(value: Any, *choices: Any) -> Schema:
    return {"type": "string", "enum": [str(choice) for choice in choices]}


def _number(kind: str) -> Callable[..., Schema]:
    def describe(value: Any, min: Any = None, max: Any = None) -> Schema:
        limits = {"minimum": min, "maximum": max}
        return {"type": kind} | {k: float(v) for k, v in limits.items() if v is not None}

    return describe


def _list(items: Schema) -> Callable[..., Schema]:
    def describe(value: Any, min: Any = None, max: Any = None) -> Schema:
        sizes = {"minItems": min, "maxItems": max}
        sizes = {k: int(v) for k, v in sizes.items() if v is not None}
        return {"type": "array", "items": items} | sizes

    return describe


_DESCRIPTIONS: dict[str, Callable[..., Schema]] = {
    "integer": _number("integer"),
    "float": _number("number"),
    "boolean": _boolean,
    "option": _option,
    "list": _list({}),
    "force_list": _list({}),
    "tuple": _list({}),
    "string_list": _list({"type": "string"}),
    "int_list": _list({"type": "integer"}),
    "float_list": _list({"type": "number"}),
    "bool_list": _list({"type": "boolean"}),
}
"""In place of configobj's checks: they get the same arguments, and describe rather than check."""

_describer = Validator(_DESCRIPTIONS)
_checker = Validator(stpipe_checks())


def _described(check: str) -> tuple[Schema, Any]:
    """Read a check: the type of a value, with its choices or bounds; and the code's default."""
    try:
        schema = _describer.check(check, "")
    except ValidateError:
        schema = None
    try:
        default = _checker.get_default_value(check)
    except (ValidateError, KeyError):
        default = None
    return schema if isinstance(schema, dict) else _string(""), default
