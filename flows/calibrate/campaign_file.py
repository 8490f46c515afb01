"""The campaign file: inputs, products, exclusions and rules of a campaign, in one TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from glob import escape, has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from stpipe_prefect.exceptions import NoInputError, UsageError, nearest, reason
from stpipe_prefect.products.names import folder_path

from .missing import Missing

if TYPE_CHECKING:
    from .mission import Mission

_PLAIN = {"type": ["string", "number", "boolean"]}
_VALUE = {"anyOf": [_PLAIN, {"type": "array", "items": _PLAIN}]}
_FOR_ONE = ("output_file", "output_dir")

_EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
"""What pydantic's errors of these types ask for, in the words of TOML."""


def _value(value: Any) -> Any:
    """Take what TOML and JSON both have, and lists of it."""
    for each in value if isinstance(value, list) else [value]:
        if not isinstance(each, (str, int, float)):
            raise ValueError(
                f"expected a text, number or boolean, or a list of these, {_not(each)}"
            )
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
        return str(self.after or self.before)


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
            str(Path(escape(folder) if has_magic(name) else folder, folder_path(name)))
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


def read_campaign_file(path: Path, mission: Mission) -> CampaignFile:
    """Read a campaign file, and check all that can be told without its exposures and pipelines.

    Parameters
    ----------
    path : pathlib.Path
    mission : Mission

    Raises
    ------
    NoInputError
        There is no such file.
    UsageError
        It cannot be read, or something in it is wrong. Everything that is wrong is named.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NoInputError(f"{path}: no such campaign file") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not a readable TOML file: {reason(error)}") from error
    problems = dict(_unknown_keys(data, mission))
    folder = path.parent.absolute()
    try:
        file = CampaignFile.model_validate(_placed(data, folder))
    except ValidationError as error:
        for each in error.errors():
            where = each["loc"]
            if not any(where[:end] in problems for end in range(1, len(where) + 1)):
                problems[where] = _problem(each)
    else:
        file._path = path
        problems |= _of_mission(file, mission)
    if not problems and file.replace:
        file = CampaignFile.model_validate(_with_classes(_placed(data, folder), file.replace))
        file._path = path
    if problems:
        lines = (f"{path.name}: {_key(where)}{problem}" for where, problem in problems.items())
        raise UsageError("\n".join(lines))
    return file


def _placed(tree: Any, folder: Path) -> Any:
    """Have reference files of one's own start in the folder of the campaign file."""
    if isinstance(tree, list):
        return [_placed(each, folder) for each in tree]
    if not isinstance(tree, dict):
        return tree
    return {
        name: str(folder / value)
        if name.startswith("override_") and isinstance(value, str) and _is_path(value)
        else _placed(value, folder)
        for name, value in tree.items()
    }


def _with_classes(data: Mapping[str, Any], classes: Mapping[str, str]) -> dict[str, Any]:
    """Have what is said of a pipeline said of the class in its place."""

    def renamed(tables: Mapping[str, Any]) -> dict[str, Any]:
        return {classes.get(name, name): table for name, table in tables.items()}

    inserts = [
        insert
        | ({"pipeline": classes[name]} if (name := insert.get("pipeline")) in classes else {})
        for insert in data.get("insert", ())
    ]
    rules = [renamed(rule) for rule in data.get("for", ())]
    return {**renamed(data), "for": rules, "insert": inserts}


def _is_path(value: str) -> bool:
    return value not in ("", "None", "N/A") and "://" not in value


Where = tuple[str | int, ...]
"""Keys and, of lists, numbers from 0: where something stands in the file."""


def _unknown_keys(data: Mapping[str, Any], mission: Mission) -> Iterator[tuple[Where, str]]:
    """Find the keys of tables that are neither keys of the file nor pipelines."""
    pipelines = {*mission.pipelines, str(data.get("pipeline"))}
    fields = {field.alias or name for name, field in CampaignFile.model_fields.items()}
    yield from _unknown((), data, fields, pipelines)
    rules = data.get("for")
    for number, rule in enumerate(rules if isinstance(rules, list) else ()):
        if isinstance(rule, dict):
            yield from _unknown(("for", number), rule, {"when"}, pipelines)


def _unknown(
    where: Where, table: Mapping[str, Any], fields: set[str], pipelines: set[str]
) -> Iterator[tuple[Where, str]]:
    for name in table:
        if name not in fields | pipelines:
            what = "pipeline or key" if isinstance(table[name], dict) else "key"
            hint = nearest(name, [*fields, *pipelines])
            yield (*where, name), f"there is no such {what}{hint}"


def _of_mission(file: CampaignFile, mission: Mission) -> dict[Where, str]:
    """Find what does not go with the mission, or with something else in the file."""
    found: dict[Where, str] = {}
    if file.observatory not in (None, mission.observatory):
        found["observatory",] = f"expected {mission.observatory}, not {file.observatory!r}"
    if file.stage is not None and file.stage not in mission.stages:
        stages = ", ".join(map(str, mission.stages)) or "no stage"
        found["stage",] = f"expected {stages}, not {file.stage}"
    for name in ("pipeline", "stage") if file.associate else ():
        if getattr(file, name) is not None:
            found[name,] = "leave it out: associate goes through all stages"
    if file.associate and file.associate.grid and not mission.shared_grids:
        found["associate", "grid"] = f"{mission.command} has no shared grids"
    for number, rule in enumerate(file.rules):
        if not rule.parameters:
            found["for", number] = "has no parameters: give them as <pipeline>.<parameter>"
        for pipeline, said in rule.parameters.items():
            if "config_file" in said:
                found["for", number, pipeline, "config_file"] = (
                    f"goes for all inputs: give it under [{pipeline}]"
                )
    for number, insert in enumerate(file.inserts):
        if insert.pipeline not in (None, *mission.pipelines, file.pipeline):
            hint = nearest(str(insert.pipeline), mission.pipelines)
            found["insert", number, "pipeline"] = f"there is no {insert.pipeline!r}{hint}"
        elif insert.pipeline is None and insert.anchor not in mission.pipelines:
            hint = nearest(insert.anchor, mission.pipelines)
            found["insert", number, "after" if insert.after else "before"] = (
                f"there is no pipeline {insert.anchor!r}{hint}; for a step, give its pipeline, too"
            )
    for name in file.replace:
        if name not in mission.pipelines:
            found["replace", name] = f"there is no such pipeline{nearest(name, mission.pipelines)}"
    return found


def _key(where: Where) -> str:
    """Spell where something is, as ``for[2].when.filter: ``; numbers from 1."""
    words = (f"[{each + 1}]" if isinstance(each, int) else f".{each}" for each in where)
    return f"{''.join(words).removeprefix('.')}: " if where else ""


def _problem(error: Mapping[str, Any]) -> str:
    """Put what pydantic says into our words."""
    kind, value = error["type"], error["input"]
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "there is no such key"
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind == "too_short":
        return "expected at least one"
    if kind == "literal_error":
        return f"expected {error['ctx']['expected']}, {_not(value)}"
    expected = _EXPECTED.get(kind)
    return f"expected {expected}, {_not(value)}" if expected else str(error["msg"])


def _not(value: Any) -> str:
    text = "a table" if isinstance(value, dict) else repr(value)
    return f"not {text}"
