"""Reading a campaign file: everything that is wrong with it is named, with its place."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from stpipe_prefect.exceptions import NoInputError, UsageError, nearest, reason

from .campaign_file import CampaignFile, not_

if TYPE_CHECKING:
    from .mission import Mission

_EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
"""What pydantic's errors of these types ask for, in the words of TOML."""


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
        # Editors on Windows begin a file with a byte order mark.
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise NoInputError(f"{path}: no such campaign file") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8, as TOML files are: save it as that") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not a readable TOML file: {reason(error)}") from error
    problems = dict(_unknown_keys(data, mission))
    placed = _placed(data, path.parent.absolute())
    try:
        file = CampaignFile.model_validate(placed)
    except ValidationError as error:
        for each in error.errors():
            where = each["loc"]
            if not any(where[:end] in problems for end in range(1, len(where) + 1)):
                problems[where] = _problem(each)
    else:
        file._path = path
        problems |= _of_mission(file, mission)
    if not problems and file.replace:
        file = CampaignFile.model_validate(_with_classes(placed, file.replace))
        file._path = path
    _refuse(path.name, problems)
    return file


def check_files(file: CampaignFile) -> None:
    """Refuse a campaign file that names parameter files or reference files that are not there.

    Raises
    ------
    UsageError
        All of them are named.
    """
    _refuse(str(file), dict(_absent_files(file)))


def _refuse(file_name: str, problems: Mapping[Where, str]) -> None:
    if problems:
        lines = (f"{file_name}: {_key(where)}{problem}" for where, problem in problems.items())
        raise UsageError("\n".join(lines))


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
            if name == "steps":
                hint = ": those of a pipeline are in its table, as <pipeline>.steps"
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


def _absent_files(file: CampaignFile) -> Iterator[tuple[Where, str]]:
    """Find the parameter files and reference files that it names and that are not there."""
    said: list[tuple[Where, Any]] = [((name,), each) for name, each in file.parameters.items()]
    for number, rule in enumerate(file.rules):
        said += [(("for", number, name), each) for name, each in rule.parameters.items()]
    for number, insert in enumerate(file.inserts):
        said.append((("insert", number, "parameters"), insert.parameters))
    named = [((name, "config_file"), path) for name, path in file.config_files.items()]
    for where, tree in said:
        named += [
            ((*where, *keys), value)
            for keys, value in _leaves(tree)
            if keys[-1].startswith("override_") and isinstance(value, str) and _is_path(value)
        ]
    for where, path in named:
        if not Path(path).is_file():
            yield where, f"{path}: no such file"


def _leaves(tree: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[Any]:
    """Go through the values of tables in tables, each with its keys."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name), value


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
        return f"expected {error['ctx']['expected']}, {not_(value)}"
    expected = _EXPECTED.get(kind)
    return f"expected {expected}, {not_(value)}" if expected else str(error["msg"])
