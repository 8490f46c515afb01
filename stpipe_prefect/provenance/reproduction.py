"""Making a product again from its record alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..exceptions import ReferenceFileError, UnknownStepError, UsageError
from ..hooks import named_by
from ..insertions.derived import with_insertions
from ..insertions.running import connect
from ..parameters.layers import new_config
from ..parameters.validation import check_parameters
from ..references.cache import prefetch, recall, sha1_of
from ..references.context import pinned_context, resolve_context
from ..references.reference import NOT_APPLICABLE, ReferenceFile
from ..registry import import_object
from .dependencies import Row, named_files, planned, row_name
from .fingerprint import FileContent
from .inputs import folder_of, input_files, opened_input
from .inserted import insertion_of, notes
from .record import Record

_OF_THE_RUN = ("input_dir", "output_dir")
"""Parameters that say where files are: the new run has its own folder."""


def obstacles(record: Record) -> Iterator[str]:
    """Say, before anything runs, what of a run is gone, changed or was never recorded.

    Reference files that are not in the cache are fetched, where there is a CRDS server.

    Raises
    ------
    ContextError
        There is no cache that can be used, or not this context.
    """
    made_from = record.dependencies
    resolve_context(made_from.observatory, made_from.context)
    yield from unrecorded(record)
    for row in made_from.parameters:
        yield from _changed(named_files(row), f"file of parameter {row_name(row)}")
    yield from _changed((file for file in made_from.inputs if not file.is_open), "input")
    for row in made_from.references:
        if not row["type"].startswith("pars-") and "missing" not in row and row.get("sha1"):
            yield from _changed_reference(row, record)


def moved(record: Record) -> Record:
    """Take inputs that are not where they were from beside the record, if they are the same."""
    inputs = [_moved(file, record.path.absolute().parent) for file in record.dependencies.inputs]
    return replace(record, dependencies=replace(record.dependencies, inputs=inputs))


def _moved(file: FileContent, folder: Path) -> FileContent:
    beside = replace(file, path=str(folder / Path(file.path).name))
    return beside if not os.access(file.path, os.F_OK) and beside.is_intact else file


def unrecorded(record: Record) -> Iterator[str]:
    """Say what of a run the record cannot tell another one."""
    made_from = record.dependencies
    for what in made_from.opaque:
        yield f"{what} was given as an object, of which the record has only the type"
    for row in made_from.parameters:
        if "undeclared" not in row and _has_object(planned(row)):
            yield f"parameter {row_name(row)} was given as an object: give its dotted path instead"
    for file in made_from.inputs:
        if file.is_open:
            yield f"input {Path(file.path).name} was given as an open model"
    yield from _hooks_gone(record)
    yield from _insertions_gone(record)
    yield from _unlike_members(record)


def configured(record: Record) -> Any:
    """Make the pipeline or step with all parameters as they were when it began."""
    step_class = _pipeline(record)
    parameters = _parameters(record)
    check_parameters(step_class, parameters)
    config = new_config(parameters)
    return step_class.from_config_section(config, name=step_class.class_alias)


def run_again(record: Record, folder: Path) -> list[Path]:
    """Run what a record describes, with its own parameters and under its context.

    Gives the products in `folder`, in the order of the record.
    """
    made_from = record.dependencies
    data = made_from.inputs[0].path
    with (
        pinned_context(made_from.observatory, made_from.context),
        opened_input(data, record.path.parent) as opened,
    ):
        instance = configured(record)
        instance.output_dir = str(folder)
        instance.input_dir = folder_of(data)
        connect(instance, notes(made_from))
        instance.run(opened)
    return [folder / Path(product.path).name for product in record.products]


def _pipeline(record: Record) -> Any:
    made_from = record.dependencies
    insertions = [insertion_of(row) for row in made_from.insertions]
    return with_insertions(import_object(made_from.pipeline), insertions)


def _parameters(record: Record) -> dict[str, Any]:
    """Put the rows of parameters into sections, as a parameter file has them."""
    values: dict[str, Any] = {}
    for row in record.dependencies.parameters:
        if row.get("undeclared") or row["parameter"] in _OF_THE_RUN:
            continue
        section = values
        for name in filter(None, row["step"].split(".")):
            section = section.setdefault("steps", {}).setdefault(name, {})
        section[row["parameter"]] = planned(row)
    return values


def _has_object(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_has_object, value))
    return isinstance(value, dict) and "class" in value


def _hooks_gone(record: Record) -> Iterator[str]:
    """Find hooks that were code, and that a run would take for commands here."""
    code = tuple(row["name"] for row in record.dependencies.code or ())
    for row in record.dependencies.parameters:
        hooks = planned(row) if row["parameter"] in ("pre_hooks", "post_hooks") else None
        for hook in filter(lambda hook: isinstance(hook, str), hooks or ()):
            try:
                named_by(hook, None)
            except UnknownStepError as error:
                if hook.startswith(code):
                    yield f"{row_name(row)}: {error}"


def _insertions_gone(record: Record) -> Iterator[str]:
    """Say that inserted steps cannot be imported here."""
    if record.dependencies.insertions:
        try:
            _pipeline(record)
        except UsageError as error:
            yield str(error)


def _changed(files: Iterator[FileContent] | list[FileContent], what: str) -> Iterator[str]:
    for file in files:
        if file.is_intact:
            continue
        if os.access(file.path, os.R_OK):
            yield f"{what} {file.path} changed: its sha256 was {file.sha256}"
        else:
            yield f"{what} {file.path} is gone, or cannot be read"


def _unlike_members(record: Record) -> Iterator[str]:
    """Find inputs that a run would not open from where they were."""
    recorded = [file.path for file in record.dependencies.inputs]
    if not recorded:
        yield "the record names no input"
    elif all(os.access(path, os.R_OK) for path in recorded):
        opened = [path for path in input_files(recorded[0], record.path.parent) if path.exists()]
        for path in recorded:
            if not any(each.samefile(path) for each in opened):
                yield f"input {path} is none that {recorded[0]} leads to"


def _changed_reference(row: Row, record: Record) -> Iterator[str]:
    name, made_from = row["file"], record.dependencies
    what = f"reference {name} of {row['step'] or record.run['pipeline']}"
    if os.sep in name or name == NOT_APPLICABLE:
        path = Path(name)
    else:
        wanted = ReferenceFile(name, row["type"], made_from.observatory, made_from.context)
        path = wanted.path
        if not os.access(path, os.F_OK):
            try:
                prefetch(wanted)
            except ReferenceFileError as error:
                yield f"{what} is gone: {error} (it was {row.get('path', '')})"
                return
    if not os.access(path, os.R_OK):
        yield f"{what} is gone, or cannot be read"
    elif (recall(path) or sha1_of(path)) != row["sha1"]:
        yield f"{what} changed: the sha1 of {path} was {row['sha1']}"
