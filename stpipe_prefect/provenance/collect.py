"""Finding out what a run is made from, before it runs."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..hooks import script_of
from ..insertions.derived import inserted_in
from ..insertions.functions import made_from
from ..insertions.insertion import Insertion
from ..parameters.resolution import MEMORY, Layer, ResolvedParameter
from ..references.cache import recall, sha1_of
from ..references.crds_client import server_url
from ..references.needs import steps_to_run, types_needed
from ..references.reference import NOT_APPLICABLE, URI_SCHEME
from ..references.selection import best_references
from .code import Code
from .dependencies import Dependencies, Row, mission_of, named_files, row_name
from .fingerprint import FileContent, NoFingerprintError, fingerprint
from .inserted import rows_of
from .packages import versions


def gather(
    instance: Any,
    settings: Iterable[ResolvedParameter],
    inputs: Sequence[FileContent],
    crds_parameters: Mapping[str, Any],
    code: Code,
    *,
    observatory: str,
    context: str,
    request: str = "",
    before: Dependencies | None = None,
) -> Dependencies:
    """Collect what a configured pipeline makes its products from.

    References that an earlier run, `before`, asked for in its midst may be other files now.
    """
    parameters = [
        {"step": each.step, "parameter": each.name, "value": each.value, "source": str(each.source)}
        for each in settings
    ]
    opaque: list[str] = []
    known = {
        file.path: file
        for row in (before.parameters if before else ())
        for file in named_files(row)
    }
    for row in parameters:
        row["value"], is_opaque = recordable(row["value"])
        if is_opaque:
            opaque.append(f"parameter {row_name(row)}")
        if files := _named_files(row):
            row["files"] = [FileContent.of(file, known.get(str(file))).as_json() for file in files]
    selected = [
        *selected_references(instance, crds_parameters, observatory, context),
        *_asked_again(before, crds_parameters, observatory, context),
    ]
    rows, unknown = code.of(instance)
    unknown += [
        f"step {each.name}"
        for each in inserted_in(instance)
        if not _is_importable(made_from(each.step_class))
    ]
    return Dependencies(
        pipeline=class_path(type(instance)),
        observatory=observatory,
        context=context,
        server=server_url(observatory),
        request=request,
        inputs=[*inputs],
        parameters=parameters,
        references=[described(row, observatory) for row in selected],
        software=dict(versions(mission_of(type(instance)))),
        opaque=[*opaque, *unknown],
        code=rows,
        insertions=rows_of(instance),
    )


def class_path(member: Any) -> str:
    """Name a class or function by its module and its name there."""
    return f"{member.__module__}.{member.__qualname__}"


def fingerprint_of_request(
    given: Mapping[str, Any],
    between: Iterable[Layer],
    config_file: str | None,
    step_class: type,
) -> str:
    """Give the fingerprint of the parameters that a run is given.

    Empty if more has to be looked at to know what they come to: parameter files, open data
    models, the code of another version.
    """
    if config_file or _mentions(given, "config_file"):
        return ""
    if mission_of(step_class) not in versions(mission_of(step_class)):
        return ""
    try:
        insertions = [each.insertion for each in inserted_in(step_class)]
        return _of_request(given, between, step_class.__qualname__, insertions)
    except NoFingerprintError:
        return ""


def fingerprint_without_parameters(
    name: str, between: Iterable[Layer] = (), insertions: Iterable[Insertion] = ()
) -> str:
    """Give the fingerprint of a request in which the user gives no parameters to such a class."""
    return _of_request({"given": {}, "frozen": None, "opaque": []}, between, name, insertions)


def _of_request(
    given: Mapping[str, Any],
    between: Iterable[Layer],
    name: str,
    insertions: Iterable[Insertion] = (),
) -> str:
    disabled = os.environ.get("STPIPE_DISABLE_CRDS_STEPPARS", "")
    said = [[str(layer.source), layer.values] for layer in between if layer.source.layer != MEMORY]
    layers: dict[str, Any] = {"between": said} if said else {}
    if steps := [
        [each.place, each.path, each.name, each.source, dict(each.parameters)]
        for each in insertions
    ]:
        layers["insertions"] = steps
    return fingerprint({"given": given, "disabled": disabled, "class": name, **layers})


def recordable(value: Any) -> tuple[Any, bool]:
    """Put the value of a parameter into what a record can hold, and tell whether that is not all.

    A hook that is a Step, or a class, or a function of a module, is known by its name and by its
    parameters.
    """
    if value is None or isinstance(value, (str, int)):
        return value, False
    if isinstance(value, (list, tuple)):
        items = [recordable(item) for item in value]
        return [item for item, _ in items], any(is_opaque for _, is_opaque in items)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value), False  # which JSON has no numbers for, and configspecs read as such
    if hasattr(value, "get_pars") and not isinstance(value, type):
        given = value.get_pars()
        if given.get("suffix") == value.default_suffix():  # which its first run leaves there
            given["suffix"] = None
        parameters, is_opaque = recordable(given)
        return {"class": class_path(type(value)), "parameters": parameters}, is_opaque
    if isinstance(value, Mapping):
        names = [str(name) for name in value]
        plain, is_opaque = recordable([*value.values()])
        return dict(zip(names, plain, strict=True)), is_opaque
    if _is_importable(value):
        return class_path(value), False
    try:
        fingerprint(value)
    except NoFingerprintError:
        return f"<{type(value).__name__}>", True
    return value, False


def _named_files(row: Row) -> list[Path]:
    """List the files that the value of a parameter names; references have rows of their own."""
    if row["parameter"] in _NO_INPUT or row["parameter"].startswith("override_"):
        return []
    values = row["value"] if isinstance(row["value"], list) else [row["value"]]
    if row["parameter"] in ("pre_hooks", "post_hooks"):
        values = [script_of(hook) for hook in values if isinstance(hook, str)]
    return [Path(value).absolute() for value in values if _is_file(value)]


def _is_file(value: Any) -> bool:
    try:
        return isinstance(value, str) and Path(value).is_file()
    except (OSError, ValueError):  # no path at all
        return False


_NO_INPUT = ("output_dir", "output_file", "input_dir")


def _is_importable(value: Any) -> bool:
    """Tell whether a class or function is a member of its module, as its name says."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    member: Any = sys.modules.get(module or "")
    for part in (name or "").split("."):
        member = getattr(member, part, None)
    return name is not None and member is value


def selected_references(
    instance: Any, crds_parameters: Mapping[str, Any], observatory: str, context: str
) -> Iterator[Row]:
    """Name the reference file of each type, for each step that is not skipped."""
    wanted = list(_reference_types(instance))
    names = best_references(
        crds_parameters,
        {kind for _, kind, override in wanted if override is None},
        observatory=observatory,
        context=context,
        required=False,
    )
    for step, kind, override in wanted:
        if override is None:
            yield {"step": step, "type": kind, "file": names[kind]}
        else:
            name = override if isinstance(override, str) else f"<{type(override).__name__}>"
            yield {"step": step, "type": kind, "file": name.removeprefix(URI_SCHEME)}


def _asked_again(
    before: Dependencies | None, crds_parameters: Mapping[str, Any], observatory: str, context: str
) -> Iterator[Row]:
    """Answer once more what an earlier run asked in its midst."""
    for row in before.references if before else ():
        if not row.get("asked"):
            continue
        question: Row = {key: row[key] for key in _QUESTION if key in row}
        name = row["file"]
        if not row.get("named"):
            names = best_references(
                {**crds_parameters, **row.get("matched", {})},
                [row["type"]],
                observatory=observatory,
                context=row.get("context", context),
                required=False,
            )
            name = names[row["type"]]
        yield {**question, "file": name}


_QUESTION = ("step", "type", "asked", "matched", "context", "named")


def described(row: Row, observatory: str) -> Row:
    """Add the sha1 of a reference file, and what tells that it is untouched."""
    import crds

    name = row["file"]
    if name in ("", NOT_APPLICABLE) or name.startswith("<"):
        return row
    path = Path(name if os.sep in name else crds.locate_file(name, observatory))
    try:
        stat = path.stat()
    except OSError:  # it is yet to be fetched
        return row
    about = {"path": str(path), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    return {**row, "sha1": _sha1(path, stat.st_size, stat.st_mtime_ns), **about}


def _reference_types(instance: Any) -> Iterator[tuple[str, str, Any]]:
    for path, step in steps_to_run(instance):
        yield path, step.get_config_reftype(), None
        yield from ((path, kind, override) for kind, override in types_needed(step))


def _mentions(values: Mapping[str, Any], name: str) -> bool:
    return name in values or any(
        _mentions(value, name) for value in values.values() if isinstance(value, Mapping)
    )


@lru_cache(maxsize=1000)
def _sha1(path: Path, size: int, mtime_ns: int) -> str:
    return recall(path) or sha1_of(path)
