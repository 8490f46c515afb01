"""The campaign file: inputs, products, exclusions and rules of a campaign, in one TOML file."""

from __future__ import annotations

from datetime import date, time
from glob import escape, has_magic
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    WithJsonSchema,
    model_validator,
)

from stpipe_prefect.products.names import folder_path
from stpipe_prefect.remote.urls import is_url

from .missing import Missing

_PLAIN = {"type": ["string", "number", "boolean"]}
_VALUE = {"anyOf": [_PLAIN, {"type": "array", "items": _PLAIN}]}
_FOR_ONE = ("output_file", "output_dir")


def _value(value: Any) -> Any:
    """Take what TOML and JSON both have, and lists of it."""
    for each in value if isinstance(value, list) else [value]:
        if not isinstance(each, (str, int, float)):
            raise ValueError(
                f"expected a text, number or boolean, or a list of these, {not_(each)}"
            )
        if isinstance(each, float) and not isfinite(each):
            raise ValueError(f"expected a finite number, {not_(each)}")
    return value


def _parameters(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    for name, value in tree.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict):
            _parameters(value, f"{path}.")
            continue
        try:
            _value(value)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        if name in _FOR_ONE:
            raise ValueError(f"{path}: is for one input: give it on the command line")
        if name == "config_file" and prefix:
            raise ValueError(f"{path}: a parameter file goes with a pipeline, as config_file")
    return tree


def _chosen(value: Any) -> Any:
    if value == []:
        raise ValueError("expected at least one value")
    return _value(value)


Parameters = Annotated[
    dict[str, Any],
    AfterValidator(_parameters),
    WithJsonSchema(
        {
            "type": "object",
            "description": "Parameters of a pipeline; those of its steps under steps.<step>.",
            "properties": {
                "steps": {
                    "type": "object",
                    "additionalProperties": {"type": "object"},
                }
            },
            "additionalProperties": _VALUE,
        }
    ),
]
"""Those of a pipeline, with those of its steps under ``"steps"``."""

Wanted = Annotated[Any, AfterValidator(_chosen), WithJsonSchema(_VALUE)]
"""One value of a keyword or several, of which any will do; patterns such as ``NRC*``, too."""

When = Annotated[
    dict[str, Wanted],
    Field(
        description="Exposures it is for: values of header keywords, or of parts of the file name "
        "(program, observation, visit, detector). A list means any of them; * ? [ ] are patterns."
    ),
]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Associate(_Table):
    """How associations are made of the exposures."""

    by: list[str] = Field([], description="Keywords; none for the rules of the observatory.")
    grid: Literal["shared"] | None = Field(
        None, description="Put all mosaics of a target on one pixel grid."
    )
    missing: Missing = Field("fail", description="What becomes of one of which members failed.")
    pool: str | None = Field(None, description="The pool that DMS made of the exposures.")


class Rule(_Table):
    """Parameters for some of the inputs."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Parameters]

    when: When

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """Parameters by pipeline."""
        return self.__pydantic_extra__


class Insert(_Table):
    """A step of one's own, after or before a step of a pipeline, or between two pipelines."""

    pipeline: str | None = Field(
        None, description="The pipeline it goes into; without it, it goes between two pipelines."
    )
    after: str | None = Field(None, description="The step (or pipeline) that it comes after.")
    before: str | None = Field(None, description="The step (or pipeline) that it comes before.")
    step: str = Field(description="Path of its class or function, such as mylab.cleaning.OneOverF.")
    name: str = Field("", description="What the step is called in the pipeline.")
    when: When = {}
    parameters: Parameters = {}

    @model_validator(mode="after")
    def _one_place(self) -> Insert:
        if (self.after is None) == (self.before is None):
            raise ValueError("expected one of after and before")
        return self

    @property
    def anchor(self) -> str:
        """What it comes after or before."""
        return str(self.before if self.after is None else self.after)


class CampaignFile(_Table):
    """What one file says of a campaign. Paths in it are relative to the folder of the file."""

    model_config = ConfigDict(
        extra="allow",
        title="Campaign file",
        json_schema_extra={"$schema": "https://json-schema.org/draft/2020-12/schema"},
    )
    __pydantic_extra__: dict[str, Parameters]

    observatory: str | None = Field(None, description="jwst or roman.")
    inputs: list[str] = Field(
        min_length=1, description="Exposures and associations: files, patterns, folders."
    )
    context: str | None = Field(None, description="CRDS context, such as jwst_1303.pmap.")
    output: str | None = Field(None, description="Folder for the products.")
    pipeline: str | None = Field(None, description="Run this one, whatever a file calls for.")
    stage: int | None = Field(None, description="The only stage to run.")
    associate: Associate | None = Field(None, description="Make the associations of the exposures.")
    exclude: dict[str, str] = Field(
        {}, description="Inputs left out: names or patterns, each with the reason."
    )
    rules: list[Rule] = Field([], alias="for", description="Parameters for some of the inputs.")
    inserts: list[Insert] = Field([], alias="insert", description="Steps of one's own.")
    replace: dict[str, str] = Field({}, description="Classes that take the place of pipelines.")

    _path: Path = PrivateAttr()

    def __str__(self) -> str:
        return self._path.name

    @property
    def path(self) -> Path:
        """The file itself."""
        return self._path

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """Parameters for all inputs, by pipeline; without those in `config_files`."""
        return {
            name: {key: value for key, value in said.items() if key != "config_file"}
            for name, said in self.__pydantic_extra__.items()
        }

    @property
    def config_files(self) -> dict[str, str]:
        """Parameter files, by pipeline."""
        return {
            name: str(self.located(said["config_file"]))
            for name, said in self.__pydantic_extra__.items()
            if said.get("config_file")
        }

    @property
    def input_names(self) -> list[str]:
        """Its inputs, from where the command runs."""
        folder = str(self._path.parent)
        return [
            name
            if is_url(name)
            else str(Path(escape(folder) if has_magic(name) else folder, folder_path(name)))
            for name in self.inputs
        ]

    def options(self) -> dict[str, Any]:
        """Give what it says that the command and the flow have options for, by field."""
        said: dict[str, Any] = {
            "crds_context": self.context,
            "pipeline": self.pipeline,
            "stage": self.stage,
        }
        if how := self.associate:
            pool = self.located(how.pool) if how.pool else None
            said |= {"associate": tuple(how.by), "grid": how.grid, "missing": how.missing}
            said["pool"] = pool
        return {name: value for name, value in said.items() if value is not None}

    @property
    def stages(self) -> dict[int, Insert]:
        """Steps between two pipelines, by their numbers, from 1, among those inserted."""
        numbered = enumerate(self.inserts, start=1)
        return {number: insert for number, insert in numbered if insert.pipeline is None}

    @property
    def keywords(self) -> set[str]:
        """Everything that its rules ask about an exposure."""
        selected = [*(rule.when for rule in self.rules), *(each.when for each in self.inserts)]
        return {name for when in selected for name in when}

    def located(self, name: str) -> Path:
        """Say where a file or folder is that it names."""
        return self._path.parent / folder_path(name)


def not_(value: Any) -> str:
    """Say what was found in the place of what was expected."""
    if isinstance(value, date | time):
        return f"not {value.isoformat()}: as a text it stands in quotes"
    return "not a table" if isinstance(value, dict) else f"not {value!r}"
